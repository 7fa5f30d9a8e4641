import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import isotonic_regression

from maclip_lab.evaluation import Calibration, calibrate, fit_logistic
from maclip_lab.evaluation.fits import LogisticFit


def rated(n, seed=0, noise=0.3, direction=1):
    """Scores and opinions on a scale from 1 to 5, a logistic apart."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.6, 1.0, n)
    quality = 1 + 4 / (1 + np.exp(-12 * (scores - 0.8))) + rng.normal(0, noise, n)
    return scores, quality if direction > 0 else 6 - quality


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
        fits = (calibrate(scores, mos, level=0.9, clusters=labels) for labels in (None, names))
        shares.append([covered(fit, *fresh) for fit in fits])
    pictures, references = np.mean(shares, axis=0)
    assert references >= max(pictures, 0.88)


def test_where_no_logistic_fits_the_curve_is_the_isotonic_one(monkeypatch):
    failed = LogisticFit("failed", np.full(120, np.nan), 0, "no start converged")
    monkeypatch.setattr("maclip_lab.evaluation.fits.fit_logistic", lambda *_, **__: failed)
    scores, mos = rated(120)
    scores = scores.round(2)  # pictures of one score have one prediction
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
    scores, mos = np.append(np.round(scores, 1), [np.nan, 0.7]), np.append(mos, [3.0, np.nan])
    fit = calibrate(scores, mos)
    assert fit.n == 80
    assert len(fit.scores) == 5
