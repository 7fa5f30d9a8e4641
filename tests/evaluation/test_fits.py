import json
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import curve_fit, isotonic_regression

from maclip_lab.evaluation import Calibration, calibrate, fits
from maclip_lab.evaluation.fits import LogisticFit, fit_logistic, official_evaluation


def rated(n=400, seed=0, noise=0.5, direction=1):
    """Scores and opinions on a scale from 1 to 5, a logistic apart."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-2.4, 2.4, n)
    mos = 1 + 4 / (1 + np.exp(-2 * scores)) + rng.normal(0, noise, n)
    return scores, mos if direction > 0 else 6 - mos


def four(x, b1, b2, b3, b4):
    return b1 + b2 / (1 + np.exp(-b3 * (x - b4)))


def five(x, b1, b2, b3, b4, b5):
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5


@pytest.mark.parametrize(
    ("line", "curve", "start"),
    [(False, four, (1, 4, 2, 0)), (True, five, (4, 2, 0, 0.1, 3))],
)
def test_the_fit_equals_scipys_started_at_the_truth(line, curve, start):
    x, mos = rated()
    tight = {"maxfev": 10_000, "ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14}
    expected = curve(x, *curve_fit(curve, x, mos, p0=start, **tight)[0])
    fit = fit_logistic(x, mos, line=line)
    assert ((fit.fitted - mos) ** 2).sum() <= ((expected - mos) ** 2).sum() * (1 + 1e-9)
    np.testing.assert_allclose(fit.fitted, expected, atol=1e-4)  # the optimum is flat


def test_a_fit_whose_last_digits_take_too_long_is_a_fit_all_the_same(monkeypatch):
    plain = fits.least_squares

    def hurried(*arguments, **options):
        return plain(*arguments, **options | ({"max_nfev": 1} if "ftol" in options else {}))

    x, mos = rated()
    whole = fit_logistic(x, mos)
    monkeypatch.setattr(fits, "least_squares", hurried)
    early = fit_logistic(x, mos)
    assert early.status == "ok"
    np.testing.assert_allclose(early.fitted, whole.fitted, atol=2e-4)


@pytest.mark.parametrize(("scale", "shift"), [(1e-4, 0.57), (1e5, -3e6)])
@pytest.mark.parametrize("line", [False, True])
def test_the_fit_does_not_depend_on_units(scale, shift, line):
    x, mos = rated()
    plain = fit_logistic(x, mos, line=line)
    scaled = fit_logistic(x * scale + shift, 1000 * mos, line=line)
    np.testing.assert_allclose(scaled.fitted / 1000, plain.fitted, atol=1e-4)


def test_five_parameters_never_fit_worse_than_four():
    generator = np.random.default_rng(5)
    for noise in (1, 10):
        x, mos = rated(150, noise, noise)
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


def agreement(mos, fitted):
    """SRCC and PLCC by SciPy."""
    return [correlation(mos, fitted).statistic for correlation in (stats.spearmanr, stats.pearsonr)]


def test_the_authors_variant_is_a_plain_fit_that_loses_the_sign_on_dmos():
    x, quality = rated()
    for mos in (quality, 5 - quality):
        start = (mos.max(), mos.min(), x.mean(), 0.1, 0.1)
        fitted = five(x, *curve_fit(five, x, mos, p0=start)[0])
        *numbers, problem = official_evaluation(x, mos)
        assert numbers == pytest.approx(agreement(mos, fitted))
        assert numbers[0] == pytest.approx(abs(agreement(mos, x)[0]), abs=1e-3)
        assert problem == ""
    assert np.isnan(official_evaluation(np.ones(9), np.arange(9.0))[:2]).all()


def test_where_the_authors_fit_fails_start_values_stand_in_and_are_said(monkeypatch):
    x, mos = rated()
    assert "start values stood in" in official_evaluation(x[:4], mos[:4])[2]
    monkeypatch.setattr(fits, "curve_fit", Mock(side_effect=RuntimeError))
    fitted = five(x, mos.max(), mos.min(), x.mean(), 0.1, 0.1)
    *numbers, problem = official_evaluation(x, mos)
    assert numbers == pytest.approx(agreement(mos, fitted))
    assert "start values stood in" in problem


def covered(fit, scores, mos):
    """Share of pictures whose opinion lies in the interval."""
    table = fit.apply(scores)
    return ((table["mos_lo"] <= mos) & (mos <= table["mos_hi"])).mean()


def held_out_coverage(n, direction=1):
    """Share of new pictures whose opinion lies in the interval, over eight calibrations."""
    shares = []
    for seed in range(8):
        world = rated(n, seed, direction=direction)
        fit = calibrate(*world, level=0.9, higher_is_better=direction > 0)
        shares.append(covered(fit, *rated(400, 10_000 + seed, direction=direction)))
    return np.mean(shares)


@pytest.mark.parametrize(("n", "direction"), [(40, 1), (120, 1), (80, -1)])
def test_intervals_hold_the_share_of_new_pictures_that_they_promise(n, direction):
    assert 0.86 < held_out_coverage(n, direction) < 0.97
    fit = calibrate(*rated(n, direction=direction), higher_is_better=direction > 0)
    assert np.all(np.diff(fit.mos) * direction >= 0)


def test_whole_references_are_held_out_so_that_new_contents_are_covered():
    def world(seed, contents=30):
        rng = np.random.default_rng(seed)
        scores, mos = rated(contents * 8, seed, noise=0.05)
        names = np.repeat(np.arange(contents), 8)
        return scores, mos + rng.normal(0, 0.6, contents)[names], names

    shares = []
    for seed in range(8):
        (scores, mos, names), (*fresh, _) = world(seed), world(900 + seed)
        both = (calibrate(scores, mos, level=0.9, clusters=labels) for labels in (None, names))
        shares.append([covered(fit, *fresh) for fit in both])
    pictures, references = np.mean(shares, axis=0)
    assert references >= max(pictures, 0.88)


def test_where_no_logistic_fits_the_curve_is_the_isotonic_one(monkeypatch):
    failed = LogisticFit("failed", np.full(120, np.nan), 0, "no start converged")
    monkeypatch.setattr(fits, "fit_logistic", lambda *_, **__: failed)
    scores, mos = rated(120)
    scores = scores.round(1)  # pictures of one score have one prediction
    found = calibrate(scores, mos).apply(scores)["mos_predicted"].to_numpy()
    order = np.argsort(scores, kind="stable")
    means = np.array([mos[scores == score].mean() for score in scores])[order]
    np.testing.assert_allclose(found[order], isotonic_regression(means).x)
    assert 0.86 < held_out_coverage(120) < 0.96


@pytest.mark.parametrize(("n", "within"), [(150, 1e-9), (1000, 1e-3)])
def test_the_curve_is_the_logistic_fit_and_many_knots_are_thinned(n, within):
    scores, mos = rated(n)
    fit = calibrate(scores, mos)
    assert len(fit.scores) < 300
    found = fit.apply(scores)["mos_predicted"]
    np.testing.assert_allclose(found, fit_logistic(scores, mos).fitted, atol=within)


def test_beyond_its_scores_the_curve_stays_level_and_what_is_lost_stays_lost():
    fit = calibrate(*rated(60))
    index = pd.Index(["low", "high", "lost", "endless"])
    found = fit.apply(pd.Series([-9.0, 9.0, np.nan, np.inf], index=index))
    assert list(found.index) == list(index)
    assert found["mos_predicted"].tolist()[:2] == [fit.mos[0], fit.mos[-1]]
    assert found.iloc[2:].isna().all(axis=None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "not json", b"\xff\xfe", "[" * 100_000),
        *({"margin": -1}, {"mos": [1, 2]}, {"scores": "abc"}),
        {"scores": [1, 2, 3], "mos": [1, 3, 2]},
        {"scores": [2, 1], "mos": [1, 3]},
        {"scores": [1, 2], "mos": [1, float("nan")]},
    ],
)
def test_what_is_no_calibration_is_refused(text):
    if isinstance(text, dict):
        text = json.dumps(vars(calibrate(*rated(60))) | text)
    with pytest.raises(ValueError, match="no calibration"):
        Calibration.from_json(text)


FACTS = {
    "weights_sha256": "a" * 64,
    "protocol": {"name": "koniq", "resize": None, "crop": 224},
    "prompts": [("Good image", "bad image")],
    "pos_embedding": False,
    "alpha": 1.0,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights_sha256": "b" * 64}, "another backbone, aaa.*, not bbb"),
        ({"prompts": [["Good photo.", "Bad photo."]]}, "another prompts"),
        ({"protocol": {"name": "SPAQ", "resize": (448, 448)}}, "another protocol.*448"),
        ({"pos_embedding": True, "alpha": 2}, "another pos_embedding.*; another alpha, 1.0, not 2"),
        ({"protocol": None}, "another protocol"),
    ],
)
def test_scores_made_otherwise_are_refused_by_what_differs(change, said):
    made = calibrate(*rated(60), facts=FACTS)
    fit = Calibration.from_json(made.to_json())
    pd.testing.assert_frame_equal(fit.apply([0.7, 0.9]), made.apply([0.7, 0.9]))
    renamed = {"name": "native", "resize": None, "crop": 224}
    fit.require(FACTS | {"protocol": renamed, "precision": "bf16"})
    with pytest.raises(ValueError, match=said):
        fit.require(FACTS | change)


@pytest.mark.parametrize(
    ("scores", "mos", "options", "said"),
    [
        (*rated(19), {}, "19 rated pictures .* too few .* takes 20"),
        (*rated(50), {"level": 0.99}, "99% interval, which takes 99"),
        (np.full(50, 0.5), rated(50)[1], {}, "SRCC nan .* neither is constant"),
        (rated(50)[0], np.full(50, 3.0), {}, "SRCC nan .* neither is constant"),
        (*rated(50, noise=1000), {}, "do not rise with quality"),
        (*rated(50), {"higher_is_better": False}, "do not rise with quality"),
        (*rated(50), {"clusters": [1, 2] * 25}, "50 rated pictures of 2 contents"),
        (*rated(50), {"level": 95}, "between 0 and 1 such as 0.95, got 95"),
        (rated(50)[0], rated(40)[1], {}, "50 rows but mos has 40"),
    ],
)
def test_what_cannot_be_calibrated_says_why(scores, mos, options, said):
    with pytest.raises(ValueError, match=said):
        calibrate(scores, mos, **options)


def test_pictures_without_a_score_are_left_out_and_ties_are_welcome():
    scores, mos = rated(80)
    scores, mos = np.append(scores.round(), [np.nan, 0.7]), np.append(mos, [3.0, np.nan])
    fit = calibrate(scores, mos)
    assert (fit.n, fit.scores) == (80, (-2, -1, 0, 1, 2))
