import numpy as np
import pytest

from maclip_lab.evaluation import Estimate, finding

SURE, SURELY_NOT, OPEN = (
    Estimate(0.2, 0.1, 0.3),
    Estimate(-0.2, -0.3, -0.1),
    Estimate(0.1, -0.1, 0.3),
)
NONE = Estimate(0.4, np.nan, np.nan)


@pytest.mark.parametrize(
    ("estimate", "said"),
    [(SURE, "yes"), (SURELY_NOT, "no"), (OPEN, "cannot tell"), (NONE, "cannot tell")],
)
def test_a_number_is_above_zero_only_where_its_whole_interval_is(estimate, said):
    assert finding(estimate) == said


@pytest.mark.parametrize("need", [SURELY_NOT, OPEN, NONE])
def test_nothing_can_be_told_where_what_is_compared_knows_nothing(need):
    assert finding(SURE, needs=[SURE, need]) == "cannot tell"
    assert finding(SURELY_NOT, needs=[need]) == "cannot tell"
    assert finding(SURE, needs=[SURE]) == "yes"


@pytest.mark.parametrize(
    ("estimate", "said"), [(SURE, "no"), (Estimate(0.0, -0.04, 0.01), "yes"), (OPEN, "cannot tell")]
)
def test_nearer_to_zero_is_asked_of_the_whole_interval_too(estimate, said):
    assert finding(estimate, within=0.05) == said


def test_an_estimate_takes_its_interval_from_its_replicates():
    replicates = np.linspace(0, 1, 101)
    assert Estimate.of(0.4, replicates) == pytest.approx((0.4, 0.025, 0.975))
    assert np.isnan(Estimate.of(0.4, np.empty(0)).low)


def test_a_number_beyond_chance_lies_above_all_but_a_few_of_its_draws():
    null = np.random.default_rng(0).normal(size=2000)
    assert finding(Estimate.beyond(2.5, null)) == "yes"
    assert finding(Estimate.beyond(1.5, null)) == "cannot tell"
    assert Estimate.beyond(1.5, null).value == pytest.approx(1.5, abs=0.1)


def test_small_numbers_are_written_with_a_digit_more():
    assert str(Estimate(0.0123, -0.0004, 0.03)) == "+0.012 [+0.000, +0.030]"
    assert str(OPEN) == "+0.10 [-0.10, +0.30]"
