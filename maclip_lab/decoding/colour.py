"""Embedded colour profiles: whether one means other colours than sRGB, and the way to sRGB."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_NEAR = 2  # levels; profiles of sRGB differ by rounding
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


@lru_cache(maxsize=32)
def profile_flag(profile: bytes) -> str:
    """``""`` for sRGB, ``"icc"`` for other colours, ``"icc_broken"`` for what cannot be used."""
    try:
        mode = profile_mode(profile)
        if mode == "CMYK":
            _converted(Image.new(mode, (1, 1)), profile)
            return "icc"
        steps = np.arange(0, 256, 15 if mode == "RGB" else 1, dtype=np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(len(steps), -1, 3)
        probe = Image.fromarray(grid if mode == "RGB" else steps[None])
        shown = np.asarray(_converted(probe, profile)).astype(int)
        return "icc" if np.abs(shown - np.asarray(probe.convert("RGB"))).max() > _NEAR else ""
    except Exception:  # a damaged profile says nothing about the pixels
        return "icc_broken"


def profile_mode(profile: bytes) -> str:
    """The mode of the pixels that a profile is for: RGB, L or CMYK.

    Raises:
        KeyError: it is for others.
    """
    space = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.xcolor_space
    return _MODES[space.strip()]


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An image as sRGB, mode RGB or RGBA; as it was where the profile is for other pixels."""
    mode = profile_mode(profile)
    grey = image.mode in ("1", "L", "LA")
    fits = grey if mode == "L" else image.mode == "CMYK" if mode == "CMYK" else not grey
    if not fits or (mode == "RGB" and image.mode not in ("RGB", "RGBA", "P", "PA", "YCbCr")):
        return image
    if mode == "CMYK" or not image.has_transparency_data:
        return _converted(image if image.mode == mode else image.convert(mode), profile)
    layer = image.convert("RGBA")
    opaque = layer.convert("RGB").convert(mode)
    result = _converted(opaque, profile)
    result.putalpha(layer.getchannel("A"))
    return result


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    if result is None:
        raise ValueError("no conversion")
    return result
