"""What the ablations compute: settings swept over stored features, and the study of a data set.

A `RatedSet` is one data set seen by one backbone, with statistics of one kind; most of the modules
ask it. `sweeps` runs grids of settings, `study` makes the table of a full evaluation.
"""

from maclip_lab.ablations.constants import grid_agreement
from maclip_lab.ablations.contents import (
    content_groups,
    distance_change,
    mean_distance,
    stage_distances,
)
from maclip_lab.ablations.ladder import ladder
from maclip_lab.ablations.lambdas import lambda_agreement, lambda_scores, steadiness
from maclip_lab.ablations.published import paper_means
from maclip_lab.ablations.rated import RatedSet
from maclip_lab.ablations.sweeps import AUTHORS_GRID, score_store, sweep

__all__ = [
    "AUTHORS_GRID",
    "RatedSet",
    "content_groups",
    "distance_change",
    "grid_agreement",
    "ladder",
    "lambda_agreement",
    "lambda_scores",
    "mean_distance",
    "paper_means",
    "score_store",
    "stage_distances",
    "steadiness",
    "sweep",
]
