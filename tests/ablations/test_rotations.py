import numpy as np
import pytest
import torch

from maclip_lab.ablations import random_rotations, rotation_null
from maclip_lab.evaluation import finding
from tests.rated_world import rated_set


def test_rotations_keep_every_angle_and_length():
    features = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    for turn in random_rotations(16, 3):
        turned = features @ turn
        torch.testing.assert_close(turned @ turned.T, features @ features.T, atol=1e-4, rtol=1e-4)


def test_rotations_drawn_one_by_one_are_those_of_one_large_draw():
    generator = torch.Generator().manual_seed(0)
    together = torch.linalg.qr(torch.randn(6, 48, 48, generator=generator))[0]
    assert torch.equal(torch.stack(list(random_rotations(48, 6))), together)


def test_axes_that_carry_quality_are_no_lucky_ones():
    found = rotation_null(rated_set(evenness=2.0), 60)
    assert found.trained > 0.5
    assert found.p < 0.05
    assert finding(found.beyond) == "yes"


def test_axes_that_carry_none_are_as_good_as_any():
    found = [rotation_null(rated_set(60, seed=seed), 40) for seed in range(4)]
    assert np.mean([one.p for one in found]) == pytest.approx(0.5, abs=0.35)
    assert sum(finding(one.beyond) == "cannot tell" for one in found) >= 3


def test_of_a_large_set_some_pictures_are_drawn():
    rated = rated_set(100, evenness=2.0)
    some = rotation_null(rated, 5, most=50)
    assert some.trained != rotation_null(rated, 5).trained
    assert len(some.null) == 5
