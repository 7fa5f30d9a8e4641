"""Colours are what the file says they are, wherever it says it, or are flagged."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin, features

from maclip_lab.images import load_picture
from tests.picture_world import chunk, encoded, pixels, with_chunks

RAMP = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
NOISE = Image.fromarray(np.random.default_rng(2).integers(0, 256, (8, 9, 3), np.uint8))
VIVID = Image.new("RGB", (8, 8), (200, 30, 200))
SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def cicp(*numbers: int) -> bytes:
    return chunk(b"cICP", bytes(numbers))


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


def chromaticities(*values: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values)))


def profile_chunk(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def linear_grey_profile() -> bytes:
    """A profile of grey, its curve a gamma of 1: half the light is a light grey."""
    white, place = struct.pack(">iii", 63190, 65536, 54061), 128 + 4 + 2 * 12
    table = struct.pack(">I4sII4sII", 2, b"wtpt", place, 20, b"kTRC", place + 20, 12)
    head = bytearray(128)
    struct.pack_into(">I", head, 0, place + 32)
    head[8:12], head[12:24], head[36:40] = b"\2\x40\0\0", b"mntrGRAYXYZ ", b"acsp"
    head[68:80] = white
    return bytes(head) + table + b"XYZ " + bytes(4) + white + b"curv" + bytes(8)


SAID_SRGB = chunk(b"sRGB", b"\0")
SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = SRGB_PROFILE.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ")
SWAPPED = SWAPPED.replace(b"----", b"gXYZ")
"""sRGB with the red and green primaries exchanged: red pixels mean green."""
SAYINGS = {
    "sRGB": ([SAID_SRGB], ()),
    "sRGB before gAMA": ([SAID_SRGB, gamma(100_000)], ()),
    "cICP of sRGB": ([cicp(1, 13, 0, 1)], ()),
    "cICP, unspecified": ([cicp(2, 2, 0, 1)], ()),
    "gAMA of sRGB": ([gamma(45_455)], ()),
    "gAMA of sRGB, rounded": ([gamma(45_000)], ()),
    "gAMA and cHRM of sRGB": ([gamma(45_455), chromaticities(*SRGB)], ()),
    "an sRGB profile before gAMA": ([profile_chunk(SRGB_PROFILE), gamma(100_000)], ()),
    "a broken profile": ([profile_chunk(b"nonsense" * 20)], ("icc_broken",)),
    "a profile": ([profile_chunk(SWAPPED), SAID_SRGB], ("icc",)),
    "cICP before a profile": ([cicp(1, 13, 0, 1), profile_chunk(SWAPPED)], ()),
    "cICP before sRGB": ([cicp(12, 13, 0, 1), SAID_SRGB], ("not_srgb",)),
    "gAMA of a Macintosh": ([gamma(55_556)], ("not_srgb",)),
    "linear light": ([gamma(100_000)], ("not_srgb",)),
    "cHRM of P3": ([chromaticities(*P3)], ("not_srgb",)),
    "P3 by cICP": ([cicp(12, 13, 0, 1)], ("not_srgb",)),
    "linear BT.2020": ([cicp(9, 8, 0, 1)], ("not_srgb",)),
    "PQ": ([cicp(9, 16, 0, 1)], ("hdr",)),
    "HLG": ([cicp(9, 18, 0, 1)], ("hdr",)),
    "BT.709's own curve": ([cicp(1, 1, 0, 1)], ("colour_untold",)),
    "a narrow range": ([cicp(1, 13, 0, 0)], ("colour_untold",)),
    "unknown primaries": ([cicp(77, 13, 0, 1)], ("colour_untold",)),
    "primaries of a cinema": ([cicp(11, 13, 0, 1)], ("colour_untold",)),
    "gAMA of nothing": ([gamma(0)], ("colour_untold",)),
    "cHRM of no light": ([chromaticities(*[0] * 8)], ("colour_untold",)),
}


@pytest.mark.parametrize("saying", SAYINGS)
def test_a_png_is_read_as_it_says_its_colours_are(saying):
    chunks, flags = SAYINGS[saying]
    picture = load_picture(with_chunks(encoded(VIVID), *chunks))
    assert picture.flags == flags
    changed = bool({"icc", "not_srgb"} & set(flags))
    assert (picture.image.getpixel((0, 0)) != (200, 30, 200)) == changed
    official = load_picture(with_chunks(encoded(VIVID), *chunks), preset="official")
    assert (official.flags, official.image.getpixel((0, 0))) == (flags, (200, 30, 200))


def srgb_of_light() -> np.ndarray:
    """Levels of sRGB for 256 steps of light; LittleCMS is coarse near black, so from the 8th on."""
    light = np.arange(8, 256) / 255
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB", "P", "LA", "RGBA"])
def test_light_told_by_gamma_becomes_srgb_levels_in_every_mode(mode):
    deep = Image.fromarray(RAMP.astype(np.uint16) * 257)
    image = deep if mode == "I;16" else Image.fromarray(RAMP).convert(mode)
    picture = load_picture(with_chunks(encoded(image), gamma(100_000)))
    assert "not_srgb" in picture.flags
    np.testing.assert_allclose(pixels(picture)[0, 8:], np.c_[[srgb_of_light()] * 3].T, atol=2)


def test_primaries_are_converted_as_a_colorimetrist_does():
    """Red of Display P3 in linear light of sRGB is (1.2249, -0.0420, -0.0197)."""
    mild = Image.new("RGB", (4, 4), (180, 120, 120))
    shown = pixels(load_picture(with_chunks(encoded(mild), cicp(12, 13, 0, 1))))[0, 0]
    level = np.array([180, 120, 120]) / 255
    light = ((level + 0.055) / 1.055) ** 2.4
    turn = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    expected = 255 * (1.055 * (turn @ light) ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(shown, expected, atol=2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("space", "index", "more", "flags"),
    [
        (1, "R98", {}, ()),
        (2, None, {}, ("not_srgb",)),
        (65535, "R03", {}, ("not_srgb",)),
        (65535, None, {}, ("colour_untold",)),
        (65535, None, {0xA500: 2.2}, ("colour_untold",)),
        (None, None, {0xA500: 2.2}, ()),
        (None, None, {}, ()),
    ],
)
def test_exif_says_colours_where_nothing_else_does(kind, space, index, more, flags):
    exif = Image.Exif()
    exif[0x0112] = 1  # a block without a tag of its own is not written to a PNG
    details = exif.get_ifd(0x8769)
    details |= more | ({} if space is None else {0xA001: space})
    if index:
        details[0xA005] = {1: index}
    assert load_picture(encoded(VIVID, kind, exif=exif)).flags == flags
    told = encoded(VIVID, kind, icc_profile=SRGB_PROFILE, exif=exif)
    assert load_picture(told).flags == ()


def test_a_tiff_says_colours_by_exif_and_by_its_own_tags():
    adobe, wide = TiffImagePlugin.ImageFileDirectory_v2(), TiffImagePlugin.ImageFileDirectory_v2()
    adobe[34665] = {40961: 2}
    wide[318], wide[319] = P3[:2], P3[2:]
    wide.tagtype[318] = wide.tagtype[319] = 5
    for tags, flag in ((adobe, "not_srgb"), (wide, "colour_untold")):
        picture = load_picture(encoded(VIVID, "TIFF", tiffinfo=tags))
        assert picture.flags == (flag,)
        assert (picture.image.getpixel((0, 0)) == (200, 30, 200)) == (tags is wide)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avif_says_colours_by_numbers():
    data, flags = bytearray(encoded(VIVID, "AVIF")), []
    for numbers in ((1, 13), (2, 2), (12, 13), (9, 16), (1, 1)):
        struct.pack_into(">HH", data, data.index(b"colrnclx") + 8, *numbers)
        flags.append(load_picture(bytes(data)).flags)
    assert flags == [(), (), ("not_srgb",), ("hdr",), ("colour_untold",)]


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow has no JPEG 2000")
def test_a_jpeg_2000_says_colours_in_its_boxes():
    data = bytearray(encoded(VIVID, "JPEG2000"))
    assert load_picture(bytes(data)).flags == ()
    data[data.index(b"colr") + 10] = 21
    assert load_picture(bytes(data)).flags == ("colour_untold",)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_that_is_not_srgb_is_converted_by_default_and_ignored_officially(mode):
    stored = NOISE.convert(mode)
    data, plain = encoded(stored, icc_profile=SWAPPED), np.asarray(stored.convert("RGB"))
    picture, official = load_picture(data), load_picture(data, preset="official")
    assert "icc" in set(picture.flags) & set(official.flags)
    np.testing.assert_allclose(pixels(picture), plain[..., [1, 0, 2]], atol=2)
    np.testing.assert_array_equal(pixels(official), plain)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_grey_is_converted(mode):
    data = encoded(Image.fromarray(RAMP).convert(mode), icc_profile=linear_grey_profile())
    picture, official = load_picture(data), load_picture(data, preset="official")
    assert "icc" in picture.flags
    np.testing.assert_allclose(pixels(picture)[0, 8:, 0], srgb_of_light(), atol=2)
    np.testing.assert_array_equal(pixels(official)[..., 0], RAMP)


@pytest.mark.parametrize(("mode", "kind", "flag"), [("CMYK", "JPEG", "cmyk"), ("L", "PNG", "grey")])
def test_a_profile_for_other_pixels_than_the_files_is_flagged_broken_and_ignored(mode, kind, flag):
    plain = load_picture(encoded(NOISE.convert(mode), kind))
    picture = load_picture(encoded(NOISE.convert(mode), kind, icc_profile=SWAPPED))
    assert (picture.flags, plain.flags) == ((flag, "icc_broken"), (flag,))
    np.testing.assert_array_equal(pixels(picture), pixels(plain))
