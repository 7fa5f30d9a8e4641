"""The paper's claims asked of small rated sets, against numbers computed another way."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from maclip_lab import Lesson, claims
from maclip_lab.fusion import FusionSettings


@pytest.fixture(scope="module")
def evidence():
    lab = Lesson("10", n_boot=300)
    return claims.gather([lab.cells["tiny-rn", name] for name in ("CLIVE", "severity")])


@pytest.fixture(scope="module")
def table(evidence):
    return claims.claims_table(evidence, {}, {"koniq": "the set is not here"})


def srcc(prediction, rated):
    return stats.spearmanr(prediction, rated.quality).statistic


def test_leads_are_differences_of_scipys_correlations(evidence):
    for one in evidence:
        table, estimates = one.rated.table, one.estimates
        gain = srcc(table["score"], one.rated) - srcc(table["clip_iqa"], one.rated)
        assert estimates["MA-CLIP is better than CLIP-IQA"].value == pytest.approx(gain)
        raw = srcc(table["mean_magnitude"], one.rated)
        assert estimates["raw magnitude rises with quality"].value == pytest.approx(raw)


def test_steady_is_the_nearer_of_both_ends(evidence):
    rated = evidence[0].rated
    low, high = (srcc(rated.score(FusionSettings(box_lam=lam)), rated) for lam in (0.3, 0.7))
    nearer = claims.STEADY - abs(high - low)
    steady = evidence[0].estimates["from lambda 0.3 to 0.7 the score is steady"]
    assert steady.value == pytest.approx(nearer)


def test_half_the_gain_is_of_the_rows_and_not_of_the_misstated_mean():
    assert pytest.approx((0.69015 - 0.64352) / 2, abs=1e-4) == claims.STEADY


def test_resamples_follow_the_number_of_verdicts(evidence):
    tests = len(evidence) * len(claims.DIRECTIONS)
    assert evidence[0].statistics.n_boot >= 40 * tests


def test_halves_of_levels_are_no_halves(evidence):
    halves = evidence[1].estimates["the cosine cue leads by more among good pictures"]
    assert np.isnan(halves.value)
    assert "levels" in halves.reason


def test_another_backbone_or_a_part_reproduces_nothing_and_says_why(table):
    assert table["verdict"].str.startswith("not run: ").all()
    row = table[(table["claim"] == "SRCC of MA-CLIP") & (table["dataset"] == "CLIVE (part)")]
    assert "tiny-rn is not RN50" in row["verdict"].iloc[0]
    assert "a part of the set" in row["verdict"].iloc[0]
    assert row["raw"].iloc[0] == pytest.approx(0.345, abs=1e-3)


def test_what_is_absent_stands_with_its_reason_and_the_papers_number(table):
    row = table[(table["claim"] == "SRCC of MA-CLIP") & (table["dataset"] == "koniq")].iloc[0]
    assert row["paper"] == 0.7645
    assert row["verdict"] == "not run: the set is not here"


def test_a_whole_set_by_the_papers_backbone_is_judged(evidence, monkeypatch):
    one = claims.Evidence(evidence[0].rated)
    monkeypatch.setattr(one, "why_not", "")
    monkeypatch.setattr(claims, "part_of_set", lambda manifest: "")
    paper = float(one.rated.evaluate(one.rated.table[["score"]])["srcc_official"].iloc[0])
    published = pd.DataFrame(
        [
            (name, method, "RN50", "srcc", paper + 0.004, "", "primary")
            for name in ("CLIVE", "livec")
            for method in ("CLIP-IQA", "MA-CLIP")
        ],
        columns=["dataset", "method", "backbone", "metric", "value", "source", "how"],
    )
    monkeypatch.setattr(claims, "published_results", lambda: published)
    table = claims.claims_table([one], {}, {})
    row = table[(table["claim"] == "SRCC of MA-CLIP") & (table["dataset"] == "CLIVE")].iloc[0]
    assert row["verdict"] == "reproduced"
    monkeypatch.setattr(claims, "published_results", lambda: published.assign(value=paper + 0.006))
    table = claims.claims_table([one], {}, {})
    row = table[(table["claim"] == "SRCC of MA-CLIP") & (table["dataset"] == "CLIVE")].iloc[0]
    assert row["verdict"] == "not reproduced"


@pytest.mark.parametrize(
    ("answer", "verdict"), [(0.8916, "reproduced"), (0.88, "not reproduced"), (None, "not run")]
)
def test_known_answers_agree_to_one_percent(answer, verdict):
    answers = {} if answer is None else {"i01.bmp": answer}
    row = claims.claims_table([], answers, {}).iloc[0]
    assert row["verdict"].startswith(verdict)


def test_contents_come_closer_by_a_plain_loop_of_scipys_distances(evidence):
    rated = evidence[1].rated
    last = rated.crops[[np.flatnonzero(rated.picture == i)[-1] for i in range(rated.n)]]
    divided = last.abs() / last.abs().std(-1, keepdim=True)
    means = []
    for values in (divided, 2 * ((divided + 1) ** 0.5 - 1)):
        parts = [
            (values[(rated.clusters == name).to_numpy()] / values.std()).flatten().numpy()
            for name in rated.clusters.unique()
        ]
        apart = [stats.wasserstein_distance(a, b) for a, b in combinations(parts, 2)]
        means.append(np.mean(apart))
    closer = evidence[1].estimates["Box-Cox moves contents' magnitudes closer"]
    assert closer.value == pytest.approx(means[0] - means[1], abs=1e-5)
    assert closer.clusters == len(rated.clusters.unique())
