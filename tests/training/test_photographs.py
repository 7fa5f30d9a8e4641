from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maclip_lab.training.photographs import (
    Photograph,
    collect,
    find_photographs,
    read_captions,
    readable,
)


def fill(folder: Path, count: int, captioned: int = 0) -> Path:
    folder.mkdir()
    for i in range(count):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(folder / f"{i:03}.png")
    lines = [f"{i:03}.png\t{word} {i}" for i in range(captioned) for word in ("a cat", "the cat")]
    if lines:
        (folder / "captions.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_every_photograph_has_one_purpose(tmp_path: Path) -> None:
    plain, told = fill(tmp_path / "plain", 40), fill(tmp_path / "told", 50, captioned=40)
    found = collect([plain, told])
    learned = (found.training, found.choosing, found.retrieval)
    parts = [[p.path for p in part] for part in learned] + list(found.severity)
    together = sorted(path for part in parts for path in part)
    assert together == sorted(find_photographs(plain) + find_photographs(told))
    assert [len(part) for part in parts] == [84, 1, 2, 1, 1, 1]


def test_what_is_held_out_has_sentences_where_it_tests_retrieval(tmp_path: Path) -> None:
    found = collect([fill(tmp_path / "told", 100, captioned=60)])
    assert len(found.choosing) + len(found.retrieval) <= 6
    assert found.choosing
    assert found.retrieval
    assert all(len(p.sentences) == 2 for p in found.choosing + found.retrieval)
    assert found.severity == ([], [], [])
    assert sum(not p.sentences for p in found.training) == 40


def test_the_split_does_not_depend_on_other_folders(tmp_path: Path) -> None:
    plain, told = fill(tmp_path / "plain", 40), fill(tmp_path / "told", 50, captioned=40)
    assert collect([plain]).severity == collect([told, plain]).severity
    assert collect([told]).retrieval == collect([plain, told]).retrieval


def test_a_folder_without_captions_says_that_it_trains_quality_alone(tmp_path: Path) -> None:
    found = collect([fill(tmp_path / "plain", 3)])
    assert len(found.training) == 3
    assert found.notes == [f"{tmp_path / 'plain'} has no captions: it trains quality alone"]


def test_captions_of_absent_photographs_are_counted_named_and_skipped(tmp_path: Path) -> None:
    told = fill(tmp_path / "told", 20, captioned=20)
    (told / "003.png").unlink()
    (told / "007.png").unlink()
    found = collect([told])
    assert "2 photographs (003.png, 007.png)" in found.notes[0]
    assert len(found.training) + len(found.choosing) + len(found.retrieval) == 18


def test_an_unreadable_photograph_is_counted_named_and_skipped(tmp_path: Path) -> None:
    plain = fill(tmp_path / "plain", 4)
    (plain / "001.png").write_bytes(b"no picture")
    whole = (plain / "002.png").read_bytes()
    (plain / "002.png").write_bytes(whole[: len(whole) // 2])
    good, notes = readable([Photograph(p) for p in find_photographs(plain)])
    assert [p.path.name for p in good] == ["000.png", "003.png"]
    assert "2 photographs" in notes[0]
    assert "001.png" in notes[0]


def test_a_line_without_a_sentence_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "captions.tsv"
    path.write_text("a.png\ta cat\nb.png a dog\n")
    with pytest.raises(ValueError, match="line 2: expected a path, a tab and a sentence"):
        read_captions(path)


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no photographs"):
        find_photographs(tmp_path)
