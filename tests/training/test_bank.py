import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maclip_lab.training.bank import (
    MIXTURES,
    SEEN_TYPES,
    UNSEEN_TYPES,
    BankSettings,
    content_of,
    draw_degradations,
    open_bank,
    render_bank,
    render_view,
)
from maclip_lab.training.photographs import Photograph

SETTINGS = BankSettings(samples=10, side=48)


@pytest.fixture
def photographs(tmp_path: Path) -> list[Photograph]:
    generator = np.random.default_rng(0)
    found = []
    for i in range(4):
        pixels = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        found.append(Photograph(tmp_path / f"{i}.png", ("a cat",) * (i % 2)))
    return found


def test_a_stopped_rendering_goes_on_to_the_same_bytes(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maclip_lab.training.bank._BLOCK", 4)
    for name in "ab":
        render_bank(photographs, tmp_path / name, SETTINGS)
    whole, folder = open_bank(tmp_path / "a"), tmp_path / "b"
    done = np.load(folder / "done.npy")
    assert len(done) == 3
    done[1:] = False
    np.save(folder / "done.npy", done)
    pixels = np.load(folder / "pixels.npy")
    pixels[4:] = 0
    np.save(folder / "pixels.npy", pixels)
    with pytest.raises(ValueError, match="no finished bank"):
        open_bank(folder)
    render_bank(photographs, folder, SETTINGS)
    again = open_bank(folder)
    assert np.array_equal(whole.pixels, again.pixels)
    assert np.array_equal(whole.types, again.types)
    assert np.array_equal(whole.severities, again.severities)
    assert np.array_equal(whole.contents, again.contents)
    assert again.sentences == ((), ("a cat",), (), ("a cat",))


def test_a_folder_with_another_bank_is_refused_and_the_difference_named(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    render_bank(photographs, tmp_path / "a", SETTINGS)
    with pytest.raises(ValueError, match=r"another bank \(seed: 0, now 1"):
        render_bank(photographs, tmp_path / "a", replace(SETTINGS, seed=1))
    with pytest.raises(ValueError, match=r"another bank \(photographs"):
        render_bank(photographs[1:], tmp_path / "a", SETTINGS)
    note = tmp_path / "a" / "bank.json"
    known = json.loads(note.read_text())
    del known["contents"]
    note.write_text(json.dumps(known))
    with pytest.raises(ValueError, match=r"another bank \(contents: None"):
        render_bank(photographs, tmp_path / "a", SETTINGS)


def test_an_unreadable_photograph_is_told_and_left_out(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    photographs[2].path.write_bytes(b"no picture")
    notes = render_bank(photographs, tmp_path / "a", SETTINGS)
    assert "2.png" in notes[0]
    assert open_bank(tmp_path / "a").sentences == ((), ("a cat",), ("a cat",))


def test_more_photographs_than_views_are_refused(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="3 views do not show 4 photographs"):
        render_bank(photographs, tmp_path / "a", replace(SETTINGS, samples=3))


def test_the_smallest_scale_shows_a_whole_photograph() -> None:
    wave = np.tile(np.linspace(0, 255, 96).astype(np.uint8)[:, None, None], (1, 96, 3))
    bare = replace(SETTINGS, counts=(1.0,), thumbnails=0.0)
    reach = [
        int(render_view(Image.fromarray(wave), i, bare)[0].max())
        - int(render_view(Image.fromarray(wave), i, bare)[0].min())
        for i in range(40)
    ]
    assert max(reach) > 240
    assert min(reach) < 180


def test_a_view_without_degradations_is_left_alone(photographs: list[Photograph]) -> None:
    image = Image.open(photographs[0].path)
    pixels, applied, _ = render_view(image, 3, replace(SETTINGS, counts=(1.0,)))
    assert applied == []
    assert pixels.shape == (48, 48, 3)


def test_unseen_types_are_never_drawn() -> None:
    drawn = {
        name
        for seed in range(500)
        for name, _ in draw_degradations(np.random.default_rng(seed), BankSettings())
    }
    assert drawn == set(SEEN_TYPES)
    assert not set(UNSEEN_TYPES) & {name for mixture in MIXTURES for name in mixture}


@pytest.mark.parametrize(
    ("told", "shown", "without"),
    [
        (0, "blue", "brown"),
        (1, "green", "purple"),
        (2, "blue", "grey"),
        (3, "halves", "grey"),
        (4, "noise", "halves"),
        (6, "halves", "grey"),
        (7, "brown", "blue"),
    ],
)
def test_every_property_of_content_tells_what_its_captions_say(
    told: int, shown: str, without: str
) -> None:
    colours = {
        "blue": (0, 0, 200),
        "green": (0, 200, 0),
        "purple": (150, 0, 150),
        "brown": (150, 90, 40),
        "grey": (128, 128, 128),
    }
    pictures = {name: np.full((32, 32, 3), c, np.uint8) for name, c in colours.items()}
    pictures["halves"] = np.repeat([[[250]], [[5]]], 16, axis=0).repeat(32, 1).repeat(3, 2)
    pictures["noise"] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    values = {name: content_of(pixels.astype(np.uint8)) for name, pixels in pictures.items()}
    assert values[shown][told] > values[without][told] + 0.05


def test_upright_edges_are_told_from_lying_ones() -> None:
    stripes = np.indices((32, 32))[1] // 4 % 2 * 255
    upright = np.repeat(stripes[..., None], 3, axis=2).astype(np.uint8)
    assert content_of(upright)[5] > 1
    assert content_of(upright.transpose(1, 0, 2))[5] < -1


def test_content_is_read_before_the_degradation() -> None:
    settings = replace(SETTINGS, thumbnails=0.0, counts=(0.0, 1.0))
    photograph = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    )
    clean, _, told = render_view(photograph, 0, replace(settings, counts=(1.0,)))
    harmed, applied, same = render_view(photograph, 0, settings)
    assert applied
    assert not np.array_equal(clean, harmed)
    assert np.array_equal(told, same)
    assert np.array_equal(told, content_of(clean))
