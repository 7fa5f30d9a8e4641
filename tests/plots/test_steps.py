import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from maclip_lab.fusion import FusionSettings
from maclip_lab.plots import (
    box_cox_curves,
    feature_profiles,
    fusion_weight,
    prompt_pairs,
    severity_curves,
)
from maclip_lab.prompts import ATTRIBUTES

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed_afterwards():
    yield
    plt.close("all")


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def test_severity_curves_are_means_over_photographs_best_end_first():
    table = pd.DataFrame(
        {
            "dist_type": ["white_noise"] * 4 + ["jpeg"] * 2,
            "dist_level": [0, 0, 5, 5, 0, 5],
            "score": [0.8, 0.6, 0.2, 0.4, 0.7, 0.65],
        }
    )
    ax = severity_curves(table, title="Falling")
    drawn = lines(ax)
    assert list(drawn) == ["jpeg", "white noise"]
    np.testing.assert_allclose(drawn["white noise"], [[0, 0.7], [5, 0.3]])
    assert ax.get_title(loc="left") == "Falling"
    assert "level" in ax.get_xlabel()


def test_feature_profiles_fall_and_do_not_depend_on_length():
    feature = torch.tensor([0.1, -3.0, 1.0, 0.5])
    drawn = lines(feature_profiles({"once": feature, "ten times": 10 * feature}, title="Shape"))
    np.testing.assert_allclose(drawn["once"], drawn["ten times"], rtol=1e-4)
    assert (np.diff(drawn["once"][:, 1]) <= 0).all()
    np.testing.assert_allclose(drawn["once"][:, 0], [25, 50, 75, 100])


def test_every_pair_stands_at_its_probabilities_from_top_to_bottom():
    table = pd.DataFrame(
        {"clean": [0.9, 0.6], "blurred": [0.2, 0.5]}, index=["good / bad", "sharp / soft"]
    )
    ax = prompt_pairs(table, title="Pairs")
    clean, blurred = (c.get_offsets() for c in ax.collections if c.get_label() in table.columns)
    np.testing.assert_allclose(clean, [[0.9, 1], [0.6, 0]])
    np.testing.assert_allclose(blurred, [[0.2, 1], [0.5, 0]])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["good\nbad", "sharp\nsoft"]
    assert ax.get_xlim() == (0, 1)


def test_named_axes_of_many_pictures_are_dots():
    table = pd.DataFrame(0.5, index=list(ATTRIBUTES), columns=range(9))
    ax = prompt_pairs(table, title="Axes")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(ATTRIBUTES)
    assert len(ax.get_legend().get_texts()) == 9


def test_box_cox_curves_are_straight_at_one_and_logarithmic_at_zero():
    drawn = lines(box_cox_curves([1, 0], title="Box-Cox"))
    x, y = drawn["λ = 1"].T
    np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-6)
    x, y = drawn["λ = 0 (log)"].T
    np.testing.assert_allclose(y, np.log1p(x), rtol=1e-5)


def test_crops_lie_on_the_curve_of_the_weights():
    settings = FusionSettings(alpha=2.0)
    q_cos, q_mag = torch.tensor([0.2, 0.9]), torch.tensor([0.6, 0.5])
    ax = fusion_weight(q_cos, q_mag, settings, title="Weights")
    curve = lines(ax)["weight of $Q_{cos}$"]
    (points,) = (c.get_offsets() for c in ax.collections)
    np.testing.assert_allclose(points[:, 0], [-0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(points[:, 1], np.interp(points[:, 0], *curve.T), atol=1e-3)
