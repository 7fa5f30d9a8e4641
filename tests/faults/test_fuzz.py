"""Whatever comes in: our own errors or a flagged row, never a crash, never a number from nowhere.

The longer runs are marked slow.
"""

import json
import random
import string
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from maclip_lab.crops import NATIVE, WHOLE, CropGrid, PreparedPicture, prepare
from maclip_lab.datasets import DatasetError, open_dataset
from maclip_lab.errors import MaclipError
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import STATUSES, Picture, load_picture
from maclip_lab.prompts import MACLIP_PROMPTS
from maclip_lab.score import TextAnchors, score_features
from tests.datasets.facsimile import LAYOUTS, build, open_list
from tests.faults.conftest import inventory

FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
pytestmark = [
    pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning"),
    pytest.mark.filterwarnings("ignore:::openpyxl"),
]
DICE = st.randoms(use_true_random=False)

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


def spoil(data, dice):
    """Bytes with some flipped, cut out, put in or written over by others of the same file."""
    data = bytearray(data)
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
    return bytes(data)


@st.composite
def picture_bytes(draw):
    """Encoded pictures, with any orientation, some of them spoilt or padded."""
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
    harm = draw(st.sampled_from(["none", "none", "spoilt", "spoilt", "padded"]))
    if harm == "spoilt":
        return spoil(stream.getvalue(), draw(DICE))
    return stream.getvalue() + (draw(st.binary(max_size=50)) if harm == "padded" else b"")


def check_picture(source):
    for preset in ("default", "official"):
        picture = load_picture(source, preset=preset)
        assert picture.status in STATUSES
        assert (picture.image is None) == (picture.status != "ok")
        assert bool(picture.message) == (picture.status != "ok")
        if picture.image is not None:
            assert picture.image.mode == "RGB"
            assert picture.image.size == (picture.width, picture.height)


SOURCES = st.one_of(images(), picture_bytes(), st.binary(max_size=4000))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("examples", [75, pytest.param(2000, marks=pytest.mark.slow)])
def test_any_picture_is_rgb_or_a_status(examples, monkeypatch):
    monkeypatch.setattr("maclip_lab.images.MAX_PIXELS", 10**6)
    settings(FEW, max_examples=examples)(given(SOURCES)(check_picture))()


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


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**308), 10**308)
ANCHORS = TextAnchors(
    MACLIP_PROMPTS, torch.from_numpy(np.random.default_rng(3).normal(size=(10, 32))).float(), 100.0
)


@FEW
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(width=32))
def test_no_settings_and_no_features_give_a_number_that_is_not_one(a, b, c, d, value):
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 32))).float()
    features[0, 0] = value
    picture = PreparedPicture("", Picture(None, "ok"), None, CropGrid(352, 224), features)
    result = score_features(picture, ANCHORS, FusionSettings(a, b, c, d))
    numbers = [result.score, result.q_cos, result.q_mag, result.w_cos]
    assert np.isfinite(numbers).all() if result.status == "ok" else np.isnan(numbers).all()


def load_quietly(load, *arguments, **options):
    """Open a list or a set; what is neither a sound manifest nor our own error is a crash."""
    try:
        manifest = load(*arguments, **options)
    except UnicodeError:
        raise
    except (MaclipError, ValueError):
        return
    if manifest.labelled:
        assert np.isfinite(manifest.table["mos"]).all()
    assert all(manifest.root in path.parents for path in manifest.paths)


NAMES = ["a.png", "../a.png", "/a.png", "b\\a.png", "A.PNG", "nul\0.png", "1e999", "..", " "]
NAMES += ["C:\\1.png", "\ud800", "x" * 300]
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES |= st.lists(st.integers(), max_size=2) | st.sampled_from(NAMES)
TITLES = ["img_path", "gt_score", "name", "mos", "dmos", "MOS ", "mos_std", "std"]
KEYS = st.sampled_from(TITLES) | st.text(string.printable, max_size=6)


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


@pytest.mark.parametrize("examples", [8, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", LAYOUTS)
def test_spoilt_score_files_of_the_nine_sets_are_our_own_errors(name, examples, copies):
    folder, suffixes = copies[name], (".csv", ".txt", ".xlsx", ".mat")
    scores = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes]
    names = sorted(inventory(folder))
    assert len(open_dataset(name, folder)) >= 3

    @settings(FEW, max_examples=examples)
    @given(DICE)
    def check(dice):
        path = dice.choice(scores)
        sound = path.read_bytes()
        path.write_bytes(spoil(sound, dice))
        try:
            for variant in ("standard", "paper"):
                load_quietly(open_dataset, name, folder, variant=variant)
        finally:
            path.write_bytes(sound)
        assert sorted(inventory(folder)) == names

    check()


@pytest.mark.parametrize(("number", "seed"), [(0, 22), (1, 372), (1, 440)])
def test_a_file_that_crashes_its_reader_is_our_own_error(number, seed, tmp_path):
    """Damage under which SciPy's reader has been seen to take the whole process down; not ours."""
    folder = build("livec", tmp_path, rows=6)
    path = sorted(folder.rglob("*.mat"))[number]
    path.write_bytes(spoil(path.read_bytes(), random.Random(seed)))
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset("livec", folder)
