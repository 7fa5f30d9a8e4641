import numpy as np
import pytest
from PIL import Image

from maclip_lab.datasets.errors import DatasetError
from maclip_lab.lessons import dataset
from maclip_lab.lessons.dataset import open_dataset, work_folder


@pytest.fixture
def small(monkeypatch):
    """The synthetic set at its smallest, so that a test makes it in a moment."""
    monkeypatch.setattr(dataset, "NOTEBOOK_TYPES", ("jpeg",))
    monkeypatch.setattr(dataset, "NOTEBOOK_LEVELS", (5,))
    monkeypatch.setattr(dataset, "NOTEBOOK_SIZE", (64, 48))


def test_the_synthetic_set_is_made_in_the_folder_named(small, tmp_path):
    manifest = open_dataset("Synthetic", tmp_path)
    assert manifest.dataset == "synthetic"
    assert manifest.root == tmp_path
    assert all(path.is_file() for path in manifest.paths)
    assert set(manifest.table["dist_level"]) == {0, 5}


def test_without_a_folder_all_notebooks_share_one(small, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "work_folder", lambda *parts: tmp_path.joinpath(*parts))
    assert open_dataset("synthetic").root == tmp_path / "synthetic"


def test_the_notebooks_pictures_are_large_enough_for_two_windows():
    width, height = dataset.NOTEBOOK_SIZE
    assert width >= 224 + 128
    assert height >= 224


def test_a_list_of_ones_own_is_read_with_its_pictures_beside_it(tmp_path):
    for name in "ab":
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "mine.csv").write_text("path,mos\na.png,1.5\nb.png,3\n")
    manifest = open_dataset(str(tmp_path / "mine.csv"))
    assert manifest.dataset == "mine"
    assert manifest.table["mos"].tolist() == [1.5, 3]


def test_one_of_the_nine_needs_its_folder():
    with pytest.raises(DatasetError, match="say where koniq lies: ROOT"):
        open_dataset("koniq")


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(ValueError, match=r"no data set is called 'konik'; known are .*koniq"):
        open_dataset("konik", tmp_path)


def test_an_unknown_name_is_refused_even_without_a_folder():
    with pytest.raises(ValueError, match="no data set is called 'konik'"):
        open_dataset("konik")


def test_a_checkout_keeps_what_it_makes_in_its_build_folder():
    folder = work_folder("features")
    assert folder.parts[-3:] == ("build", "notebooks", "features")


def test_an_installed_package_keeps_it_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "data_path", lambda: tmp_path / "maclip_lab" / "data")
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    assert work_folder("features") == tmp_path / "cache" / "notebooks" / "features"
