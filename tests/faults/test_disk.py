"""A disk that is full, a folder that cannot be written to.

Faults 3 and 4 of the list in README.md. What `maclip_lab.files.atomic` does with one file is in
tests/files/test_atomic.py.
"""

import pandas as pd
import pytest
import torch

from maclip_lab.features import Extractor
from maclip_lab.files.provenance import write_table
from tests.faults import victims
from tests.faults.conftest import inventory
from tests.store_world import PlainScorer, manifest, picture


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
    said = full("extract")
    assert said.startswith("StorageFullError")
    assert "no room for the " in said
    assert "what is finished is kept" in said
    left = inventory(tmp_path / "store")
    assert files.items() <= left.items()
    assert [path.rpartition("/")[2] for path in left.keys() - files] == ["config.json"]
    after = extractor.crops(manifest(tmp_path / "pictures", ["p0.png", "p1.png"]))
    assert torch.equal(after.features(0), before)


def test_a_table_that_does_not_fit_leaves_the_old_one_and_its_record(full, tmp_path):
    write_table(pd.DataFrame({"path": ["a"]}), tmp_path / "out" / "scores.csv")
    files = inventory(tmp_path / "out")
    assert full("table").startswith("StorageFullError")
    assert inventory(tmp_path / "out") == files


def lock(folder):
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_store_that_cannot_be_written_to_is_still_read(nobody, world):
    (world / "store").mkdir(mode=0o777)
    assert nobody("extract") == "['ok', 'ok', 'ok']"
    lock(world / "store")
    assert nobody("extract") == "['ok', 'ok', 'ok']"


def test_a_store_in_a_folder_that_cannot_be_written_to_is_named(nobody, world):
    (world / "store").write_text("a file in place of the folder")
    said = nobody("extract")
    assert said.startswith(f"StoreError: no store can be kept in {world / 'store'}")
    assert said.endswith("name another store folder")


def test_scoring_to_memory_needs_no_folder_and_what_may_not_be_read_is_a_row(nobody, world):
    lock(world)
    (world / "pictures" / "p1.png").chmod(0)
    said = nobody("score")
    assert said.startswith("['ok', 'unreadable', 'ok'")
    assert "Permission denied" in said
