"""Any picture file or array becomes 8-bit RGB, or a status that says why not."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, ImageOps, features

from maclip_lab.datasets.finding import FileIndex
from maclip_lab.formats import FORMATS, HEIF
from maclip_lab.images import being_read, find_pictures, load_picture
from tests.conftest import posix
from tests.picture_world import encoded, header_of, pixels, png, refused

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
RANGE = r"lie in \[0, 1\], got min .*, max .*divide 0..255"


def placed(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def names_of_pictures(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_pictures(folder)]


ORDINARY = {"a.jpg": "JPEG", "a.png": "PNG", "a.bmp": "BMP", "a.gif": "GIF", "a.tif": "TIFF"}
ORDINARY |= {"a.webp": "WEBP", "a.ppm": "PPM", "a.jp2": "JPEG2000", "a.avif": "AVIF"}


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("preset", ["default", "official"])
def test_an_ordinary_file_is_what_pillow_reads(name, preset, tmp_path):
    assert set(ORDINARY.values()) == set(FORMATS) - {"HEIF"}
    feature = {"a.jp2": "jpg_2000", "a.avif": "avif", "a.webp": "webp"}.get(name)
    if feature and not features.check(feature):
        pytest.skip(f"this Pillow has no {feature}")
    data, path = encoded(Image.fromarray(RGB), ORDINARY[name]), tmp_path / name
    path.write_bytes(data)
    expected = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    for source in (path, str(path), data, Image.open(BytesIO(data))):
        np.testing.assert_array_equal(pixels(load_picture(source, preset=preset)), expected)


MODES = {"1": ("grey",), "L": ("grey",), "LA": ("grey", "alpha"), "P": ("palette",)}
MODES |= {"RGB": (), "RGBA": ("alpha",), "CMYK": ("cmyk",), "YCbCr": ()}


@pytest.mark.parametrize("mode", MODES)
def test_an_eight_bit_mode_is_flagged_and_officially_plainly_converted(mode):
    image = Image.fromarray(RGB).convert(mode)
    picture = load_picture(image, preset="official")
    np.testing.assert_array_equal(pixels(picture), np.asarray(image.convert("RGB")))
    assert picture.flags == load_picture(image).flags == MODES[mode]


def test_sixteen_bit_ramp_is_scaled_not_clipped():
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(ramp / 257).astype(np.uint8)
    image = Image.fromarray(ramp)
    files = [encoded(image, kind) for kind in ("PNG", "TIFF")]
    for source in (ramp, *files, Image.fromarray(ramp.astype(np.int32))):
        for preset in ("default", "official"):
            picture = load_picture(source, preset=preset)
            np.testing.assert_array_equal(pixels(picture)[:, :, 1], expected)
            assert set(picture.flags) == {"grey", "16bit"}
    image.info["transparency"] = 65535
    refused(load_picture(image), "unsupported")


def test_sixteen_bit_colour_is_flagged_and_right_to_one_level():
    samples = np.random.default_rng(1).integers(0, 65536, (1, 7, 3), dtype=np.uint16)
    from_file = load_picture(png(16, 2, samples.astype(">u2").tobytes(), width=7))
    assert from_file.flags == load_picture(samples).flags == ("16bit",)
    np.testing.assert_array_equal(pixels(load_picture(samples)), np.rint(samples / 257))
    np.testing.assert_allclose(pixels(from_file), np.rint(samples / 257), rtol=0, atol=1)


def test_samples_of_thirty_two_bits_are_refused_with_what_is_read():
    for samples in ([0, 70000], [-1, 7]):
        picture = load_picture(Image.fromarray(np.array([samples], dtype=np.int32)))
        assert "scale them to 0..65535" in refused(picture, "unsupported")
    floating = encoded(Image.fromarray(np.full((4, 5), 0.5, np.float32)), kind="TIFF")
    picture = load_picture(floating)
    assert "float tensor in [0, 1]" in refused(picture, "float_data")
    assert (picture.width, picture.height) == (5, 4)


def test_transparency_lies_on_white_by_default_and_is_ignored_officially():
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 200, np.array([0, 51, 204, 255])
    for source in (rgba, encoded(Image.fromarray(rgba), kind="PNG")):
        shown = pixels(load_picture(source))[0]
        assert shown[0].tolist() == [255, 255, 255]
        assert shown[3].tolist() == [200, 0, 0]
        np.testing.assert_allclose(shown[1], [244, 204, 204], atol=1)
        official = pixels(load_picture(source, preset="official"))
        np.testing.assert_array_equal(official, rgba[..., :3])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_is_used(kind):
    first, second = Image.new("RGB", (8, 6), "red"), Image.new("RGB", (8, 6), "blue")
    data = encoded(first, kind=kind, save_all=True, append_images=[second])
    picture = load_picture(data)
    assert ("multipage" if kind == "TIFF" else "animated") in picture.flags
    np.testing.assert_allclose(pixels(picture)[0, 0], [255, 0, 0], atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once_by_default_and_ignored_officially(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(RGB), exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))
    picture, official = load_picture(data), load_picture(data, preset="official")
    turned_by_pillow = load_picture(encoded(Image.fromarray(RGB), "TIFF", exif=exif))
    for read, shown in ((picture, upright), (official, RGB), (turned_by_pillow, upright)):
        np.testing.assert_array_equal(pixels(read), shown)
        assert read.flags == (() if orientation == 1 else ("exif_rotated",))


def test_garbled_exif_does_not_hide_the_picture_unless_the_user_makes_warnings_errors():
    data = encoded(Image.fromarray(RGB), kind="JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\x07")
    refused(load_picture(data), "decode_error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_picture(data).status == "ok"


def test_a_tensor_is_rounded_to_eight_bit():
    exact = torch.from_numpy(RGB.copy()).permute(2, 0, 1)
    for tensor in (exact, exact / 255, (exact / 255).double(), exact / 255 + 0.001 * (exact < 250)):
        np.testing.assert_array_equal(pixels(load_picture(tensor)), RGB)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (np.zeros((4, 4)), TypeError, "uint8 or uint16, got float64"),
        (np.zeros((4, 4, 2), np.uint8), ValueError, r"got \(4, 4, 2\)"),
        (np.zeros((0, 4), np.uint8), ValueError, r"got \(0, 4\)"),
        (np.zeros(4, np.uint8), ValueError, r"got \(4,\)"),
        (torch.zeros(4, 4, 3), ValueError, r"shape \(3, H, W\).* got \(4, 4, 3\)"),
        (torch.zeros(1, 3, 4, 4), ValueError, r"got \(1, 3, 4, 4\)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), TypeError, "got int64"),
        *(
            (torch.tensor([0.5, value]).expand(3, 2, 2), ValueError, RANGE)
            for value in (-0.01, 255, float("nan"), float("inf"))
        ),
        (3, TypeError, "got int"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_a_programming_mistake_is_an_exception(source, error, message):
    with pytest.raises(error, match=message):
        load_picture(source)
    with pytest.raises(ValueError, match="got 'offical'"):
        load_picture(RGB, preset="offical")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_a_status(kind, share):
    data = encoded(Image.fromarray(RGB), kind=kind)
    picture = load_picture(data[: max(3, int(len(data) * share))])
    assert picture.status in ("decode_error", "unsupported")


ODD = {
    "gone.jpg": ("missing", "gone.jpg"),
    "dangling.jpg": ("missing", "link to nothing"),
    "zero.jpg/below.jpg": ("missing", "no such file"),
    "folder.jpg": ("not_a_file", "a folder"),
    "pipe.jpg": ("not_a_file", "pipe"),
    "zero.jpg": ("empty", "zero bytes"),
    "loop.jpg": ("unreadable", "loop.jpg"),
    "x" * 5000 + ".jpg": ("unreadable", "characters"),
    "null\0byte.jpg": ("unreadable", "null"),
}


@posix
def test_a_path_that_leads_to_no_file_has_its_status(tmp_path, monkeypatch):
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").touch()
    for file, (status, words) in ODD.items():
        message = refused(load_picture(tmp_path / file), status)
        assert words in message
        assert len(message) < 300
    refused(load_picture(""), "missing")
    refused(load_picture(b""), "empty")
    denial = PermissionError(13, "Permission denied")
    monkeypatch.setattr("builtins.open", Mock(side_effect=denial))
    assert "Permission denied" in refused(load_picture(tmp_path / "zero.jpg"), "unreadable")


@pytest.mark.parametrize("side", [11_600, 30_000, 2**31 - 1])
def test_a_huge_header_is_refused_before_decoding(side):
    picture = load_picture(header_of(side, side))
    assert f"{side} x {side}" in refused(picture, "too_large")
    assert (picture.width, picture.height) == (side, side)


@pytest.mark.parametrize(("most", "status"), [(599, "too_large"), (600, "ok")])
def test_more_pixels_than_are_read_are_refused_whatever_the_source(most, status, monkeypatch):
    monkeypatch.setattr("maclip_lab.images.MAX_PIXELS", most)
    for source in (RGB, Image.fromarray(RGB), encoded(Image.fromarray(RGB), kind="BMP")):
        assert load_picture(source).status == status


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "MPO"])
@pytest.mark.parametrize("limit", [400, 500])
def test_pillows_own_limit_neither_warns_nor_refuses(kind, limit, monkeypatch):
    data = encoded(Image.fromarray(RGB), kind=kind)
    image = Image.open(BytesIO(data))
    shown = np.asarray(image)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for source in (data, image):
        np.testing.assert_array_equal(pixels(load_picture(source)), shown)
    if kind == "WEBP":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        refused(load_picture(data), "too_large")


def test_the_callers_image_and_the_process_are_left_alone():
    """And officially a transparent palette is converted without the warning that Pillow gives."""
    image = Image.fromarray(RGB).convert("P")
    shown = np.asarray(image.convert("RGB"))
    image.info["transparency"] = bytes([0])
    state = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    assert load_picture(image).flags == ("palette", "alpha")
    np.testing.assert_array_equal(pixels(load_picture(image, preset="official")), shown)
    assert image.mode == "P"
    assert image.info["transparency"] == bytes([0])
    assert state == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, warnings.filters)


def test_threads_read_what_one_thread_reads(tmp_path):
    pictures = np.random.default_rng(3).integers(0, 256, (40, 40, 50, 3), np.uint8)
    files = {f"{i:02}.png": encoded(Image.fromarray(shown)) for i, shown in enumerate(pictures)}
    placed(tmp_path, files)
    with ThreadPoolExecutor(8) as pool:
        threaded = [*map(pixels, pool.map(load_picture, sorted(tmp_path.iterdir())))]
    np.testing.assert_array_equal(threaded, pictures)


def test_pictures_are_found_recursively_in_natural_order(tmp_path):
    wanted = ["a2.JPG", "a10.png", "B1.webp", "sub/deep/1.tif", "sub/deep/x.jpg"]
    junk = [".hidden.jpg", "._a2.jpg", "notes.txt", "__MACOSX/._a.jpg", "__MACOSX/a.jpg"]
    junk += [".git/a.png", "@eaDir/a.jpg", "raw.psd", "noextension"]
    placed(tmp_path, dict.fromkeys(wanted + junk, b""))
    (tmp_path / "folder.jpg").mkdir()
    assert names_of_pictures(tmp_path) == wanted


def test_what_a_search_leaves_out_is_counted_by_kind(tmp_path):
    """Pictures alone: lists and notes beside them are nobody's loss."""
    sound, words = encoded(Image.new("RGB", (4, 4))), b"P5 BMW Python"
    placed(tmp_path, dict.fromkeys(["a.png", "b", "sub/c", "d.jpg_large", "e.bak"], sound))
    placed(tmp_path, {"f.DNG": b"II*\0" + bytes(20), "g.psd": b"8BPS" + bytes(20)})
    placed(tmp_path, {"h.mp4": b"\0\0\0\x18ftypisom" + bytes(20), "empty": b""})
    placed(tmp_path, {"list.csv": words, "notes.txt": words})
    kinds = r"6 pictures under .* are left out: 1 \.bak, 1 \.dng, 1 \.jpg_large, 1 \.psd, 2 without"
    with pytest.warns(UserWarning, match=kinds):
        assert names_of_pictures(tmp_path) == ["a.png"]


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_are_searched(tmp_path, monkeypatch):
    placed(tmp_path, {"locked/a.png": b"", "open/b.png": b""})
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.warns(UserWarning, match=r"cannot be read: .*locked"):
        assert names_of_pictures(tmp_path) == ["open/b.png"]


def test_linked_folders_are_searched_once_each_by_their_own_name(tmp_path):
    here = tmp_path / "here"
    placed(tmp_path, dict.fromkeys(["here/1.jpg", "disk/2.jpg", "here/z/3.jpg"], b""))
    (here / "a link").symlink_to(here / "z")
    (here / "circle").symlink_to(here)
    (here / "disk").symlink_to(tmp_path / "disk")
    assert names_of_pictures(here) == ["1.jpg", "disk/2.jpg", "z/3.jpg"]
    assert FileIndex.scan(here).files == ("1.jpg", "disk/2.jpg", "z/3.jpg")


@pytest.mark.skipif(HEIF, reason="pillow-heif is installed")
def test_heic_is_left_out_with_the_plugins_name_where_that_is_absent(tmp_path):
    heic = b"\0\0\0\x18ftypheic" + bytes(20)
    (tmp_path / "a.HEIC").write_bytes(heic)
    with pytest.warns(UserWarning, match=r"1 \.heic.*; pillow-heif, where it is installed"):
        assert find_pictures(tmp_path) == []
    assert "pillow-heif" in refused(load_picture(heic), "unsupported")


@pytest.mark.skipif(not HEIF, reason="needs pillow-heif")
def test_heic_is_read_where_its_plugin_is_installed(tmp_path):
    import pillow_heif

    picture = Image.new("RGB", (64, 48), (200, 30, 90))
    pillow_heif.from_pillow(picture).save(tmp_path / "a.heic", quality=95)
    assert find_pictures(tmp_path) == [tmp_path / "a.heic"]
    read = pixels(load_picture(tmp_path / "a.heic"))
    np.testing.assert_allclose(read.mean((0, 1)), [200, 30, 90], atol=4)


def test_a_picture_is_named_while_it_is_read_and_no_longer(tmp_path, monkeypatch):
    path, named = tmp_path / "a.png", []
    path.write_bytes(encoded(Image.new("RGB", (4, 4))))
    monkeypatch.setattr(
        "maclip_lab.images._flags_before_loading", lambda _: named.append(being_read.get()) or ()
    )
    load_picture(path)
    assert (named, being_read.get()) == ([str(path)], "")
