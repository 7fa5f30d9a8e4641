"""The steps of the magnitude cue, its exponent, and the grid of the fusion's constants."""

import numpy as np
import pytest

from maclip_lab.ablations import (
    lambda_agreement,
    lambda_scores,
    paper_means,
    steadiness,
)
from maclip_lab.ablations.constants import grid_agreement
from maclip_lab.evaluation import finding
from maclip_lab.fusion import FusionSettings
from tests.rated_world import rated_set


@pytest.fixture(scope="module")
def rated():
    return rated_set(cosine=0.6, evenness=0.5)


def test_every_exponent_has_its_scores_and_their_agreement(rated):
    tables = lambda_scores(rated, [0.3, 0.4, 0.5, 0.6, 0.7, 2.0])
    curve = lambda_agreement(rated, tables).set_index(["method", "box_lam"])["srcc"]
    assert curve["score", 0.5] == pytest.approx(rated.srcc(rated.table["score"]).value)
    scores = [curve["score", lam] for lam in (0.3, 0.4, 0.5, 0.6, 0.7)]
    moved = steadiness(rated, tables)
    assert moved.value == pytest.approx(np.ptp(scores))
    assert finding(moved, within=1.0) == "yes"


def test_the_authors_grid_is_compared_with_the_papers_setting(rated):
    table = grid_agreement(rated)
    assert len(table) == 50
    own = table[(table["alpha"] == 1.0) & (table["head start"] == 0.4)].iloc[0]
    assert own["srcc"] == pytest.approx(rated.srcc(rated.table["score"]).value)
    assert own["alike"]
    other = table[(table["alpha"] == 2.0) & (table["head start"] == -0.4)].iloc[0]
    scores = rated.scores(FusionSettings(base_cos=0.6, base_norm=1.0, alpha=2.0))
    assert other["lead"] == pytest.approx(rated.lead(scores, rated.table["score"]).value)


def test_the_papers_means_are_those_of_its_table():
    assert paper_means() == (0.6296, 0.6902)
