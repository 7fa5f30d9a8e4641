import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from maclip_lab.evaluation import METHODS
from maclip_lab.plots import (
    beside_paper,
    cost_quality,
    cue_trends,
    difference_intervals,
    prediction_fits,
    srcc_heat_map,
    srcc_intervals,
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


def test_intervals_stand_where_the_table_says_grouped_by_backbone(table):
    ax = srcc_intervals(table, title="Found")
    assert title_of(ax) == "Found"
    assert ticks(ax.yaxis) == ["a", "b"]
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_allclose(drawn["CLIP-IQA"][:, 0], [0.5, 0.2])
    np.testing.assert_allclose(drawn["MA-CLIP"][:, 0], [0.6, -0.1])
    assert (np.abs(drawn["MA-CLIP"][:, 1] - [0, 1]) < 0.5).all()
    ends = np.concatenate([[s[:, 0] for s in c.get_segments()] for c in ax.collections])
    np.testing.assert_allclose(sorted(map(tuple, ends)), sorted(zip(
        table["srcc_lo"], table["srcc_hi"], strict=True)))  # fmt: skip


def test_intervals_can_be_grouped_by_data_set(table):
    assert ticks(srcc_intervals(table.head(2), "dataset", title="").yaxis) == ["koniq"]


def test_differences_are_filled_only_where_they_are_sure():
    table = pd.DataFrame(
        {
            "delta_srcc": [0.1, -0.02],
            "delta_srcc_lo": [0.05, -0.1],
            "delta_srcc_hi": [0.15, 0.06],
            "p_srcc_holm": [0.01, 0.6],
        }
    )
    ax = difference_intervals(table, ["first", "second"], xlabel="a − b", title="")
    drawn = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(drawn["p < 0.05 (Holm)"].get_xydata(), [[0.1, 0]])
    np.testing.assert_allclose(drawn["not sure"].get_xydata(), [[-0.02, 1]])
    assert drawn["not sure"].get_markerfacecolor() == "white"
    assert drawn["p < 0.05 (Holm)"].get_markerfacecolor() != "white"
    assert ticks(ax.yaxis) == ["first", "second"]


def test_a_difference_without_a_p_value_is_not_sure():
    table = pd.DataFrame({c: [np.nan] for c in ("delta_srcc_lo", "delta_srcc_hi", "p_srcc_holm")})
    ax = difference_intervals(table.assign(delta_srcc=0.3), ["only"], xlabel="a − b", title="")
    assert [line.get_label() for line in ax.lines if len(line.get_xdata()) == 1] == ["not sure"]


def test_a_heat_map_writes_each_number_once_and_none_where_there_is_none():
    table = pd.DataFrame({"first": [0.5, -0.004], "second": [np.nan, -0.9]}, index=["a_b", "c"])
    ax = srcc_heat_map(table, title="Found", ylabel="type", label="share")
    written = {(t.get_position()): t.get_text() for t in ax.texts}
    assert written == {(0, 0): "0.50", (0, 1): "0.00", (1, 1): "-0.90"}
    assert ticks(ax.yaxis) == ["a b", "c"]
    assert ax.images[0].get_clim() == (-1, 1)
    bar = ax.images[0].colorbar.ax
    assert bar.get_ylabel() == "share"
    assert bar.get_ylim() == (-1, 1)
    assert srcc_heat_map(table.abs(), title="Found").images[0].colorbar.ax.get_ylim() == (0, 1)


def test_cue_trends_are_means_at_each_level_of_quality():
    table = pd.DataFrame(
        {
            "quality": [0.0, 0.0, 5.0, 5.0],
            "q_cos": [0.2, 0.4, 0.8, 1.0],
            "q_mag": [0.5, 0.5, 0.7, 0.7],
            "score": [0.3, 0.5, 0.7, 0.9],
        }
    )
    figure = cue_trends({"mine": table, "yours": table}, xlabel="MOS", title="Found")
    assert [title_of(ax) for ax in figure.axes] == ["mine", "yours"]
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    cosine = next(data for label, data in lines.items() if "cosine" in label)
    np.testing.assert_allclose(cosine, [[0, 0.3], [5, 0.9]])
    assert "Found" in figure.get_suptitle()


def test_cue_trends_of_many_ratings_are_cut_at_their_quantiles():
    quality = np.linspace(1, 5, 60)
    table = pd.DataFrame({c: quality / 5 for c in ("q_cos", "q_mag", "score")})
    figure = cue_trends({"mine": table.assign(quality=quality)}, xlabel="MOS", title="")
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [6, 6, 6]


def test_cost_stands_in_millions_against_quality():
    rows = {"srcc": [0.5, 0.7], "srcc_lo": [0.4, 0.6], "srcc_hi": [0.6, 0.8]}
    table = pd.DataFrame({"backbone": ["small", "large"], "parameters": [2e6, 4e7], **rows})
    ax = cost_quality(table, title="")
    places = {c.get_label(): c.lines[0].get_xydata()[0].tolist() for c in ax.containers}
    assert places == {"small": [2, 0.5], "large": [40, 0.7]}
    assert ticks(ax.xaxis) == ["2", "40"]


def test_fits_are_drawn_in_the_order_of_the_scores():
    scores, quality = np.array([0.3, 0.1, 0.2]), np.array([3.0, 1.0, 2.0])
    ax = prediction_fits(scores, quality, {"curve": quality * 1.1}, ylabel="MOS", title="")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0.1, 1.1], [0.2, 2.2], [0.3, 3.3]])
    np.testing.assert_allclose(ax.collections[0].get_offsets(), np.stack([scores, quality], axis=1))


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
