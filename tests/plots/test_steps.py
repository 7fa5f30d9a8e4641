import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from maclip_lab.plots import (
    severity_curves,
)

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
