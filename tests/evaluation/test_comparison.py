import numpy as np
import pytest
from scipy import stats

from maclip_lab.evaluation.comparison import compare
from maclip_lab.evaluation.fits import fit_logistic
from maclip_lab.evaluation.intervals import EvaluationSettings
from maclip_lab.evaluation.significance import holm, williams

QUICK = EvaluationSettings(n_boot=300)


@pytest.fixture
def mos():
    return np.random.default_rng(0).normal(3, 1, 400)


@pytest.fixture
def predictions(mos):
    generator = np.random.default_rng(1)
    shared = mos + 0.8 * generator.normal(size=400)
    return {
        "a": shared + 0.1 * generator.normal(size=400),
        "b": shared + 0.1 * generator.normal(size=400),
        "c": shared + 1.5 * generator.normal(size=400),
    }


def test_all_pairs_or_all_against_the_baseline(predictions, mos):
    pairs = compare(predictions, mos, settings=QUICK)
    assert list(zip(pairs["method"], pairs["other"], strict=True)) == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    against = compare(predictions, mos, baseline="b", settings=QUICK)
    assert list(zip(against["method"], against["other"], strict=True)) == [("a", "b"), ("c", "b")]
    assert against.loc[1, "delta_srcc"] == pytest.approx(-pairs.loc[2, "delta_srcc"])


def test_numbers_equal_scipys_and_the_tests_take_them(predictions, mos):
    row = compare(predictions, mos, settings=QUICK).iloc[1]
    srcc = [stats.spearmanr(predictions[m], mos).statistic for m in "ac"]
    assert (row["srcc"], row["srcc_other"]) == pytest.approx(tuple(srcc))
    assert row["delta_srcc"] == pytest.approx(srcc[0] - srcc[1])
    fitted = [fit_logistic(predictions[m], mos).fitted for m in "ac"]
    r = np.corrcoef([mos, *fitted])
    expected = williams(r[0, 1], r[0, 2], r[1, 2], 400)
    assert row["williams_t"] == pytest.approx(expected.statistic)
    assert row["williams_p"] == pytest.approx(expected.p)


def test_a_real_difference_is_found_and_a_tiny_one_is_not(predictions, mos):
    table = compare(predictions, mos, settings=QUICK).set_index(["method", "other"])
    same, different = table.loc[("a", "b")], table.loc[("a", "c")]
    for name in ("srcc", "plcc_4p"):
        assert same[f"delta_{name}_lo"] < same[f"delta_{name}"] < same[f"delta_{name}_hi"]
        assert different[f"delta_{name}_lo"] > 0.1
        assert different[f"p_{name}"] == pytest.approx(2 / 301)
    assert same["p_srcc"] > 0.05
    assert different["williams_p_holm"] < 1e-6


def test_the_intervals_are_paired(predictions, mos):
    row = compare(predictions, mos, settings=QUICK).iloc[0]
    width = row["delta_srcc_hi"] - row["delta_srcc_lo"]
    alone = 2 * 1.96 * np.sqrt((1 + row["srcc"] ** 2 / 2) / 397) * (1 - row["srcc"] ** 2)
    assert width < alone / 3


def test_holm_runs_over_the_whole_table(predictions, mos):
    table = compare(predictions, mos, settings=QUICK)
    for name in ("p_srcc", "p_plcc_4p", "williams_p"):
        np.testing.assert_array_equal(table[f"{name}_holm"], holm(table[name]))


def test_dmos_changes_no_difference(predictions, mos):
    up = compare(predictions, mos, settings=QUICK)
    down = compare(predictions, -mos, higher_is_better=False, settings=QUICK)
    np.testing.assert_allclose(up["delta_srcc"], down["delta_srcc"])
    np.testing.assert_allclose(up["williams_t"], down["williams_t"])


def test_a_pair_is_compared_on_the_pictures_both_have(predictions, mos):
    predictions["b"] = predictions["b"].copy()
    predictions["b"][:40] = np.nan
    table = compare(predictions, mos, settings=QUICK).set_index(["method", "other"])
    assert list(table["n"]) == [360, 400, 360]
    expected = stats.spearmanr(predictions["a"][40:], mos[40:]).statistic
    assert table.loc[("a", "b"), "srcc"] == pytest.approx(expected)


def test_a_method_without_numbers_blanks_its_own_rows_only(predictions, mos):
    predictions |= {"flat": np.ones(400), "absent": np.full(400, np.nan)}
    table = compare(predictions, mos, baseline="a", settings=QUICK).set_index("method")
    numbers = ["delta_srcc", "delta_srcc_lo", "p_srcc", "delta_plcc_4p", "williams_p_holm"]
    assert table.loc[["b", "c"], numbers].notna().all(axis=None)
    assert table.loc[["flat", "absent"], numbers].isna().all(axis=None)
    assert table.loc["flat", "reason"] == "flat: constant predictions"
    assert "0 pictures in common" in table.loc["absent", "reason"]
    np.testing.assert_array_equal(
        table.loc[["b", "c"], "williams_p_holm"], holm(table.loc[["b", "c"], "williams_p"])
    )


def test_clusters_widen_the_interval_of_a_difference_between_references(mos):
    generator = np.random.default_rng(4)
    clusters = np.repeat(np.arange(20), 20)
    offset = 1.5 * generator.normal(size=20)[clusters]
    predictions = {"a": mos + offset, "b": mos + 1.5 * generator.normal(size=400)}
    widths = []
    for labels in (None, list(clusters)):
        row = compare(predictions, mos, clusters=labels, settings=QUICK).iloc[0]
        widths.append(row["delta_srcc_hi"] - row["delta_srcc_lo"])
    assert widths[1] > 1.2 * widths[0]


def test_too_few_clusters_are_named(predictions, mos):
    row = compare(predictions, mos, clusters=[0, 1] * 200).iloc[0]
    assert np.isnan(row["delta_srcc_lo"])
    assert "fewer than 5 clusters" in row["reason"]


def test_identical_methods_do_not_differ(predictions, mos):
    row = compare({"a": predictions["a"], "again": predictions["a"]}, mos, settings=QUICK).iloc[0]
    assert row["delta_srcc"] == 0
    assert row[["p_srcc", "p_plcc_4p", "williams_p"]].tolist() == [1.0] * 3


def test_a_comparison_needs_two_methods_and_a_known_baseline(predictions, mos):
    with pytest.raises(ValueError, match="at least two methods"):
        compare({"a": predictions["a"]}, mos)
    with pytest.raises(ValueError, match="no method is called 'z'; there are a, b, c"):
        compare(predictions, mos, baseline="z")
