"""What a file says its colours are, wherever it says it, and the way to sRGB.

A picture is in sRGB where it says so or says nothing. Said are colours by a PNG's cICP, an
embedded profile, PNG's sRGB, gAMA and cHRM, AVIF's nclx, or Exif, and the first of them holds.
"""

import struct
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

_NEAR = 2  # levels; profiles of sRGB differ by rounding
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_FITTING = {"RGB": {"RGB", "RGBA", "P", "PA", "YCbCr"}, "L": {"1", "L", "LA"}, "CMYK": {"CMYK"}}
_OF_LIGHT = {*_FITTING["RGB"], *_FITTING["L"], "La", "RGBa", "RGBX"}

Said = tuple[str, bytes]
"""A flag and a profile; both empty for sRGB, no profile where colours cannot be converted."""

_D65 = (0.3127, 0.329)  # x and y of white; below, those of white, red, green and blue
_SRGB = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_ADOBE_RGB = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_P3 = (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
_BT_2020 = (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046)
_PRIMARIES = {1: _SRGB, 2: _SRGB, 9: _BT_2020, 12: _P3}
_SRGB_CURVE = 0.0  # in place of a gamma
_CURVES = {2: _SRGB_CURVE, 4: 2.2, 8: 1.0, 13: _SRGB_CURVE}
_HDR = {16, 18}  # PQ and HLG
_OTHER_LIGHT = (Tag.TransferFunction, Tag.WhitePoint, Tag.PrimaryChromaticities)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def said(image: Image.Image, mode: str) -> Said:
    """What an opened image says of its colours, which will be converted in this mode.

    Returns:
        ``""`` for sRGB; ``"icc"`` for a profile of other colours and ``"icc_broken"`` for one that
        cannot be used; ``"not_srgb"`` for other colours said without a profile, ``"hdr"`` and
        ``"colour_untold"`` for those that are not converted.
    """
    info = image.info
    profile = info.get("icc_profile")
    if (cicp := info.get("cicp")) and cicp[:2] != (2, 2) and mode in _OF_LIGHT:
        return _by_number(*cicp)
    if profile:
        wanted, differs = _meaning(profile)
        if mode not in _FITTING.get(wanted, ()):
            return "icc_broken", b""
        return ("icc", profile) if differs else ("", b"")
    if mode not in _OF_LIGHT or "srgb" in info:
        return "", b""
    gamma = info.get("gamma")
    if gamma is not None or "chromaticity" in info:
        exponent = _SRGB_CURVE if gamma is None else 1 / gamma if gamma else np.inf
        return _by_light(tuple(info.get("chromaticity", _SRGB)), exponent)
    if (nclx := info.get("nclx")) and nclx != (2, 2):
        return _by_number(*nclx)
    if info.get("untold"):
        return "colour_untold", b""
    try:
        return _by_exif(image)
    except Exception:  # a garbled tag block says nothing about the pixels
        return "", b""


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An image as sRGB, mode RGB or RGBA; the profile is one that `said` returned for it."""
    mode = _meaning(profile)[0]
    if mode == "CMYK" or not image.has_transparency_data:
        return _converted(image if image.mode == mode else image.convert(mode), profile)
    layer = image.convert(image.mode.upper()).convert("RGBA")
    result = _converted(layer.convert("RGB").convert(mode), profile)
    result.putalpha(layer.getchannel("A"))
    return result


def _by_number(primaries: int, curve: int, matrix: int = 0, whole_range: int = 1) -> Said:
    """By the numbers of ITU-T H.273, which PNG's cICP and AVIF's nclx give."""
    if curve in _HDR:
        return "hdr", b""
    if primaries not in _PRIMARIES or curve not in _CURVES or matrix or not whole_range:
        return "colour_untold", b""
    return _by_light(_PRIMARIES[primaries], _CURVES[curve])


def _by_exif(image: Image.Image) -> Said:
    exif = image.getexif()
    index = str(exif.get_ifd(IFD.Interop).get(1, ""))
    space = exif.get_ifd(IFD.Exif).get(Tag.ColorSpace)
    if "R03" in index or space == 2:
        return _by_light(_ADOBE_RGB, 563 / 256)
    if "R98" in index or space == 1:
        return "", b""
    return ("colour_untold" if space or any(tag in exif for tag in _OTHER_LIGHT) else ""), b""


@lru_cache(maxsize=32)
def _by_light(light: tuple[float, ...], gamma: float) -> Said:
    """By x and y of white, red, green and blue, and the exponent that makes light of samples."""
    near = len(light) == 8 and np.allclose(light, _SRGB, rtol=0, atol=0.005)
    if near and (gamma == _SRGB_CURVE or abs(gamma / 2.2 - 1) < 0.02):
        return "", b""
    try:
        profile = _profile(light, gamma)
        mode, differs = _meaning(profile)
    except Exception:  # numbers that no light has
        mode = ""
    if not mode:
        return "colour_untold", b""
    return ("not_srgb", profile) if differs else ("", b"")


def _profile(light: tuple[float, ...], gamma: float) -> bytes:
    """The profile of sRGB with other primaries and, unless it keeps its curve, an exponent."""
    x, y = np.array(light).reshape(4, 2).T
    if (gamma != _SRGB_CURVE and not 0.1 <= gamma <= 10) or not (y > 0).all():
        raise ValueError("no light")
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    primaries = xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], xyz[:, 0])
    cones = np.diag(_BRADFORD @ (0.9642, 1, 0.8249) / (_BRADFORD @ xyz[:, 0]))  # white to D50's
    adapted = np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ primaries
    colours = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted.T, strict=True))
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(132, 132 + 12 * profile[131], 12):
        name, place = struct.unpack_from(">4sI", profile, entry)
        if name in colours:
            struct.pack_into(">3i", profile, place + 8, *_fixed(colours[name]))
        elif name.endswith(b"TRC") and gamma != _SRGB_CURVE:
            struct.pack_into(">5i", profile, place + 12, *_fixed((gamma, 1, 0, 0, 0)))
    return bytes(profile)


def _fixed(numbers: "np.ndarray | tuple[float, ...]") -> list[int]:
    """Numbers as a profile holds them, in 65536ths."""
    return np.rint(np.asarray(numbers) * 65536).astype(int).tolist()


@lru_cache(maxsize=32)
def _meaning(profile: bytes) -> tuple[str, bool]:
    """The mode of a profile's pixels, empty if it cannot be used; if it means other than sRGB."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(len(steps), -1, 3)
    try:
        space = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.xcolor_space
        probe = Image.fromarray(grid).convert(_MODES[space.strip()])
        levels = np.asarray(_converted(probe, profile)).astype(int)
    except Exception:  # a damaged profile says nothing about the pixels
        return "", False
    differs = np.abs(levels - np.asarray(probe.convert("RGB"))).max() > _NEAR
    return probe.mode, bool(differs) or probe.mode == "CMYK"


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    if result is None:
        raise ValueError("no conversion")
    return result
