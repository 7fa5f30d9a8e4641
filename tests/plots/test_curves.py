"""The ablations' figures show the data they are given; pixels are left to the reader's eye."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from maclip_lab import plots


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def cues():
    generator = np.random.default_rng(3)
    mos = np.repeat([0.0, 2.0, 4.0, 5.0], 10)
    noise = generator.normal(size=(2, 40))
    return pd.DataFrame({"quality": mos, "q_cos": mos / 5 + 0.05 * noise[0], "q_mag": noise[1]})


def offsets(ax, i=0):
    return np.asarray(ax.collections[i].get_offsets())


def test_cue_scatter_has_a_row_a_set_and_a_panel_a_cue_with_the_statistic_on_x(cues):
    tables = {"opinion": cues, "severity": cues.assign(q_cos=-cues["q_cos"])}
    figure = plots.cue_scatter(tables, ["q_mag", "q_cos"], title="finding")
    left, right, _, below = figure.axes
    np.testing.assert_array_equal(offsets(right)[:, 0], cues["q_cos"])
    assert np.abs(offsets(right)[:, 1] - cues["quality"]).max() < 0.2
    assert float(right.get_title(loc="left").split()[-1]) > 0.8
    assert float(below.get_title(loc="left").split()[-1]) < -0.8
    assert (left.get_ylabel(), right.get_ylabel()) == ("opinion", "")
    assert left.get_xlabel() == plots.CUE_LABELS["q_mag"]
    assert figure.get_suptitle() == "finding"


def test_cue_scatter_draws_the_curve_that_maps_the_cue_to_quality(cues):
    ax = plots.cue_scatter({"MOS": cues}, ["q_cos"], title="t").axes[0]
    values, fitted = ax.lines[0].get_xydata().T
    assert (np.diff(values) >= 0).all()
    assert (np.diff(fitted) >= -1e-9).all()
    assert fitted.max() > 3


def test_cue_scatter_does_not_move_scores_that_are_all_different():
    table = pd.DataFrame({"quality": np.linspace(1, 5, 30), "q_cos": np.linspace(0, 1, 30)})
    ax = plots.cue_scatter({"MOS": table}, ["q_cos"], title="t").axes[0]
    np.testing.assert_array_equal(offsets(ax)[:, 1], table["quality"])


def test_group_dots_keep_the_order_of_a_tidy_table():
    rows = [("z", "q_mag", 0.1), ("z", "q_cos", 0.2), ("a", "q_mag", 0.3)]
    table = pd.DataFrame(rows, columns=["set", "method", "srcc"])
    table["srcc_lo"], table["srcc_hi"] = table["srcc"] - 0.1, table["srcc"] + 0.1
    ax = plots.group_dots(table, "set", title="t", none=0.5, xlabel="share")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["z", "a"]
    assert ax.get_xlabel() == "share"
    points = {c.get_label(): offsets for c in ax.collections if (offsets := c.get_offsets()).size}
    np.testing.assert_array_equal(points[plots.CUE_LABELS["q_mag"]][:, 0], [0.1, 0.3])
    assert ax.lines[0].get_xdata()[0] == 0.5


def test_lambda_curves_draw_one_line_a_method_with_its_interval():
    table = pd.DataFrame(
        {
            "method": ["score", "score", "q_mag", "q_mag"],
            "box_lam": [0.0, 1.0, 0.0, 1.0],
            "srcc": [0.6, 0.5, 0.1, 0.2],
        }
    )
    table["srcc_lo"], table["srcc_hi"] = table["srcc"] - 0.1, table["srcc"] + 0.1
    figure = plots.lambda_curves({"opinion": table, "severity": table}, title="t")
    ax = figure.axes[0]
    assert figure.axes[1].get_title(loc="left") == "severity"
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_array_equal(lines[plots.CUE_LABELS["score"]], [[0, 0.6], [1, 0.5]])
    band = ax.collections[0].get_datalim(ax.transData)
    np.testing.assert_allclose([band.y0, band.y1], [0.4, 0.7])


def test_distance_matrices_share_a_scale_and_name_their_means():
    near = pd.DataFrame([[0, 0.2], [0.2, 0]], index=["a", "b"], columns=["a", "b"])
    figure = plots.distance_matrices({"before": near * 4, "after": near}, title="t")
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert images[0].get_clim() == images[1].get_clim() == (0, 0.8)
    assert figure.axes[0].get_title(loc="left") == "before: mean 0.80"
    assert figure.axes[1].get_title(loc="left") == "after: mean 0.20"
