import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from maclip_lab import plots
from maclip_lab.plots.drawn import drawn_data


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_line_is_read_back_with_its_name_and_lines_across_the_axis_are_not():
    figure, ax = plt.subplots()
    ax.plot([0, 1, 2], [3.0, 4.0, 5.0], label="mine")
    ax.axhline(7)
    table = drawn_data(figure)
    assert set(table["series"]) == {"mine"}
    assert table[["x", "y"]].to_numpy().tolist() == [[0, 3], [1, 4], [2, 5]]


def test_dots_with_their_intervals_stand_beside_the_words_of_their_axis():
    rows = {"dataset": ["a", "a"], "method": ["CLIP-IQA", "MA-CLIP"], "srcc": [0.1, 0.3]}
    table = pd.DataFrame(rows | {"srcc_lo": [0.0, 0.2], "srcc_hi": [0.2, 0.4]})
    ax = plots.srcc_intervals(table, "dataset", title="t")
    drawn = drawn_data(ax.figure)
    dots = drawn[drawn["drawn"] == "Line2D"]
    assert dict(zip(dots["series"], dots["x"], strict=True)) == {"CLIP-IQA": 0.1, "MA-CLIP": 0.3}
    assert set(dots["y_label"]) == {"a"}
    ends = drawn[drawn["drawn"] == "LineCollection"]
    assert sorted(ends["x"].round(2)) == [0.0, 0.2, 0.2, 0.4]


def test_a_heat_map_gives_its_cells_and_no_colour_bar():
    values = pd.DataFrame([[0.1, -0.2], [0.3, np.nan]], ["blur", "noise"], ["p", "q"])
    ax = plots.srcc_heat_map(values, title="t")
    cells = drawn_data(ax.figure).dropna(subset="value")
    found = cells.set_index(["y_label", "x_label"])["value"]
    assert found.to_dict() == {("blur", "p"): 0.1, ("blur", "q"): -0.2, ("noise", "p"): 0.3}
    assert set(drawn_data(ax.figure)["panel"]) == {1}


def test_bars_give_their_corners():
    figure, ax = plt.subplots()
    ax.bar([1.0], [5.0], width=0.5)
    table = drawn_data(figure)
    assert (table["x"].min(), table["x"].max(), table["y"].max()) == (0.75, 1.25, 5.0)
