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
    find_photographs,
    open_bank,
    render_bank,
    render_sample,
    split_photographs,
    view_content,
)

SETTINGS = BankSettings(samples=10, side=48, validation=1)


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    for i in range(4):
        pixels = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return find_photographs(tmp_path)


def test_a_stopped_rendering_goes_on_to_the_same_bytes(
    photographs: list[Path], tmp_path: Path
) -> None:
    whole = render_bank(photographs, tmp_path / "a", SETTINGS)
    render_bank(photographs, tmp_path / "b", SETTINGS)
    folder = tmp_path / "b"
    done = np.load(folder / "done.npy")
    done[4:] = False
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
    assert np.array_equal(whole.photograph, again.photograph)
    assert np.array_equal(whole.contents, again.contents)
    assert len(again) == SETTINGS.samples


def test_a_folder_with_another_bank_is_refused(photographs: list[Path], tmp_path: Path) -> None:
    render_bank(photographs, tmp_path / "a", SETTINGS)
    with pytest.raises(ValueError, match="other settings"):
        render_bank(photographs, tmp_path / "a", BankSettings(samples=10, side=48, seed=1))


def test_validation_photographs_are_kept_back(photographs: list[Path]) -> None:
    training, kept = split_photographs(photographs, SETTINGS)
    assert len(kept) == 1
    assert sorted(training + kept) == photographs
    with pytest.raises(ValueError, match="leave none to train on"):
        split_photographs(photographs, BankSettings(validation=4))


def test_content_tells_colour_light_and_lines() -> None:
    blue = np.zeros((40, 40, 3), np.uint8)
    blue[..., 2] = 200
    assert content_of(blue)[0] > 0
    sky = blue.copy()
    sky[:20] = 255
    assert content_of(sky)[6] > 0
    stripes = np.zeros((40, 40, 3), np.uint8)
    stripes[:, ::8] = 255
    assert content_of(stripes)[5] > 0
    assert content_of(stripes.transpose(1, 0, 2))[5] < 0
    assert content_of(stripes)[4] > content_of(blue)[4]


def test_the_content_told_is_that_of_the_undegraded_view(photographs: list[Path]) -> None:
    photograph = Image.open(photographs[0])
    told = view_content(photograph, 3, SETTINGS)
    bare = BankSettings(samples=10, side=48, validation=1, counts=(1.0,))
    pixels, applied = render_sample(photograph, 3, replace(bare, thumbnails=0.0))
    assert applied == []
    np.testing.assert_allclose(told, content_of(pixels))


def test_unseen_types_are_never_drawn() -> None:
    drawn = {
        name
        for seed in range(500)
        for name, _ in draw_degradations(np.random.default_rng(seed), BankSettings())
    }
    assert drawn == set(SEEN_TYPES)
    assert not set(UNSEEN_TYPES) & {name for mixture in MIXTURES for name in mixture}


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no photographs"):
        find_photographs(tmp_path)
