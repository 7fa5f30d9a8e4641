from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from maclip_lab import cues
from maclip_lab.ablations import score_store
from maclip_lab.ablations.rated import Rated
from maclip_lab.ablations.rivals import Rivals
from maclip_lab.datasets import card_for, open_dataset
from maclip_lab.evaluation import EvaluationSettings, evaluate
from tests.ablations.conftest import assessed
from tests.datasets.facsimile import build
from tests.rated_world import given_features, rated_set


@pytest.fixture(scope="module")
def rated():
    return rated_set(cosine=0.6, evenness=0.5)


def test_severity_is_harm_done_here_and_no_opinion(rated):
    assert (rated.name, rated.is_severity) == ("opinions", False)
    harm = given_features(rated.features.feats[0][None], {"mos": [5.0]}, "synthetic")
    assert Rated(harm, rated.anchors).name == "severity"
    assert Rated(harm, rated.anchors, name="mine").is_severity


def test_its_srcc_is_scipys_and_that_of_evaluate_on_the_pictures_that_have_a_number(rated):
    table = evaluate(rated.table[["score"]], rated.quality, settings=rated.statistics).iloc[0]
    assert rated.srcc(rated.table["score"]).value == pytest.approx(table["srcc"])
    broken = rated.table["score"].where(rated.quality.index >= 7)
    rest = spearmanr(broken.iloc[7:], rated.quality.iloc[7:]).statistic
    assert rated.srcc(broken).value == pytest.approx(rest)


def test_a_lead_is_narrower_than_two_intervals_since_it_is_paired(rated):
    noisy = rated.table["score"] + np.random.default_rng(0).normal(size=len(rated.table)) / 1000
    lead, alone = rated.lead(noisy, rated.table["score"]), rated.srcc(noisy)
    assert (lead.n, lead.method) == (120, "jackknife-t")
    assert lead.high - lead.low < 0.2 * (alone.high - alone.low)
    assert rated.lead(noisy, noisy).value == 0


@pytest.mark.parametrize(("references", "method"), [(2, ""), (12, "jackknife-t")])
def test_references_are_what_is_drawn(references, method):
    rated = rated_set(n=60, evenness=1.0, ref_id=[f"photo{i % references}" for i in range(60)])
    estimate = rated.srcc(rated.table["q_mag"])
    assert (estimate.method, estimate.clusters) == (method, references)
    assert estimate.value > 0
    assert np.isnan(estimate.low) == (method == "")


def test_lower_is_better_is_turned_round(rated):
    manifest = rated.features.manifest
    turned = given_features(rated.features.feats, {"mos": -manifest.table["mos"]})
    object.__setattr__(turned.manifest, "higher_is_better", False)
    assert Rated(turned, rated.anchors).quality.tolist() == rated.quality.tolist()


def test_what_a_picture_is_given_is_the_mean_over_its_crops():
    rated = rated_set(n=40)
    q_cos, q_mag = rated.cues()
    np.testing.assert_allclose(rated.means(q_mag), rated.table["q_mag"], atol=1e-6)
    np.testing.assert_allclose(q_mag, cues.magnitude_cue(rated.crops), atol=1e-6)
    np.testing.assert_allclose(rated.score(), rated.table["score"])
    by_mean = score_store(rated.stored(), rule="mean")["score"]
    np.testing.assert_array_equal(rated.score(rule="mean"), by_mean)
    with pytest.raises(ValueError, match="one number for each of the 80 crops"):
        rated.means(q_cos[:3])


def test_pictures_without_an_opinion_are_left_out_and_counted():
    given = rated_set(n=50)
    table = given.features.table.assign(status=["unreadable", *["ok"] * 49])
    rated = Rated(replace(given.features, table=table), given.anchors, name="mine")
    assert (rated.n, rated.n_dropped, len(rated.quality)) == (49, 1, 49)


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
def test_the_papers_numbers_stand_beside_a_whole_set_as_published_alone(tmp_path):
    whole, others = open_dataset("livec", build("livec", tmp_path)), card_for("livec").other_sizes
    short = whole.subset(whole.table["name"] != "3.bmp")
    for rows, side in ((whole, 500), (short, 500), (whole, 400)):
        sizes = [others.get(name, (side, side)) for name in rows.table["name"]]
        scores = np.random.default_rng(0).random((len(rows), 2))
        predictions = pd.DataFrame(scores, columns=["score", "q_mag"])
        rivals = Rivals(pd.DataFrame(scores, columns=["SNP_niqe", "mine"]))
        few = EvaluationSettings(n_boot=0)
        found = assessed(rows, predictions, rivals, zip(*sizes, strict=True), statistics=few)
        table = found.table.set_index("method")
        if rows is short or side != 500:
            published = ["paper_rn50_srcc", "minus_paper_rn50", "published_srcc"]
            assert table[published].isna().all(axis=None)
            continue
        ours = table.loc["MA-CLIP"]
        assert ours["paper_rn50_srcc"] == 0.7428
        assert ours["minus_paper_rn50"] == pytest.approx(ours["srcc_official"] - 0.7428)
        published = table.loc[["SNP_niqe", "mine", "MA-CLIP"], "published_srcc"]
        np.testing.assert_equal(published.tolist(), [0.4654, np.nan, np.nan])
