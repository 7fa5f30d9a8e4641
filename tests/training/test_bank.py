from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maclip_lab.training.bank import (
    MIXTURES,
    SEEN_TYPES,
    UNSEEN_TYPES,
    BankSettings,
    draw_degradations,
    find_photographs,
    open_bank,
    render_bank,
    split_photographs,
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
