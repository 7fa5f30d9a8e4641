import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maclip_lab.evaluation.correlations import kendall, mae, outlier_ratio, pearson, rmse, spearman

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


def test_errors_are_in_the_units_of_the_scores():
    predicted, mos = np.array([1.0, 2.0, 5.0]), np.array([1.0, 4.0, 4.0])
    assert rmse(predicted, mos) == pytest.approx(np.sqrt(5 / 3))
    assert mae(predicted, mos) == pytest.approx(1.0)


def test_outliers_miss_by_more_than_two_deviations_where_the_deviation_is_known():
    predicted, mos = np.array([1.0, 2.0, 5.0, 9.0]), np.array([1.0, 4.0, 4.0, 1.0])
    deviations = np.array([0.5, 0.9, 0.6, np.nan])
    assert outlier_ratio(predicted, mos, deviations) == pytest.approx(1 / 3)
    assert np.isnan(outlier_ratio(predicted, mos, np.full(4, np.nan)))
