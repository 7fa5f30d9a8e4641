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


def test_a_block_of_facts_is_all_that_a_set_needs(tmp_path, monkeypatch):
    facts = tomllib.loads(BLOCK)["field9"]
    monkeypatch.setitem(SETS, "field9", facts)
    monkeypatch.setitem(CARDS, "field9", make_card("field9", facts))
    folder = tmp_path / "field9"
    (folder / "shots").mkdir(parents=True)
    for name in ROWS:
        Image.new("RGB", (320, 240)).save(folder / "shots" / name)
    lines = [f"{name},{10 * number + 5},1.5" for number, name in enumerate(ROWS)]
    opinions = folder / "opinions.csv"
    opinions.write_text("\n".join(["shot,DMOS,sd", *lines]))
    manifest = open_dataset("Field-9", tmp_path)
    assert manifest.table["name"].tolist() == ROWS
    assert manifest.table["mos"].tolist() == [5, 15, 25, 35, 45, 55]
    assert manifest.table["dist_type"].tolist() == ["blur", "blur", "noise"] * 2
    assert manifest.table["ref_id"].tolist() == ["hill"] * 3 + ["pier"] * 3
    assert (manifest.higher_is_better, manifest.protocol) == (False, "field9")
    assert protocol_for("field9").resize == (320, 240)
    assert find_datasets(tmp_path) == {"field9": folder}
    assert check_dataset("field9", folder).ok
    assert "Field Nine" in show_card("field-9")
    columns = {"score_column": "DMOS", "path_column": "shot"}
    named = open_dataset("field9", annotations=opinions, **columns)
    assert (named.higher_is_better, named.mos_range) == (False, (0, 100))
    # it is none of the paper's nine, and read as one's own
    assert canonical_name("field9") not in DATASETS
    assert manifest.preset == "default"
    assert find_sets(tmp_path) == ({}, {})
    opinions.unlink()
    with pytest.raises(DatasetError, match=r"no annotations of Field Nine.*opinions\.csv.*example"):
        open_dataset("field9", folder)
