import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from maclip_lab.plots import acceptance_curves, loss_curves

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed_afterwards():
    yield
    plt.close("all")


def test_a_captions_curve_is_its_acceptance_against_harm():
    harm, accepted = np.array([0.0, 0.5, 1.0]), np.array([0.9, 0.6, 0.1])
    ax = acceptance_curves(harm, {"Good image": accepted}, title="Found")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.stack([harm, accepted], axis=1))
    assert ax.lines[0].get_label() == "“Good image”"
    assert ax.get_ylim() == (0, 1)
    assert ax.get_title(loc="left") == "Found"


def test_losses_are_drawn_as_they_come_and_smoothed_from_step_one():
    ax = loss_curves({"quality": [4.0, 2.0, 0.0]}, title="", window=3)
    raw, smooth = (line.get_xydata() for line in ax.lines)
    np.testing.assert_allclose(raw, [[1, 4], [2, 2], [3, 0]])
    np.testing.assert_allclose(smooth, [[1, 3], [2, 2], [3, 1]])
    assert "step" in ax.get_xlabel()


def test_a_loss_is_held_against_levels_with_names_of_their_own():
    ax = loss_curves({"quality": [4.0, 2.0]}, {"the floor": 1.5}, title="")
    line = ax.lines[-1]
    assert (line.get_label(), set(line.get_ydata())) == ("the floor", {1.5})
