import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maclip_lab.datasets.degradations import DEGRADATIONS, LEVELS, degrade

NAMES = sorted(DEGRADATIONS)
PHOTOGRAPH = Path(__file__).parents[2] / "data" / "photos" / "coffee.jpg"

PINNED = {
    "white_noise": "5cc7960f86d1c763",
    "impulse_noise": "883c8eab60224f09",
    "speckle": "73ac57e8e66b2390",
    "mean_shift": "a4cd8929aa4e0bb2",
    "jitter": "595533b158a83c72",
    "patch_shuffle": "4f951d9851e8c4d4",
    "quantisation": "846d39326fc563fc",
    "colour_block": "6fea7352d333deb6",
    "contrast_loss": "bf88430e06afcd09",
}
"""First 16 digits of sha256 of level 3, seed 5, on `pattern`; codecs and FFT are not pinned."""


@pytest.fixture(scope="module")
def pattern():
    y, x = np.mgrid[:48, :64]
    return np.stack([x * 4 % 256, y * 5 % 256, (x * y) % 256], -1).astype(np.uint8)


@pytest.fixture(scope="module")
def photograph():
    return np.asarray(Image.open(PHOTOGRAPH).convert("RGB"))[60:220, 180:340]


def mean_square_error(a, b):
    return float(((a.astype(float) - b) ** 2).mean())


@pytest.mark.parametrize("name", sorted(PINNED))
def test_bytes_stay_what_they_were(name, pattern):
    digest = hashlib.sha256(degrade(pattern, name, level=3, seed=5).tobytes()).hexdigest()
    assert digest[:16] == PINNED[name]


def test_other_seeds_give_other_bytes(photograph):
    for name in ("white_noise", "impulse_noise", "jitter", "colour_block", "motion_blur"):
        one, other = (degrade(photograph, name, level=4, seed=seed) for seed in (1, 2))
        assert not np.array_equal(one, other), name


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_bytes_of_one_shape_and_leave_the_picture_given_alone(name, pattern):
    before = pattern.copy()
    for severity in (0.2, 0.7, 1):
        once, again = (degrade(pattern, name, severity=severity, seed=3) for _ in range(2))
        assert once.tobytes() == again.tobytes()
        assert (once.shape, once.dtype) == (pattern.shape, np.uint8)
    unharmed = degrade(pattern, name, severity=0)
    assert np.array_equal(pattern, before)
    assert np.array_equal(unharmed, pattern)
    assert not np.shares_memory(unharmed, pattern)


@pytest.mark.parametrize("name", NAMES)
def test_error_grows_with_level(name, photograph):
    errors = [
        mean_square_error(degrade(photograph, name, level=level, seed=1), photograph)
        for level in LEVELS
    ]
    assert errors[0] > 0
    assert errors[4] > 2 * errors[0]
    assert np.all(np.diff(errors) > -0.05 * errors[4])


def test_a_level_is_a_fifth_of_severity(pattern):
    for level in LEVELS:
        by_level = degrade(pattern, "gaussian_blur", level=level)
        assert np.array_equal(by_level, degrade(pattern, "gaussian_blur", severity=level / 5))


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(NAMES),
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0.01, 1),
    st.integers(0, 2**40),
)
def test_any_small_picture_is_degraded(name, height, width, severity, seed: int):
    picture = np.full((height, width, 3), 90, np.uint8)
    result = degrade(picture, name, severity=severity, seed=seed)
    assert result.shape == picture.shape
    assert result.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "strength", "message"),
    [
        ("fog", {"level": 1}, r"unknown degradation 'fog'; known: gaussian_blur, "),
        ("jpeg", {}, "either level or severity"),
        ("jpeg", {"level": 1, "severity": 0.5}, "either level or severity"),
        ("jpeg", {"level": 6}, r"level lies in 0 to 5 .* got level=6"),
        ("jpeg", {"severity": 1.5}, r"severity in 0 to 1, .*severity=1\.5"),
        ("jpeg", {"severity": float("nan")}, "severity in 0 to 1"),
    ],
)
def test_a_wrong_name_or_strength_is_named(name, strength, message, pattern):
    with pytest.raises(ValueError, match=message):
        degrade(pattern, name, **strength)


def test_a_picture_of_another_kind_is_named():
    with pytest.raises(ValueError, match=r"uint8 array .* got float64"):
        degrade(np.zeros((4, 4, 3)), "jpeg", level=1)
    with pytest.raises(ValueError, match="got list"):
        degrade([[0, 0, 0]], "jpeg", level=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(H, W, 3\), got uint8 of shape \(4, 4\)"):
        degrade(np.zeros((4, 4), np.uint8), "jpeg", level=1)
