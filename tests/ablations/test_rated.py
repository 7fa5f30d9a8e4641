from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from maclip_lab import cues
from maclip_lab.ablations import RatedSet, score_store
from maclip_lab.ablations.rated import Rated
from maclip_lab.cues import magnitude_cue, mean_magnitude
from maclip_lab.evaluation import EvaluationSettings, evaluate, finding
from tests.rated_world import CROPS, given_features, rated_set


@pytest.fixture(scope="module")
def rated():
    return rated_set(cosine=0.6, evenness=0.5)


def test_it_says_opinion_of_people_and_severity_of_harm_done_here(rated):
    assert rated.name == "opinion (opinions)"
    assert rated.quality_label == "MOS, higher is better"
    harm = RatedSet(
        given_features(rated.features.store[0][None], {"mos": [5.0]}, "synthetic"), rated.anchors
    )
    assert harm.name == "severity (synthetic)"
    assert "pseudo-MOS" in harm.quality_label


def test_its_srcc_is_scipys_and_that_of_evaluate(rated):
    table = evaluate(rated.table[["score"]], rated.quality, settings=rated.statistics).iloc[0]
    found = rated.srcc(rated.table["score"])
    assert found.value == pytest.approx(table["srcc"])
    assert found.value == pytest.approx(spearmanr(rated.table["score"], rated.quality).statistic)


def test_a_lead_is_narrower_than_two_intervals_since_it_is_paired(rated):
    noisy = rated.table["score"] + np.random.default_rng(0).normal(size=len(rated.table)) / 1000
    lead, alone = rated.lead(noisy, rated.table["score"]), rated.srcc(noisy)
    assert lead.high - lead.low < 0.2 * (alone.high - alone.low)
    table = rated.agreement(pd.DataFrame({"a": noisy, "b": rated.table["score"]}), baseline="b")
    assert tuple(table.loc[0, ["lead", "lead_lo", "lead_hi"]]) == pytest.approx(tuple(lead))
    assert tuple(table.loc[1, ["lead", "lead_lo", "lead_hi"]]) == (0, 0, 0)


def test_how_far_predictions_lie_apart_is_their_lead_where_there_are_two(rated):
    both = rated.table[["q_cos", "q_mag"]]
    lead = rated.lead(both["q_cos"], both["q_mag"])
    assert rated.reach(both).value == pytest.approx(abs(lead.value))
    assert [*rated.reach(both[["q_cos"]])] == [0, 0, 0]


def test_a_picture_without_a_number_is_left_out_of_both(rated):
    broken = rated.table["q_cos"].copy()
    broken.iloc[:7] = np.nan
    kept = rated.srcc(broken)
    rest = spearmanr(broken.iloc[7:], rated.quality.iloc[7:]).statistic
    assert kept.value == pytest.approx(rest)


def test_too_few_references_give_no_interval():
    rated = rated_set(40, cosine=1.0, ref_id=["a", "b"] * 20)
    found = rated.srcc(rated.table["q_cos"])
    assert found.value > 0.5
    assert np.isnan(found.low)
    assert finding(found) == "cannot tell"


def test_lower_is_better_is_turned_round(rated):
    manifest = rated.features.manifest
    turned = given_features(rated.features.store, {"mos": -manifest.table["mos"]})
    object.__setattr__(turned.manifest, "higher_is_better", False)
    assert RatedSet(turned, rated.anchors).quality.tolist() == rated.quality.tolist()


def test_any_statistic_of_a_feature_is_averaged_over_the_crops(rated):
    found = rated.means({"mine": magnitude_cue, "raw": mean_magnitude})
    np.testing.assert_allclose(found["mine"], rated.table["q_mag"], rtol=1e-5)
    first = mean_magnitude(rated.features.features(0))
    assert len(first) == CROPS
    assert found["raw"].iloc[0] == pytest.approx(first.mean().item(), rel=1e-6)


def test_scores_by_another_rule_are_those_of_the_sweeps(rated):
    expected = score_store(rated.stored, rule="mean")["score"]
    np.testing.assert_array_equal(rated.scores(rule="mean"), expected)


def test_of_a_large_set_some_pictures_are_paired(rated, monkeypatch):
    monkeypatch.setattr("maclip_lab.ablations.rated.MOST_PAIRED", 50)
    assert rated.halves()[0]["n"].tolist() == [25] * 4


def test_halves_find_a_cue_that_knows_poor_pictures_only():
    rated = rated_set(300, n_boot=EvaluationSettings().n_boot // 5)
    rng, quality = np.random.default_rng(9), rated.quality
    poor = quality < quality.median()
    rated.table["q_cos"] = np.where(poor, rng.normal(size=300), quality)
    rated.table["q_mag"] = np.where(poor, quality, rng.normal(size=300))
    table, change = rated.halves()
    seen = table.set_index(["half", "method"])["agreement"]
    assert seen["better half", "q_cos"] == seen["worse half", "q_mag"] == 1
    assert 0.4 < seen["worse half", "q_cos"] < 0.6
    assert table["n"].tolist() == [150] * 4
    assert finding(change) == "yes"


def seen(**given):
    return Rated(*(getattr(rated_set(**given), name) for name in ("features", "anchors", "wholes")))


def test_what_a_picture_is_given_is_the_mean_over_its_crops():
    rated = seen(n=40)
    q_cos, q_mag = rated.cues()
    np.testing.assert_allclose(rated.means(q_mag), rated.table["q_mag"], atol=1e-6)
    np.testing.assert_allclose(q_mag, cues.magnitude_cue(rated.crops), atol=1e-6)
    np.testing.assert_allclose(rated.score(), rated.table["score"])
    with pytest.raises(ValueError, match="one number for each of the 80 crops"):
        rated.means(q_cos[:3])


def test_a_cue_of_ones_own_is_any_function_of_the_features():
    rated = seen(n=200, evenness=2.0)
    peak = rated.means(-rated.crops.abs().amax(1) / rated.crops.abs().mean(1))
    assert rated.srcc(peak).low > 0
    lead = rated.lead(peak, np.random.default_rng(5).normal(size=200))
    assert lead.low > 0
    assert (lead.n, lead.method) == (200, "bootstrap")


def test_few_photographs_get_the_jackknife_with_t():
    rated = seen(n=60, evenness=1.0, ref_id=np.repeat([f"photo{i}" for i in range(12)], 5))
    estimate = rated.srcc(rated.table["q_mag"])
    assert (estimate.method, estimate.clusters) == ("jackknife-t", 12)


def test_pictures_without_an_opinion_are_left_out_and_counted():
    given = rated_set(n=50)
    table = given.features.table.assign(status=["unreadable", *["ok"] * 49])
    rated = Rated(replace(given.features, table=table), given.anchors, name="mine")
    assert (rated.n, rated.n_dropped, len(rated.quality)) == (49, 1, 49)
