"""The data sets of a notebook: people's opinion, and beside it the severity of harm done here."""

import os
from typing import Any

from maclip_lab.ablations.rated import STATISTICS, RatedSet
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.lessons.dataset import open_crops_and_whole, open_features
from maclip_lab.scorer import Maclip

SEVERITY = "synthetic"


def open_rated(
    dataset: str,
    scorer: Maclip,
    root: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    whole: bool = False,
    **choices: Any,
) -> dict[str, RatedSet]:
    """The data set asked for and the severity of harm, each by its name; once where both are one.

    Args:
        dataset: as `open_features` takes it.
        scorer: the backbone.
        root: where the data set lies.
        seed: of the bootstrap.
        whole: with the features of whole pictures, for CLIP-IQA.
        choices: further arguments of `open_features`, for the data set asked for.
    """
    statistics = EvaluationSettings(STATISTICS.n_boot, seed)
    found: dict[str, RatedSet] = {}
    for name, where, how in ((dataset, root, choices), (SEVERITY, None, {})):
        if whole:
            crops, wholes = open_crops_and_whole(name, scorer, where, **how)
        else:
            crops, wholes = open_features(name, scorer, where, **how), None
        rated = RatedSet(crops, scorer.anchors, statistics, wholes)
        found.setdefault(rated.name, rated)
    return found
