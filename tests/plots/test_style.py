"""What all figures share."""

import pytest

from maclip_lab.plots.style import KNOWN_COLOURS, palette


def test_known_names_keep_their_colour_beside_ones_own():
    given = palette(["mine", "q_cos", "other", "CLIVE"])
    assert (given["q_cos"], given["CLIVE"]) == (KNOWN_COLOURS["q_cos"], KNOWN_COLOURS["CLIVE"])
    assert len({*given.values()} - {*KNOWN_COLOURS.values()}) == 2


@pytest.mark.parametrize("count", [1, 5, 9])
def test_a_cue_of_ones_own_never_has_the_colour_of_a_known_one(count):
    own = palette(f"mine {i}" for i in range(count))
    assert not {*own.values()} & {*KNOWN_COLOURS.values()}
