import numpy as np
import pytest
from scipy import stats

from maclip_lab.evaluation.intervals import (
    EvaluationSettings,
    bootstrap,
    percentile_interval,
    resample_counts,
)


def data(n=70, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 15, (n, 2)).astype(float)
    return x, (x[:, 0] + generator.normal(0, 4, n)).round()


def bonett_wright(srcc, n):
    """Analytic 95 % interval of independent pictures: Psychometrika 65 (2000), 23-28."""
    half = stats.norm.ppf(0.975) * np.sqrt((1 + srcc**2 / 2) / (n - 3))
    return tuple(np.tanh(np.arctanh(srcc) + np.array([-half, half])))


def expanded(n, clusters, settings):
    for counts in resample_counts(n, clusters, settings):
        for column in counts.T.astype(int):
            yield np.repeat(np.arange(n), column)


@pytest.mark.parametrize("clustered", [False, True])
def test_every_replicate_equals_scipy_on_the_expanded_resample(clustered):
    x, y = data()
    clusters = np.arange(70) % 9 if clustered else None
    settings = EvaluationSettings(n_boot=30, seed=4)
    replicates = bootstrap(x, x**2, y, clusters=clusters, settings=settings)
    for b, rows in enumerate(expanded(70, clusters, settings)):
        for m in (0, 1):
            column, mos = x[rows, m], y[rows]
            expected = (
                stats.spearmanr(column, mos).statistic,
                stats.pearsonr(column**2, mos).statistic,
            )
            got = (replicates.srcc[b, m], replicates.plcc[b, m])
            assert got == pytest.approx(expected, abs=1e-12)


def test_replicates_equal_scipy_without_ties_and_over_several_chunks():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(3000, 1))
    y = x[:, 0] + generator.normal(size=3000)
    settings = EvaluationSettings(n_boot=60)
    replicates = bootstrap(x, x, y, settings=settings)
    assert len(list(resample_counts(3000, None, settings))) > 1
    rows = list(expanded(3000, None, settings))[-1]
    assert replicates.srcc[-1, 0] == pytest.approx(
        stats.spearmanr(x[rows, 0], y[rows]).statistic, abs=1e-12
    )


def test_the_same_seed_gives_the_same_resamples_and_methods_share_them():
    x, y = data()
    same = np.column_stack([x[:, 0], x[:, 0]])
    first, again = bootstrap(same, same, y), bootstrap(same, same, y)
    np.testing.assert_array_equal(first.srcc, again.srcc)
    np.testing.assert_array_equal(first.srcc[:, 0], first.srcc[:, 1])
    other = bootstrap(same, same, y, settings=EvaluationSettings(seed=1))
    assert (first.srcc != other.srcc).any()


def test_whole_clusters_are_drawn():
    clusters = np.repeat(np.arange(6), 5)
    (counts,) = resample_counts(30, clusters, EvaluationSettings(n_boot=20))
    assert counts.shape == (30, 20)
    per_cluster = counts.reshape(6, 5, 20)
    assert (per_cluster == per_cluster[:, :1]).all()
    assert (per_cluster[:, 0].sum(axis=0) == 6).all()


def test_the_interval_agrees_with_bonett_and_wright():
    generator = np.random.default_rng(2)
    y = generator.normal(size=3000)
    x = (y + generator.normal(size=3000))[:, None]
    replicates = bootstrap(x, x, y)
    analytic = bonett_wright(stats.spearmanr(x[:, 0], y).statistic, 3000)
    assert percentile_interval(replicates.srcc[:, 0], 0.95) == pytest.approx(analytic, abs=0.006)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rho, n, trials = 0.7, 120, 200
    truth = {
        "srcc": 6 / np.pi * np.arcsin(rho / 2),
        "plcc": rho,
    }
    generator = np.random.default_rng(7)
    covered = dict.fromkeys(truth, 0)
    for trial in range(trials):
        y = generator.normal(size=n)
        x = (rho * y + np.sqrt(1 - rho**2) * generator.normal(size=n))[:, None]
        replicates = bootstrap(x, x, y, settings=EvaluationSettings(n_boot=300, seed=trial))
        for name, value in truth.items():
            low, high = percentile_interval(getattr(replicates, name)[:, 0], 0.95)
            covered[name] += low <= value <= high
    for name, count in covered.items():
        assert 0.90 <= count / trials <= 0.985, name


def test_pictures_of_one_reference_are_not_independent():
    generator = np.random.default_rng(8)
    clusters = np.repeat(np.arange(30), 20)
    y = generator.normal(size=600)
    x = (y + 1.5 * generator.normal(size=30)[clusters] + 0.3 * generator.normal(size=600))[:, None]
    widths = []
    for codes in (None, clusters):
        replicates = bootstrap(x, x, y, clusters=codes)
        low, high = percentile_interval(replicates.srcc[:, 0], 0.95)
        widths.append(high - low)
    assert widths[1] > 1.2 * widths[0]


def test_resamples_without_a_correlation_are_nan_not_warnings():
    x = np.array([0.0, 0, 0, 0, 1])[:, None]
    replicates = bootstrap(x, x, np.arange(5.0))
    undefined = np.isnan(replicates.srcc[:, 0])
    assert 0.2 < undefined.mean() < 0.5
    np.testing.assert_array_equal(undefined, np.isnan(replicates.plcc[:, 0]))
    assert np.isnan(percentile_interval(replicates.srcc[:, 0], 0.95)).all()


def test_a_column_without_a_fit_has_no_pearson_but_keeps_its_ranks():
    x, y = data()
    replicates = bootstrap(x, np.full(x.shape, np.nan), y)
    assert np.isnan(replicates.plcc).all()
    assert np.isfinite(replicates.srcc).all()


@pytest.mark.parametrize(
    ("wrong", "message"), [({"n_boot": -1}, "n_boot of 0 or more"), ({"level": 95}, "such as 0.95")]
)
def test_settings_say_what_they_expect(wrong, message):
    with pytest.raises(ValueError, match=message):
        EvaluationSettings(**wrong)
