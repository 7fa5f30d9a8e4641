import hypothesis
import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st

from maclip_lab.fusion import FusionSettings, fuse

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 3)), min_size=1, max_size=20)
CUES = PAIRS.map(lambda pairs: torch.tensor(pairs, dtype=torch.float64).T)
BASE = st.floats(-2, 2)
CONSTANTS = st.builds(FusionSettings, base_cos=BASE, base_norm=BASE, alpha=st.floats(0, 2))


@hypothesis.settings(deadline=None)
@given(CUES, CONSTANTS)
def test_the_weights_are_the_softmax_of_the_paper(cues, settings):
    q_cos, q_mag = cues
    lead = settings.alpha * (q_cos - q_mag)
    logits = np.stack([settings.base_cos + lead, settings.base_norm - lead])
    weights = torch.stack(fuse(q_cos, q_mag, settings)[1:])
    np.testing.assert_allclose(weights, scipy.special.softmax(logits, 0), atol=1e-12)


@hypothesis.settings(deadline=None)
@given(CUES, CONSTANTS)
def test_the_score_lies_between_the_cues(cues, settings):
    score = fuse(*cues, settings)[0]
    assert (score >= cues.amin(0) - 1e-12).all()
    assert (score <= cues.amax(0) + 1e-12).all()


def test_the_defaults_are_the_papers():
    assert FusionSettings() == FusionSettings(box_lam=0.5, base_cos=1.0, base_norm=0.6, alpha=1.0)


@pytest.mark.parametrize("value", [float("nan"), -float("inf"), 10**400, None, "0.5"])
def test_a_constant_that_is_no_finite_number_is_named(value):
    for name in ("box_lam", "base_cos", "base_norm", "alpha"):
        with pytest.raises(ValueError, match=f"{name} is a finite number, got"):
            FusionSettings(**{name: value})
