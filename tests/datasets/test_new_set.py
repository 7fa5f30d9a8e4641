"""A set that nobody knew, as CONTRIBUTING says one is added: a block of facts, and no code."""

import tomllib

import pytest
from PIL import Image

from maclip_lab.ablations.claims import find_sets
from maclip_lab.crops import DATASETS, SETS, canonical_name, protocol_for
from maclip_lab.datasets import (
    CARDS,
    DatasetError,
    check_dataset,
    find_datasets,
    open_dataset,
    show_card,
)
from maclip_lab.datasets.cards import make_card

BLOCK = r"""
[field9]
title = "Field Nine"
aliases = ["field-9"]
url = "https://example.org/field9"
rows = 6
mos_range = [0, 100]
higher_is_better = false
resize = [320, 240]
picture = '(?P<ref_id>\w+)-(?P<dist_type>[bn])(?P<dist_level>\d)\.png'
words.dist_type = { b = "blur", n = "noise" }
[[field9.file]]
names = ["opinions.csv"]
columns = { name = "shot", mos = "DMOS", mos_std = "sd" }
"""
ROWS = [
    f"{ref}-{kind}{level}.png" for ref in ("hill", "pier") for kind, level in ("b1", "b2", "n1")
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The set is known, and a copy lies here."""
    facts = tomllib.loads(BLOCK)["field9"]
    monkeypatch.setitem(SETS, "field9", facts)
    monkeypatch.setitem(CARDS, "field9", make_card("field9", facts))
    (tmp_path / "field9" / "shots").mkdir(parents=True)
    lines = ["shot,DMOS,sd"]
    for number, name in enumerate(ROWS):
        Image.new("RGB", (320, 240)).save(tmp_path / "field9" / "shots" / name)
        lines.append(f"{name},{10 * number + 5},1.5")
    (tmp_path / "field9" / "opinions.csv").write_text("\n".join(lines))
    return tmp_path / "field9"


def test_a_block_of_facts_is_all_that_a_set_needs(folder):
    manifest = open_dataset("Field-9", folder.parent)
    assert manifest.table["name"].tolist() == ROWS
    assert manifest.table["mos"].tolist() == [5, 15, 25, 35, 45, 55]
    assert manifest.table["dist_type"].tolist() == ["blur", "blur", "noise"] * 2
    assert manifest.table["ref_id"].tolist() == ["hill"] * 3 + ["pier"] * 3
    assert (manifest.higher_is_better, manifest.protocol) == (False, "field9")
    assert protocol_for("field9").resize == (320, 240)
    assert find_datasets(folder.parent) == {"field9": folder}
    assert check_dataset("field9", folder).ok
    assert "Field Nine" in show_card("field-9")
    named = open_dataset("field9", annotations=folder / "opinions.csv", score_column="DMOS",
                         path_column="shot")  # fmt: skip
    assert (named.higher_is_better, named.mos_range) == (False, (0, 100))


def test_it_is_none_of_the_papers_nine_and_read_as_ones_own(folder):
    assert canonical_name("field9") not in DATASETS
    assert open_dataset("field9", folder).preset == "default"
    assert find_sets(folder.parent) == ({}, {})


def test_what_is_absent_is_said_with_its_file_and_address(folder):
    (folder / "opinions.csv").unlink()
    with pytest.raises(DatasetError, match=r"no annotations of Field Nine.*opinions\.csv.*example"):
        open_dataset("field9", folder)
