import os
import shutil

import pytest
import torch
from PIL import Image

from maclip_lab import Maclip
from maclip_lab.crops import NATIVE, Protocol
from maclip_lab.features import extract_features, extraction, feature_config, open_features
from maclip_lab.features.store import StoreError, StoreWarning
from maclip_lab.files import identity
from maclip_lab.files.identity import file_times
from tests.conftest import posix
from tests.store_world import RN, PlainScorer, manifest, picture, pictures


@pytest.fixture(scope="module")
def scorer():
    return PlainScorer()


@pytest.fixture(scope="module")
def clean(tmp_path_factory, scorer):
    """Pictures, their manifest, and the store of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("clean")
    names = pictures(folder / "pictures")
    rows = manifest(folder / "pictures", names)
    return rows, folder / "store", extract_features(rows, scorer, folder / "store", shard_size=3)


@pytest.fixture
def copy(clean, tmp_path):
    """The same pictures and store, to be spoilt."""
    rows, store, _ = clean
    shutil.copytree(rows.root, tmp_path / "pictures")
    shutil.copytree(store, tmp_path / "store")
    return manifest(tmp_path / "pictures", list(rows.table["path"])), tmp_path / "store"


def count_encoded(monkeypatch):
    """A list that grows by one for every picture encoded."""
    encoded = []
    encode = extraction._encode

    def counted(seen, *rest):
        encoded.append(seen.record.path)
        return encode(seen, *rest)

    monkeypatch.setattr(extraction, "_encode", counted)
    return encoded


def same(ours, theirs):
    assert ours.table["status"].tolist() == theirs.table["status"].tolist()
    assert ours.table["sha256"].tolist() == theirs.table["sha256"].tolist()
    for i in ours.ok:
        assert torch.equal(ours.features(i), theirs.features(i))
        assert ours.grid(i) == theirs.grid(i)


def test_stored_features_are_those_of_the_scorer_to_the_bit(tmp_path):
    scorer = Maclip(RN, device="cpu")
    rows = manifest(tmp_path, pictures(tmp_path, 3))
    extract_features(rows.subset([True, False, True]), scorer, tmp_path / "store")
    view = extract_features(rows, scorer, tmp_path / "store")
    for i, path in enumerate(rows.paths):
        direct = scorer.extract(path, rows.protocol, preset="official")
        assert torch.equal(view.features(i), direct.features)
        assert view.grid(i) == direct.grid
        assert scorer.score(view.picture(i)).score == scorer.score(direct).score
    assert set(view.table["status"]) == {"ok"}


def test_flat_crops_lie_in_the_manifests_order(clean):
    _, _, view = clean
    pieces = [view.features(i) for i in range(len(view))]
    assert torch.equal(view.stack(), torch.cat(pieces))
    assert view.offsets.tolist() == [0, *torch.tensor([len(p) for p in pieces]).cumsum(0).tolist()]
    assert view.segments.tolist() == [i for i, piece in enumerate(pieces) for _ in piece]
    assert max(len(block) for block in view.blocks(crops=2)) == 2
    assert view.grids.tolist() == [[g.rows, g.cols] for g in map(view.grid, range(len(view)))]
    assert "8 of 8 pictures" in repr(view)


def test_rows_in_another_order_are_served_in_that_order(clean, scorer):
    rows, store, view = clean
    names = list(rows.table["path"])[::-1]
    back = open_features(manifest(rows.root, names), view.config, store)
    for i in range(len(names)):
        assert torch.equal(back.features(i), view.features(len(names) - 1 - i))
    pieces = [back.features(i) for i in range(len(names))]
    assert torch.equal(back.stack(), torch.cat(pieces))


def test_a_finished_store_computes_nothing_again(clean, copy, scorer, monkeypatch):
    rows, store = copy
    encoded = count_encoded(monkeypatch)
    same(extract_features(rows, scorer, store), clean[2])
    assert encoded == []


def test_half_precision_is_close_and_kept_apart(clean, copy, scorer):
    rows, store = copy
    half = extract_features(rows, scorer, store, dtype="fp16")
    assert half.features(0).dtype == torch.float32
    torch.testing.assert_close(half.stack(), clean[2].stack(), rtol=1e-3, atol=1e-6)
    assert not torch.equal(half.stack(), clean[2].stack())
    assert torch.equal(open_features(rows, clean[2].config, store).stack(), clean[2].stack())


@pytest.mark.parametrize("system", ["posix", "nt"])
@pytest.mark.parametrize("keep_times", [False, True])
def test_an_edited_picture_is_never_served_its_old_features(
    clean, copy, scorer, monkeypatch, keep_times, system
):
    rows, store = copy
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
    stale = open_features(rows, clean[2].config, store)
    assert stale.table["status"].tolist() == ["ok", "ok", "not_extracted", *["ok"] * 5]
    with pytest.raises(StoreError, match=r"p2\.png has no features: not_extracted"):
        stale.features(2)
    encoded = count_encoded(monkeypatch)
    fresh = extract_features(rows, scorer, store)
    assert encoded == ["p2.png"]
    direct = scorer.extract(path, NATIVE)
    assert torch.equal(fresh.features(2), direct.features)


def test_a_picture_is_what_it_holds_not_what_it_is_called(clean, copy, scorer, monkeypatch):
    rows, store = copy
    rows.paths[0].rename(rows.root / "spare")
    rows.paths[1].rename(rows.paths[0])
    (rows.root / "spare").rename(rows.paths[1])
    encoded = count_encoded(monkeypatch)
    swapped = extract_features(rows, scorer, store)
    assert encoded == []
    assert torch.equal(swapped.features(0), clean[2].features(1))
    assert torch.equal(swapped.features(1), clean[2].features(0))


def test_a_vanished_picture_is_a_row_that_says_so_and_comes_back(clean, copy, scorer):
    rows, store = copy
    content = rows.paths[3].read_bytes()
    rows.paths[3].unlink()
    view = extract_features(rows, scorer, store)
    assert view.table.loc[3, "status"] == "missing"
    assert len(view.ok) == 7
    assert len(view.stack()) == view.offsets[-1] == len(view.segments)
    rows.paths[3].write_bytes(content)
    same(extract_features(rows, scorer, store), clean[2])


def test_pictures_that_are_not_at_hand_are_missing(clean, copy):
    rows, store = copy
    shutil.rmtree(rows.root)
    assert set(open_features(rows, clean[2].config, store).table["status"]) == {"missing"}


@posix
def test_bad_pictures_are_rows_with_a_reason_and_are_not_read_twice(tmp_path, scorer, monkeypatch):
    bad = ["text.jpg", "empty.png", "folder.png", "gone.png", "pipe.png"]
    names = [*pictures(tmp_path / "p", 2), *bad]
    (tmp_path / "p" / "text.jpg").write_text("no picture")
    (tmp_path / "p" / "empty.png").touch()
    (tmp_path / "p" / "folder.png").mkdir()
    os.mkfifo(tmp_path / "p" / "pipe.png")
    rows = manifest(tmp_path / "p", names)
    view = extract_features(rows, scorer, tmp_path / "s")
    expected = ["ok", "ok", "unsupported", "empty", "not_a_file", "missing", "not_a_file"]
    assert view.table["status"].tolist() == expected
    assert view.table["message"].iloc[2:].str.len().gt(0).all()
    with pytest.raises(StoreError, match=r"gone\.png has no features: missing"):
        view.features(5)
    shards = list((tmp_path / "s").rglob("*.safetensors"))
    encoded = count_encoded(monkeypatch)
    assert extract_features(rows, scorer, tmp_path / "s").table["status"].tolist() == expected
    assert encoded == []
    assert list((tmp_path / "s").rglob("*.safetensors")) == shards
    picture(tmp_path / "p" / "text.jpg", 5)
    repaired = extract_features(rows, scorer, tmp_path / "s")
    assert repaired.table["status"].tolist() == ["ok", "ok", "ok", *expected[3:]]


def test_a_flipped_byte_costs_a_recomputation_and_no_wrong_number(clean, copy, scorer):
    rows, store = copy
    shard = sorted(store.rglob("*.safetensors"))[0]
    damaged = bytearray(shard.read_bytes())
    damaged[-100] ^= 4
    shard.write_bytes(damaged)
    with pytest.warns(StoreWarning, match=f"{shard.name} is damaged"):
        view = extract_features(rows, scorer, store, shard_size=3)
    same(view, clean[2])


def test_a_lost_index_changes_nothing(clean, copy, scorer, monkeypatch):
    rows, store = copy
    next(store.rglob("index.parquet")).unlink()
    encoded = count_encoded(monkeypatch)
    same(extract_features(rows, scorer, store), clean[2])
    assert encoded == []


def test_a_store_of_another_configuration_is_refused_by_field(clean, scorer):
    rows, store, view = clean
    for change, words in {
        "preset": "preset is 'official' here and 'default' there",
        "dtype": "dtype is 'fp16' here and 'fp32' there",
        "protocol": "protocol.stride is 64 here and 128 there",
    }.items():
        value = {"preset": "official", "dtype": "fp16", "protocol": Protocol(stride=64)}[change]
        config = feature_config(rows, scorer, **{change: value})
        with pytest.raises(StoreError, match=words):
            open_features(rows, config, store)
    with pytest.raises(StoreError, match="extract_features makes one"):
        open_features(rows, view.config, store / "elsewhere")


def test_shards_are_cut_short_where_pictures_are_large(clean, scorer, tmp_path, monkeypatch):
    rows, _, whole = clean
    monkeypatch.setattr(extraction, "SHARD_BYTES", 1)
    same(extract_features(rows, scorer, tmp_path), whole)
    assert len(list(tmp_path.rglob("*.safetensors"))) == len(rows)


def test_a_file_that_changes_while_it_is_read_is_not_trusted(clean, copy, scorer, monkeypatch):
    rows, _ = copy
    load = extraction.load_picture

    def slow(path, **options):
        loaded = load(path, **options)
        path.write_bytes(path.read_bytes())
        return loaded

    monkeypatch.setattr(extraction, "load_picture", slow)
    view = extract_features(rows.sample(1), scorer, rows.root / "store")
    assert view.table["status"].tolist() == ["unreadable"]
    assert "changes while it is read" in view.table["message"][0]


def test_too_small_a_picture_follows_the_protocol(tmp_path, scorer):
    picture(tmp_path / "small.png", 0, (40, 60))
    rows = manifest(tmp_path, ["small.png"])
    view = extract_features(rows, scorer, tmp_path / "s")
    assert view.table["flags"][0] == "upscaled"
    strict = extract_features(rows, scorer, tmp_path / "s", protocol=Protocol(small="error"))
    assert strict.table["status"][0] == "too_small"
    assert strict.offsets.tolist() == [0]


def test_a_shard_holds_at_least_one_picture(clean, scorer, tmp_path):
    with pytest.raises(ValueError, match="shard_size is a number of pictures, got 0"):
        extract_features(clean[0], scorer, tmp_path, shard_size=0)


def test_the_progress_bar_goes_on_from_what_the_store_holds(tmp_path, capsys):
    names = pictures(tmp_path / "p", 6)
    extract_features(manifest(tmp_path / "p", names[:4]), PlainScorer(), tmp_path / "s")
    capsys.readouterr()
    rows = manifest(tmp_path / "p", names)
    extract_features(rows, PlainScorer(), tmp_path / "s", shard_size=1, progress=True)
    shown = capsys.readouterr().err.replace("\r", "\n").split("\n")
    assert "4/6" in next(line for line in shown if line)
    assert "6/6" in shown[-2] or "6/6" in shown[-1]
