from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from maclip_lab.evaluation import count_votes, evaluate_pairs, holm, pairs_from_mos
from maclip_lab.evaluation.preferences import bradley_terry

# Wins of the row's team over the column's: American League 1987, 13 games a pair (Agresti,
# Categorical Data Analysis, table 10.10).
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
WINS = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
# Strengths less Baltimore's as the R package BradleyTerry2 gives them for the same games.
PUBLISHED = dict(zip(TEAMS, [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0], strict=True))


def rows(*choices):
    return pd.DataFrame(choices, columns=["a", "b", "chosen", "count"][: len(choices[0])])


def disjoint(n=40, seed=0):
    """Pairs without a common picture, three verdicts, and two methods' scores."""
    rng = np.random.default_rng(seed)
    pairs = pd.DataFrame({"a": range(0, 2 * n, 2), "b": range(1, 2 * n, 2)})
    pairs["verdict"] = rng.integers(-1, 2, n)
    pairs["votes_a"], pairs["votes_b"] = 1 * (pairs.verdict > 0), 1 * (pairs.verdict < 0)
    quality = np.zeros(2 * n)
    quality[pairs["a"]] = pairs["verdict"]
    noise = rng.normal(0, 1, (2, 2 * n))
    return {"good": np.round(quality + 0.4 * noise[0], 1), "poor": quality + 2 * noise[1]}, pairs


def test_votes_on_a_pair_are_added_up_whatever_their_order_and_spelling():
    table = rows(
        ("y.png", "x.png", "y.png", 3), ("x.png", "y.png", "b", 2), ("x.png", "y.png", "x.png", 1),
        ("y.png", "x.png", "Tie", 4), ("u.png", "v.png", "a", 9),
    )  # fmt: skip
    assert count_votes(table).to_dict("list") == {
        "a": ["x.png", "u.png"], "b": ["y.png", "v.png"],
        "votes_a": [1, 9], "votes_b": [5, 0], "ties": [4, 0], "verdict": [0, 1],
    }  # fmt: skip


def test_a_pair_is_different_where_a_sign_test_says_so():
    for won in range(11):
        votes = [("a", won), ("b", 10 - won)]
        table = rows(*(("p.png", "q.png", one, count) for one, count in votes if count))
        p = stats.binomtest(won, 10).pvalue
        assert count_votes(table)["verdict"][0] == (np.sign(won - 5) if p <= 0.05 else 0)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), r"missing \['chosen'\]"),
        (rows(("x", "y", "x")).iloc[:0], "missing any row"),
        (rows(("x", "", "x")), "1 of 1 rows make no sense, such as .*'b': ''"),
        (rows(("x", "x", "x")), "1 of 1 rows make no sense"),
        (rows(("x", "y", "x"), ("x", "y", "z")), "1 of 2 rows make no sense, .*'chosen': 'z'"),
        (rows(("x", "y", "x", 0)), "a whole count"),
        (rows(("x", "y", "x", "two")), "such as .*'two'"),
        (rows(("x", "y", "x", 1.5)), "a whole count"),
    ],
)
def test_choices_that_make_no_sense_are_refused_by_the_first_of_them(table, said):
    with pytest.raises(ValueError, match=said):
        count_votes(table)


def test_the_scale_is_the_published_one():
    games = ((TEAMS[i], TEAMS[j], "a", WINS[i][j]) for i, j in permutations(range(7), 2))
    found = bradley_terry(count_votes(rows(*games)), prior=1e-7).set_index("picture")["strength"]
    assert found.mean() == pytest.approx(0, abs=1e-12)
    found = (found - found["Baltimore"]).round(4).to_dict()
    assert found == pytest.approx(PUBLISHED, abs=1.5e-4)


def test_two_pictures_stand_as_far_apart_as_their_odds():
    votes = count_votes(rows(("x", "y", "x", 30), ("x", "y", "y", 9), ("x", "y", "tie", 2)))
    found = bradley_terry(votes, prior=1e-9).set_index("picture")
    assert found["strength"]["x"] - found["strength"]["y"] == pytest.approx(np.log(31 / 10))
    error = np.sqrt(1 / 31 + 1 / 10) / 2  # of half the log odds
    assert found["strength_hi"]["x"] - found["strength"]["x"] == pytest.approx(1.959964 * error)


def test_a_picture_that_never_lost_has_a_place_by_the_prior_and_each_part_a_scale_of_its_own():
    votes = count_votes(rows(("x", "y", "x", 5), ("y", "z", "y", 5), ("u", "v", "u", 1)))
    found = bradley_terry(votes).set_index("picture")
    assert found["strength"].is_monotonic_decreasing
    assert found["n_votes"].to_dict() == {"x": 5, "y": 10, "z": 5, "u": 1, "v": 1}
    alone = bradley_terry(votes[votes["a"] != "u"]).set_index("picture")
    pd.testing.assert_frame_equal(found.loc[["x", "y", "z"]], alone, check_dtype=False)


def test_accuracy_is_the_share_of_votes_by_half_where_scores_tie_and_its_interval_wilsons():
    scores = pd.DataFrame({"m": np.tile([1.0, 0.0], 30)}, index=[f"p{i:02}" for i in range(60)])
    table = [(f"p{i:02}", f"p{i + 1:02}", "a" if i < 44 else "b") for i in range(0, 60, 2)]
    found = evaluate_pairs(scores, count_votes(rows(*table))).iloc[0]
    wilson = stats.binomtest(22, 30).proportion_ci(method="wilson")
    expected = [22 / 30, wilson.low, wilson.high]
    assert found[["accuracy", "accuracy_lo", "accuracy_hi"]].tolist() == pytest.approx(expected)
    perfect = evaluate_pairs(scores, count_votes(rows(*table[:22]))).iloc[0]
    low = stats.binomtest(22, 22).proportion_ci(method="wilson").low
    assert (perfect["accuracy"], perfect["accuracy_lo"]) == pytest.approx((1, low))
    votes = count_votes(rows(("x", "y", "x", 3), ("x", "y", "y", 1), ("x", "z", "x", 4)))
    tied = pd.DataFrame({"m": [1.0, 1.0, np.nan]}, index=["x", "y", "z"])
    found = evaluate_pairs(tied, votes).iloc[0]
    assert found[["n_pairs", "n_dropped", "accuracy"]].tolist() == [1, 1, 0.5]


def placements(x, others):
    """How often each of ``x`` is above the others, ties by half."""
    return np.array([((one > others) + (one == others) / 2).mean() for one in x])


def test_areas_are_mann_whitneys_and_their_tests_delongs():
    scores, pairs = disjoint()
    table = evaluate_pairs(scores, pairs).set_index("method")
    tests = evaluate_pairs(scores, pairs, baseline="good").iloc[1]
    verdict, placed = pairs["verdict"].to_numpy(), {}
    for name, values in scores.items():
        apart = values[pairs["a"]] - values[pairs["b"]]
        far, near = abs(apart[verdict != 0]), abs(apart[verdict == 0])
        turned = (apart * verdict)[verdict != 0]
        for area, x, others in (("auc_ds", far, near), ("auc_bw", turned, -turned)):
            expected = stats.mannwhitneyu(x, others).statistic / (x.size * others.size)
            assert table.loc[name, area] == pytest.approx(expected)
        assert table.loc[name, "accuracy"] == pytest.approx(((1 + np.sign(turned)) / 2).mean())
        placed[name] = placements(far, near), placements(near, far), placements(turned, -turned)
    changes = [poor - good for poor, good in zip(placed["poor"], placed["good"], strict=True)]
    above, below, better = (change.var(ddof=1) / change.size for change in changes)
    for area, variance in (("auc_ds", above + below), ("auc_bw", 4 * better)):
        z = tests[f"delta_{area}"] / np.sqrt(variance)
        assert tests[f"p_{area}"] == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_pairs_that_share_a_picture_count_as_dependent():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=25)
    pairs = pairs_from_mos(truth, np.full(25, 1.5), 20)
    apart = pairs.assign(a=range(300), b=range(300, 600))
    rejected = {"shared": 0, "apart": 0}
    for _ in range(40):  # no method is better than the other
        scores = pd.DataFrame({name: truth + rng.normal(0, 1, 25) for name in "mo"})
        wide = pd.concat([scores.loc[pairs["a"]], scores.loc[pairs["b"]]], ignore_index=True)
        for name, (one, other) in {"shared": (scores, pairs), "apart": (wide, apart)}.items():
            tests = evaluate_pairs(one, other, baseline="o").iloc[0]
            rejected[name] += tests["p_auc_bw"] < 0.05
    assert rejected["apart"] > 10
    assert rejected["shared"] < 7


def test_rated_pictures_are_different_beyond_the_errors_of_their_means():
    mos = pd.Series([1.0, 2.0, 2.1, np.nan], index=["p", "q", "r", "s"])
    found = pairs_from_mos(mos, [1.0, 1.0, 1.0, 1.0], 16)
    assert found.to_dict("list") == {
        "a": ["p", "p", "q"], "b": ["q", "r", "r"],
        "votes_a": [0, 0, 0], "votes_b": [1, 1, 0], "ties": [0, 0, 0], "verdict": [-1, -1, 0],
    }  # fmt: skip
    assert pairs_from_mos(mos, np.ones(4), 16, higher_is_better=False)["verdict"].max() == 1
    assert pairs_from_mos(mos, np.ones(4), [2, 2, 16, 16])["verdict"].tolist()[0] == 0
    with pytest.raises(ValueError, match="0 pictures have a MOS, a deviation and a number"):
        pairs_from_mos(mos, np.ones(4), np.nan)


def test_of_many_pictures_some_are_drawn_and_drawn_alike(monkeypatch):
    monkeypatch.setattr("maclip_lab.evaluation.preferences._MOST_PICTURES", 10)
    mos = np.arange(50.0)
    found = pairs_from_mos(mos, np.ones(50), 9)
    assert len(found) == 45
    assert not found.duplicated(["a", "b"]).any()
    pd.testing.assert_frame_equal(found, pairs_from_mos(mos, np.ones(50), 9))


def test_one_correction_serves_all_methods_and_a_copy_differs_from_none():
    scores, pairs = disjoint(seed=1)
    scores |= {"copy": scores["good"], "constant": np.ones(80)}
    tests = evaluate_pairs(scores, pairs, baseline="good").set_index("method")
    np.testing.assert_allclose(tests["p_auc_bw_holm"], holm(tests["p_auc_bw"]))
    assert tests.loc["copy", "delta_auc_bw"] == 0
    assert tests.loc[["copy", "good"], ["p_auc_ds", "p_auc_bw"]].isna().all(axis=None)
    assert evaluate_pairs(scores, pairs).set_index("method").loc["constant", "auc_bw"] == 0.5
    with pytest.raises(ValueError, match=r"'mine' is none of \['good'"):
        evaluate_pairs(scores, pairs, baseline="mine")
    similar = evaluate_pairs(scores, pairs.assign(verdict=0, votes_a=0, votes_b=0), "good")
    assert similar[["accuracy", "auc_ds", "auc_bw", "p_auc_bw"]].isna().all(axis=None)


def test_pairs_of_pictures_without_a_row_are_refused():
    votes = count_votes(rows(("x", "y", "x")))
    with pytest.raises(ValueError, match="1 pictures have no score, the first 'y'"):
        evaluate_pairs(pd.DataFrame({"m": [1.0]}, index=["x"]), votes)
    with pytest.raises(ValueError, match="a picture has several rows"):
        evaluate_pairs(pd.DataFrame({"m": [1.0, 2.0]}, index=["x", "x"]), votes)
