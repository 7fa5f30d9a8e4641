from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from maclip_lab import Maclip
from maclip_lab.datasets import DatasetError, Edition, synthetic
from maclip_lab.features import packs, write_pack
from maclip_lab.lessons import dataset
from maclip_lab.lessons.dataset import (
    is_watched,
    open_crops_and_whole,
    open_dataset,
    open_pictures,
    work_folder,
)
from tests.store_world import RN, pictures


def test_without_a_folder_all_notebooks_share_one(tmp_path, monkeypatch):
    edition = Edition("synthetic", ("jpeg",), (5,), (64, 48))
    monkeypatch.setitem(synthetic.EDITIONS, "synthetic", edition)
    monkeypatch.setattr(dataset, "work_folder", lambda *parts: tmp_path.joinpath(*parts))
    assert open_dataset("Synthetic").root == tmp_path / "synthetic"
    assert open_dataset("synthetic", tmp_path / "own").root == tmp_path / "own"


def test_a_checkout_keeps_what_it_makes_in_its_build_folder():
    folder = work_folder("features")
    assert folder.parts[-3:] == ("build", "notebooks", "features")


def test_an_installed_package_keeps_it_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "data_path", lambda: tmp_path / "maclip_lab" / "data")
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    assert work_folder("features") == tmp_path / "cache" / "notebooks" / "features"


@pytest.fixture
def own(tmp_path):
    """A folder of four pictures, and a list of three of them."""
    for i in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / f"p{i}.png")
    lines = ["image,mos", *(f"p{i}.png,{i}" for i in range(3))]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    return tmp_path


def test_a_list_has_the_name_it_is_given(own):
    manifest = open_dataset(f"holiday={own / 'own.csv'}")
    assert (manifest.dataset, len(manifest)) == ("holiday", 3)


def names(paths):
    return [path.name for path in paths]


def test_pictures_come_from_a_folder_or_ones_own_list(own):
    folder, protocol = open_pictures(str(own))
    assert (names(folder), protocol) == ([f"p{i}.png" for i in range(4)], "native")
    assert open_pictures("synthetic", own)[0] == folder
    for name in (str(own / "own.csv"), f"holiday={own / 'own.csv'}"):
        listed, protocol = open_pictures(name)
        assert (names(listed), protocol) == (["p0.png", "p1.png", "p2.png"], "native")


def test_a_list_is_opened_as_it_is_told(own):
    (own / "own.csv").write_text("image,DMOS,Note\np0.png,1,7\np1.png,2,9\n")
    told = {"score_column": "Note", "path_column": "image"}
    assert names(open_pictures(str(own / "own.csv"), **told)[0]) == ["p0.png", "p1.png"]
    assert open_dataset(str(own / "own.csv"), **told).table["mos"].tolist() == [7, 9]


def test_synthetic_pictures_are_made_in_a_store_that_is_named(tmp_path, monkeypatch):
    edition = Edition("synthetic", ("jpeg",), (5,), (64, 48))
    monkeypatch.setitem(synthetic.EDITIONS, "synthetic", edition)
    view, _ = open_crops_and_whole("synthetic", Maclip(RN), store=tmp_path / "kept")
    assert view.manifest.root == tmp_path / "kept" / "synthetic"


def test_a_set_without_a_root_lends_its_protocol_to_the_shipped_photographs():
    pictures, protocol = open_pictures("spaq")
    assert protocol == "SPAQ"
    assert pictures == open_pictures("synthetic")[0]
    assert len(pictures) == 12
    with pytest.raises(ValueError, match="nowhere"):
        open_pictures("nowhere")


def test_a_few_pictures_are_drawn_always_the_same(own):
    for name in (str(own), str(own / "own.csv")):
        few, _ = open_pictures(name, n_pictures=2)
        assert len(few) == 2
        assert few == open_pictures(name, n_pictures=2)[0]
        assert len(open_pictures(name, n_pictures=99)[0]) >= 3


def test_features_come_from_pictures_a_pack_or_a_shipped_pack_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "work_folder", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(packs, "data_path", lambda *parts: tmp_path.joinpath("data", *parts))
    scorer = Maclip(RN, device="cpu")
    scorer.backbone = replace(scorer.backbone, name="tiny-rn")
    names = pictures(tmp_path / "set", 3)
    rows = "".join(f"{name},{i}\n" for i, name in enumerate(names))
    (tmp_path / "set" / "mine.csv").write_text("path,mos\n" + rows)
    mine = str(tmp_path / "set" / "mine.csv")
    crops, whole = open_crops_and_whole(mine, scorer)
    assert crops.manifest.has_pictures
    assert (tmp_path / "features").is_dir()
    (tmp_path / "data" / "packs").mkdir(parents=True)
    path = tmp_path / "data" / "packs" / "clive-part.tiny-rn.safetensors"
    write_pack(path, crops, whole, scorer)
    monkeypatch.setattr(dataset, "work_folder", lambda *parts: tmp_path / "none")
    for name in (str(path), "clive-part", "CLIVE-part"):
        for view, seen in zip(open_crops_and_whole(name, scorer), (crops, whole), strict=True):
            assert view.offsets.tolist() == seen.offsets.tolist()
            assert not view.manifest.has_pictures
    assert len(open_crops_and_whole("clive-part", scorer, n_pictures=2)[0]) == 2
    assert not (tmp_path / "none").exists()
    with pytest.raises(DatasetError, match="no pack of biq2021-part as tiny-rn sees it"):
        open_crops_and_whole("biq2021-part", scorer)
    with pytest.raises(ValueError, match="leave out the root"):
        open_crops_and_whole("clive-part", scorer, tmp_path)


def test_a_variant_is_of_a_published_set_and_of_nothing_else(own, monkeypatch):
    asked = []

    def opened(name, root=None, **choices):
        asked.append((name, choices))

    monkeypatch.setattr(dataset.datasets, "open_dataset", opened)
    for name in ("KonIQ-10k", "synthetic", f"koniq={own / 'own.csv'}", str(own / "own.csv")):
        open_dataset(name, own, variant="paper")
    assert [choices.get("variant") for _, choices in asked] == ["paper", None, None, None]


def test_features_lie_in_the_store_that_is_named(own, tmp_path):
    scorer = Maclip(RN, device="cpu")
    open_crops_and_whole(str(own / "own.csv"), scorer, store=tmp_path / "mine")
    assert (tmp_path / "mine").is_dir()


def front_end(**metadata):
    return lambda: SimpleNamespace(get_parent=lambda: {"metadata": metadata})


def test_a_program_is_no_spectator_and_a_front_end_is(monkeypatch):
    monkeypatch.setattr(dataset, "get_ipython", front_end())
    assert not is_watched()
    monkeypatch.setattr(dataset, "get_ipython", front_end(cellId="a"))
    assert is_watched()
    monkeypatch.setattr(dataset, "get_ipython", lambda: None)
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: True))
    assert is_watched()


def test_only_a_spectator_is_told(own, tmp_path, monkeypatch, capsys):
    scorer, name = Maclip(RN, device="cpu"), str(own / "own.csv")
    open_crops_and_whole(name, scorer, store=tmp_path / "quiet")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(dataset, "is_watched", lambda: True)
    open_crops_and_whole(name, scorer, store=tmp_path / "seen")
    said = capsys.readouterr()
    assert "crops to encode" in said.out
    assert "3/3" in said.err
