from unittest.mock import Mock

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit

from maclip_lab.evaluation import fits
from maclip_lab.evaluation.fits import fit_logistic, official_evaluation


def scores(seed=0, n=400, noise=0.5):
    generator = np.random.default_rng(seed)
    x = generator.normal(0, 1, n)
    mos = 1 + 4 / (1 + np.exp(-2 * (x - 0.3))) + noise * generator.normal(size=n)
    return x, mos


def four(x, b1, b2, b3, b4):
    return b1 + b2 / (1 + np.exp(-b3 * (x - b4)))


def five(x, b1, b2, b3, b4, b5):
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5


@pytest.mark.parametrize(
    ("line", "curve", "start"),
    [(False, four, (1, 4, 2, 0.3)), (True, five, (4, 2, 0.3, 0.1, 3))],
)
def test_the_fit_equals_scipys_started_at_the_truth(line, curve, start):
    x, mos = scores()
    tight = {"maxfev": 10_000, "ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14}
    expected = curve(x, *curve_fit(curve, x, mos, p0=start, **tight)[0])
    fit = fit_logistic(x, mos, line=line)
    assert ((fit.fitted - mos) ** 2).sum() <= ((expected - mos) ** 2).sum() * (1 + 1e-9)
    np.testing.assert_allclose(fit.fitted, expected, atol=1e-4)  # the optimum is flat


def test_a_fit_whose_last_digits_take_too_long_is_a_fit_all_the_same(monkeypatch):
    plain = fits.least_squares

    def hurried(*arguments, **options):
        return plain(*arguments, **options | ({"max_nfev": 1} if "ftol" in options else {}))

    x, mos = scores()
    whole = fit_logistic(x, mos)
    monkeypatch.setattr(fits, "least_squares", hurried)
    early = fit_logistic(x, mos)
    assert early.status == "ok"
    np.testing.assert_allclose(early.fitted, whole.fitted, atol=2e-4)


@pytest.mark.parametrize(("scale", "shift"), [(1e-4, 0.57), (1e5, -3e6)])
@pytest.mark.parametrize("line", [False, True])
def test_the_fit_does_not_depend_on_units(scale, shift, line):
    x, mos = scores()
    plain = fit_logistic(x, mos, line=line)
    scaled = fit_logistic(x * scale + shift, 1000 * mos, line=line)
    np.testing.assert_allclose(scaled.fitted / 1000, plain.fitted, atol=1e-4)


def test_five_parameters_never_fit_worse_than_four():
    generator = np.random.default_rng(5)
    for noise in (1, 10):
        x, mos = scores(seed=noise, n=150, noise=noise)
        x = x + generator.standard_cauchy(150) * 0.05
        curves = [fit_logistic(x, mos, line=line).fitted for line in (False, True)]
        errors = [np.sum((curve - mos) ** 2) for curve in curves]
        assert errors[1] <= errors[0] * (1 + 1e-9)


def test_five_parameters_that_bend_back_are_called_nonmonotone():
    x = np.linspace(-3, 3, 200)
    mos = np.tanh(3 * x) - 0.25 * x
    fit = fit_logistic(x, mos, line=True)
    assert fit.status == "nonmonotone"
    assert "bends back" in fit.reason
    assert (np.diff(fit.fitted) < 0).any()
    assert fit_logistic(x, mos).status == "ok"
    assert fit_logistic(x, np.tanh(3 * x) + 0.25 * x, line=True).status == "ok"


def test_the_authors_variant_is_a_plain_fit_that_loses_the_sign_on_dmos():
    x, quality = scores()
    for mos in (quality, 5 - quality):
        start = (mos.max(), mos.min(), x.mean(), 0.1, 0.1)
        fitted = five(x, *curve_fit(five, x, mos, p0=start)[0])
        srcc, plcc, problem = official_evaluation(x, mos)
        assert srcc == pytest.approx(stats.spearmanr(mos, fitted).statistic)
        assert plcc == pytest.approx(stats.pearsonr(mos, fitted).statistic)
        assert problem == ""
        assert srcc == pytest.approx(abs(stats.spearmanr(x, mos).statistic), abs=1e-3)
    assert np.isnan(official_evaluation(np.ones(9), np.arange(9.0))[:2]).all()


def test_where_the_authors_fit_fails_start_values_stand_in_and_are_said(monkeypatch):
    x, mos = scores()
    assert "start values stood in" in official_evaluation(x[:4], mos[:4])[2]
    monkeypatch.setattr(fits, "curve_fit", Mock(side_effect=RuntimeError))
    fitted = five(x, mos.max(), mos.min(), x.mean(), 0.1, 0.1)
    srcc, plcc, problem = official_evaluation(x, mos)
    assert srcc == pytest.approx(stats.spearmanr(mos, fitted).statistic)
    assert plcc == pytest.approx(stats.pearsonr(mos, fitted).statistic)
    assert "start values stood in" in problem
