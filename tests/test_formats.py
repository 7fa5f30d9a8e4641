"""What a file says of itself: its kind, its tags, if it is whole, what is beside its pixels."""

import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from maclip_lab.images import load_picture
from tests.picture_world import chunk, encoded, pixels, png, refused, with_chunks

RGB = np.random.default_rng(2).integers(0, 256, (60, 70, 3), dtype=np.uint8)
PNG, JPEG = encoded(Image.fromarray(RGB)), encoded(Image.fromarray(RGB), "JPEG", quality=95)
SIZED = [(b"gAMA", 4), (b"pHYs", 9), (b"tIME", 7), (b"tRNS", 6), (b"acTL", 8), (b"eXIf", 12)]
SIZED += [(b"tEXt", 9), (b"zzZz", 5)]


@pytest.mark.parametrize(
    ("kind", "place"), [("IHDR", 29), ("IDAT", 99), ("IDAT", -99), ("IEND", -1)]
)
def test_a_png_with_a_false_critical_checksum_is_damaged(kind, place):
    data = bytearray(PNG)
    data[place] ^= 1
    assert f"checksum of b'{kind}'" in refused(load_picture(bytes(data)), "decode_error")


@pytest.mark.parametrize(
    ("note", "flags"),
    [
        *((chunk(kind, bytes(size), harm=1), {"notes_dropped"}) for kind, size in SIZED),
        (chunk(b"gAMA", b"\0\0"), {"notes_dropped"}),
        (chunk(b"cHRM", bytes(8)), {"notes_dropped"}),
        (chunk(b"iCCP", b"x\0\0no deflate"), {"icc_broken"}),
        (chunk(b"iCCP", b"x\0\7" + zlib.compress(bytes(200))), {"icc_broken"}),
        (chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200)), 1), {"icc_broken"}),
        (chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2**21))), {"icc_broken"}),
        (chunk(b"iTXt", b"note\0\1\0\0\0" + zlib.compress(bytes(2**21))), {"notes_dropped"}),
        (chunk(b"tEXt", b"note\0" + b"a" * 2**21), {"notes_dropped"}),
        (chunk(b"tEXt", b"note\0" + b"a" * 2**19) * 130, set()),
        (chunk(b"tEXt", b"gamma\0of a note") * 2, set()),
    ],
)
def test_a_note_that_is_broken_cannot_be_read_or_is_large_is_dropped_and_said(note, flags):
    picture = load_picture(with_chunks(PNG, note))
    assert set(picture.flags) == flags
    np.testing.assert_array_equal(pixels(picture), RGB)


def test_a_large_note_takes_no_other_chunk_with_it():
    large = chunk(b"iTXt", b"note\0\1\0\0\0" + zlib.compress(bytes(2**21)))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    turned = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))
    whole, noted = (load_picture(with_chunks(PNG, *notes, turned)) for notes in ((), (large,)))
    assert (whole.flags, set(noted.flags)) == (("exif_rotated",), {"exif_rotated", "notes_dropped"})
    np.testing.assert_array_equal(pixels(noted), pixels(whole))


def test_a_file_is_whole_by_its_own_end_whatever_follows_it_or_lies_inside(monkeypatch):
    half, exif = JPEG[: len(JPEG) // 2], Image.Exif()
    exif[0x0112] = 1
    preview = exif.tobytes() + encoded(Image.new("RGB", (9, 9)), "JPEG")
    image, other = Image.fromarray(RGB), Image.fromarray(RGB[::-1])
    noted = encoded(image, "JPEG", quality=95, exif=preview)
    pair = encoded(image, "MPO", save_all=True, append_images=[other])
    progressive = encoded(image, "JPEG", progressive=True)
    for data in (JPEG + bytes(500), JPEG + JPEG[:90], PNG + b"appended", noted, progressive):
        assert (load_picture(data).status, load_picture(data).flags) == ("ok", ())
    assert load_picture(pair).flags == ("multipage",)
    filled = half + bytes(len(half)), half + b"\xff" * len(half)
    parts = noted[: len(noted) * 2 // 3], pair[: pair.index(b"\xff\xd9") - 50]
    for data in (half, *filled, JPEG[:-2], PNG[:-12], *parts):
        assert "cut short" in refused(load_picture(data), "decode_error")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert load_picture(half).flags == ("truncation_unchecked",)


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        (b"P6 1 1 65535\n" + struct.pack(">3H", 4095, 0, 12), ("16bit", "low_range")),
        (b"P3 1 1 65535\n4095 0 12\n", ("16bit", "low_range")),
        (b"P6 1 1 65535\n" + struct.pack(">3H", 60000, 0, 12), ("16bit",)),
        (b"P6 1 1 4095\n" + struct.pack(">3H", 4095, 0, 12), ("16bit",)),
        (b"P6 1 1 255\n\1\2\3", ()),
    ],
)
def test_a_ppm_of_sixteen_bits_is_flagged_in_colour_as_in_grey(data, flags):
    assert load_picture(data).flags == flags


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\x1aE\xdf\xa3 webm", "a video (WebM"),
        (b"RIFF\1\2\3\4AVI LIST", "a video (AVI)"),
        (b"\xef\xbb\xbf\n  <!doctype html><html>", "a web page"),
        (b"<html>502 Bad Gateway</html>", "<html>502"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"%PDF-1.7", "a PDF"),
        (b"PK\3\4", "a ZIP archive"),
        (b"MM\0+" + bytes(64), "a BigTIFF"),
        (b"II+\0" + bytes(64), "a BigTIFF"),
        (b"some words", "begins with b'some words'"),
        *(
            (encoded(Image.fromarray(RGB), kind), "begins with b")
            for kind in ("TGA", "PCX", "ICO", "SGI", "EPS")
        ),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(start, words):
    message = refused(load_picture(start), "unsupported")
    assert words in message
    assert "JPEG, PNG" in message


@pytest.mark.parametrize(
    ("bits", "colour", "samples", "key", "shown"),
    [
        (1, 0, [0b01010000], [1], [0, 255, 0, 255]),
        (8, 0, [0, 51, 102, 153], [51], [0, 255, 102, 153]),
        (8, 2, [9] * 3 + [51] * 3 + [102] * 6, [51] * 3, [9, 255, 102, 102]),
        (2, 0, [0b00011011], [1], None),
        (4, 0, [0b00011011] * 2, [1], None),
        (16, 0, [0, 0, 51, 51, 102, 102, 153, 153], [51 * 257], None),
        (16, 2, [9] * 24, [9 * 257] * 3, None),
    ],
)
def test_a_transparent_colour_of_a_png_is_laid_on_white_or_at_other_depths_unsupported(
    bits, colour, samples, key, shown
):
    note = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    keyed = load_picture(png(bits, colour, bytes(samples), note))
    plain = load_picture(png(bits, colour, bytes(samples)))
    assert (plain.status, "alpha" in plain.flags) == ("ok", False)
    if shown is None:
        assert "one transparent colour" in refused(keyed, "unsupported")
    else:
        assert "alpha" in keyed.flags
        assert pixels(keyed)[0, :, 0].tolist() == shown


def test_a_bitmap_of_sixteen_bits_has_its_levels_spread():
    """Of red, green and blue 5 bits each."""
    levels = [0, 8, 16, 31]
    data = struct.pack("<4H", *(level << 10 | level << 5 | level for level in levels))
    head = struct.pack("<IiiHHIIiiII", 40, 4, 1, 1, 16, 0, 8, 0, 0, 0, 0)
    picture = load_picture(b"BM" + struct.pack("<IHHI", 54 + 8, 0, 0, 54) + head + data)
    np.testing.assert_allclose(np.asarray(picture.image)[0, :, 1], [0, 66, 132, 255], atol=1)
    deep = struct.pack("<IiiHHIIiiII", 40, 4, 1, 1, 64, 0, 32, 0, 0, 0, 0) + bytes(32)
    refused(load_picture(b"BM" + struct.pack("<IHHI", 54 + 32, 0, 0, 54) + deep), "unsupported")


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_jpeg_2000_of_more_than_eight_bits_keeps_its_range(bits):
    ramp = np.tile(np.arange(256), (16, 1))
    levels = np.rint(ramp / 255 * (2**bits - 1)).astype(np.int32)
    wide = Image.fromarray((levels - 2 ** (bits - 1) + 2**15).astype(np.uint16))
    data = bytearray(encoded(wide, "JPEG2000", irreversible=False, no_jp2=True))
    data[data.index(b"\xff\x51") + 40] = bits - 1
    picture = load_picture(bytes(data))
    assert picture.flags == ("grey", "16bit")
    np.testing.assert_allclose(pixels(picture)[..., 0], ramp, atol=1)


def test_a_sound_header_of_a_depth_that_is_not_read_is_unsupported_not_damaged():
    twelve = bytearray(encoded(Image.new("RGB", (16, 16)), "JPEG"))
    twelve[twelve.index(b"\xff\xc0") + 4] = 12  # bits of a sample
    message = refused(load_picture(bytes(twelve)), "unsupported")
    assert "12-bit" in message
    assert "PNG loses nothing" in message


# TIFF: what its tags say comes out, or is refused in words that name the tag --------------------

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
