"""Several processes on one store, one of them killed; pictures that change; clocks that lie.

Faults 5, 17, 22 and 23 of the list in README.md. Flipped bits, lost memos, edited, renamed and
vanished pictures are in tests/features/test_store.py.
"""

import os
import random
import time

import numpy as np
import pytest
import torch
from PIL import Image

from maclip_lab.ablations.sweeps import score_store, sweep
from maclip_lab.features import Extractor
from tests.faults import victims
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
        while isinstance(survivor.hear(), str):
            pass
        assert survivor.end() == 0
    view = stored(rows, tmp_path)
    assert len(view.ok) == len(rows)
    assert torch.equal(view.stack(), clean.stack())


def test_a_readers_view_holds_while_others_write(start, rows, clean, tmp_path):
    first = rows.subset([i < 3 for i in range(len(rows))])
    reader = start(victims.extract, first, tmp_path)
    while isinstance(reader.hear(), str):
        pass
    view = stored(first, tmp_path)
    writer = start(victims.extract, rows, tmp_path)
    while isinstance(writer.hear(), str):
        assert torch.equal(view.stack(), clean.stack()[: view.offsets[-1]])
    assert torch.equal(view.stack(), clean.stack()[: view.offsets[-1]])
    assert len(packs(tmp_path)) == 1


def test_a_picture_from_the_future_is_extracted_once(tmp_path):
    picture(tmp_path / "p0.png", 0)
    for when in (4e9, 0, -1):
        os.utime(tmp_path / "p0.png", (when, when))
        view = Extractor(PlainScorer(), tmp_path / "store").crops(manifest(tmp_path, ["p0.png"]))
        assert len(view.ok) == 1
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_what_is_deleted_by_hand_is_computed_again(tmp_path):
    rows = manifest(tmp_path, pictures(tmp_path, 3))
    extractor = Extractor(PlainScorer(), tmp_path / "store")
    kept = extractor.crops(rows).stack()
    packs(tmp_path / "store")[0].unlink()
    assert len(extractor.pending(rows)) == 3
    assert torch.equal(extractor.crops(rows).stack(), kept)


def test_a_flipped_bit_in_a_picture_that_still_decodes_changes_its_recorded_sha256(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.jpg", quality=90)
    rows, extractor = manifest(tmp_path, ["p.jpg"]), Extractor(PlainScorer(), tmp_path / "store")
    before = extractor.crops(rows)
    data = bytearray((tmp_path / "p.jpg").read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "p.jpg").write_bytes(data)
    assert extractor.pending(rows) == rows.paths
    after = extractor.crops(rows)
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


def changed(change):
    """A scorer whose features of every picture are changed; ``change`` gets the pixels too."""
    scorer = PlainScorer()
    sound = scorer.encoder.encode_picture
    scorer.encoder.encode_picture = lambda pixels, *rest: change(sound(pixels, *rest), pixels)
    return scorer


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_features_that_are_not_finite_are_stored_flagged_and_never_averaged(value, tmp_path):
    def breaking(features, pixels):
        if pixels[0, 0, 0] == 255:
            features[0, 0] = value
        return features

    names = pictures(tmp_path, 5)
    Image.new("RGB", (224, 224), "white").save(tmp_path / "p2.png")
    scorer, rows = changed(breaking), manifest(tmp_path, names)
    view = Extractor(scorer, tmp_path / "store").crops(rows)
    table = score_store(view, scorer.anchors)
    assert table["status"].tolist() == ["ok", "ok", "nonfinite", "ok", "ok"]
    assert table["score"].isna().tolist() == [False, False, True, False, False]
    found = sweep(view, scorer.anchors)
    assert (found["n"].tolist(), found["n_dropped"].tolist()) == ([4], [1])


def test_features_that_are_all_zero_have_a_finite_score(tmp_path):
    picture(tmp_path / "p0.png", 0)
    scorer, rows = changed(lambda features, _: features * 0), manifest(tmp_path, ["p0.png"])
    table = score_store(Extractor(scorer, tmp_path / "store").crops(rows), scorer.anchors)
    assert table["status"].tolist() == ["ok"]
    assert table["q_cos"].tolist() == [0.5]
    assert table["q_mag"].tolist() == [0.0]


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
