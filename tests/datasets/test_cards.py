import numpy as np
import pytest

from maclip_lab.crops import DATASETS
from maclip_lab.datasets import CARDS, card_for, list_datasets, show_card
from maclip_lab.datasets.publishers.csiq import describe
from maclip_lab.datasets.publishers.kadid import TYPES as KADID_TYPES
from maclip_lab.datasets.publishers.tid2013 import TYPES as TID_TYPES
from tests.datasets.facsimile import COUNTS, SIZES


def test_every_set_with_a_protocol_has_a_card():
    assert tuple(CARDS) == DATASETS


def test_cards_agree_with_what_the_publishers_ship():
    for name, card in CARDS.items():
        assert card.paper_rows == COUNTS[name]
        assert card.size == SIZES.get(name)
        assert card.mos_range[0] < card.mos_range[1]
        assert card.higher_is_better is (name != "CSIQ")
    assert (card_for("clive").rows, card_for("AGIQA-1K").rows) == (1162, 1078)


def test_types_without_order_are_types_of_their_set():
    assert set(card_for("tid2013").unordered) == {TID_TYPES[i - 1] for i in (14, 15, 16, 17)}
    assert set(card_for("kadid").unordered) == {KADID_TYPES[i - 1] for i in (18, 25)}
    assert len(set(TID_TYPES)) == 24
    assert len(set(KADID_TYPES)) == 25
    assert describe("x.BLUR.1.png").dist_type not in card_for("csiq").unordered


def test_the_list_has_one_row_a_set():
    table = list_datasets()
    assert table["dataset"].tolist() == list(CARDS)
    assert np.all(table["lowest"] < table["highest"])
    assert table.set_index("dataset")["better"].value_counts().to_dict() == {
        "higher": 8,
        "lower": 1,
    }


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_shown_as_text(name):
    text = show_card(name)
    card = CARDS[name]
    for fact in (card.title, card.url, card.licence, str(card.rows), card.citation):
        assert fact in text
    assert "None" not in text


def test_the_text_names_size_resize_and_range():
    assert "448 x 448" in show_card("SPAQ")
    assert "1.0" not in show_card("koniq")
    assert "1 to 5" in show_card("koniq")
    assert "1024.JPG 640 x 960" in show_card("livec")
