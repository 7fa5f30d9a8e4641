import numpy as np
import pytest
import torch
from scipy.stats import shapiro, skew

from maclip_lab.ablations.normality import magnitude_normality
from maclip_lab.cues import box_cox, scaled_magnitude


@pytest.fixture
def features():
    return torch.randn(9, 64, generator=torch.Generator().manual_seed(2))


def test_a_single_features_numbers_are_those_of_scipy(features):
    found = magnitude_normality(features[:1], [0.5]).loc[0.5]
    values = box_cox(scaled_magnitude(features[0]), 0.5).double().numpy()
    assert found["skewness"] == pytest.approx(skew(values))
    assert found["shapiro_w"] == pytest.approx(shapiro(values).statistic)
    assert found["skewness_lo"] == found["skewness_hi"] == found["skewness"]


def test_skewness_grows_with_lambda_for_any_features(features):
    lams = [0, 0.3, 0.5, 1, 2]
    table = magnitude_normality(features**3, lams)
    assert list(table.index) == lams
    assert table["skewness"].is_monotonic_increasing


def test_the_middle_half_holds_the_median(features):
    table = magnitude_normality(features, [0, 1])
    for name in ("skewness", "shapiro_w"):
        assert (table[f"{name}_lo"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_hi"]).all()


def test_the_length_of_a_feature_does_not_matter(features):
    a, b = (magnitude_normality(factor * features, [0.5]) for factor in (1, 40))
    np.testing.assert_allclose(a, b, rtol=1e-4)
