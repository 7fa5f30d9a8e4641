"""The fusion's figures show the data they are given; pixels are left to the reader's eye."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from maclip_lab import plots
from maclip_lab.fusion import FusionSettings, fuse


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_setting_grid_writes_every_number_and_frames_the_marked_cell():
    table = pd.DataFrame([[0.1, 0.2], [0.3, 0.456]], index=[0.5, 1.0], columns=[0.0, 0.4])
    ax = plots.setting_grid(table, mark=(1.0, 0.4), xlabel="x", ylabel="y", title="t")
    assert [text.get_text() for text in ax.texts] == ["0.10", "0.20", "0.30", "0.46"]
    frame = ax.patches[0]
    assert (frame.get_x(), frame.get_y()) == (0.5, 0.5)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "0.4"]


def test_setting_grid_leaves_a_missing_number_blank():
    table = pd.DataFrame([[0.1, np.nan]], index=["a"], columns=[1, 2])
    ax = plots.setting_grid(table, xlabel="x", ylabel="y", title="t")
    assert len(ax.texts) == 1


def test_setting_grid_greys_what_is_not_told_apart_and_does_not_blow_up_small_differences():
    table = pd.DataFrame([[0.50, 0.51]], index=["a"], columns=[1, 2])
    alike = pd.DataFrame([[False, True]], index=["a"], columns=[1, 2])
    ax = plots.setting_grid(table, alike=alike, xlabel="x", ylabel="y", title="t")
    assert [patch.get_x() for patch in ax.patches] == [0.5]
    low, high = ax.images[0].get_clim()
    assert high - low == pytest.approx(0.1)


def test_weight_curves_show_fixed_weights_and_other_rules_as_level_lines():
    table = pd.DataFrame({"w_cos": [0.0, 1.0], "srcc": [0.1, 0.6]})
    table["srcc_lo"], table["srcc_hi"] = table["srcc"] - 0.1, table["srcc"] + 0.1
    rules = {"a": {"adaptive": 0.55}, "b": {"adaptive": 0.2}}
    figure = plots.weight_curves({"a": table, "b": table}, rules, title="t")
    for ax, level in zip(figure.axes, (0.55, 0.2), strict=True):
        lines = {line.get_label(): line.get_ydata() for line in ax.lines}
        np.testing.assert_array_equal(lines["fixed weight"], [0.1, 0.6])
        assert set(np.asarray(lines["adaptive"])) == {level}


def test_ladder_steps_write_each_step_and_dot_those_that_are_not_sure():
    table = pd.DataFrame({"rung": ["whole", "+ crops", "+ weight"], "srcc": [0.3, 0.4, 0.39]})
    table["srcc_lo"], table["srcc_hi"] = table["srcc"] - 0.1, table["srcc"] + 0.1
    table["step"] = [np.nan, 0.1, -0.01]
    table["step_lo"], table["step_hi"] = [np.nan, 0.02, -0.05], [np.nan, 0.2, 0.03]
    ax = plots.ladder_steps({"opinion": table}, title="t").axes[0]
    assert [text.get_text() for text in ax.texts] == ["+0.100", "-0.010"]
    assert [line.get_linestyle() for line in ax.lines] == ["-", ":"]


def test_fusion_plane_hatches_where_a_better_cue_lowers_the_score():
    settings = FusionSettings()
    ax = plots.fusion_plane(np.array([0.7]), np.array([0.4]), settings, title="t")
    dotted, lined = (ax.collections[i].get_paths()[1] for i in (1, 2))
    cos, mag = torch.tensor([0.95, 0.1, 0.5]), torch.tensor([0.05, 1.1, 0.4])
    by_cosine = fuse(cos + 0.01, mag, settings)[0] < fuse(cos, mag, settings)[0]
    by_magnitude = fuse(cos, mag + 0.01, settings)[0] < fuse(cos, mag, settings)[0]
    spots = list(zip(cos.tolist(), mag.tolist(), strict=True))
    assert by_cosine.tolist() == [dotted.contains_point(spot) for spot in spots]
    assert by_magnitude.tolist() == [lined.contains_point(spot) for spot in spots]
    assert by_cosine.tolist() == [False, True, False]
    assert by_magnitude.tolist() == [True, False, False]
    np.testing.assert_array_equal(ax.collections[3].get_offsets(), [[0.7, 0.4]])
