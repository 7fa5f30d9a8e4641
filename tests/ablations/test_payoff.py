import numpy as np
import pytest

from maclip_lab.ablations import payoff, payoff_table
from maclip_lab.ablations.payoff import mean_correlation
from maclip_lab.evaluation import finding
from tests.rated_world import rated_set


def simulated(strong, weak, between, n=200_000):
    """Two cues and a quality with these correlations."""
    table = np.array([[1, strong, weak], [strong, 1, between], [weak, between, 1]])
    return np.random.default_rng(0).multivariate_normal(np.zeros(3), table, n).T


@pytest.mark.parametrize("numbers", [(0.5, 0.3, 0.0), (0.5, 0.3, 0.6), (0.4, -0.2, 0.1)])
def test_the_mean_of_two_cues_follows_quality_as_the_theory_says(numbers):
    quality, first, second = simulated(*numbers)
    assert mean_correlation(*numbers) == pytest.approx(
        np.corrcoef(first + second, quality)[0, 1], abs=0.01
    )


def with_cues(strong, weak, between, n=400):
    rated = rated_set(n)
    quality, first, second = simulated(strong, weak, between, n)
    rated.quality[:], rated.table["quality"] = quality, quality
    rated.table["q_cos"], rated.table["q_mag"] = 3 * first, second
    return payoff(rated)


def test_what_is_predicted_is_found():
    paid, lost = with_cues(0.5, 0.45, 0.0), with_cues(0.6, 0.0, 0.2)
    assert finding(paid.measured) == "yes"
    assert finding(lost.measured) == "no"
    for one in (paid, lost):
        assert one.measured.value == pytest.approx(one.predicted, abs=0.03)
        assert one.stronger == "q_cos"
        assert one.spread == pytest.approx(3, rel=0.15)
    assert paid.place == (paid.between, paid.weak / paid.strong)


def test_a_plain_mean_hides_a_cue_of_small_spread():
    lost = with_cues(0.6, 0.0, 0.2)
    assert lost.plain.value > lost.measured.value


def test_payoffs_stand_side_by_side():
    table = payoff_table({"one": with_cues(0.5, 0.4, 0.1)})
    assert list(table.columns) == ["one"]
    assert table.loc["the cosine spreads wider by", "one"].startswith("x ")
