from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from maclip_lab import Lesson, Maclip
from maclip_lab.datasets import DatasetError, Edition, synthetic
from maclip_lab.features import packs, write_pack
from maclip_lab.lessons import lesson as sets
from maclip_lab.lessons.lesson import extract, open_set, work_folder
from tests.store_world import RN, pictures


@pytest.fixture
def own(tmp_path):
    """A folder of four pictures, and a list of three of them."""
    for i in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / f"p{i}.png")
    lines = ["image,mos", *(f"p{i}.png,{i}" for i in range(3))]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    return tmp_path


def open_pictures(name, root=None, **choices):
    return Lesson("00", dataset=name, root=root, **choices).pictures


def names(paths):
    return [path.name for path in paths]


def test_a_synthetic_set_is_made_where_all_notebooks_share_it_or_where_it_is_asked_for(
    tmp_path, monkeypatch
):
    edition = Edition("synthetic", ("jpeg",), (5,), (64, 48))
    monkeypatch.setitem(synthetic.EDITIONS, "synthetic", edition)
    monkeypatch.setattr(sets, "work_folder", lambda *parts: tmp_path.joinpath("build", *parts))
    assert open_set("Synthetic").root == tmp_path / "build" / "synthetic"
    assert open_set("synthetic", tmp_path / "own").root == tmp_path / "own"
    assert open_set("synthetic", store=tmp_path / "kept").root == tmp_path / "kept" / "synthetic"


def test_a_checkout_keeps_what_it_makes_in_its_build_folder_and_others_in_the_cache(
    tmp_path, monkeypatch
):
    assert work_folder("features").parts[-3:] == ("build", "notebooks", "features")
    monkeypatch.setattr(sets, "data_path", lambda: tmp_path / "maclip_lab" / "data")
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    assert work_folder("features") == tmp_path / "cache" / "notebooks" / "features"


def test_a_list_has_the_name_it_is_given_and_is_opened_as_it_is_told(own):
    manifest = open_set(f"holiday={own / 'own.csv'}")
    assert (manifest.dataset, len(manifest)) == ("holiday", 3)
    (own / "own.csv").write_text("image,DMOS,Note\np0.png,1,7\np1.png,2,9\n")
    told = {"score_column": "Note", "path_column": "image"}
    assert names(open_pictures(str(own / "own.csv"), **told)) == ["p0.png", "p1.png"]
    assert open_set(str(own / "own.csv"), **told).table["mos"].tolist() == [7, 9]


def test_pictures_come_from_a_folder_or_ones_own_list(own):
    folder = open_pictures(str(own))
    assert names(folder) == [f"p{i}.png" for i in range(4)]
    assert open_pictures("synthetic", own) == folder
    for name in (str(own / "own.csv"), f"holiday={own / 'own.csv'}"):
        assert names(open_pictures(name)) == ["p0.png", "p1.png", "p2.png"]


def test_a_set_without_a_root_is_shown_by_the_shipped_photographs():
    assert len(open_pictures("spaq")) == 12
    assert open_pictures("spaq") == open_pictures("synthetic")
    with pytest.raises(ValueError, match="nowhere"):
        open_pictures("nowhere")


def test_a_few_pictures_are_drawn_always_the_same(own):
    for name in (str(own), str(own / "own.csv")):
        few = open_pictures(name, n_pictures=2)
        assert len(few) == 2
        assert few == open_pictures(name, n_pictures=2)
        assert len(open_pictures(name, n_pictures=99)) >= 3


def test_a_shipped_set_is_its_pack_whatever_the_root_and_needs_no_store(tmp_path, monkeypatch):
    scorer = Maclip(RN, device="cpu")
    scorer.backbone = replace(scorer.backbone, name="tiny-rn")
    rows = "".join(f"{name},{i}\n" for i, name in enumerate(pictures(tmp_path / "set", 3)))
    (tmp_path / "set" / "mine.csv").write_text("path,mos\n" + rows)
    crops, whole = extract(open_set(str(tmp_path / "set" / "mine.csv")), scorer, tmp_path / "store")
    (tmp_path / "packs").mkdir()
    write_pack(tmp_path / "packs" / "clive-part.tiny-rn.safetensors", crops, whole, scorer)
    monkeypatch.setattr(packs, "data_path", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(sets, "work_folder", lambda *parts: tmp_path / "none")
    for asked, n in (
        ({}, 3),
        ({"root": tmp_path, "dataset": "CLIVE-part"}, 3),
        ({"n_pictures": 2}, 2),
    ):
        rated = Lesson("04", **asked).asked
        assert (rated.n, rated.name, rated.features.manifest.has_pictures) == (n, "CLIVE", False)
    assert not (tmp_path / "none").exists()
    with pytest.raises(DatasetError, match="no pack of biq2021-part as tiny-rn sees it"):
        Lesson("04", dataset="biq2021-part").asked  # noqa: B018


def test_a_variant_is_of_a_published_set_and_of_nothing_else(own, monkeypatch):
    asked = []

    def opened(name, root=None, **choices):
        asked.append(choices)

    monkeypatch.setattr(sets, "open_dataset", opened)
    for name in ("KonIQ-10k", "synthetic", f"koniq={own / 'own.csv'}", str(own / "own.csv")):
        open_set(name, own, variant="paper")
    assert [choices.get("variant") for choices in asked] == ["paper", None, None, None]


def front_end(**metadata):
    return lambda: SimpleNamespace(get_parent=lambda: {"metadata": metadata})


@pytest.mark.parametrize(
    ("shell", "terminal", "is_watched"),
    [
        (front_end(), True, False),
        (front_end(cellId="a"), False, True),
        (lambda: None, True, True),
        (lambda: None, False, False),
    ],
)
def test_features_lie_in_the_store_that_is_named_and_only_a_spectator_is_told(
    own, monkeypatch, capsys, shell, terminal, is_watched
):
    monkeypatch.setattr(sets, "get_ipython", shell)
    scorer, manifest = Maclip(RN, device="cpu"), open_set(str(own / "own.csv"))
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    extract(manifest, scorer, own / "store")
    assert (own / "store").is_dir()
    said = capsys.readouterr()
    assert ("crops to encode" in said.out) == is_watched
    assert ("3/3" in said.err) == is_watched
