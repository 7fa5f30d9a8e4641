import numpy as np
import pytest
import scipy.spatial
import scipy.special
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maclip_lab.cues import box_cox, cosine_cue, magnitude_cue, mean_magnitude
from maclip_lab.fusion import FusionSettings, fuse

LAMBDAS = st.floats(-1, 2, allow_nan=False)


def features(p=6, d=32, seed=0):
    return torch.randn(p, d, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(LAMBDAS)
@example(0.0)
def test_box_cox_equals_scipys(lam):
    x = torch.linspace(0, 5, 40, dtype=torch.float64)
    wanted = scipy.special.boxcox1p(x.numpy(), lam)
    if lam != 0 and abs(lam) < 1e-6:
        return  # both lose digits to cancellation on the way to the logarithm
    np.testing.assert_allclose(box_cox(x, lam).numpy(), wanted, rtol=1e-7, atol=1e-9)


@settings(deadline=None)
@given(st.floats(0.01, 1000))
def test_the_magnitude_cue_reads_shape_not_length(scale):
    f = features().double()
    torch.testing.assert_close(magnitude_cue(f * scale), magnitude_cue(f), rtol=1e-3, atol=0)
    torch.testing.assert_close(mean_magnitude(f * scale), scale * mean_magnitude(f))


def test_the_magnitude_is_the_documented_one_and_finite_without_spread():
    assert magnitude_cue(features(1, 200_000)).item() == pytest.approx(0.98, abs=0.01)
    assert torch.isfinite(magnitude_cue(torch.ones(1, 8))).all()
    assert magnitude_cue(torch.zeros(1, 8)).item() == 0


def test_the_cosine_cue_is_the_softmax_inside_each_pair_or_the_share_of_its_sigmoids():
    f, texts = features(4).double(), features(6, seed=1).double()
    pairs = 1 - scipy.spatial.distance.cdist(f, texts, "cosine").reshape(4, 3, 2)
    wanted = scipy.special.softmax(20 * pairs, axis=2)[..., 0]
    np.testing.assert_allclose(cosine_cue(f, texts, 20).numpy(), wanted, rtol=1e-10)
    fits = scipy.special.expit(20 * pairs - 3)
    share = fits[..., 0] / fits.sum(axis=2)
    np.testing.assert_allclose(cosine_cue(f, texts, 20, -3).numpy(), share, rtol=1e-10)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"features \(P, D\).*got \(6, 32\) and \(2, 16\)"):
        cosine_cue(features(), features(2, 16), 10)


PAIRS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 3)), min_size=1, max_size=20)
CUES = PAIRS.map(lambda pairs: torch.tensor(pairs, dtype=torch.float64).T)
BASE = st.floats(-2, 2)
CONSTANTS = st.builds(FusionSettings, base_cos=BASE, base_norm=BASE, alpha=st.floats(0, 2))


@settings(deadline=None)
@given(CUES, CONSTANTS)
def test_the_weights_are_the_softmax_of_the_paper(cues, constants):
    q_cos, q_mag = cues
    lead = constants.alpha * (q_cos - q_mag)
    logits = np.stack([constants.base_cos + lead, constants.base_norm - lead])
    weights = torch.stack(fuse(q_cos, q_mag, constants)[1:])
    np.testing.assert_allclose(weights, scipy.special.softmax(logits, 0), atol=1e-12)


@settings(deadline=None)
@given(CUES, CONSTANTS)
def test_the_score_lies_between_the_cues(cues, constants):
    score = fuse(*cues, constants)[0]
    assert (score >= cues.amin(0) - 1e-12).all()
    assert (score <= cues.amax(0) + 1e-12).all()


def test_the_defaults_are_the_papers():
    assert FusionSettings() == FusionSettings(box_lam=0.5, base_cos=1.0, base_norm=0.6, alpha=1.0)


@pytest.mark.parametrize("value", [float("nan"), -float("inf"), 10**400, None, "0.5"])
def test_a_constant_that_is_no_finite_number_is_named(value):
    for name in ("box_lam", "base_cos", "base_norm", "alpha"):
        with pytest.raises(ValueError, match=f"{name} is a finite number, got"):
            FusionSettings(**{name: value})
