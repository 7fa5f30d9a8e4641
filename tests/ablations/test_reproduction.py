"""The paper's claims as rows: each number against an independent computation, each verdict."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from maclip_lab.ablations.evidence import Evidence
from maclip_lab.ablations.lambdas import undivided_scores
from maclip_lab.ablations.published import CLIP_IQA_ANSWERS, published_results
from maclip_lab.ablations.reproduction import (
    COLUMNS,
    DIRECTIONS,
    TOLERANCE,
    answer_rows,
    claims_table,
    cost_row,
    set_rows,
)
from maclip_lab.cues import box_cox
from maclip_lab.datasets.cards import CARDS
from maclip_lab.evaluation import METHODS, evaluate
from maclip_lab.fusion import fuse
from tests.rated_world import CROPS, rated_set


def evidence_of(rated, backbone="RN50", faults=(), dataset="koniq"):
    predictions = rated.table.assign(clip_iqa=whole_scores(rated))[list(METHODS)]
    methods = evaluate(
        predictions.rename(columns=METHODS), rated.quality, settings=rated.statistics
    )
    return Evidence(rated, backbone, dataset, methods, {}, tuple(faults), 1.0)


def whole_scores(rated):
    from maclip_lab.ablations import score_store

    return score_store(rated.wholes, rated.anchors)["q_cos"]


@pytest.fixture(scope="module")
def rated():
    return rated_set(60, cosine=1.5, evenness=0.5, n_boot=100, whole=True)


@pytest.fixture(scope="module")
def rows(rated):
    return set_rows(evidence_of(rated), published(0.5))


def published(value):
    """Numbers of one's own in place of the paper's, all alike."""
    return published_results().assign(value=value)


def row_of(rows, claim):
    return rows.set_index("claim").loc[claim]


def srcc(prediction, rated):
    return stats.spearmanr(prediction, rated.quality).statistic


def test_there_is_a_row_a_claim_with_every_column(rows):
    assert list(rows) == list(COLUMNS)
    assert set(rows["claim"]) >= {one.claim for one in DIRECTIONS}
    assert rows["n"].eq(60).all()
    assert not rows["claim"].duplicated().any()


def test_numbers_are_scipys(rated, rows):
    table, quality = rated.table, rated.quality
    for method, column in {"MA-CLIP": "score", "cosine cue": "q_cos"}.items():
        row = row_of(rows, f"SRCC of {method}")
        assert row["raw"] == pytest.approx(srcc(table[column], rated))
        assert row["lo"] < row["raw"] < row["hi"]
    gain = row_of(rows, "MA-CLIP follows quality better than CLIP-IQA")
    assert gain["ours"] == pytest.approx(
        srcc(table["score"], rated) - srcc(whole_scores(rated), rated)
    )
    mean = rated.stored.means(
        (rated.stored.q_cos["maclip"] + rated.stored.q_mag[0.5]) / 2, rated.stored.select()
    )
    plain = row_of(rows, "the adaptive weight is better than the plain mean")
    assert plain["ours"] == pytest.approx(srcc(table["score"], rated) - srcc(mean, rated))
    raw = row_of(rows, "the raw magnitude rises with quality")
    lengths = np.stack([one.abs().mean().numpy() for one in rated.features.store])
    assert raw["ours"] == pytest.approx(stats.spearmanr(lengths, quality).statistic)


def test_without_the_division_scores_are_those_of_bare_magnitudes(rated):
    found = undivided_scores(rated, [0.5])[0.5]
    features = rated.features.store[3]
    q_mag = box_cox(features.abs(), 0.5).mean(-1)
    q_cos = rated.stored.q_cos["maclip"][3 * CROPS : 4 * CROPS]
    score = np.mean([fuse(*map(np_tensor, pair))[0] for pair in zip(q_cos, q_mag, strict=True)])
    assert found["q_mag"][3] == pytest.approx(q_mag.mean().item(), rel=1e-5)
    assert found["score"][3] == pytest.approx(score, rel=1e-5)


def np_tensor(number):
    import torch

    return torch.tensor(float(number))


def test_a_number_is_reproduced_within_the_tolerance_and_nowhere_else(rated):
    evidence = evidence_of(rated)
    ours = evidence.methods.set_index("method").loc["MA-CLIP", "srcc_official"]
    for apart, verdict in ((0.9, "reproduced"), (-0.9, "reproduced"), (1.1, "not reproduced")):
        rows = set_rows(evidence, published(ours + apart * TOLERANCE))
        assert row_of(rows, "SRCC of MA-CLIP")["verdict"] == verdict
    row = row_of(rows, "PLCC of MA-CLIP")
    assert np.isnan(row["paper"])
    assert row["verdict"].startswith("cannot tell: nothing published")


def test_a_direction_follows_from_the_interval_of_the_difference(rows):
    meant = {"yes": "reproduced", "no": "not reproduced", "cannot tell": "cannot tell"}
    stated = {one.claim: one for one in DIRECTIONS if one.stated}
    judged = rows[rows["claim"].isin(stated)]
    assert (judged["verdict"] == judged["here"].map(meant)).all()
    for row in judged.itertuples():
        if stated[row.claim].within is None and row.here != "cannot tell":
            assert (row.lo > 0) == (row.here == "yes")
    assert set(judged["here"]) > {"yes"}


@pytest.mark.parametrize(
    ("backbone", "faults"), [("tiny-rn", ()), ("RN50", ("a part of the set, 60 of 900 pictures",))]
)
def test_another_backbone_or_a_part_reproduces_nothing(rated, backbone, faults):
    evidence = evidence_of(rated, backbone, faults)
    rows = pd.concat([set_rows(evidence, published(0.5)), cost_row(evidence, 0.1, 2)])
    said = "tiny-rn is not the paper's RN50" if not faults else faults[0]
    assert (rows["verdict"] == f"not run: {said}").all()
    assert rows["ours"].notna().all()


def test_a_score_that_says_nothing_gives_no_verdict():
    rated = rated_set(30, n_boot=50, whole=True)
    for features in (rated.features, rated.wholes):
        features.store[:] = [features.store[0]] * 30
    rows = set_rows(evidence_of(rated), published(0.5))
    assert set(rows["verdict"].str.partition(":")[0]) == {"cannot tell"}


def test_known_answers_are_judged_to_one_per_cent():
    first, second = CLIP_IQA_ANSWERS
    rows = answer_rows({first: 1.009 * CLIP_IQA_ANSWERS[first], second: 0.3}, "RN50")
    assert list(rows["verdict"]) == ["reproduced", "not reproduced"]
    assert answer_rows({}, "RN50")["verdict"].str.startswith("not run: TID2013's").all()


def test_what_could_not_be_run_has_its_rows_and_the_means_need_all_six_sets(rated):
    paper = published_results()
    absent = {name: "the set is not here" for name in CARDS}
    table = claims_table([], paper, absent)
    assert table["verdict"].str.startswith("not run: ").all()
    assert set(table["dataset"]) >= set(CARDS)
    means = table[table["dataset"].str.startswith("mean")].set_index("claim")
    assert means.loc["SRCC of CLIP-IQA", "paper"] == pytest.approx(0.6435, abs=5e-5)
    assert set(means["how"]) == {"recomputed"}
    six = [name for name in CARDS if name in set(paper["dataset"])]
    evidence = [evidence_of(rated, dataset=name) for name in six]
    numbers = [set_rows(evidence[0], paper).assign(dataset=name) for name in six]
    full = claims_table(numbers, paper, {})
    means = full[full["dataset"] == "mean of 6 sets"].set_index("claim")
    ours = evidence[0].methods.set_index("method")["srcc_official"]
    assert means.loc["SRCC of MA-CLIP", "ours"] == pytest.approx(ours["MA-CLIP"])
    assert not full["verdict"].str.startswith("not run").any()
