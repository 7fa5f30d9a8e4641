import numpy as np
import pytest
from PIL import Image

from maclip_lab.datasets import Edition, open_dataset, synthetic
from tests.datasets.facsimile import build


@pytest.fixture
def small(monkeypatch):
    """The editions at their smallest, so that a test makes them in a moment."""
    for name in synthetic.EDITIONS:
        edition = Edition(name, ("jpeg",), (5,), (64, 48))
        monkeypatch.setitem(synthetic.EDITIONS, name, edition)


@pytest.mark.parametrize("name", ["synthetic", "Synthetic-Full", "synthetic-demo"])
def test_every_edition_of_the_synthetic_set_has_a_name_of_its_own(name, small, tmp_path):
    manifest = open_dataset(name, tmp_path)
    assert manifest.dataset == name.lower()
    assert manifest.root == tmp_path
    assert all(path.is_file() for path in manifest.paths)
    assert set(manifest.table["dist_level"]) == {0, 5}


def test_without_a_folder_a_synthetic_set_is_made_under_build(small, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "synthetic_folder", lambda name: tmp_path / "build" / name)
    monkeypatch.chdir(tmp_path)
    assert open_dataset("synthetic-full").root == tmp_path / "build" / "synthetic-full"


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
def test_some_pictures_are_always_the_same_ones(tmp_path):
    folder = build("kadid", tmp_path, rows=30)
    some, again = (open_dataset("kadid", folder, n_pictures=9) for _ in range(2))
    assert len(some) == 9
    assert some.sha256 == again.sha256
    assert set(some.table["path"]) < set(open_dataset("kadid", folder).table["path"])
    with pytest.raises(ValueError, match="expected 1 to 30 rows of kadid, got 31"):
        open_dataset("kadid", folder, n_pictures=31)


def test_choices_of_the_published_sets_are_refused_elsewhere(small, tmp_path):
    for choice in ({"variant": "paper"}, {"resolution": "512x384"}, {"scores": "raw"}):
        with pytest.raises(ValueError, match="for the known data sets as published"):
            open_dataset("synthetic", tmp_path, **choice)


@pytest.mark.parametrize("root", [None, "."])
def test_a_set_needs_a_known_name_and_its_folder(root):
    with pytest.raises(ValueError, match=r"no data set is called 'konik'; known are .*koniq"):
        open_dataset("konik", root)
    with pytest.raises(ValueError, match="say where koniq lies: ROOT"):
        open_dataset("koniq")


@pytest.mark.parametrize("called", ["csiq", "koniq", "mine"])
def test_a_lists_file_name_says_nothing_of_direction_or_protocol(called, tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / f"{called}.csv").write_text("path,mos\na.png,0.5\n")
    manifest = open_dataset(str(tmp_path / f"{called}.csv"))
    assert (manifest.dataset, manifest.protocol) == (called, "native")
    assert manifest.higher_is_better is True
    assert manifest.preset == "default"
    named = open_dataset("synthetic", annotations=tmp_path / f"{called}.csv")
    assert (named.dataset, named.paths) == ("synthetic", [tmp_path / "a.png"])
