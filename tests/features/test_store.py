"""A store gives the scorer's features to the bit, once, for what a file holds now."""

import hashlib
import os
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from maclip_lab import Maclip
from maclip_lab.crops import NATIVE, Protocol
from maclip_lab.features import Extractor, open_pack
from maclip_lab.features import extractor as extraction
from maclip_lab.features.features import StoreConfig, StoreError, StoreWarning
from maclip_lab.features.store import FeatureStore, Memo
from maclip_lab.files import identity
from maclip_lab.files.identity import file_times
from tests.picture_world import header_of
from tests.store_world import RN, PlainScorer, grid_of, held, manifest, packs, picture, pictures

CONFIG = StoreConfig("ab" * 32, "fp32", "official", NATIVE)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Pictures, their manifest, and the store of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("clean")
    rows = manifest(folder / "pictures", pictures(folder / "pictures"))
    return rows, folder / "store", Extractor(PlainScorer(), folder / "store").crops(rows)


@pytest.fixture
def copy(clean, tmp_path):
    """The same pictures, and what extracts them into a store of its own."""
    shutil.copytree(clean[0].root, tmp_path / "pictures")
    rows = manifest(tmp_path / "pictures", list(clean[0].table["path"]))
    extractor = Extractor(PlainScorer(), tmp_path / "store")
    extractor.crops(rows)
    return rows, extractor


@pytest.fixture
def encoded(monkeypatch):
    """A list that grows by the name of every picture that is made features of."""
    names, look = [], extraction._look

    def watched(job, stores):
        result = look(job, stores)
        names.extend(job[1].name for _ in result[2])
        return result

    monkeypatch.setattr(extraction, "_look", watched)
    return names


def same(ours, theirs):
    assert ours.table["status"].tolist() == theirs.table["status"].tolist()
    assert ours.table["sha256"].tolist() == theirs.table["sha256"].tolist()
    for i in ours.ok:
        assert torch.equal(ours.features(i), theirs.features(i))
        assert grid_of(ours, i) == grid_of(theirs, i)


# What it gives -------------------------------------------------------------------------------


def test_stored_features_are_those_of_the_scorer_to_the_bit(tmp_path):
    scorer = Maclip(RN, device="cpu")
    rows = manifest(tmp_path, pictures(tmp_path, 3))
    extractor = Extractor(scorer, tmp_path / "store", preset="official")
    extractor.crops(rows.subset([True, False, True]))
    view = extractor.crops(rows)
    for i, path in enumerate(rows.paths):
        direct = scorer.extract(path, rows.protocol, preset="official")
        assert torch.equal(view.features(i), direct.features)
        assert grid_of(view, i) == direct.grid
    assert set(view.table["status"]) == {"ok"}


def test_a_whole_set_is_one_pack_whose_crops_lie_flat_in_the_manifests_order(clean):
    rows, folder, view = clean
    (path,) = packs(folder)
    assert not list(folder.glob("*/pictures/*"))
    pack = open_pack(path)
    same(pack.crops, view)
    assert pack.manifest.sha256 == rows.sha256
    assert pack.anchors.pairs == PlainScorer().anchors.pairs
    assert pack.record["data"] == rows.data(view.table)
    assert np.shares_memory(view.features(0).numpy(), view.feats)
    backwards = manifest(rows.root, list(rows.table["path"])[::-1])
    for one in (view, Extractor(PlainScorer(), folder).crops(backwards)):
        pieces = [one.features(i) for i in range(len(one))]
        assert torch.equal(one.stack(), torch.cat(pieces))
        assert one.offsets.tolist() == [0, *np.cumsum([len(piece) for piece in pieces]).tolist()]
        assert max(len(block) for block in one.blocks(crops=2)) == 2
        whose = [grid_of(one, i) for i in range(len(one))]
        assert one.grids.tolist() == [[g.rows, g.cols] for g in whose]
        assert "8 of 8 pictures" in repr(one)
    for i in range(8):
        assert torch.equal(one.features(i), view.features(7 - i))


# Once, and for what a file holds now ---------------------------------------------------------


def test_a_finished_store_computes_nothing_again_whatever_became_of_its_memo(clean, copy, encoded):
    rows, extractor = copy
    same(extractor.crops(rows), clean[2])
    (path,) = (extractor.folder / "memo").iterdir()
    assert len(Memo(extractor.folder, rows.root).entries) == 8 + 1
    whole, dice = path.read_bytes(), random.Random(1)
    for _ in range(25):
        damaged = bytearray(whole)
        damaged[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        assert Memo(extractor.folder, rows.root).entries == {}
    same(extractor.crops(rows), clean[2])
    path.write_bytes(b"ab\n{}")  # of others
    same(extractor.crops(rows), clean[2])
    path.unlink()
    same(extractor.crops(rows), clean[2])
    few = rows.sample(3)
    assert list(extractor.crops(few).table["path"]) == list(few.table["path"])
    assert encoded == []
    assert len(packs(extractor.folder)) == 1


def test_a_set_that_grows_is_one_pack_again(tmp_path, encoded, capsys):
    names = pictures(tmp_path / "p", 6)
    extractor = Extractor(PlainScorer(), tmp_path / "s")
    extractor.crops(manifest(tmp_path / "p", names[:4]))
    capsys.readouterr()
    rows = manifest(tmp_path / "p", names)
    replace(extractor, progress=True).crops(rows)
    assert sorted(encoded) == names
    assert len(packs(tmp_path / "s")) == 1
    shown = capsys.readouterr().err.replace("\r", "\n").split("\n")
    assert "4/6" in next(line for line in shown if line)
    assert "6/6" in shown[-2] or "6/6" in shown[-1]


@pytest.mark.parametrize("system", ["posix", "nt"])
@pytest.mark.parametrize("keep_times", [False, True])
def test_an_edited_picture_is_never_served_its_old_features(
    clean, copy, monkeypatch, encoded, keep_times, system
):
    rows, extractor = copy
    monkeypatch.setattr(identity, "_SYSTEM", system)
    path = rows.paths[2]
    before = path.stat()
    picture(path, 99, (480, 224))
    if keep_times:
        Image.new("RGB", (480, 224), "teal").save(path)
        path.write_bytes(path.read_bytes().ljust(before.st_size, b"\0"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        assert (file_times(path)[2] == 0) == (system == "nt")
    assert path in extractor.pending(rows)
    fresh = extractor.crops(rows)
    assert encoded == ["p2.png"]
    assert len(packs(extractor.folder)) == 1
    assert torch.equal(fresh.features(2), PlainScorer().extract(path, NATIVE).features)
    assert torch.equal(fresh.features(3), clean[2].features(3))


def test_a_picture_is_what_it_holds_and_a_vanished_one_a_row_until_it_comes_back(
    clean, copy, encoded
):
    rows, extractor = copy
    first, second = (path.read_bytes() for path in rows.paths[:2])
    rows.paths[0].write_bytes(second)
    rows.paths[1].unlink()
    view = extractor.crops(rows)
    assert view.table["status"].tolist() == ["ok", "missing"] + ["ok"] * 6
    assert len(view.stack()) == view.offsets[-1]
    rows.paths[1].write_bytes(first)
    swapped = extractor.crops(rows)
    assert torch.equal(swapped.features(0), clean[2].features(1))
    assert torch.equal(swapped.features(1), clean[2].features(0))
    shutil.rmtree(rows.root)
    assert set(extractor.crops(rows).table["status"]) == {"missing"}
    assert encoded == []


def test_bad_pictures_are_rows_with_a_reason_and_are_not_read_twice(tmp_path, encoded):
    bad = ["text.jpg", "folder.png", "gone.png"]
    rows = manifest(tmp_path / "p", [*pictures(tmp_path / "p", 2), *bad])
    (tmp_path / "p" / "text.jpg").write_text("no picture")
    (tmp_path / "p" / "folder.png").mkdir()
    extractor = Extractor(PlainScorer(), tmp_path / "s")
    expected = ["ok", "ok", "unsupported", "not_a_file", "missing"]
    for _ in range(2):
        view = extractor.crops(rows)
        assert view.table["status"].tolist() == expected
        assert view.table["message"].iloc[2:].str.len().gt(0).all()
        with pytest.raises(StoreError, match=r"gone\.png has no features: missing"):
            view.features(4)
        assert sorted(encoded) == ["p0.png", "p1.png", "text.jpg"]
        assert len(packs(tmp_path / "s")) == 1
    assert open_pack(packs(tmp_path / "s")[0]).crops.table["status"].tolist() == expected
    picture(tmp_path / "p" / "text.jpg", 5)
    repaired = extractor.crops(rows)
    assert repaired.table["status"].tolist() == ["ok", "ok", "ok", *expected[3:]]


def test_a_file_that_changes_while_it_is_read_has_the_features_of_the_bytes_that_were_read(
    copy, monkeypatch
):
    rows, extractor = copy
    path, load = rows.paths[0], extraction.load_picture
    rows = rows.subset(rows.table["path"] == "p0.png")

    def slow(path, **options):
        loaded = load(path, **options)
        picture(path, 100)
        return loaded

    picture(path, 99)
    read, expected = path.read_bytes(), PlainScorer().extract(path, NATIVE).features
    monkeypatch.setattr(extraction, "load_picture", slow)
    view = extractor.crops(rows)
    monkeypatch.undo()
    assert view.table["sha256"].tolist() == [hashlib.sha256(read).hexdigest()]
    assert torch.equal(view.features(0), expected)
    assert extractor.pending(rows) == [path]
    again = extractor.crops(rows)
    assert torch.equal(again.features(0), PlainScorer().extract(path, NATIVE).features)


# What is damaged, foreign or old -------------------------------------------------------------


@pytest.mark.parametrize("what", ["is damaged", "was made under another configuration"])
@pytest.mark.parametrize("kind", ["pack", "picture"])
def test_what_is_no_whole_file_of_ours_costs_a_recomputation_and_no_wrong_number(
    clean, copy, kind, what, monkeypatch
):
    rows, extractor = copy
    half = replace(extractor, dtype="fp16")
    for one in (extractor, half):
        one.crops(rows)
        if kind == "picture":  # stopped before the last one
            packs(one.folder)[-1].unlink()
            with monkeypatch.context() as stopped:
                stopped.setattr(FeatureStore, "serve", lambda *arguments: ["stopped"])
                one.crops(rows)
    folders = [one.folder / one.config(rows).sha256[:16] for one in (extractor, half)]
    pattern = "*.safetensors" if kind == "pack" else "pictures/*.safetensors"
    path = min(folders[0].glob(pattern))
    content = bytearray(path.read_bytes())
    content[-100] ^= 4
    if what != "is damaged":
        content = min(folders[1].glob(pattern)).read_bytes()
    path.write_bytes(content)
    with pytest.warns(StoreWarning, match=f"{path.name} {what}.*set aside"):
        same(extractor.crops(rows), clean[2])
    assert path.with_name(path.name + ".corrupt").exists()


def test_a_store_of_before_is_refused_in_one_sentence(clean, tmp_path):
    (tmp_path / "0123456789abcdef" / "shards").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"in shards.*delete it or .*--store.*maclip-lab features"):
        Extractor(PlainScorer(), tmp_path).crops(clean[0])


def test_every_field_of_the_configuration_is_in_its_hash():
    changes = {
        "weights_sha256": "cd" * 32, "precision": "bf16", "preset": "default", "dtype": "fp16",
        "protocol": Protocol(stride=64), "pos_embedding": True, "quick_gelu": False,
    }  # fmt: skip
    assert set(changes) == set(vars(CONFIG))
    others = [replace(CONFIG, **{field: value}) for field, value in changes.items()]
    assert len({config.sha256 for config in [CONFIG, *others]}) == len(others) + 1
    assert {len(CONFIG.fields.items() - other.fields.items()) for other in others} == {1}
    for field, value in {"dtype": "fp64", "preset": "odd"}.items():
        with pytest.raises(ValueError, match=f"{field} is .*{value}"):
            replace(CONFIG, **{field: value})


# What it will cost ---------------------------------------------------------------------------


def test_an_estimate_counts_the_crops_that_are_pending_and_survives_any_picture(tmp_path):
    names = [*pictures(tmp_path / "p", 3), "small.png", "giant.png", "none.png"]
    picture(tmp_path / "p" / "small.png", 0, (50, 100))
    (tmp_path / "p" / "giant.png").write_bytes(header_of(30_000, 30_000))
    (tmp_path / "p" / "none.png").write_bytes(b"no picture")
    rows = manifest(tmp_path / "p", names)
    extractor = Extractor(Maclip(RN, device="cpu"), tmp_path / "s")
    assert len(extractor.pending(rows)) == 6
    promised = extractor.estimate(rows)
    view = extractor.crops(rows)
    assert f"6 pictures, about {view.offsets[-1]} crops" in promised
    assert view.table["status"].tolist() == ["ok"] * 4 + ["too_large", "unsupported"]
    assert extractor.pending(rows) == []
    assert "every feature is in the store" in extractor.estimate(rows)
    assert len(held(tmp_path / "s")) == 6
