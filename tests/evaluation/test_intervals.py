import numpy as np
import pytest
from scipy import stats

from maclip_lab.evaluation.correlations import spearman
from maclip_lab.evaluation.intervals import EvaluationSettings, Resamples, correlate


def data(n=70, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 15, (n, 2)).astype(float)
    return x, (x[:, 0] + generator.normal(0, 4, n)).round()


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("tied", [True, False])
def test_every_replicate_equals_scipy_on_the_expanded_resample(clustered, tied):
    x, y = data(420)
    if not tied:
        x = x + np.random.default_rng(1).normal(size=x.shape)
    clusters = np.arange(420) % 210 if clustered else None
    settings = EvaluationSettings(n_boot=30, seed=4)
    found = correlate(x, y, clusters, settings)
    (counts,) = Resamples(420, clusters, settings).bootstrap()
    for b, column in enumerate(counts.T.astype(int)):
        rows = np.repeat(np.arange(420), column)
        for m in (0, 1):
            expected = stats.spearmanr(x[rows, m], y[rows]).statistic
            assert found.drawn[b, m] == pytest.approx(expected, abs=1e-12)


def test_whole_clusters_are_drawn_and_the_same_ones_by_the_same_seed():
    clusters = np.repeat(np.arange(6), 5)
    counts, again, other = (
        next(Resamples(30, clusters, EvaluationSettings(n_boot=20, seed=seed)).bootstrap())
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(counts, again)
    assert (counts != other).any()
    per_cluster = counts.reshape(6, 5, 20)
    assert (per_cluster == per_cluster[:, :1]).all()
    assert (per_cluster[:, 0].sum(axis=0) == 6).all()


@pytest.mark.parametrize("n", [60, 220])
def test_intervals_cover_the_truth_as_often_as_they_say(n):
    rho, trials = 0.7, 200
    truth = 6 / np.pi * np.arcsin(rho / 2)
    generator = np.random.default_rng(7)
    covered = 0
    for trial in range(trials):
        y = generator.normal(size=n)
        x = (rho * y + np.sqrt(1 - rho**2) * generator.normal(size=n))[:, None]
        found = correlate(x, y, settings=EvaluationSettings(n_boot=300, seed=trial)).srcc()
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / trials <= 0.985


def photographs(n, seed, slope=1.0):
    """Cues of two methods on photographs with slopes and offsets of their own, eight levels."""
    rng = np.random.default_rng(seed)
    level, photo = np.tile(np.arange(8.0), n), np.repeat(np.arange(n), 8)
    cues = [
        2 * rng.normal(size=n)[photo]
        - slope * (1 + 0.5 * rng.normal(size=n))[photo] * level
        + rng.normal(size=8 * n)
        for slope in (slope, 0.5)
    ]
    return np.stack(cues, axis=1), -level, photo


@pytest.mark.parametrize("n", [60, 400])
def test_a_correlation_and_a_lead_are_those_of_any_statistic_of_the_same_resamples(n):
    x, y = data(n)
    quick = EvaluationSettings(n_boot=60)
    found = correlate(x, y, settings=quick)
    resamples = Resamples(n, settings=quick)
    of_rows = resamples.estimate(lambda i: stats.spearmanr(x[i, 1], y[i]).statistic)
    assert [of_rows.value, of_rows.se] == pytest.approx([found.srcc(1).value, found.srcc(1).se])
    lead = resamples.estimate(lambda i: spearman(x[i, 0], y[i]) - spearman(x[i, 1], y[i]))
    ours = found.lead(0, 1)
    assert [*ours, ours.p, ours.se] == pytest.approx([*lead, lead.p, lead.se], abs=1e-9)
    assert ours.method == ("jackknife-t" if n < 200 else "bootstrap")
    assert (ours.n, ours.clusters, ours.resamples) == (n, n, 0 if n < 200 else 60)
    assert list(-found.lead(1, 0)) == pytest.approx(list(found.lead(0, 1)))


def test_the_jackknife_leaves_out_whole_clusters_and_takes_student_s_t():
    x, y, photo = photographs(12, seed=1)
    found = correlate(x, y, photo).lead(0, 1)
    left = [
        spearman(x[k, 0], y[k]) - spearman(x[k, 1], y[k]) for k in (photo != g for g in range(12))
    ]
    se = np.sqrt(11 / 12 * np.sum((np.array(left) - np.mean(left)) ** 2))
    assert found.se == pytest.approx(se)
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 11) * se)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.value) / se, 11))


def test_few_photographs_are_covered_as_often_as_promised_and_wrong_as_seldom():
    truth = correlate(*photographs(9000, 0), EvaluationSettings(0)).observed
    covered, wrong = [], []
    for seed in range(150):
        found = correlate(*photographs(12, seed + 1))
        estimates = [found.srcc(0), found.srcc(1), found.lead(0, 1)]
        targets = [*truth, truth[0] - truth[1]]
        covered.append([e.low <= t <= e.high for e, t in zip(estimates, targets, strict=True)])
        alike = correlate(*photographs(12, seed + 1, slope=0.5)).lead(0, 1)
        wrong.append(alike.p <= 0.05)
    assert 0.90 < np.mean(covered) < 0.985
    assert np.mean(wrong) < 0.09


@pytest.mark.parametrize(
    ("x", "y", "clusters", "said"),
    [
        (range(4), range(4), None, "nan (4 usable pictures, at least 5 are needed)"),
        ([1.0] * 9, range(9), None, "nan (it does not exist: something is constant)"),
        (range(9), range(9), None, "+1.00 (perfect on so few pictures: no interval)"),
        (range(9), [*range(8), 7], [1, 2, 3] * 3, "3 clusters, at least 5 are needed"),
        ([*[0] * 8, 1], range(9), None, "too many resamples are constant"),
        ([np.nan] * 9, range(9), None, "0 usable pictures"),
        ([*[0] * 299, 1], range(300), None, "too many resamples are constant"),
    ],
)
def test_what_has_no_interval_says_why(x, y, clusters, said):
    found = correlate(np.array([*x], float), np.array([*y], float), clusters).srcc()
    assert said in repr(found)
    assert np.isnan([found.low, found.high, found.p]).all()


def test_two_methods_that_are_one_do_not_differ_and_a_range_has_an_interval():
    x, y = data(40)
    found = correlate(np.column_stack([x, x[:, 0]]), y)
    same = found.lead(0, 2)
    assert (same.low, same.high, same.p) == (0, 0, 1)
    assert found.estimate(lambda srcc: np.ptp(srcc, axis=-1)).low > 0


def test_no_resamples_no_interval_and_settings_and_labels_that_cannot_be_are_refused():
    x, y = data()
    for wrong, said in (({"n_boot": -1}, "n_boot of 0 or more"), ({"level": 95}, "such as 0.95")):
        with pytest.raises(ValueError, match=said):
            EvaluationSettings(**wrong)
    with pytest.raises(ValueError, match="35 of 70 pictures have no label"):
        correlate(x, y, ["a", None] * 35)
    found = correlate(x, y, settings=EvaluationSettings(n_boot=0)).srcc()
    assert repr(found).endswith("(no resamples were asked for)")
