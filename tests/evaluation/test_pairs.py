import numpy as np
import pytest
from scipy import stats

from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.evaluation.pairs import pair_agreement, pair_agreement_replicates, pair_replicates

RNG = np.random.default_rng(5)
SETTINGS = EvaluationSettings(n_boot=300, seed=2)


def tied(n=60):
    quality = RNG.integers(0, 4, n).astype(float)
    return np.round(quality + RNG.normal(size=n), 0), quality


def test_pair_agreement_is_half_of_one_plus_somers_d():
    cue, quality = tied()
    somers = stats.somersd(quality, cue).statistic
    assert pair_agreement(cue, quality) == pytest.approx((1 + somers) / 2)


def test_ties_in_quality_bound_a_rank_correlation_and_not_the_agreement():
    quality = np.repeat([0.0, 1.0], [80, 20])
    cue = np.arange(100.0)
    assert stats.spearmanr(cue, quality).statistic < 0.75
    assert pair_agreement(cue, quality) == 1.0


def test_pictures_of_one_quality_ask_nothing():
    assert np.isnan(pair_agreement(np.arange(4.0), np.ones(4)))


def test_each_replicate_is_the_agreement_of_its_resample():
    cue, quality = tied(30)
    found = pair_agreement_replicates(cue[:, None], quality, settings=SETTINGS)[:, 0]
    drawn = np.random.default_rng(SETTINGS.seed).integers(0, 30, (SETTINGS.n_boot, 30))
    for rows, value in zip(drawn[:5], found, strict=False):
        others = rows[:, None] != rows  # a picture drawn twice is no pair with itself
        differ = np.sign(quality[rows][:, None] - quality[rows]) * others
        right = (1 + differ * np.sign(cue[rows][:, None] - cue[rows])) / 2 * np.abs(differ)
        assert value == pytest.approx(right.sum() / np.abs(differ).sum())


def test_groups_of_one_set_share_their_resamples():
    cue, quality = tied()
    inside = quality > 1
    half = pair_agreement_replicates(cue[:, None], quality, inside, settings=SETTINGS)
    again = pair_agreement_replicates(cue[:, None], quality, inside, settings=SETTINGS)
    np.testing.assert_array_equal(half, again)
    assert half.mean() == pytest.approx(pair_agreement(cue[inside], quality[inside]), abs=0.02)


def test_whole_clusters_are_drawn():
    cue, quality = tied()
    clusters = np.arange(60) // 10
    wide = pair_agreement_replicates(cue[:, None], quality, clusters=clusters, settings=SETTINGS)
    assert np.isfinite(wide).all()
    assert len(np.unique(wide.round(12))) < SETTINGS.n_boot  # six clusters repeat themselves


def test_the_mean_over_pairs_of_one_value_is_that_value():
    table = np.full((6, 6), 0.3)
    found = pair_replicates(table, np.ones((6, 6)), 6, settings=SETTINGS)
    np.testing.assert_allclose(found[np.isfinite(found)], 0.3)
    assert pair_replicates(table, table, 6, settings=EvaluationSettings(n_boot=0)).size == 0
