import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

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
        (
            pd.DataFrame({"a": [1, 2]}, index=[5, 6]),
            pd.Series([1, 2]),
            "different pandas indexes; align them first",
        ),
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
