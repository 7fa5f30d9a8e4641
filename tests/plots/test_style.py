"""What all figures share."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from maclip_lab.plots.style import (
    CUE_COLOURS,
    CUE_MARKERS,
    PALETTE,
    cue_style,
    finish,
    new_axes,
    palette,
    set_suptitle,
    spread,
)

LONG = "A finding about one of the backbones that has been told in rather too many words " * 2


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def right_end(figure, text):
    figure.draw_without_rendering()
    return text.get_window_extent().x1


def test_a_long_title_stays_inside_its_figure():
    ax = finish(new_axes(None), LONG, "x", "y")
    title = max(ax.findobj(Text), key=lambda text: len(text.get_text()))
    assert right_end(ax.figure, title) <= ax.figure.bbox.x1


def test_a_long_finding_above_panels_stays_inside_too():
    figure = plt.figure(figsize=(4, 3), layout="constrained")
    set_suptitle(figure, LONG)
    assert right_end(figure, figure._suptitle) <= figure.bbox.x1


def test_levels_are_spread_a_little_and_different_numbers_stay_where_they_are():
    levels = np.repeat([0.0, 2.0, 5.0, np.nan], 10)
    moved = spread(levels)
    assert np.nanmax(np.abs(moved - levels)) <= 0.15
    assert len(np.unique(moved[:10])) == 10
    np.testing.assert_array_equal(spread(np.array([3.0, 1.0])), [3.0, 1.0])


@pytest.mark.parametrize("place", range(12))
def test_a_cue_of_ones_own_never_has_the_colour_or_marker_of_a_known_one(place):
    _, colour, marker = cue_style("my cue", place)
    assert colour not in CUE_COLOURS.values()
    assert marker not in CUE_MARKERS.values()


def test_known_names_keep_their_colour_beside_ones_own():
    given = palette(["mine", "q_cos", "other", "CLIVE"])
    assert (given["q_cos"], given["CLIVE"]) == (PALETTE["q_cos"], PALETTE["CLIVE"])
    assert len({*given.values()} - {*PALETTE.values()}) == 2
