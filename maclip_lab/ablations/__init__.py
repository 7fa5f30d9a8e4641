"""What the ablations compute: settings swept over stored features, and the study of a data set.

A `RatedSet` is one data set seen by one backbone, with statistics of one kind; most of the modules
ask it. `sweeps` runs grids of settings, `study` makes the table of a full evaluation.
"""

from maclip_lab.ablations.constants import grid_agreement
from maclip_lab.ablations.contents import (
    content_groups,
    distance_change,
    mean_distance,
    share_between,
    stage_distances,
)
from maclip_lab.ablations.ladder import ladder
from maclip_lab.ablations.lambdas import lambda_agreement, lambda_scores, steadiness
from maclip_lab.ablations.landscape import backward_shares, turning_leads
from maclip_lab.ablations.levels import cue_changes, directions, srcc_by_mixture
from maclip_lab.ablations.magnitude_steps import STEPS, unit_table
from maclip_lab.ablations.normality import magnitude_normality
from maclip_lab.ablations.payoff import payoff, payoff_table
from maclip_lab.ablations.published import paper_means
from maclip_lab.ablations.rated import RatedSet
from maclip_lab.ablations.sweeps import AUTHORS_GRID, score_store, sweep

__all__ = [
    "AUTHORS_GRID",
    "STEPS",
    "RatedSet",
    "backward_shares",
    "content_groups",
    "cue_changes",
    "directions",
    "distance_change",
    "grid_agreement",
    "ladder",
    "lambda_agreement",
    "lambda_scores",
    "magnitude_normality",
    "mean_distance",
    "paper_means",
    "payoff",
    "payoff_table",
    "score_store",
    "share_between",
    "srcc_by_mixture",
    "stage_distances",
    "steadiness",
    "sweep",
    "turning_leads",
    "unit_table",
]
