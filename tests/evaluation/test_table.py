from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maclip_lab.evaluation import EvaluationSettings, evaluate, fits, holm, resamples
from maclip_lab.evaluation.fits import fit_logistic
from maclip_lab.evaluation.table import COLUMNS, breakdown

QUICK = EvaluationSettings(n_boot=200)


@pytest.fixture
def mos():
    return np.random.default_rng(0).normal(3, 1, 300).round(2)


@pytest.fixture
def predictions(mos):
    generator = np.random.default_rng(1)
    good = 1 / (1 + np.exp(-(mos - 3 + 0.6 * generator.normal(size=300))))
    weak, noise = mos + 5 * generator.normal(size=300), generator.normal(size=300)
    return {"good": good.round(3), "weak": weak, "close": (good + noise / 50).round(3)}


def test_a_row_a_method_with_scipys_numbers_its_intervals_and_what_its_fits_are(predictions, mos):
    table = evaluate(pd.DataFrame(predictions), pd.Series(mos), settings=QUICK)
    assert list(table.columns) == COLUMNS
    assert list(table["method"]) == ["good", "weak", "close"]
    assert list(table["fit_status"])[:2] == ["ok", "nonmonotone"]
    fell_back = "the authors' fit failed, and its start values stood in"
    assert list(table["reason"])[:2] == [fell_back, "the 5-parameter curve bends back"]
    for (_, row), x in zip(table.iterrows(), predictions.values(), strict=True):
        assert row["srcc"] == pytest.approx(stats.spearmanr(x, mos).statistic)
        assert row["krcc"] == pytest.approx(stats.kendalltau(x, mos).statistic)
        assert row["plcc_raw"] == pytest.approx(stats.pearsonr(x, mos).statistic)
        assert row["srcc_lo"] < row["srcc"] < row["srcc_hi"]
    row, fitted = table.iloc[0], fit_logistic(predictions["good"], mos).fitted
    assert row["plcc_4p"] == pytest.approx(stats.pearsonr(fitted, mos).statistic)
    assert row["rmse_4p"] == pytest.approx(np.sqrt(np.mean((fitted - mos) ** 2)))
    assert row["plcc_5p"] >= row["plcc_4p"] > row["plcc_raw"]
    again = evaluate(predictions, mos, settings=QUICK)
    pd.testing.assert_frame_equal(table, again, check_exact=True)  # to the last bit


def test_dmos_is_turned_so_that_agreement_is_positive_and_a_wrong_one_negative(predictions, mos):
    up = evaluate(predictions, mos, settings=QUICK).iloc[0]
    down = evaluate(predictions, 9 - mos, higher_is_better=False, settings=QUICK).iloc[0]
    for name in ("srcc", "srcc_lo", "srcc_hi", "krcc", "plcc_raw", "plcc_4p", "plcc_5p", "rmse_4p"):
        assert down[name] == pytest.approx(up[name], abs=1e-6), name
    assert down["srcc"] > 0.8
    wrong = evaluate({"wrong": -predictions["good"]}, mos, settings=QUICK).iloc[0]
    for name in ("srcc", "srcc_hi", "krcc", "plcc_raw", "plcc_4p", "plcc_5p"):
        assert wrong[name] < -0.6, name  # also after a fit
    official = fits.official_evaluation(predictions["good"], 9 - mos)  # scores as they are
    assert (down["srcc_official"], down["plcc_official"]) == official[:2]


def test_missing_numbers_are_dropped_from_their_method_and_its_pair_and_counted(predictions, mos):
    good, broken = predictions["good"], predictions["close"].copy()
    broken[:7], broken[7], mos[8] = np.nan, np.inf, np.nan
    methods = {"good": good, "again": good, "broken": broken}
    methods |= {"flat": np.ones(300), "absent": np.full(300, np.nan)}
    table = evaluate(methods, mos, baseline="good", settings=QUICK).set_index("method")
    assert list(table["n"]) == [299, 299, 291, 299, 0]
    assert list(table["n_dropped"]) == [1, 1, 9, 1, 300]
    assert list(table["n_common"])[1:] == [299, 291, 299, 0]
    ours, theirs = (stats.spearmanr(x[9:], mos[9:]).statistic for x in (broken, good))
    assert table.loc["broken", "srcc"] == pytest.approx(ours)
    assert table.loc["broken", "delta_srcc"] == pytest.approx(ours - theirs)
    assert table.loc["again", ["delta_srcc", "p_srcc", "verdict"]].tolist() == [0, 1, "cannot tell"]
    numbers = table[["delta_srcc", "delta_srcc_lo", "p_srcc"]]
    assert numbers.notna().all(axis=1).tolist() == [False, True, True, False, False]
    assert "something is constant" in table.loc["flat", "delta_reason"]
    assert "0 usable pictures" in table.loc["absent", "delta_reason"]


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([1.0, 2, 3, 4], [1.0, 2, 3, 5], "4 usable pictures, at least 5 are needed"),
        ([np.nan] * 6, range(6), "0 usable pictures"),
        ([0.5] * 6, range(6), "constant predictions"),
        (range(6), [3.0] * 6, "constant MOS"),
    ],
)
def test_degenerate_data_give_nan_and_a_reason(x, y, reason):
    row = evaluate({"method": list(x)}, list(y)).iloc[0]
    assert row[["srcc", "srcc_lo", "krcc", "plcc_raw", "plcc_4p", "srcc_official"]].isna().all()
    assert row["fit_status"] == "degenerate"
    assert reason in row["reason"]
    five = evaluate({"method": [1.0, 2, 4, 3, 5]}, [1.0, 2, 3, 4, 5.5]).iloc[0]
    assert five["srcc"] == pytest.approx(0.9)
    assert np.isfinite(five["plcc_4p"])
    assert five["reason"].startswith("5 pictures are too few for 5 parameters")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 9), st.booleans())
def test_small_and_tied_data_neither_crash_nor_warn(seed, n, labelled):
    generator = np.random.default_rng(seed)
    mos, x = generator.integers(0, 4, (2, n)).astype(float)
    x[generator.random(n) < 0.1] = np.nan
    quick = EvaluationSettings(n_boot=20)
    row = evaluate({"m": x}, mos, clusters=list(range(n)) if labelled else None, settings=quick)
    row = row.iloc[0]
    assert row["n"] + row["n_dropped"] == n
    assert np.isfinite(row["srcc"]) or row["reason"]
    table = evaluate({"m": x, "other": mos}, mos, baseline="other", settings=quick)
    assert np.isfinite(table.loc[0, "delta_srcc"]) or table.loc[0, "delta_reason"]


def test_a_failed_fit_is_said_and_nothing_stands_in_for_it(predictions, mos, monkeypatch):
    monkeypatch.setattr(fits, "_MAX_EVALUATIONS", 1)
    monkeypatch.setattr(fits, "curve_fit", Mock(side_effect=RuntimeError))
    row = evaluate(predictions, mos, settings=QUICK).iloc[0]
    assert row["fit_status"] == "failed"
    for said in ("4-parameter fit did not converge", "the authors' fit failed"):
        assert said in row["reason"]
    assert row[["plcc_4p", "plcc_5p", "rmse_4p"]].isna().all()
    assert row[["srcc", "srcc_lo", "krcc", "plcc_raw"]].notna().all()


def test_clusters_are_resampled_whole_and_counted_and_no_label_at_all_means_none(predictions, mos):
    clusters = (None, np.arange(300) // 30, pd.Series([None] * 300), [0, 1] * 150)
    plain, clustered, unlabelled, few = (
        evaluate(predictions, mos, baseline="good", clusters=labels, settings=QUICK)
        for labels in clusters
    )
    assert (list(plain["n_clusters"]), list(clustered["n_clusters"])) == ([0] * 3, [10] * 3)
    assert (clustered["srcc"] == plain["srcc"]).all()
    assert (clustered["srcc_lo"] != plain["srcc_lo"]).all()
    pd.testing.assert_frame_equal(plain, unlabelled)
    assert few[["srcc_lo", "delta_srcc_lo"]].isna().all(axis=None)
    for reason in few.loc[1, ["reason", "delta_reason"]]:
        assert "2 clusters, at least 5" in reason


def test_leads_over_a_baseline_are_paired_and_its_own_row_is_blank(predictions, mos):
    table = evaluate(predictions, mos, baseline="good").set_index("method")
    srcc = {method: stats.spearmanr(x, mos).statistic for method, x in predictions.items()}
    weak, close = (table.loc[method] for method in ("weak", "close"))
    for row in (weak, close):
        assert row["delta_srcc"] == pytest.approx(srcc[row.name] - srcc["good"])
        assert (row["other"], row["n_common"]) == ("good", 300)
    assert table.loc["good", "other"] == ""
    assert np.isnan(table.loc["good", "delta_srcc"])
    assert list(table["verdict"]) == ["", "below", "cannot tell"]
    np.testing.assert_array_equal(table["p_srcc_holm"], holm(table["p_srcc"]))
    assert close["delta_srcc_lo"] < close["delta_srcc"] < close["delta_srcc_hi"]
    alone = close["srcc_hi"] - close["srcc_lo"]
    assert close["delta_srcc_hi"] - close["delta_srcc_lo"] < alone / 3
    assert "could have shown 0.0" in close["delta_reason"]
    assert weak["delta_srcc_hi"] < -0.1
    assert weak["p_srcc"] == 2 / (resamples(2) + 1)
    turned = evaluate(predictions, -mos, baseline="good", higher_is_better=False, settings=QUICK)
    np.testing.assert_allclose(table["delta_srcc"], turned["delta_srcc"])


def test_a_comparison_needs_two_methods_and_a_known_baseline():
    for methods, baseline in (({"a": [1, 2]}, "a"), ({"a": [1, 2], "b": [2, 1]}, "z")):
        with pytest.raises(ValueError, match=f"no method to compare '{baseline}' with"):
            evaluate(methods, [1, 2], baseline=baseline)


def test_a_breakdown_is_scipy_in_every_group_and_blank_in_small_and_constant_ones():
    generator = np.random.default_rng(0)
    mos = generator.normal(size=85)
    x = mos + generator.normal(size=85)
    x[0], x[65:] = np.nan, 1
    groups = ["blur"] * 30 + ["noise"] * 30 + ["rare"] * 5 + ["flat"] * 20
    table = breakdown({"m": x}, mos, groups).set_index("group")
    assert list(table["n"]) == [29, 30, 5, 20]
    assert list(table["n_dropped"]) == [1, 0, 0, 0]
    assert table.loc["blur", "srcc"] == pytest.approx(stats.spearmanr(x[1:30], mos[1:30]).statistic)
    assert np.isnan(table.loc["rare", "srcc"])
    assert table.loc["rare", "reason"] == "5 pictures, at least 20 are asked for"
    assert table.loc["flat", "reason"] == "constant predictions or MOS"
    turned = breakdown({"m": x}, -mos, groups, higher_is_better=False).set_index("group")
    np.testing.assert_array_equal(turned["srcc"], table["srcc"])
