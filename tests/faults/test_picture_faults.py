"""A folder of everything that can be wrong with a picture: a row each, and the run goes on.

Faults 16 to 21 of the list in README.md, end to end; every case alone is in tests/test_images.py.
"""

import os

import numpy as np
import pytest
from PIL import Image, ImageFile

from maclip_lab.crops import prepare
from maclip_lab.errors import PictureError
from maclip_lab.features import Extractor
from maclip_lab.files.provenance import write_table
from maclip_lab.scorer import score_folder
from tests.faults import victims
from tests.faults.victims import SCORER
from tests.picture_world import header_of
from tests.store_world import PlainScorer, manifest, picture


@pytest.fixture
def folder(tmp_path):
    """One sound picture, and every fault there is."""
    picture(tmp_path / "good.png", 0)
    picture(tmp_path / "good.jpg", 1)
    jpeg = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_text("<html>Sign in to the proxy</html>")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "circle.jpg").symlink_to(tmp_path / "circle.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "bomb.png").write_bytes(header_of(30_000, 30_000))
    Image.fromarray(np.full((230, 230), 0.5, np.float32)).save(tmp_path / "float.tif")
    Image.new("RGB", (1, 1), "red").save(tmp_path / "dot.png")
    Image.new("RGB", (3_000_000, 1)).save(tmp_path / "strip.png")
    return tmp_path


STATUS = {
    "good.png": "ok",
    "good.jpg": "ok",
    "dot.png": "ok",
    "cut.jpg": "decode_error",
    "empty.jpg": "empty",
    "page.jpg": "unsupported",
    "folder.jpg": "not_a_file",
    "pipe.jpg": "not_a_file",
    "gone.jpg": "missing",
    "circle.jpg": "unreadable",
    "bomb.png": "too_large",
    "float.tif": "float_data",
    "strip.png": "too_small",
    "never.jpg": "missing",
    "x" * 300 + ".jpg": "unreadable",
    "nul\0.jpg": "unreadable",
}


def test_every_fault_is_a_row_of_the_scores_and_of_the_features_and_raises_alone(folder):
    table = score_folder([folder / name for name in STATUS], SCORER)
    assert dict(zip(STATUS, table["status"], strict=True)) == STATUS
    good = table["status"] == "ok"
    assert table.loc[good, "score"].notna().all()
    assert (table.loc[good, "message"] == "").all()
    assert table.loc[~good, ["score", "q_cos", "q_mag", "w_cos"]].isna().all(axis=None)
    assert (table.loc[~good, "message"].str.len() > 10).all()
    names = [name for name in STATUS if "\0" not in name]
    view = Extractor(PlainScorer(), folder / "store").crops(manifest(folder, names))
    assert view.table["status"].tolist() == [STATUS[name] for name in names]
    for name, status in STATUS.items():
        if status != "ok":
            with pytest.raises(PictureError):
                SCORER(folder / name)


def test_a_picture_for_which_there_is_no_memory_is_a_row(folder, monkeypatch):
    def short(image, protocol):
        if image.size == (224, 224):
            raise MemoryError("unable to allocate 309 MiB")
        return prepare(image, protocol)

    monkeypatch.setattr("maclip_lab.crops.prepare", short)
    names = ["good.png", "strip.png"]
    table = score_folder([folder / name for name in names], SCORER)
    view = Extractor(PlainScorer(), folder / "memory").crops(manifest(folder, names))
    for rows in (table, view.table):
        assert rows["status"].tolist() == ["too_large", "too_small"]
        assert rows["message"][0] == "unable to allocate 309 MiB"


def test_a_bomb_is_refused_from_its_header_in_flat_memory(start):
    victim = start(victims.peak_memory, header_of(30_000, 30_000))
    status, grown = victim.hear()
    assert status == "too_large"
    assert grown < 50e6


def test_a_name_that_is_not_utf8_can_be_scored_and_written(tmp_path):
    try:
        picture(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"), 0)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    table = score_folder(tmp_path, SCORER)
    assert table["status"].tolist() == ["ok"]
    assert table["path"].tolist() == [f"{tmp_path.as_posix()}/caf\\udce9.png"]
    for suffix in ("csv", "parquet"):
        write_table(table, tmp_path / f"scores.{suffix}")


def test_a_check_that_another_library_switched_off_is_on_every_row(folder, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    table = score_folder([folder / "good.jpg", folder / "cut.jpg"], SCORER)
    assert table["status"].tolist() == ["ok", "ok"]
    assert table["flags"].str.contains("truncation_unchecked").all()


@pytest.mark.parametrize(
    ("size", "crops"),
    [((1, 1), 2), ((223, 500), 4), ((224, 224), 2), ((352, 352), 5), ((351, 480), 4)],
)
def test_odd_sizes_and_lone_colours_have_the_crops_of_the_formula_and_a_finite_score(size, crops):
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    for pixels in (noise, *(np.full_like(noise, grey) for grey in (0, 128, 255))):
        result = SCORER(pixels)
        assert result.n_crops == crops == len(result.grid)
        assert result.status == "ok"
        assert np.isfinite([result.score, result.q_cos, result.q_mag, result.w_cos]).all()
