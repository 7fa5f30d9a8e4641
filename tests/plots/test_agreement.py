import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from maclip_lab.evaluation import METHODS
from maclip_lab.plots import (
    beside_paper,
)
from maclip_lab.plots.style import cue_style

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed_afterwards():
    yield
    plt.close("all")


@pytest.fixture
def table():
    """Two methods on two backbones, with intervals."""
    return pd.DataFrame(
        {
            "backbone": ["a", "a", "b", "b"],
            "dataset": ["koniq"] * 4,
            "method": ["CLIP-IQA", "MA-CLIP"] * 2,
            "srcc": [0.5, 0.6, 0.2, -0.1],
            "srcc_lo": [0.4, 0.5, 0.1, -0.3],
            "srcc_hi": [0.6, 0.7, 0.3, 0.1],
        }
    )


def title_of(ax):
    return ax.get_title(loc="left")


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_every_method_of_a_study_has_its_own_style():
    styles = [cue_style(method, place=6) for method in METHODS.values()]
    assert [label for label, _, _ in styles] == list(METHODS.values())
    assert [style[1:] for style in styles] == [cue_style(cue)[1:] for cue in METHODS]
    assert len({style[1:] for style in styles}) == len(METHODS)


def test_the_papers_numbers_and_ours_never_share_a_panel(table):
    paper = pd.DataFrame(
        {
            "dataset": ["koniq", "SPAQ", "mean of the paper's sets"],
            "method": ["MA-CLIP"] * 3,
            "value": [0.76, 0.77, 0.69],
        }
    )
    ours = table[table["backbone"] == "a"]
    figure = beside_paper(ours, paper, ["koniq", "SPAQ"], ours_label="tiny-rn", title="")
    left, right = figure.axes
    published = next(line for line in left.lines if line.get_label() == "MA-CLIP")
    measured = next(line for line in right.lines if line.get_label() == "MA-CLIP")
    np.testing.assert_allclose(published.get_xydata(), [[0.76, 0.15], [0.77, 1.15]])
    np.testing.assert_allclose(measured.get_xydata(), [[0.6, 0.15]])
    assert "RN50" in title_of(left)
    assert title_of(right) == "tiny-rn"
    assert published.get_markerfacecolor() == "none"


@pytest.fixture
def scored():
    return pd.DataFrame(
        {
            "name": ["a.png", "b.png", "c.png"],
            "quality": [1.0, 3.0, 2.0],
            "score": [0.4, 0.8, 0.6],
            "q_cos": [0.5, 0.9, 0.7],
            "q_mag": [0.3, 0.6, 0.5],
            "w_cos": [0.6, 0.7, 0.65],
        }
    )
