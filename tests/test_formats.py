"""What a file says of itself: which kind it is, whether it is whole, what is beside its pixels."""

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


@pytest.mark.parametrize(
    ("kind", "place"), [("IHDR", 29), ("IDAT", 99), ("IDAT", -99), ("IEND", -1)]
)
def test_a_png_with_a_false_critical_checksum_is_damaged(kind, place):
    data = bytearray(PNG)
    data[place] ^= 1
    assert f"checksum of b'{kind}'" in refused(load_picture(bytes(data)), "decode_error")


@pytest.mark.parametrize(("kind", "size"), [*SIZED, (b"tEXt", 9), (b"zzZz", 5)])
def test_what_is_broken_beside_the_pixels_is_dropped_and_said(kind, size):
    picture = load_picture(with_chunks(PNG, chunk(kind, bytes(size), harm=1)))
    assert picture.flags == ("notes_dropped",)
    np.testing.assert_array_equal(pixels(picture), RGB)


@pytest.mark.parametrize(
    ("note", "flags"),
    [
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
def test_a_note_that_cannot_be_read_or_is_large_is_dropped_and_said(note, flags):
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


def test_a_jpeg_without_its_end_is_cut_short_whatever_fills_its_place(monkeypatch):
    half = JPEG[: len(JPEG) // 2]
    for data in (half, JPEG[:-2], half + bytes(len(half)), half + b"\xff" * len(half)):
        assert "cut short" in refused(load_picture(data), "decode_error")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert load_picture(half).flags == ("truncation_unchecked",)


def test_what_follows_the_end_of_a_picture_is_harmless():
    for data in (JPEG + bytes(500), JPEG + JPEG[:90], PNG + b"appended"):
        assert (load_picture(data).status, load_picture(data).flags) == ("ok", ())
    assert "cut short" in refused(load_picture(PNG[:-12]), "decode_error")


def test_the_end_of_a_preview_or_of_a_second_picture_is_not_that_of_the_first():
    thumbnail = Image.Exif()
    thumbnail[0x0112] = 1
    preview = thumbnail.tobytes() + encoded(Image.new("RGB", (9, 9)), "JPEG")
    noted = encoded(Image.fromarray(RGB), "JPEG", quality=95, exif=preview)
    assert load_picture(noted).status == "ok"
    refused(load_picture(noted[: len(noted) * 2 // 3]), "decode_error")
    two = [Image.fromarray(RGB), Image.fromarray(RGB[::-1])]
    pair = encoded(two[0], "MPO", save_all=True, append_images=two[1:])
    assert "multipage" in load_picture(pair).flags
    end = pair.index(b"\xff\xd9")
    refused(load_picture(pair[: end - 50]), "decode_error")
    assert load_picture(encoded(two[0], "JPEG", progressive=True)).status == "ok"


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
