import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maclip_lab.evaluation import (
    EvaluationSettings,
    compare,
    evaluate,
    fits,
)
from maclip_lab.evaluation.table import COLUMNS

QUICK = EvaluationSettings(n_boot=200)
NONE = EvaluationSettings(n_boot=0)


@pytest.fixture
def mos():
    return np.random.default_rng(0).normal(3, 1, 300).round(2)


@pytest.fixture
def predictions(mos):
    generator = np.random.default_rng(1)
    good = 1 / (1 + np.exp(-(mos - 3 + 0.6 * generator.normal(size=300))))
    return {"good": good.round(3), "weak": mos + 5 * generator.normal(size=300)}


def test_one_row_per_method_in_the_order_given(predictions, mos):
    table = evaluate(predictions, mos, settings=QUICK)
    assert list(table["method"]) == ["good", "weak"]
    assert tuple(table.columns) == COLUMNS


def test_a_curve_that_bends_back_is_said(predictions, mos):
    table = evaluate(predictions, mos, settings=NONE).set_index("method")
    assert list(table["fit_status"]) == ["ok", "nonmonotone"]
    assert list(table["fit_monotone"]) == [True, False]
    assert list(table["reason"]) == ["", "the 5-parameter curve bends back"]


def test_raw_numbers_equal_scipys(predictions, mos):
    table = evaluate(predictions, mos, settings=NONE).set_index("method")
    for name, x in predictions.items():
        row = table.loc[name]
        assert row["srcc"] == pytest.approx(stats.spearmanr(x, mos).statistic)
        assert row["krcc"] == pytest.approx(stats.kendalltau(x, mos).statistic)
        assert row["plcc_raw"] == pytest.approx(stats.pearsonr(x, mos).statistic)
        assert row["rmse_raw"] == pytest.approx(np.sqrt(np.mean((x - mos) ** 2)))


def test_errors_belong_to_the_four_parameter_fit(predictions, mos):
    row = evaluate(predictions, mos, mos_std=np.full(300, 0.2), settings=NONE).iloc[0]
    fitted = fits.fit_logistic(predictions["good"], mos).fitted
    assert row["plcc_4p"] == pytest.approx(stats.pearsonr(fitted, mos).statistic)
    assert row["rmse_4p"] == pytest.approx(np.sqrt(np.mean((fitted - mos) ** 2)))
    assert row["mae"] == pytest.approx(np.mean(np.abs(fitted - mos)))
    assert row["outlier_ratio"] == pytest.approx(np.mean(np.abs(fitted - mos) > 0.4))
    assert row["plcc_5p"] >= row["plcc_4p"] > row["plcc_raw"]


def test_without_deviations_there_is_no_outlier_ratio(predictions, mos):
    assert evaluate(predictions, mos, settings=NONE)["outlier_ratio"].isna().all()


def test_dmos_is_turned_so_that_agreement_is_positive(predictions, mos):
    up = evaluate(predictions, mos, settings=QUICK).iloc[0]
    down = evaluate(predictions, 9 - mos, higher_is_better=False, settings=QUICK).iloc[0]
    same = [
        "srcc",
        "srcc_lo",
        "srcc_hi",
        "krcc",
        "plcc_raw",
        "plcc_4p",
        "plcc_4p_lo",
        "plcc_5p",
        "rmse_4p",
        "mae",
    ]
    for name in same:
        assert down[name] == pytest.approx(up[name], abs=1e-6), name
    assert down["srcc"] > 0.8
    assert (up["mos_direction"], down["mos_direction"]) == ("higher is better", "lower is better")


def test_a_metric_that_is_wrong_stays_negative_even_after_the_fit(predictions, mos):
    row = evaluate({"wrong": -predictions["good"]}, mos, settings=QUICK).iloc[0]
    for name in ("srcc", "srcc_hi", "krcc", "plcc_raw", "plcc_4p", "plcc_4p_hi", "plcc_5p"):
        assert row[name] < -0.6, name
    assert row["srcc_official"] > 0.8


def test_the_authors_variant_sees_the_scores_as_they_are(predictions, mos):
    dmos = 9 - mos
    row = evaluate(predictions, dmos, higher_is_better=False, settings=NONE).iloc[0]
    official = fits.official_evaluation(predictions["good"], dmos)
    assert row["srcc_official"] == official.srcc
    assert row["rmse_official"] == official.rmse
    assert row["official_fell_back"] == official.fell_back


def test_missing_predictions_are_dropped_from_their_method_and_counted(predictions, mos):
    broken = predictions["good"].copy()
    broken[:7], broken[7] = np.nan, np.inf
    mos[8] = np.nan
    table = evaluate({**predictions, "broken": broken}, mos, settings=QUICK).set_index("method")
    assert list(table["n"]) == [299, 299, 291]
    assert list(table["n_dropped"]) == [1, 1, 9]
    expected = stats.spearmanr(broken[9:], mos[9:]).statistic
    assert table.loc["broken", "srcc"] == pytest.approx(expected)


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
    table = compare({"m": x, "other": mos}, mos, settings=quick)
    assert np.isfinite(table.loc[0, "delta_srcc"]) or table.loc[0, "reason"]


def test_five_pictures_have_ranks_but_no_five_parameter_fit():
    row = evaluate({"method": [1.0, 2, 4, 3, 5]}, [1.0, 2, 3, 4, 5.5]).iloc[0]
    assert row["srcc"] == pytest.approx(0.9)
    assert np.isnan(row["plcc_5p"])
    assert "too few for 5 parameters" in row["reason"]


def test_a_curve_is_searched_once_for_evaluation_and_comparison(predictions, mos, monkeypatch):
    searched = []

    def count(x, y, *, line, start=None):
        searched.append(line)
        return best_shape(x, y, line=line, start=start)

    best_shape = fits._best_shape
    monkeypatch.setattr(fits, "_best_shape", count)
    fits._four_parameter_shape.cache_clear()
    evaluate(predictions, mos, settings=NONE)
    compare(predictions, mos, settings=NONE)
    assert searched == [False, True] * len(predictions)


def test_a_failed_fit_is_said_and_nothing_stands_in_for_it(predictions, mos, monkeypatch):
    monkeypatch.setattr(fits, "_MAX_EVALUATIONS", 1)
    row = evaluate(predictions, mos, settings=QUICK).iloc[0]
    assert row["fit_status"] == "failed"
    assert "did not converge" in row["reason"]
    fitted = ["plcc_4p", "plcc_4p_lo", "plcc_4p_hi", "plcc_5p", "rmse_4p", "rmse_5p", "mae"]
    assert row[fitted].isna().all()
    assert row[["srcc", "srcc_lo", "krcc", "plcc_raw"]].notna().all()


def test_intervals_hold_the_estimate(predictions, mos):
    row = evaluate(predictions, mos, settings=QUICK).iloc[0]
    for name, estimate in (("srcc", "srcc"), ("plcc_4p", "plcc_4p")):
        assert row[f"{name}_lo"] < row[estimate] < row[f"{name}_hi"]


def test_a_wider_level_gives_wider_intervals(predictions, mos):
    narrow, wide = (
        evaluate(predictions, mos, settings=EvaluationSettings(n_boot=200, level=level)).iloc[0]
        for level in (0.5, 0.99)
    )
    assert wide["srcc_lo"] < narrow["srcc_lo"] < narrow["srcc_hi"] < wide["srcc_hi"]


def test_results_repeat_to_the_last_bit(predictions, mos):
    first, again = (evaluate(predictions, mos, settings=QUICK) for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)


def test_clusters_are_resampled_whole_and_counted(predictions, mos):
    references = [f"ref{i // 30}" for i in range(300)]
    plain = evaluate(predictions, mos, settings=QUICK)
    clustered = evaluate(predictions, mos, clusters=references, settings=QUICK)
    assert list(plain["n_clusters"]) == [0, 0]
    assert list(clustered["n_clusters"]) == [10, 10]
    assert (clustered["srcc"] == plain["srcc"]).all()
    assert (clustered["srcc_lo"] != plain["srcc_lo"]).all()


def test_no_reference_at_all_means_independent_pictures(predictions, mos):
    plain = evaluate(predictions, mos, settings=QUICK)
    unlabelled = evaluate(predictions, mos, clusters=pd.Series([None] * 300), settings=QUICK)
    pd.testing.assert_frame_equal(plain, unlabelled)


def test_too_few_clusters_give_no_interval_and_say_so(predictions, mos):
    row = evaluate(predictions, mos, clusters=[i % 2 for i in range(300)]).iloc[0]
    assert np.isnan(row["srcc_lo"])
    assert "2 clusters, at least 5" in row["reason"]


def test_a_data_frame_and_single_precision_are_welcome(predictions, mos):
    frame = pd.DataFrame(predictions).astype(np.float32)
    table = evaluate(frame, pd.Series(mos), settings=NONE)
    expected = stats.spearmanr(predictions["good"], mos).statistic
    assert table.loc[0, "srcc"] == pytest.approx(expected)
