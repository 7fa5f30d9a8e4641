"""A store: several processes, a full disk, no rights; pictures that change; clocks that lie.

Faults 3 to 5, 17, 18, 22 and 23 of the list in README.md. Flipped bits, lost memos, edited, renamed
and vanished pictures are in tests/features/test_store.py, writing one file in
tests/files/test_atomic.py.
"""

import os
import random
import time

import pytest
import torch
from PIL import Image

from maclip_lab.ablations.sweeps import score_store, sweep
from maclip_lab.features import Extractor
from tests.faults import victims
from tests.faults.conftest import inventory
from tests.store_world import PlainScorer, manifest, packs, picture, pictures, stored


@pytest.mark.parametrize("seed", range(3))
def test_three_processes_share_a_store_while_one_is_killed(seed, start, rows, clean, tmp_path):
    dice = random.Random(seed)
    team = [start(victims.extract, rows, tmp_path) for _ in range(3)]
    for _ in range(dice.randrange(1, 4)):
        team[0].hear()
    time.sleep(dice.random() * 0.05)
    team[0].process.kill()
    for survivor in team[1:]:
        survivor.finish()
    view = stored(rows, tmp_path)
    assert len(view.ok) == len(rows)
    assert torch.equal(view.stack(), clean.stack())


def test_a_readers_view_holds_while_others_write(start, rows, clean, tmp_path):
    first = rows.subset([i < 3 for i in range(len(rows))])
    start(victims.extract, first, tmp_path).finish()
    view = stored(first, tmp_path)
    writer = start(victims.extract, rows, tmp_path)
    while isinstance(writer.hear(), str):
        assert torch.equal(view.stack(), clean.stack()[: view.offsets[-1]])
    assert torch.equal(view.stack(), clean.stack()[: view.offsets[-1]])
    assert len(packs(tmp_path)) == 1


def test_a_picture_from_the_future_is_extracted_once_and_again_where_its_pack_is_deleted(tmp_path):
    picture(tmp_path / "p0.png", 0)
    rows, extractor = manifest(tmp_path, ["p0.png"]), Extractor(PlainScorer(), tmp_path / "store")
    for when in (4e9, 0, -1):
        os.utime(tmp_path / "p0.png", (when, when))
        view = extractor.crops(rows)
        assert len(view.ok) == 1
    (path,) = tmp_path.rglob("*.safetensors")
    kept = view.stack().clone()
    path.unlink()
    assert extractor.pending(rows) == rows.paths
    assert torch.equal(extractor.crops(rows).stack(), kept)


def test_a_flipped_bit_in_a_picture_that_still_decodes_changes_its_recorded_sha256(tmp_path):
    picture(tmp_path / "p.jpg", 0)
    rows, extractor = manifest(tmp_path, ["p.jpg"]), Extractor(PlainScorer(), tmp_path / "store")
    before = extractor.crops(rows)
    data = bytearray((tmp_path / "p.jpg").read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "p.jpg").write_bytes(data)
    assert extractor.pending(rows) == rows.paths
    after = extractor.crops(rows)
    assert after.table["status"].tolist() == ["ok"]
    assert after.table["sha256"].tolist() != before.table["sha256"].tolist()


@pytest.mark.parametrize(
    "change", [{"precision": "bf16"}, {"preset": "official"}, {"dtype": "fp16"}]
)
def test_features_made_another_way_are_not_served(change, tmp_path):
    picture(tmp_path / "p0.png", 0)
    rows, scorer = manifest(tmp_path, ["p0.png"]), PlainScorer()
    Extractor(scorer, tmp_path / "store").crops(rows)
    scorer.encoder.precision = change.pop("precision", "fp32")
    extractor = Extractor(scorer, tmp_path / "store", **change)
    assert extractor.pending(rows) == rows.paths
    extractor.crops(rows)
    assert len(packs(tmp_path / "store")) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_features_that_are_not_finite_are_flagged_and_never_averaged_and_zeros_are(value, tmp_path):
    scorer = PlainScorer()
    sound = scorer.encoder.encode_picture

    def breaking(pixels, *rest):
        features = sound(pixels, *rest)
        if pixels[0, 0, 0] == 255:
            features[0, 0] = value
        return features * (pixels.max() > 0)

    names = pictures(tmp_path, 5)
    for name, colour in (("p2.png", "white"), ("p3.png", "black")):
        Image.new("RGB", (224, 224), colour).save(tmp_path / name)
    scorer.encoder.encode_picture = breaking
    view = Extractor(scorer, tmp_path / "store").crops(manifest(tmp_path, names))
    table = score_store(view, scorer.anchors)
    assert table["status"].tolist() == ["ok", "ok", "nonfinite", "ok", "ok"]
    assert table["score"].isna().tolist() == [False, False, True, False, False]
    assert table.loc[3, ["q_cos", "q_mag"]].tolist() == [0.5, 0.0]
    swept = sweep(view, scorer.anchors)
    assert (swept["n"].tolist(), swept["n_dropped"].tolist()) == ([4], [1])


STRAY = {
    "a folder": lambda path: path.mkdir(),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a pipe": os.mkfifo,
    "an empty file": lambda path: path.touch(),
    "a header that lies": lambda path: path.write_bytes(b"\xff" * 100),
    "a header without end": lambda path: path.write_bytes(b"@\r\x03" + b"\0" * 5 + b"[" * 200_000),
}


@pytest.mark.filterwarnings("ignore::maclip_lab.features.features.StoreWarning")
@pytest.mark.parametrize("what", STRAY)
def test_a_stray_under_the_name_of_a_pack_or_a_picture_changes_nothing(what, tmp_path):
    picture(tmp_path / "p0.png", 0)
    rows, extractor = manifest(tmp_path, ["p0.png"]), Extractor(PlainScorer(), tmp_path / "store")
    before = extractor.crops(rows)
    folder = packs(tmp_path / "store")[0].parent
    STRAY[what](folder / f"{'0' * 12}-{'0' * 20}.safetensors")
    STRAY[what](folder / "pictures" / f"{'0' * 64}.safetensors")
    assert torch.equal(extractor.crops(rows).stack(), before.stack())


@pytest.mark.parametrize("text", ["[1]", "null", '"x"', "[" * 200_000, '{"model_type": "clip"}'])
def test_a_configuration_of_another_package_in_the_store_is_passed_over(text, rows, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(text)
    (tmp_path / "folder" / "config.json").mkdir(parents=True)
    assert len(Extractor(PlainScorer(), tmp_path).crops(rows).ok) == len(rows)


# A disk that is full, a folder that cannot be written to ----------------------------------------


@pytest.fixture
def full(start, tmp_path):
    """What a task says on a full disk."""
    (tmp_path / "pictures").mkdir()
    picture(tmp_path / "pictures" / "p0.png", 0, (900, 900))
    return lambda task: start(victims.on_a_full_disk, task, tmp_path).finish()[0]


@pytest.fixture
def nobody(start, world):
    """What a task says when it is done without the right to write."""
    return lambda task: start(victims.as_nobody, task, world).finish()[0]


def test_a_full_disk_stops_an_extraction_leaves_nothing_half_and_what_was_there(full, tmp_path):
    extractor = Extractor(PlainScorer(), tmp_path / "store")
    before = extractor.crops(manifest(tmp_path / "pictures", ["p0.png"])).features(0)
    files = inventory(tmp_path / "store")
    picture(tmp_path / "pictures" / "p1.png", 1, (900, 900))
    said = full(victims.extraction)
    assert said.startswith("StorageFullError")
    assert "no room for the " in said
    assert "what is finished is kept" in said
    left = inventory(tmp_path / "store")
    assert files.items() <= left.items()
    assert [path.rpartition("/")[2] for path in left.keys() - files] == ["config.json"]
    after = extractor.crops(manifest(tmp_path / "pictures", ["p0.png", "p1.png"]))
    assert torch.equal(after.features(0), before)


def test_a_table_that_does_not_fit_leaves_the_old_one_and_its_record(full, tmp_path):
    victims.long_table(tmp_path)
    files = inventory(tmp_path / "out")
    assert full(victims.long_table).startswith("StorageFullError")
    assert inventory(tmp_path / "out") == files


def lock(folder):
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_store_that_cannot_be_written_to_is_still_read(nobody, world):
    (world / "store").mkdir(mode=0o777)
    assert nobody(victims.extraction) == "['ok', 'ok', 'ok']"
    lock(world / "store")
    assert nobody(victims.extraction) == "['ok', 'ok', 'ok']"


def test_a_store_in_a_folder_that_cannot_be_written_to_is_named(nobody, world):
    (world / "store").write_text("a file in place of the folder")
    said = nobody(victims.extraction)
    assert said.startswith(f"StoreError: no store can be kept in {world / 'store'}")
    assert said.endswith("name another store folder")


def test_scoring_to_memory_needs_no_folder_and_what_may_not_be_read_is_a_row(nobody, world):
    lock(world)
    (world / "pictures" / "p1.png").chmod(0)
    said = nobody(victims.scores)
    assert said.startswith("['ok', 'unreadable', 'ok'")
    assert "Permission denied" in said
