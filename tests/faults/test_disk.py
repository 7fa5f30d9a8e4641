"""A disk that is full, a folder that cannot be written to.

Faults 3 and 4 of the list in README.md. What `maclip_lab.files.atomic` does with one file is in
tests/files/test_atomic.py.
"""

import pandas as pd
import pytest
import torch

from maclip_lab.cli.explain import examine
from maclip_lab.features import Extractor
from maclip_lab.files.provenance import write_table
from tests.faults import victims
from tests.faults.conftest import inventory
from tests.store_world import PlainScorer, manifest, picture


@pytest.fixture
def attempt(start):
    """What is said of a task in a folder, done with little room or without rights."""

    def run(how, task, folder):
        victim = start(how, task, folder)
        said = victim.hear()
        assert victim.end() == 0
        return said

    return run


@pytest.fixture
def full(attempt, tmp_path):
    """What a task says on a full disk."""
    (tmp_path / "pictures").mkdir()
    picture(tmp_path / "pictures" / "p0.png", 0, (900, 900))
    return lambda task: attempt(victims.on_a_full_disk, task, tmp_path)


@pytest.fixture
def nobody(attempt, world):
    """What a task says when it is done without the right to write."""
    return lambda task: attempt(victims.as_nobody, task, world)


def test_a_full_disk_stops_an_extraction_and_nothing_half_is_left(full, tmp_path):
    said = full("extract")
    assert said.startswith("StorageFullError")
    assert "no room for the " in said
    assert "what is finished is kept" in said
    assert [path.rpartition("/")[2] for path in inventory(tmp_path / "store")] == ["config.json"]


def test_what_was_extracted_before_the_disk_filled_up_is_served_after(full, tmp_path):
    extractor = Extractor(PlainScorer(), tmp_path / "store")
    before = extractor.crops(manifest(tmp_path / "pictures", ["p0.png"])).features(0)
    files = inventory(tmp_path / "store")
    picture(tmp_path / "pictures" / "p1.png", 1, (900, 900))
    assert full("extract").startswith("StorageFullError")
    assert files.items() <= inventory(tmp_path / "store").items()
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


def test_scoring_to_memory_needs_no_folder(nobody, world):
    lock(world)
    assert nobody("score").startswith("['ok', 'ok', 'ok'")


def test_a_picture_that_may_not_be_read_is_a_row(nobody, world):
    (world / "pictures" / "p1.png").chmod(0)
    said = nobody("score")
    assert said.startswith("['ok', 'unreadable', 'ok'")
    assert "Permission denied" in said


def test_a_cache_that_is_a_file_is_named_with_the_variable_to_change(tmp_path, monkeypatch):
    (tmp_path / "cache").touch()
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache" / "deeper"))
    findings = examine().set_index("what")
    assert findings.loc["cache", "verdict"] == "bad"
    assert "set MACLIP_LAB_CACHE" in findings.loc["cache", "finding"]
