import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maclip_lab.datasets.degradations import DEGRADATIONS, LEVELS, degrade
from maclip_lab.files.identity import data_path

GREY = np.full((4, 4, 3), 128, np.uint8)

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
    return np.asarray(Image.open(data_path("photos", "coffee.jpg")).convert("RGB"))[60:220, 180:340]


@pytest.mark.parametrize("name", PINNED)
def test_bytes_stay_what_they_were(name, pattern):
    digest = hashlib.sha256(degrade(pattern, name, level=3, seed=5).tobytes()).hexdigest()
    assert digest[:16] == PINNED[name]


def test_other_seeds_give_other_bytes(photograph):
    for name in ("white_noise", "impulse_noise", "jitter", "colour_block", "motion_blur"):
        one, other = (degrade(photograph, name, level=4, seed=seed) for seed in (1, 2))
        assert not np.array_equal(one, other), name


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_equal_seeds_give_equal_bytes_of_one_shape_and_leave_the_picture_given_alone(name, pattern):
    before = pattern.copy()
    for level in (1, 3, 5):
        once = degrade(pattern, name, level=level, seed=3)
        again = degrade(pattern, name, severity=level / 5, seed=3)
        assert once.tobytes() == again.tobytes()
        assert (once.shape, once.dtype) == (pattern.shape, np.uint8)
    unharmed = degrade(pattern, name, severity=0)
    assert np.array_equal(pattern, before)
    assert np.array_equal(unharmed, pattern)
    assert not np.shares_memory(unharmed, pattern)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_error_grows_with_level(name, photograph):
    harmed = [degrade(photograph, name, level=level, seed=1).astype(float) for level in LEVELS]
    errors = [((pixels - photograph) ** 2).mean() for pixels in harmed]
    assert errors[0] > 0
    assert errors[4] > 2 * errors[0]
    assert np.all(np.diff(errors) > -0.05 * errors[4])


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(DEGRADATIONS),
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
    ("picture", "name", "strength", "message"),
    [
        (GREY, "fog", {"level": 1}, r"unknown degradation 'fog'; known: gaussian_blur, "),
        (GREY, "jpeg", {}, "either level or severity"),
        (GREY, "jpeg", {"level": 1, "severity": 0.5}, "either level or severity"),
        (GREY, "jpeg", {"level": 6}, r"level lies in 0 to 5 .* got level=6"),
        (GREY, "jpeg", {"severity": 1.5}, r"severity in 0 to 1, .*severity=1\.5"),
        (GREY, "jpeg", {"severity": float("nan")}, "severity in 0 to 1"),
        (GREY / 2, "jpeg", {"level": 1}, r"uint8 array .* got float64"),
        ([[0, 0, 0]], "jpeg", {"level": 1}, "got list"),
        (GREY[0], "jpeg", {"level": 1}, r"\(H, W, 3\), got uint8 of shape \(4, 3\)"),
    ],
)
def test_a_wrong_picture_name_or_strength_is_named(picture, name, strength, message):
    with pytest.raises(ValueError, match=message):
        degrade(picture, name, **strength)
