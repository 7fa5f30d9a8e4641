"""The facts of data/datasets.toml, whichever sets stand there."""

import tomllib

import pytest
from PIL import Image

from maclip_lab.ablations.claims import find_sets
from maclip_lab.crops import DATASETS, SETS, canonical_name, protocol_for
from maclip_lab.datasets import DatasetError, check_dataset, find_datasets, open_dataset
from maclip_lab.datasets.cards import CARDS, list_datasets, make_card, show_card
from tests.datasets.facsimile import LAYOUTS


@pytest.mark.parametrize("name", CARDS)
def test_a_card_holds_together_and_is_shown_as_text(name):
    card, text = CARDS[name], show_card(name)
    assert card.mos_range[0] < card.mos_range[1]
    assert 0 < card.rows <= card.paper_rows
    assert all(canonical_name(alias.upper()) == name for alias in (name, *card.aliases))
    assert protocol_for(name).resize == card.resize
    types = list(card.words.get("dist_type", {}).values())
    assert set(card.unordered) <= set(types)
    assert len(set(types)) == len(types)
    for picture, facets in card.example.items():
        assert card.describe(picture) == facets
        assert card.describe("nothing") == {}
    for fact in (card.title, card.url, card.licence, str(card.rows), card.citation):
        assert fact in text
    assert "None" not in text


def test_the_text_names_size_resize_and_range():
    assert "448 x 448" in show_card("SPAQ")
    assert "1.0" not in show_card("koniq")
    assert "1 to 5" in show_card("koniq")
    assert "1024.JPG 640 x 960" in show_card("livec")


def test_the_list_has_one_row_a_set_and_the_papers_nine_are_nine_whatever_is_added():
    table = list_datasets()
    assert table["dataset"].tolist() == list(CARDS)
    assert (table["lowest"] < table["highest"]).all()
    lower = table.loc[table["better"] == "lower", "dataset"]
    assert lower.tolist() == [name for name, card in CARDS.items() if not card.higher_is_better]
    assert len(DATASETS) == 9
    assert tuple(name for name, card in CARDS.items() if card.paper) == DATASETS
    assert set(DATASETS) <= set(LAYOUTS)


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
    assert canonical_name("field9") not in DATASETS
    assert manifest.preset == "default"
    assert find_sets(tmp_path) == ({}, {})
    opinions.unlink()
    with pytest.raises(DatasetError, match=r"no annotations of Field Nine.*opinions\.csv.*example"):
        open_dataset("field9", folder)
