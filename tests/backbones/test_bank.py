import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from backbones.bank import (
    MIXTURES,
    BankSettings,
    Photograph,
    collect,
    content_of,
    draw_degradations,
    open_bank,
    read_captions,
    render_bank,
    render_view,
)
from backbones.captions import FAULTS, SEEN_TYPES, UNSEEN_TYPES
from tests.backbones.conftest import fill

SETTINGS = BankSettings(samples=10, side=48)


@pytest.fixture
def photographs(tmp_path) -> list[Photograph]:
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (4, 60, 80, 3), np.uint8)):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return [Photograph(tmp_path / f"{i}.png", ("a cat",) * (i % 2)) for i in range(4)]


def test_a_stopped_rendering_goes_on_to_the_same_bytes(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr("backbones.bank._BLOCK", 4)
    for name in "ab":
        render_bank(photographs, tmp_path / name, SETTINGS)
    whole, folder = open_bank(tmp_path / "a"), tmp_path / "b"
    views = np.load(folder / "views.npy", mmap_mode="r+")
    views["done"][4:], views["pixels"][4:] = False, 0
    with pytest.raises(ValueError, match="no finished bank"):
        open_bank(folder)
    render_bank(photographs, folder, SETTINGS)
    assert open_bank(folder).views.tobytes() == whole.views.tobytes()
    assert whole.views["pixels"].any(axis=(1, 2, 3)).all()
    assert whole.sentences == ((), ("a cat",), (), ("a cat",))


def test_a_folder_with_another_bank_is_refused_and_the_difference_named(photographs, tmp_path):
    render_bank(photographs, tmp_path / "a", SETTINGS)
    with pytest.raises(ValueError, match=r"another bank \(seed: 0, now 1"):
        render_bank(photographs, tmp_path / "a", replace(SETTINGS, seed=1))
    with pytest.raises(ValueError, match=r"another bank \(photographs"):
        render_bank(photographs[1:], tmp_path / "a", SETTINGS)
    with pytest.raises(ValueError, match="3 views do not show 4 photographs"):
        render_bank(photographs, tmp_path / "a", replace(SETTINGS, samples=3))
    note = tmp_path / "a" / "bank.json"
    known = json.loads(note.read_text())
    del known["contents"]
    note.write_text(json.dumps(known))
    with pytest.raises(ValueError, match=r"another bank \(contents: None"):
        render_bank(photographs, tmp_path / "a", SETTINGS)


def test_unreadable_photographs_are_named_and_left_out(photographs, tmp_path):
    whole = photographs[0].path.read_bytes()
    photographs[0].path.write_bytes(whole[: len(whole) // 2])
    photographs[2].path.write_bytes(b"no picture")
    (note,) = render_bank(photographs, tmp_path / "a", SETTINGS)
    assert "2 photographs" in note
    assert "2.png" in note
    assert open_bank(tmp_path / "a").sentences == (("a cat",), ("a cat",))


def test_the_smallest_scale_shows_a_whole_photograph():
    wave = np.tile(np.linspace(0, 255, 96).astype(np.uint8)[:, None, None], (1, 96, 3))
    bare = replace(SETTINGS, counts=(1.0,), thumbnails=0.0)
    views = [render_view(Image.fromarray(wave), i, bare)[0].astype(int) for i in range(40)]
    reach = [np.ptp(view) for view in views]
    assert max(reach) > 240
    assert min(reach) < 180


def test_every_type_with_a_word_is_drawn_and_the_unseen_never():
    draws = (draw_degradations(np.random.default_rng(i), BankSettings()) for i in range(500))
    drawn = {name for draw in draws for name, _ in draw}
    assert drawn == set(SEEN_TYPES) == set(FAULTS)
    assert not set(UNSEEN_TYPES) & {*drawn, *(name for mixture in MIXTURES for name in mixture)}


COLOURS = {"blue": (0, 0, 200), "green": (0, 200, 0), "purple": (150, 0, 150),
           "brown": (150, 90, 40), "grey": (128, 128, 128)}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "shown", "without"),
    [(0, "blue", "brown"), (1, "green", "purple"), (2, "blue", "grey"), (3, "halves", "grey"),
     (4, "noise", "halves"), (6, "halves", "grey"), (7, "brown", "blue")],
)  # fmt: skip
def test_every_property_of_content_tells_what_its_captions_say(told, shown, without):
    pictures = {name: np.full((32, 32, 3), c, np.uint8) for name, c in COLOURS.items()}
    pictures["halves"] = np.repeat([[[250]], [[5]]], 16, axis=0).repeat(32, 1).repeat(3, 2)
    pictures["noise"] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    values = {name: content_of(pixels.astype(np.uint8)) for name, pixels in pictures.items()}
    assert values[shown][told] > values[without][told] + 0.05


def test_upright_edges_are_told_from_lying_ones():
    stripes = np.indices((32, 32))[1] // 4 % 2 * 255
    upright = np.repeat(stripes[..., None], 3, axis=2).astype(np.uint8)
    assert content_of(upright)[5] > 1
    assert content_of(upright.transpose(1, 0, 2))[5] < -1


def test_content_is_read_before_the_degradation():
    settings = replace(SETTINGS, thumbnails=0.0, counts=(0.0, 1.0))
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    photograph = Image.fromarray(noise)
    clean, _, told = render_view(photograph, 0, replace(settings, counts=(1.0,)))
    harmed, applied, same = render_view(photograph, 0, settings)
    assert applied
    assert not np.array_equal(clean, harmed)
    assert np.array_equal(told, same)
    assert np.array_equal(told, content_of(clean))


def test_every_photograph_has_one_purpose_and_keeps_it_beside_other_folders(tmp_path):
    plain, told = fill(tmp_path / "plain", 40), fill(tmp_path / "told", 100, captioned=60)
    alone, both = collect([told]), collect([plain, told])
    learned = (both.training, both.choosing, both.retrieval)
    parts = [[p.path for p in part] for part in learned] + list(both.severity)
    together = sorted(path for part in parts for path in part)
    assert together == sorted([*plain.glob("*.png"), *told.glob("*.png")])
    assert [len(part) for part in parts] == [132, 2, 3, 1, 1, 1]
    assert all(len(p.sentences) == 2 for p in both.choosing + both.retrieval)
    assert sum(not p.sentences for p in alone.training) == 40
    assert (alone.severity, alone.retrieval) == (([], [], []), both.retrieval)
    assert collect([plain]).severity == both.severity


def test_captions_of_absent_photographs_are_counted_named_and_skipped(tmp_path):
    told = fill(tmp_path / "told", 20, captioned=20)
    (told / "003.png").unlink()
    (told / "007.png").unlink()
    rest = collect([told])
    assert "2 photographs (003.png, 007.png)" in rest.notes[0]
    assert len(rest.training) + len(rest.choosing) + len(rest.retrieval) == 18


def test_a_line_without_a_sentence_and_a_folder_without_photographs_are_named(tmp_path):
    with pytest.raises(ValueError, match=f"no photographs below {tmp_path}"):
        collect([tmp_path])
    path = tmp_path / "captions.tsv"
    path.write_text("a.png\ta cat\nb.png a dog\n")
    with pytest.raises(ValueError, match="line 2: expected a path, a tab and a sentence"):
        read_captions(path)
