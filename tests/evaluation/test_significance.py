import numpy as np
import pytest

from maclip_lab.evaluation.significance import bootstrap_p, chance_p, holm, williams


@pytest.mark.parametrize(
    ("arguments", "statistic"),
    [((0.5, 0.4, 0.8, 200), 2.5588), ((0.75, 0.73, 0.95, 1169), 3.2755)],
)
def test_the_statistic_equals_the_reference_value(arguments, statistic):
    assert williams(*arguments).statistic == pytest.approx(statistic, abs=5e-5)


def test_the_p_value_equals_the_reference_value():
    assert williams(0.5, 0.4, 0.8, 200).p == pytest.approx(0.01126, abs=5e-6)


def test_swapping_the_methods_flips_the_sign_only():
    forward, backward = williams(0.6, 0.3, 0.5, 50), williams(0.3, 0.6, 0.5, 50)
    assert forward.statistic == pytest.approx(-backward.statistic)
    assert forward.p == pytest.approx(backward.p)


def test_a_method_does_not_differ_from_itself():
    assert williams(0.5, 0.5, 1.0, 100) == (0.0, 1.0)


@pytest.mark.parametrize(
    "arguments", [(np.nan, 0.5, 0.5, 100), (1.0, 0.5, 0.5, 100), (0.5, 0.4, 0.3, 3)]
)
def test_where_no_test_exists_the_answer_is_nan(arguments):
    assert np.isnan(williams(*arguments)).all()


def test_equal_methods_are_rejected_as_often_as_promised():
    generator = np.random.default_rng(0)
    rejected = 0
    for _ in range(600):
        mos = generator.normal(size=80)
        shared = generator.normal(size=80)
        a, b = (mos + shared + 0.5 * generator.normal(size=80) for _ in range(2))
        r = np.corrcoef([mos, a, b])
        rejected += williams(r[0, 1], r[0, 2], r[1, 2], 80).p < 0.05
    assert 0.03 <= rejected / 600 <= 0.075


def test_holm_equals_values_worked_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)


def test_holm_counts_nan_as_no_test():
    adjusted = holm([0.01, np.nan, 0.04])
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(adjusted[1])


def test_the_bootstrap_p_value_counts_the_smaller_tail():
    differences = np.array([-1.0] * 4 + [1.0] * 95)
    assert bootstrap_p(differences) == pytest.approx(2 * 5 / 100)
    assert bootstrap_p(np.ones(99)) == pytest.approx(2 / 100)
    assert bootstrap_p(np.zeros(9)) == 1.0
    assert np.isnan(bootstrap_p(np.array([np.nan])))


def test_a_number_among_chance_has_the_share_of_draws_that_do_as_well():
    null = np.arange(99.0)
    assert chance_p(null, 98.0) == pytest.approx(0.02)
    assert chance_p(null, 1000.0) == pytest.approx(0.01)
    assert chance_p(null, -1.0) == 1.0
