"""Correlations, and what an estimate, a family of them and draws of chance say."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maclip_lab.evaluation import Estimate, holm, resamples, verdicts
from maclip_lab.evaluation.correlations import align, aligned_labels, numbers, pearson, spearman


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.integers(5, 40), st.integers(2, 50))
def test_correlations_equal_scipys_with_ties_and_turn_with_their_sign(seed, n, steps):
    x, y = np.random.default_rng(seed).integers(0, steps, (2, n)).astype(float)
    x[:2], y[:2] = (0, 1), (1, 0)
    for ours, theirs in ((spearman, stats.spearmanr), (pearson, stats.pearsonr)):
        assert ours(x, y) == pytest.approx(theirs(x, y).statistic, abs=1e-12)
        assert ours(3 * x - 100, -y) == pytest.approx(-ours(x, y), abs=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_pearson_survives_extreme_scales(scale):
    x, y = np.random.default_rng(3).integers(0, 8, (2, 60)).astype(float)
    assert pearson(scale * x, y) == pytest.approx(pearson(x, y))


@pytest.mark.parametrize("correlation", [spearman, pearson])
def test_a_constant_vector_has_no_correlation_and_no_warning(correlation):
    varied, constant = np.arange(6.0), np.full(6, 0.1)
    assert np.isnan(correlation(varied, constant))
    assert np.isnan(correlation(constant, varied))
    assert np.isnan(correlation(np.empty(0), np.empty(0)))


@pytest.mark.parametrize(
    ("predictions", "mos", "message"),
    [
        ({"a": [1, 2, 3]}, [1, 2], r"predictions\['a'\] has 3 rows but mos has 2"),
        ({"a": ["x", "y"]}, [1, 2], r"expected numbers in predictions\['a'\]"),
        ({"a": [[1, 2]]}, [1, 2], r"as a vector \(N,\), got shape \(1, 2\)"),
        ({}, [1, 2], "one column per method"),
        (pd.DataFrame([[1, 2]] * 2, columns=["a", "a"]), [1, 2], "names unique"),
        ({"a": pd.Series([1, 2], [5, 6])}, pd.Series([1, 2]), "different pandas indexes; align"),
    ],
)
def test_wrong_predictions_say_what_came(predictions, mos, message):
    with pytest.raises(ValueError, match=message):
        align(predictions, mos)


def test_an_unnamed_vector_is_told_to_take_a_name_and_further_columns_must_fit():
    with pytest.raises(TypeError, match="mapping from method to scores"):
        align(np.arange(3.0), [1, 2, 3])
    assert aligned_labels(None, [1, 2], "clusters") is None
    with pytest.raises(ValueError, match="mos_std has 1 rows but mos has 2"):
        numbers([1.0], [1, 2], "mos_std")
    with pytest.raises(ValueError, match="clusters has no label in 1 of 3 rows"):
        aligned_labels(["a", None, "b"], [1, 2, 3], "clusters")


OPEN = Estimate(0.1, -0.1, 0.3)


def counted(p, n_boot, value=0.2):
    return Estimate(value, 0.1, 0.3, p, 400, 400, "bootstrap", se=0.05, resamples=n_boot)


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        (OPEN, "+0.10 [-0.10, 0.30]"),
        (-OPEN, "-0.10 [-0.30, 0.10]"),
        (Estimate(0.0123, -0.0004, 0.03), "+0.012 [0.000, 0.030]"),
        (Estimate(0.4, reason="4 clusters"), "+0.40 (4 clusters)"),
        (Estimate(np.nan, reason="constant"), "nan (constant)"),
    ],
)
def test_an_estimate_is_written_with_its_interval_or_the_reason(estimate, said):
    assert repr(estimate) == said
    if not estimate.reason:
        assert str(estimate) == re.sub(r"(?<= )(?=\d)|(?<=\[)(?=\d)", "+", said)


def test_the_smallest_detectable_difference_is_that_of_a_paired_t_test():
    assert counted(0.5, 1000).detectable == pytest.approx((1.966 + 0.842) * 0.05, rel=0.002)
    few = Estimate(0.1, clusters=12, se=0.05)
    assert few.detectable == pytest.approx((2.201 + 0.876) * 0.05, rel=0.002)
    assert np.isnan(OPEN.detectable)


def test_a_family_is_corrected_once_and_signed():
    family = {"a": counted(0.001, 9999), "b": -counted(0.02, 9999), "c": counted(0.04, 9999)}
    table = verdicts(family | {"reach": Estimate(0.3, 0.2, 0.4)})
    assert table["verdict"].tolist() == ["above", "below", "above", "cannot tell"]
    np.testing.assert_array_equal(table["p_holm"][:3], holm([0.001, 0.02, 0.04]))
    assert table.loc["reach", "reason"] == "no test"
    open_one = verdicts([counted(0.001, 9999), counted(0.3, 9999)]).iloc[1]
    assert (open_one.verdict, open_one.reason) == ("cannot tell", "could have shown 0.15")


@pytest.mark.parametrize(("n_boot", "verdict"), [(838, "cannot tell"), (840, "above")])
def test_too_few_resamples_for_the_family_are_refused_and_the_number_named(n_boot, verdict):
    row = verdicts([counted(2 / (n_boot + 1), n_boot)] * 21).iloc[0]
    assert row.verdict == verdict
    said = f"{n_boot} resamples cannot pass a correction for 21 tests, 840 would do"
    assert row.reason == (said if verdict == "cannot tell" else "")
    assert resamples(21) >= 840
    of_student_s_t = Estimate(0.2, 0.1, 0.3, 1e-4, 30, 30, "jackknife-t", se=0.04)
    assert (verdicts([of_student_s_t] * 21)["verdict"] == "above").all()


def test_holm_equals_values_worked_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)
    assert holm([0.01, np.nan, 0.04]) == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)


def test_a_counted_p_is_twice_the_smaller_tail_and_has_a_floor():
    drawn = np.array([-1.0] * 4 + [1.0] * 95)
    for replicates, p in ((drawn, 2 * 5 / 100), (np.ones(99), 2 / 100), (np.zeros(9), 1)):
        assert Estimate.counted(0.5, replicates).p == pytest.approx(p)
