"""What a header says is what comes out, or the file is refused in words that name the tag."""

import re
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from maclip_lab.images import load_picture

WIDTH, HEIGHT = 256, 16
RAMP = np.tile(np.arange(256, dtype=np.uint16), (HEIGHT, 1))
BYTES, WIDE = RAMP.astype(np.uint8), RAMP * 257
SHOWN = list(range(256))


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


def twelve_bit() -> np.ndarray:
    pairs = np.rint(RAMP / 255 * 4095).astype(int).reshape(-1, 2)
    first, second = pairs[:, 0], pairs[:, 1]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1)
    return packed.astype(np.uint8)


def four_bit() -> np.ndarray:
    return (BYTES[:, ::2] >> 4) << 4 | BYTES[:, 1::2] >> 4


NEUTRAL = np.full_like(BYTES, 128)
QUARTERS = [BYTES[::2, ::2], BYTES[::2, 1::2], BYTES[1::2, ::2], BYTES[1::2, 1::2]]
SUBSAMPLED = np.dstack([*QUARTERS, *[NEUTRAL[::2, ::2]] * 2])
YCBCR = np.dstack([BYTES, NEUTRAL, NEUTRAL])

RIGHT = {
    "16 bit, white is zero": ([16], 0, [65535 - WIDE], {}),
    "8 bit, white is zero": ([8], 0, [255 - BYTES], {}),
    "16 bit RGB": ([16] * 3, 2, [np.dstack([WIDE] * 3)], {}),
    "8 bit RGB, planes apart": ([8] * 3, 2, [BYTES] * 3, {"planar": 2}),
    "a palette to 65535": ([8], 3, [BYTES], {"t320": [level * 257 for level in SHOWN] * 3}),
    "a sub-image that is smaller": ([8], 1, [BYTES], {"t330": [8]}),
    "a largest value that occurs": ([16], 1, [WIDE], {"t281": [61234]}),
    "the whole range, stated": ([8] * 3, 2, [np.dstack([BYTES] * 3)], {"t341": [255] * 3}),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", RIGHT)
def test_a_tiff_is_what_its_tags_say(kind, packed):
    bits, photometric, strips, more = RIGHT[kind]
    picture = load_picture(tiff(bits, photometric, strips, packed=packed, **more))
    assert picture.status == "ok", picture.message
    np.testing.assert_array_equal(
        np.asarray(picture.image)[HEIGHT // 2], np.c_[SHOWN, SHOWN, SHOWN]
    )
    assert ("16bit" in picture.flags) == (max(bits) > 8)


REFUSED = {
    "12 bit": ([12], 1, [twelve_bit()], {}, r"BitsPerSample \(12,\)"),
    "16 bit grey, planes apart": ([16], 1, [WIDE], {"planar": 2}, "PlanarConfiguration 2"),
    "16 bit RGB, planes apart": ([16] * 3, 2, [WIDE] * 3, {"planar": 2}, "PlanarConfiguration 2"),
    "a palette to 255": ([8], 3, [BYTES], {"t320": SHOWN * 3}, "a ColorMap of 8 bits"),
    "YCbCr, not subsampled": ([8] * 3, 6, [YCBCR], {"t530": [1, 1]}, r"YCbCrSubSampling \(1, 1\)"),
    "12 bits in 16, as stated": (
        [16],
        1,
        [WIDE // 257 * 16 + RAMP // 16],
        {"t341": [4095]},
        "SMaxSampleValue 4095",
    ),
    "12 bits in 16, by the largest": (
        [16],
        1,
        [RAMP * 16 + RAMP // 16],
        {"t281": [4095]},
        "SMaxSampleValue 4095",
    ),
    "white is zero, 10 bits in 16": (
        [16],
        0,
        [1023 - RAMP * 4 - RAMP // 64],
        {"t341": [1023]},
        "SMaxSampleValue 1023",
    ),
    "from 1000 to 1255": (
        [16],
        1,
        [1000 + RAMP],
        {"t340": [1000], "t341": [1255]},
        "SMinSampleValue 1000",
    ),
    "a largest value that is exceeded": ([16], 1, [WIDE], {"t341": [4095]}, "SMaxSampleValue 4095"),
    "other inks": ([8] * 4, 5, [np.dstack([BYTES] * 4)], {"t332": [2]}, "InkSet 2"),
    "a thumbnail": ([8], 1, [BYTES], {"t254": [1], "t330": [8]}, "NewSubfileType"),
    "a mask": ([8], 1, [BYTES], {"t254": [4]}, "NewSubfileType"),
    "an old thumbnail": ([8], 1, [BYTES], {"t255": [2]}, "NewSubfileType"),
    "subsampled": ([8] * 3, 6, [SUBSAMPLED], {"t530": [2, 2]}, r"YCbCrSubSampling \(2, 2\)"),
    "subsampled unsaid": ([8] * 3, 6, [SUBSAMPLED], {}, r"YCbCrSubSampling \(2, 2\)"),
    "4 bit, planes": ([4], 1, [four_bit()], {"planar": 2}, "PlanarConfiguration 2"),
    "inverted, planes": ([8], 0, [255 - BYTES], {"planar": 2}, "PlanarConfiguration 2"),
    "CMYK of 16 bit, planes": ([16] * 4, 5, [WIDE] * 4, {"planar": 2}, "PlanarConfiguration 2"),
    "CIELab, planes": ([8] * 3, 8, [BYTES] * 3, {"planar": 2}, "PlanarConfiguration 2"),
    "signed 8": ([8], 1, [BYTES], {"t339": [2]}, "signed 8-bit"),
    "signed 16": ([16], 1, [WIDE], {"t339": [2]}, "signed 16-bit"),
    "10 bit": ([10], 1, [WIDE], {}, r"BitsPerSample \(10,\)"),
    "14 bit": ([14], 1, [WIDE], {}, r"BitsPerSample \(14,\)"),
    "grey and alpha of 16": ([16] * 2, 1, [WIDE] * 2, {"t338": [2]}, r"BitsPerSample \(16, 16\)"),
    "12 bits in 16, RGB": (
        *([16] * 3, 2, [np.dstack([RAMP * 16] * 3)], {"t341": [4095] * 3}),
        "SMaxSampleValue 4095",
    ),
    "6 bits in 8": ([8], 1, [BYTES // 4], {"t341": [63]}, "SMaxSampleValue 63"),
    "floating RGB": ([32] * 3, 2, [WIDE] * 6, {"t339": [3] * 3}, "floating"),
    "ICCLab": ([8] * 3, 9, [YCBCR], {}, "ICCLab"),
    "a raw sensor": ([16], 32803, [WIDE], {}, "raw sensor"),
    "unknown packing": ([8], 1, [BYTES], {"t259": [52546]}, "Compression 52546"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_sound_tiff_that_would_come_out_wrong_is_unsupported(kind):
    bits, photometric, strips, more, words = REFUSED[kind]
    picture = load_picture(tiff(bits, photometric, strips, **more))
    assert (picture.status, picture.image) == ("unsupported", None)
    assert re.search(words, picture.message), picture.message
    assert "save" in picture.message


def test_a_larger_sub_image_means_that_the_first_page_is_a_preview():
    place = len(tiff([8], 1, [BYTES], t330=[0]))
    data = tiff([8], 1, [BYTES], t330=[place])
    entries = [(256, 4, 1, 4000), (257, 4, 1, 3000)]
    table = struct.pack("<H", 2) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    picture = load_picture(data + table + b"\0\0\0\0")
    assert picture.status == "unsupported"
    assert "SubIFDs" in picture.message


@pytest.mark.parametrize("kind", [13, 16, 18])
def test_a_larger_sub_image_of_a_bigtiff_is_seen_too(kind):
    """Pillow reads two of the kinds of offset, and passes over the third."""

    def directory(entries):
        packed = [struct.pack("<HHQQ", *entry) for entry in entries]
        return struct.pack("<Q", len(packed)) + b"".join(packed) + bytes(8)

    def file(place, width):
        page = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 1, 273: 16, 277: 1, 278: HEIGHT}
        entries = [(tag, 4, 1, value) for tag, value in page.items()]
        entries += [(279, 4, 1, BYTES.size), (330, kind, 1, place)]
        head = b"II+\0" + struct.pack("<HHQ", 8, 0, 16 + BYTES.size)
        first = head + BYTES.tobytes() + directory(entries)
        return first + directory([(256, 4, 1, width), (257, 4, 1, 3000)]), len(first)

    place = file(0, 0)[1]
    picture = load_picture(file(place, 4000)[0])
    assert picture.status == "unsupported"
    assert "SubIFDs" in picture.message
    smaller = load_picture(file(place, 1)[0])
    np.testing.assert_array_equal(np.asarray(smaller.image)[0, :, 0], SHOWN)


def test_a_bigtiff_of_the_other_byte_order_is_unsupported_not_damaged():
    picture = load_picture(b"MM\0+" + struct.pack(">HHQ", 8, 0, 16) + bytes(64))
    assert picture.status == "unsupported"
    assert "BigTIFF" in picture.message


def test_grey_of_sixteen_bit_is_the_same_in_strips():
    samples = np.random.default_rng(5).integers(0, 65536, (2100, 1000), dtype=np.uint16)
    picture = load_picture(Image.fromarray(samples))
    np.testing.assert_array_equal(np.asarray(picture.image)[:, :, 0], np.rint(samples / 257))


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_values_in_a_small_part_of_sixteen_bits_are_flagged(bits):
    samples = (RAMP.astype(np.float64) / 255 * (2**bits - 1)).astype(np.uint16)
    wide = Image.fromarray(samples.astype(np.int32))
    for source in (samples, np.dstack([samples] * 3), Image.fromarray(samples), wide):
        picture = load_picture(source)
        assert picture.status == "ok"
        assert "low_range" in picture.flags
    for file in (tiff([16], 1, [samples]), tiff([16] * 3, 2, [np.dstack([samples] * 3)])):
        assert "low_range" in load_picture(file).flags


def test_a_full_or_eight_bit_range_is_not_flagged_low():
    for source in (WIDE, BYTES // 32, tiff([16], 0, [WIDE])):
        assert "low_range" not in load_picture(source).flags


@pytest.mark.parametrize(
    ("brand", "word"), [(b"heic", "HEIC"), (b"isom", "video"), (b"qt  ", "video")]
)
def test_a_media_file_is_called_what_it_is(brand, word):
    picture = load_picture(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0")
    assert picture.status == "unsupported"
    assert word in picture.message
    assert ("HEIC" in picture.message) == (word == "HEIC")


def png(bits: int, colour: int, row: bytes, *chunks: bytes, width: int = 4) -> bytes:
    head = struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(b"\0" + row))
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head)
    return start + b"".join(chunks) + body + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bits", "colour", "samples", "key", "shown"),
    [
        (1, 0, [0b01010000], [1], [0, 255, 0, 255]),
        (8, 0, [0, 51, 102, 153], [51], [0, 255, 102, 153]),
        (16, 0, [0, 0, 51, 51, 102, 102, 153, 153], [51 * 257], [0, 255, 102, 153]),
        (
            16,
            2,
            [0] * 6 + [51, 240] * 3 + [102] * 6 + [9] * 6,
            [51 * 256 + 240] * 3,
            [0, 255, 102, 9],
        ),
    ],
)
def test_a_transparent_colour_of_a_png_is_found_at_every_depth(bits, colour, samples, key, shown):
    note = png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    picture = load_picture(png(bits, colour, bytes(samples), note))
    assert "alpha" in picture.flags
    assert np.asarray(picture.image)[0, :, 0].tolist() == shown
    plain = load_picture(png(bits, colour, bytes(samples)))
    assert "alpha" not in plain.flags


@pytest.mark.parametrize("bits", [2, 4])
def test_a_transparent_level_of_few_bits_is_unsupported_and_without_one_read(bits):
    row, note = bytes([0b00011011] * (bits // 2)), png_chunk(b"tRNS", b"\0\1")
    refused = load_picture(png(bits, 0, row, note))
    assert refused.status == "unsupported"
    assert f"{bits}-bit" in refused.message
    assert load_picture(png(bits, 0, row)).status == "ok"


def test_a_bitmap_of_sixteen_bits_has_its_levels_spread():
    """Of red, green and blue 5 bits each."""
    levels = [0, 8, 16, 31]
    data = struct.pack("<4H", *(level << 10 | level << 5 | level for level in levels))
    head = struct.pack("<IiiHHIIiiII", 40, 4, 1, 1, 16, 0, 8, 0, 0, 0, 0)
    picture = load_picture(b"BM" + struct.pack("<IHHI", 54 + 8, 0, 0, 54) + head + data)
    np.testing.assert_allclose(np.asarray(picture.image)[0, :, 1], [0, 66, 132, 255], atol=1)
    deep = struct.pack("<IiiHHIIiiII", 40, 4, 1, 1, 64, 0, 32, 0, 0, 0, 0) + bytes(32)
    refused = load_picture(b"BM" + struct.pack("<IHHI", 54 + 32, 0, 0, 54) + deep)
    assert refused.status == "unsupported"


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_jpeg_2000_of_more_than_eight_bits_keeps_its_range(bits):
    levels = np.rint(RAMP / 255.0 * (2**bits - 1)).astype(np.int32)
    stream = BytesIO()
    wide = (levels - 2 ** (bits - 1) + 2**15).astype(np.uint16)
    Image.fromarray(wide).save(stream, "JPEG2000", irreversible=False, no_jp2=True)
    data = bytearray(stream.getvalue())
    data[data.index(b"\xff\x51") + 40] = bits - 1
    picture = load_picture(bytes(data))
    assert picture.flags == ("grey", "16bit")
    np.testing.assert_allclose(np.asarray(picture.image)[0, :, 0], SHOWN, atol=1)


def with_profile(pixels: np.ndarray, profile: bytes) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", icc_profile=profile)
    return stream.getvalue()


def swapped_profile() -> bytes:
    """sRGB with the red and green primaries exchanged: red pixels mean green."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ", 128), data.index(b"gXYZ", 128)
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


@pytest.mark.parametrize("alpha", [False, True])
def test_a_profile_that_is_not_srgb_is_converted_by_default_and_ignored_officially(alpha):
    pixels = np.random.default_rng(2).integers(0, 256, (8, 9, 3 + alpha), dtype=np.uint8)
    if alpha:
        pixels[..., 3] = 255
    data = with_profile(pixels, swapped_profile())
    picture, official = load_picture(data), load_picture(data, preset="official")
    assert "icc" in picture.flags
    assert "icc" in official.flags
    np.testing.assert_allclose(np.asarray(picture.image), pixels[..., [1, 0, 2]], atol=2)
    np.testing.assert_array_equal(np.asarray(official.image), pixels[..., :3])


def test_an_srgb_profile_changes_nothing_and_a_broken_one_is_no_error():
    pixels = np.random.default_rng(2).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile, flags in ((srgb, ()), (b"nonsense" * 20, ("icc_broken",))):
        picture = load_picture(with_profile(pixels, profile))
        assert (picture.status, picture.flags) == ("ok", flags)
        np.testing.assert_array_equal(np.asarray(picture.image), pixels)


def ramp_profile(space: bytes, curve: bytes) -> bytes:
    """A profile of grey, its curve a gamma of 1: half the light is a light grey."""
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    place, tags, table = 128 + 4 + 2 * 12, b"", struct.pack(">I", 2)
    for name, body in ((b"wtpt", white), (b"kTRC", curve)):
        table += name + struct.pack(">II", place + len(tags), len(body))
        tags += body
    head = bytearray(128)
    struct.pack_into(">I", head, 0, place + len(tags))
    head[8:12], head[12:24], head[36:40] = b"\2\x40\0\0", b"mntr" + space + b"XYZ ", b"acsp"
    struct.pack_into(">iii", head, 68, 63190, 65536, 54061)
    return bytes(head) + table + tags


@pytest.mark.parametrize("alpha", [False, True])
def test_a_profile_of_grey_is_converted(alpha):
    linear = ramp_profile(b"GRAY", b"curv" + bytes(8))
    stream = BytesIO()
    grey = Image.fromarray(BYTES)
    (Image.merge("LA", [grey, Image.new("L", grey.size, 255)]) if alpha else grey).save(
        stream, "PNG", icc_profile=linear
    )
    picture = load_picture(stream.getvalue())
    assert "icc" in picture.flags
    light = np.arange(256) / 255
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    shown = np.asarray(picture.image)[0, :, 0]
    np.testing.assert_allclose(shown[8:], 255 * srgb[8:], atol=2)  # LittleCMS is coarse near black
    official = load_picture(stream.getvalue(), preset="official")
    np.testing.assert_array_equal(np.asarray(official.image)[0, :, 0], SHOWN)


def test_a_palette_is_converted_by_its_profile():
    stream = BytesIO()
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 10, 30])
    image.save(stream, "PNG", icc_profile=swapped_profile())
    picture = load_picture(stream.getvalue())
    assert set(picture.flags) == {"palette", "icc"}
    np.testing.assert_allclose(np.asarray(picture.image)[0, 0], [10, 200, 30], atol=2)


def test_a_profile_of_other_pixels_is_broken_for_cmyk_too():
    stream = BytesIO()
    Image.new("CMYK", (8, 8), (10, 20, 30, 0)).save(stream, "JPEG", icc_profile=swapped_profile())
    picture = load_picture(stream.getvalue())
    assert set(picture.flags) == {"cmyk", "icc_broken"}
    plain = BytesIO()
    Image.new("CMYK", (8, 8), (10, 20, 30, 0)).save(plain, "JPEG")
    np.testing.assert_array_equal(
        np.asarray(picture.image), np.asarray(load_picture(plain.getvalue()).image)
    )


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def large_note() -> bytes:
    return png_chunk(b"iTXt", b"note\0\1\0\0\0" + zlib.compress(bytes(2**21)))


def test_a_png_with_more_than_a_megabyte_of_profile_or_text_is_read_and_says_so():
    pixels = np.random.default_rng(2).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    plain = with_profile(pixels, b"")
    for data, flag in (
        (with_profile(pixels, bytes(2**21)), "icc_broken"),
        (plain[:33] + large_note() + plain[33:], "notes_dropped"),
    ):
        picture = load_picture(data)
        assert picture.status == "ok", picture.message
        assert picture.flags == (flag,)
        np.testing.assert_array_equal(np.asarray(picture.image), pixels)


def test_a_large_note_takes_no_other_chunk_with_it():
    pixels = np.random.default_rng(2).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    turned = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    )
    plain = with_profile(pixels, swapped_profile())
    whole = load_picture(plain[:33] + png_chunk(b"iTXt", turned) + plain[33:])
    noted = load_picture(plain[:33] + large_note() + png_chunk(b"iTXt", turned) + plain[33:])
    assert (
        set(noted.flags)
        == {*whole.flags, "notes_dropped"}
        == {
            *("icc", "exif_rotated", "notes_dropped"),
        }
    )
    np.testing.assert_array_equal(np.asarray(noted.image), np.asarray(whole.image))


def test_a_profile_for_other_pixels_than_the_files_is_flagged_broken_and_ignored():
    grey = np.random.default_rng(3).integers(0, 256, (8, 9), dtype=np.uint8)
    data = BytesIO()
    Image.fromarray(grey).save(data, "PNG", icc_profile=swapped_profile())
    picture = load_picture(data.getvalue())
    assert picture.flags == ("grey", "icc_broken")
    np.testing.assert_array_equal(np.asarray(picture.image)[..., 0], grey)


def test_a_sound_header_of_a_depth_that_is_not_read_is_unsupported_not_damaged():
    data = BytesIO()
    Image.new("RGB", (16, 16)).save(data, "JPEG")
    frame = data.getvalue().index(b"\xff\xc0")
    twelve = bytearray(data.getvalue())
    twelve[frame + 4] = 12  # bits of a sample
    picture = load_picture(bytes(twelve))
    assert picture.status == "unsupported"
    assert "12-bit" in picture.message
    assert "save it as 8-bit PNG" in picture.message
