import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maclip_lab.evaluation.correlations import (
    align,
    aligned_labels,
    kendall,
    numbers,
    pearson,
    spearman,
)

vectors = st.lists(st.integers(-50, 50), min_size=5, max_size=40, unique=True)


@pytest.fixture
def tied():
    generator = np.random.default_rng(3)
    x = generator.integers(0, 8, 60).astype(float)
    return x, (x + generator.normal(0, 3, 60)).round()


def test_correlations_equal_scipys_with_ties(tied):
    x, y = tied
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(vectors, st.integers(0, 1000))
def test_rank_correlations_ignore_increasing_transforms(x, seed):
    x = np.array(x, dtype=float)
    y = np.random.default_rng(seed).permutation(x.size).astype(float)
    for correlation in (spearman, kendall):
        assert correlation(x, y) == pytest.approx(correlation(np.exp(x / 10), y), abs=1e-12)
        assert correlation(x, y) == pytest.approx(-correlation(x, -y), abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(vectors, st.floats(0.001, 1000), st.floats(-1000, 1000))
def test_pearson_ignores_scale_and_shift(x, scale, shift):
    x = np.array(x, dtype=float)
    y = np.random.default_rng(0).normal(size=x.size)
    assert pearson(scale * x + shift, y) == pytest.approx(pearson(x, y), abs=1e-6)
    assert pearson(-x, y) == pytest.approx(-pearson(x, y), abs=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_pearson_survives_extreme_scales(scale, tied):
    x, y = tied
    assert pearson(scale * x, y) == pytest.approx(pearson(x, y))


@pytest.mark.parametrize("correlation", [spearman, kendall, pearson])
def test_a_constant_vector_has_no_correlation_and_no_warning(correlation):
    varied, constant = np.arange(6.0), np.full(6, 0.1)
    assert np.isnan(correlation(varied, constant))
    assert np.isnan(correlation(constant, varied))
    assert np.isnan(correlation(np.empty(0), np.empty(0)))


def test_quality_turns_dmos_round_and_leaves_mos():
    assert list(align({"a": [1, 2]}, [3, 4])[1]) == [3, 4]
    assert list(align({"a": [1, 2]}, [3, 4], higher_is_better=False)[1]) == [-3, -4]


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


def test_an_unnamed_vector_is_told_to_take_a_name():
    with pytest.raises(TypeError, match="mapping from method to scores"):
        align(np.arange(3.0), [1, 2, 3])


def test_further_columns_must_fit_the_scores():
    assert aligned_labels(None, [1, 2], "clusters") is None
    with pytest.raises(ValueError, match="mos_std has 1 rows but mos has 2"):
        numbers([1.0], [1, 2], "mos_std")
    with pytest.raises(ValueError, match="clusters has no label in 1 of 3 rows"):
        aligned_labels(["a", None, "b"], [1, 2, 3], "clusters")
