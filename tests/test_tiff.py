"""What a TIFF's tags say is what comes out, or the file is refused in words that name the tag."""

import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from maclip_lab.images import load_picture
from tests.picture_world import pixels, refused

WIDTH, HEIGHT = 256, 16
RAMP = np.tile(np.arange(256, dtype=np.uint16), (HEIGHT, 1))
BYTES, WIDE = RAMP.astype(np.uint8), RAMP * 257


def tiff(bits, photometric, strips, planar=1, packed=False, **more) -> bytes:
    """A TIFF of one strip for each plane; further tags as ``t284=[2]``."""
    out, offsets, sizes = bytearray(b"II*\0\0\0\0\0"), [], []
    for strip in strips:
        data = np.ascontiguousarray(strip).tobytes()
        data = zlib.compress(data) if packed else data
        offsets.append(len(out))
        sizes.append(len(data))
        out += data
    tags = {256: [WIDTH], 257: [HEIGHT], 258: bits, 259: [8 if packed else 1], 262: [photometric]}
    tags |= {273: offsets, 277: [len(bits)], 278: [HEIGHT], 279: sizes, 284: [planar]}
    tags |= {int(name[1:]): values for name, values in more.items()}
    entries = b""
    for tag, values in sorted(tags.items()):
        body = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            place = len(out)
            out += body
            body = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, 4, len(values)) + body
    struct.pack_into("<I", out, 4, len(out))
    return bytes(out + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0")


NEUTRAL = np.full_like(BYTES, 128)
QUARTERS = [BYTES[::2, ::2], BYTES[::2, 1::2], BYTES[1::2, ::2], BYTES[1::2, 1::2]]
SUBSAMPLED = np.dstack([*QUARTERS, *[NEUTRAL[::2, ::2]] * 2])
TWELVE, RGB12 = RAMP * 16 + RAMP // 16, np.dstack([RAMP * 16] * 3)
YCBCR = np.dstack([BYTES, NEUTRAL, NEUTRAL])

RIGHT = {
    "8 bit, white is zero": ([8], 0, [255 - BYTES], {}),
    "16 bit": ([16], 1, [WIDE], {}),
    "16 bit RGB": ([16] * 3, 2, [np.dstack([WIDE] * 3)], {}),
    "a palette to 65535": ([8], 3, [BYTES], {"t320": [level * 257 for level in range(256)] * 3}),
    "a sub-image": ([8], 1, [BYTES], {"t330": [8]}),
    "a largest value that occurs": ([16], 1, [WIDE], {"t281": [61234]}),
    "the whole range, stated": ([8] * 3, 2, [np.dstack([BYTES] * 3)], {"t341": [255] * 3}),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", RIGHT)
def test_a_tiff_is_what_its_tags_say(kind, packed):
    bits, photometric, strips, more = RIGHT[kind]
    picture = load_picture(tiff(bits, photometric, strips, packed=packed, **more))
    np.testing.assert_array_equal(pixels(picture), np.dstack([BYTES] * 3))
    assert ("16bit" in picture.flags) == (max(bits) > 8)
    assert ("multipage" in picture.flags) == ("t330" in more)


REFUSED = {
    "12 bit": ([12], 1, [np.zeros(BYTES.size * 3 // 2, np.uint8)], {}, r"BitsPerSample \(12,\)"),
    "16 bit, white is zero": ([16], 0, [65535 - WIDE], {}, "PhotometricInterpretation 0"),
    "grey in planes": ([16], 1, [WIDE], {"planar": 2}, "PlanarConfiguration 2"),
    "RGB in planes": ([8] * 3, 2, [BYTES] * 3, {"planar": 2}, "PlanarConfiguration 2"),
    "a palette to 255": ([8], 3, [BYTES], {"t320": [*range(256)] * 3}, "ColorMap"),
    "YCbCr, not subsampled": ([8] * 3, 6, [YCBCR], {"t530": [1, 1]}, r"YCbCrSubSampling \(1, 1\)"),
    "subsampled": ([8] * 3, 6, [SUBSAMPLED], {"t530": [2, 2]}, r"YCbCrSubSampling \(2, 2\)"),
    "subsampled unsaid": ([8] * 3, 6, [SUBSAMPLED], {}, "YCbCrSubSampling"),
    "12 bits in 16, as stated": ([16], 1, [TWELVE], {"t341": [4095]}, "SMaxSampleValue.*4095"),
    "12 bits in 16, by the largest": ([16], 1, [TWELVE], {"t281": [4095]}, " MaxSampleValue.*4095"),
    "12 in 16, RGB": ([16] * 3, 2, [RGB12], {"t341": [4095] * 3}, "SMaxSampleValue.*whole range"),
    "6 bits in 8": ([8], 1, [BYTES // 4], {"t341": [63]}, "SMaxSampleValue.*63"),
    "from 1000": ([16], 1, [1000 + RAMP], {"t340": [1000], "t341": [1255]}, "SMinSample.*1000"),
    "other inks": ([8] * 4, 5, [np.dstack([BYTES] * 4)], {"t332": [2]}, "InkSet 2"),
    "a thumbnail": ([8], 1, [BYTES], {"t254": [1], "t330": [8]}, "NewSubfileType"),
    "a mask": ([8], 1, [BYTES], {"t254": [4]}, "NewSubfileType"),
    "an old thumbnail": ([8], 1, [BYTES], {"t255": [2]}, "SubfileType 2"),
    "signed 8": ([8], 1, [BYTES], {"t339": [2]}, "SampleFormat.*signed"),
    "signed 16": ([16], 1, [WIDE], {"t339": [2]}, "SampleFormat.*signed"),
    "10 bit": ([10], 1, [WIDE], {}, "a TIFF of this kind"),
    "grey and alpha of 16": ([16] * 2, 1, [WIDE] * 2, {"t338": [2]}, "a TIFF of this kind"),
    "floating RGB": ([32] * 3, 2, [WIDE] * 6, {"t339": [3] * 3}, "a TIFF of this kind"),
    "ICCLab": ([8] * 3, 9, [YCBCR], {}, "a TIFF of this kind"),
    "a raw sensor": ([16], 32803, [WIDE], {}, "a TIFF of this kind"),
    "unknown packing": ([8], 1, [BYTES], {"t259": [52546]}, "52546"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_sound_tiff_that_would_come_out_wrong_is_unsupported(kind):
    bits, photometric, strips, more, words = REFUSED[kind]
    message = refused(load_picture(tiff(bits, photometric, strips, **more)), "unsupported")
    assert re.search(words, message), message
    assert "save" in message


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_values_in_a_small_part_of_sixteen_bits_are_flagged(bits):
    samples = (RAMP.astype(np.float64) / 255 * (2**bits - 1)).astype(np.uint16)
    colour, wide = np.dstack([samples] * 3), Image.fromarray(samples.astype(np.int32))
    files = tiff([16], 1, [samples]), tiff([16] * 3, 2, [colour])
    for source in (samples, colour, Image.fromarray(samples), wide, *files):
        picture = load_picture(source)
        assert picture.status == "ok"
        assert ("low_range" in picture.flags) == (bits < 16)
    assert "low_range" not in load_picture(BYTES // 32).flags


def test_lab_is_flagged():
    lab = np.dstack([BYTES, np.zeros_like(BYTES), np.zeros_like(BYTES)])
    picture = load_picture(tiff([8] * 3, 8, [lab]))
    assert picture.flags == ("lab",)
    assert np.ptp(pixels(picture), axis=2).max() <= 2
