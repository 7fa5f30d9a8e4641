"""Embedded colour profiles: whether one means other colours than sRGB, and the way to sRGB."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_NEAR = 2  # levels; profiles of sRGB differ by rounding
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_FITTING = {
    "RGB": {"RGB", "RGBA", "P", "PA", "YCbCr"},
    "L": {"1", "L", "LA"},
    "CMYK": {"CMYK"},
}


def profile_flag(profile: bytes, mode: str) -> str:
    """``""`` for sRGB, ``"icc"`` for other colours, ``"icc_broken"`` for what cannot be used.

    Args:
        profile: as embedded.
        mode: of the image that it came with.
    """
    wanted = _mode_shown(profile)
    if wanted is None or mode not in _FITTING[wanted]:
        return "icc_broken"
    return "icc" if _differs(profile, wanted) else ""


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An image as sRGB, mode RGB or RGBA.

    Args:
        image: of a mode that the profile fits.
        profile: whose flag is ``"icc"``.
    """
    mode = "L" if image.mode in _FITTING["L"] else "CMYK" if image.mode == "CMYK" else "RGB"
    if mode == "CMYK" or not image.has_transparency_data:
        return _converted(image if image.mode == mode else image.convert(mode), profile)
    layer = image.convert("RGBA")
    opaque = layer.convert("RGB").convert(mode)
    result = _converted(opaque, profile)
    result.putalpha(layer.getchannel("A"))
    return result


@lru_cache(maxsize=32)
def _mode_shown(profile: bytes) -> str | None:
    """The mode of the pixels that a profile is for; None where it cannot be used."""
    try:
        space = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.xcolor_space
        mode = _MODES[space.strip()]
        _converted(Image.new(mode, (1, 1)), profile)
    except Exception:  # a damaged profile says nothing about the pixels
        return None
    return mode


@lru_cache(maxsize=32)
def _differs(profile: bytes, mode: str) -> bool:
    """Whether a profile means other colours than sRGB."""
    if mode == "CMYK":
        return True
    steps = np.arange(0, 256, 15 if mode == "RGB" else 1, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(len(steps), -1, 3)
    probe = Image.fromarray(grid if mode == "RGB" else steps[None])
    shown = np.asarray(_converted(probe, profile)).astype(int)
    return bool(np.abs(shown - np.asarray(probe.convert("RGB"))).max() > _NEAR)


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    if result is None:
        raise ValueError("no conversion")
    return result
