import numpy as np
import pytest
from PIL import Image

from maclip_lab.datasets import Edition, open_dataset, synthetic
from maclip_lab.files.identity import data_path


@pytest.mark.parametrize("name", ["synthetic", "Synthetic-Full", "synthetic-demo"])
def test_an_edition_of_the_synthetic_set_is_made_under_its_name(name, tmp_path, monkeypatch):
    edition = Edition(name.lower(), ("jpeg",), (5,), (64, 48))
    monkeypatch.setitem(synthetic.EDITIONS, edition.name, edition)
    monkeypatch.setattr(synthetic, "synthetic_folder", tmp_path.joinpath)
    for root in (tmp_path, None):
        manifest = open_dataset(name, root)
        assert manifest.dataset == edition.name
        assert manifest.root == (root or tmp_path / edition.name)
        assert all(path.is_file() for path in manifest.paths)
        assert set(manifest.table["dist_level"]) == {0, 5}
        assert len(manifest) == 2 * len(list(data_path("photos").glob("*.jpg")))
    for choice in ({"variant": "paper"}, {"resolution": "512x384"}, {"scores": "raw"}):
        with pytest.raises(ValueError, match="for the known data sets as published"):
            open_dataset(name, tmp_path, **choice)


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
