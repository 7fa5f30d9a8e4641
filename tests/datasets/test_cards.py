"""The facts of data/datasets.toml, whichever sets stand there."""

import pytest

from maclip_lab.crops import DATASETS, canonical_name, protocol_for
from maclip_lab.datasets import CARDS, list_datasets, show_card
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
