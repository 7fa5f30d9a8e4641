"""What all figures share."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from maclip_lab.plots.style import KNOWN_COLOURS, finish, new_axes, palette

LONG = "A finding about one of the backbones that has been told in rather too many words " * 2


def test_a_long_title_stays_inside_its_figure():
    ax = finish(new_axes(6, 4), LONG, "x", "y")
    ax.figure.draw_without_rendering()
    title = max(ax.findobj(Text), key=lambda text: len(text.get_text()))
    assert title.get_window_extent().x1 <= ax.figure.bbox.x1
    plt.close("all")


def test_known_names_keep_their_colour_beside_ones_own():
    given = palette(["mine", "q_cos", "other", "CLIVE"])
    assert (given["q_cos"], given["CLIVE"]) == (KNOWN_COLOURS["q_cos"], KNOWN_COLOURS["CLIVE"])
    assert len({*given.values()} - {*KNOWN_COLOURS.values()}) == 2


@pytest.mark.parametrize("count", [1, 5, 9])
def test_a_cue_of_ones_own_never_has_the_colour_of_a_known_one(count):
    own = palette(f"mine {i}" for i in range(count))
    assert not {*own.values()} & {*KNOWN_COLOURS.values()}
