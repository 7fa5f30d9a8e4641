import numpy as np
import pytest
import torch

from maclip_lab.ablations import backward_shares, turning_leads
from maclip_lab.fusion import FusionSettings, fuse, fusion_slopes


@pytest.mark.parametrize(
    "settings", [FusionSettings(), FusionSettings(base_cos=0.2, base_norm=1.0, alpha=3.0)]
)
def test_the_slopes_are_the_derivatives_of_the_fused_score(settings):
    generator = torch.Generator().manual_seed(0)
    cos, mag = (torch.rand(40, generator=generator).double().requires_grad_() for _ in range(2))
    expected = torch.autograd.grad(fuse(cos, mag, settings)[0].sum(), (cos, mag))
    for slope, wanted in zip(fusion_slopes(cos, mag, settings), expected, strict=True):
        torch.testing.assert_close(slope, wanted)


def test_the_papers_constants_turn_round_at_two_leads():
    turns = turning_leads()
    assert turns == pytest.approx((-0.688, 0.601), abs=1e-3)
    for lead in turns:
        slopes = torch.stack(fusion_slopes(torch.tensor(lead), torch.tensor(0.0)))
        assert slopes.abs().min() < 1e-6


def test_without_adaptation_the_rule_never_turns_round():
    assert turning_leads(FusionSettings(alpha=0.0)) == (-np.inf, np.inf)
    with pytest.raises(ValueError, match="alpha of 0 or more"):
        turning_leads(FusionSettings(alpha=-1.0))


def test_crops_are_counted_in_either_corner():
    q_cos, q_mag = np.array([0.1, 0.9, 0.5, 0.5]), np.array([0.9, 0.1, 0.5, 0.6])
    assert backward_shares(q_cos, q_mag) == (0.25, 0.25)
