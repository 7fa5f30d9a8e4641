"""Whatever comes in: our own errors or a flagged row, never a crash, never a number from nowhere.

The longer runs are marked slow.
"""

import json
import random
import string
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import NATIVE, WHOLE, CropGrid, PreparedPicture, prepare
from maclip_lab.cues import box_cox, magnitude_cue
from maclip_lab.datasets import DatasetError, DatasetWarning, open_dataset
from maclip_lab.errors import MaclipError
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import STATUSES, Picture, load_picture
from maclip_lab.prompts import MACLIP_PROMPTS, prompt_pairs
from maclip_lab.score import TextAnchors, score_features
from tests.datasets.facsimile import LAYOUTS, build, open_list
from tests.faults.conftest import inventory

FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = settings(FEW, max_examples=2000)

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"]
KINDS = ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "PPM"]


@st.composite
def images(draw):
    """PIL images of any mode, 1 to 40 pixels a side, with or without tags."""
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    mode = draw(st.sampled_from(MODES))
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (height, width), dtype=np.uint16))
    elif mode in ("HSV", "LAB"):
        image = Image.frombytes(mode, (width, height), pixels.tobytes())
    else:
        image = Image.fromarray(pixels).convert("L" if mode in ("I", "F") else "RGB").convert(mode)
    if draw(st.booleans()):
        image.info["transparency"] = draw(st.sampled_from([0, 255, bytes([0, 9]), (1, 2, 3)]))
    return image


@st.composite
def picture_bytes(draw):
    """Encoded pictures, with any orientation, some of them cut, flipped or padded."""
    image, kind = draw(images()), draw(st.sampled_from(KINDS))
    image.info.pop("transparency", None)
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(0, 300))
    stream = BytesIO()
    try:
        image.save(stream, kind, exif=exif)
    except (OSError, ValueError, TypeError):
        stream = BytesIO()
        Image.new("RGB", image.size, (9, 99, 199)).save(stream, kind)
    data = bytearray(stream.getvalue())
    harm = draw(st.sampled_from(["none", "none", "cut", "flip", "pad"]))
    if harm == "cut":
        del data[draw(st.integers(0, len(data))) :]
    elif harm == "flip":
        for _ in range(draw(st.integers(1, 8))):
            data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
    elif harm == "pad":
        data += draw(st.binary(max_size=50))
    return bytes(data)


def check_picture(source):
    for preset in ("default", "official"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("maclip_lab.images.MAX_PIXELS", 10**6)
            picture = load_picture(source, preset=preset)
        assert picture.status in STATUSES
        assert (picture.image is None) == (picture.status != "ok")
        assert bool(picture.message) == (picture.status != "ok")
        if picture.image is not None:
            assert picture.image.mode == "RGB"
            assert picture.image.size == (picture.width, picture.height)


@pytest.mark.filterwarnings("ignore")
@FEW
@given(images())
def test_any_image_in_memory_is_rgb_or_a_status(image):
    check_picture(image)


@pytest.mark.filterwarnings("ignore")
@FEW
@given(picture_bytes())
def test_any_file_is_rgb_or_a_status(data):
    check_picture(data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@MANY
@given(st.one_of(images(), picture_bytes(), st.binary(max_size=4000)))
def test_any_picture_for_long(source):
    check_picture(source)


@FEW
@given(st.integers(9, 700), st.integers(9, 700), st.sampled_from([NATIVE, WHOLE]))
def test_any_size_is_cut_inside_its_bounds(width, height, protocol):
    pixels, upscaled = prepare(Image.new("RGB", (width, height)), protocol)
    grid = CropGrid(*pixels.shape[:2], protocol)
    assert len(grid) >= 1
    assert upscaled == (min(width, height) < (32 if protocol.whole else 224))
    for top, left in grid.corners():
        assert top + protocol.crop <= pixels.shape[0]
        assert left + protocol.crop <= pixels.shape[1]


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**320), 10**320)
)


def anchors(width):
    features = torch.from_numpy(np.random.default_rng(3).normal(size=(10, width))).float()
    return TextAnchors(MACLIP_PROMPTS, features, 100.0)


@FEW
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(width=32))
def test_no_settings_and_no_features_give_a_number_that_is_not_one(a, b, c, d, value):
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 32))).float()
    features[0, 0] = value
    if not all(abs(number) <= sys.float_info.max for number in (a, b, c, d)):
        with pytest.raises(ValueError, match="is a finite number"):
            FusionSettings(a, b, c, d)
        return
    chosen = FusionSettings(a, b, c, d)
    grid = CropGrid(352, 224)
    picture = PreparedPicture("", Picture(None, "ok"), None, grid, features)
    result = score_features(picture, anchors(32), chosen)
    numbers = [result.score, result.q_cos, result.q_mag, result.w_cos]
    assert np.isfinite(numbers).all() if result.status == "ok" else np.isnan(numbers).all()


@FEW
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_the_magnitude_cue_grows_with_lambda_without_jumps(first, second):
    low, high = sorted((first, second))
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 64))).float()
    assert (magnitude_cue(features, low) <= magnitude_cue(features, high) + 2e-4).all()
    assert torch.isfinite(box_cox(features.abs(), low)).all()


@FEW
@given(st.text(st.characters(), max_size=300), st.text(max_size=20))
def test_any_text_is_tokens_or_our_own_error(first, second):
    try:
        pairs = prompt_pairs([(first, second)])
        tokens = tokenize([text for pair in pairs for text in pair])
    except UnicodeError:
        raise
    except ValueError:
        return
    assert tokens.shape == (2, 77)
    assert ((tokens >= 0) & (tokens < 49408)).all()
    assert (tokens == 49407).any(1).all()


def test_half_a_surrogate_is_tokens_too():
    assert tokenize(["\ud800 image"]).shape == (1, 77)


OURS = (MaclipError, ValueError)


def load_quietly(load, *arguments, **options):
    """A manifest, or None where our own error was raised; anything else is a crash."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DatasetWarning)
        warnings.filterwarnings("ignore", module="openpyxl")
        try:
            manifest = load(*arguments, **options)
        except UnicodeError:
            raise
        except OURS:
            return None
    if manifest.labelled:
        assert np.isfinite(manifest.table["mos"]).all()
    assert all(manifest.root in path.parents for path in manifest.paths)
    return manifest


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(["a.png", "../a.png", "/a.png", "b\\a.png", "A.PNG", "nul\0.png", "1e999"]),
    st.sampled_from(["..", " ", "C:\\1.png", "\ud800", "x" * 300]),
)
KEYS = st.one_of(
    st.sampled_from(["img_path", "gt_score", "name", "mos", "dmos", "MOS ", "mos_std", "std"]),
    st.text(string.printable, max_size=6),
)


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "b" / "c.png")
    return tmp_path


@FEW
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_any_json_list_is_a_manifest_or_our_own_error(folder, rows):
    (folder / "list.json").write_text(json.dumps(rows))
    load_quietly(open_list, folder / "list.json")


@FEW
@given(st.text(st.sampled_from(',;\t\n\r"aA01.-é\0_ pngmos'), max_size=120), st.booleans())
def test_any_text_table_is_a_manifest_or_our_own_error(folder, text, headed):
    (folder / "list.csv").write_text(("name,mos\n" if headed else "") + text, encoding="utf-8")
    load_quietly(open_list, folder / "list.csv")


@FEW
@given(st.binary(max_size=200), st.sampled_from(["json", "csv", "tsv", "txt", "parquet", "pq"]))
def test_any_bytes_are_a_manifest_or_our_own_error(folder, data, suffix):
    (folder / f"list.{suffix}").write_bytes(data)
    load_quietly(open_list, folder / f"list.{suffix}")


@FEW
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4), st.booleans())
def test_any_parquet_table_is_a_manifest_or_our_own_error(folder, rows, as_text):
    try:
        frame = pd.DataFrame(rows, columns=["name", "mos"])
        (frame.astype(str) if as_text else frame).to_parquet(folder / "list.parquet")
    except (ValueError, TypeError, OverflowError):  # a column Arrow cannot hold
        return
    load_quietly(open_list, folder / "list.parquet")


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> dict[str, Path]:
    """A small copy of every one of the nine sets."""
    root = tmp_path_factory.mktemp("sets")
    return {name: build(name, root / name, rows=6) for name in LAYOUTS}


def spoil(data, draw):
    """Bytes with some flipped, cut out, put in or written over by others of the same file."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["flip", "cut", "insert", "copy", "end"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + draw(st.integers(1, 20))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "copy":
                other = draw(st.integers(0, max(len(data) - 1, 0)))
                data[at : at + 8] = data[other : other + 8]
            case "end":
                del data[at:]
    return bytes(data)


def check_spoilt(name, copies, data):
    folder = copies[name]
    scores = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in (".csv", ".txt", ".xlsx", ".mat")
    ]
    path = data.draw(st.sampled_from(scores))
    sound = path.read_bytes()
    before = sorted(inventory(folder))
    path.write_bytes(spoil(sound, data.draw))
    try:
        for variant in ("standard", "paper"):
            load_quietly(open_dataset, name, folder, variant=variant)
    finally:
        path.write_bytes(sound)
    assert sorted(inventory(folder)) == before


@pytest.mark.parametrize("name", LAYOUTS)
@settings(FEW, max_examples=8)
@given(data=st.data())
def test_spoilt_score_files_of_the_nine_sets_are_our_own_errors(name, copies, data):
    check_spoilt(name, copies, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
@settings(MANY, max_examples=500)
@given(data=st.data())
def test_spoilt_score_files_for_long(name, copies, data):
    check_spoilt(name, copies, data)


@pytest.mark.parametrize(("number", "seed"), [(0, 22), (1, 372), (1, 440)])
def test_a_file_that_crashes_its_reader_is_our_own_error(number, seed, tmp_path):
    """Damage under which SciPy's reader has been seen to take the whole process down; not ours."""
    folder = build("livec", tmp_path, rows=6)
    path = sorted(folder.rglob("*.mat"))[number]
    dice, data = random.Random(seed), bytearray(path.read_bytes())
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(max(len(data), 1))
        match dice.choice(["flip", "cut", "insert", "copy", "end"]):
            case "flip" if data:
                data[at] ^= 1 << dice.randrange(8)
            case "cut":
                del data[at : at + dice.randint(1, 20)]
            case "insert":
                data[at:at] = dice.randbytes(dice.randint(1, 8))
            case "copy" if data:
                other = dice.randrange(len(data))
                data[at : at + 8] = data[other : other + 8]
            case "end":
                del data[at:]
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset("livec", folder)


def test_the_sound_copies_load(copies):
    for name, folder in copies.items():
        with pytest.warns(DatasetWarning):
            assert len(open_dataset(name, folder)) >= 3
