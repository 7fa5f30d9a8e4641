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
    n_boot: int = STATISTICS.n_boot,
    whole: bool = False,
    store: str | os.PathLike[str] | None = None,
    **choices: Any,
) -> dict[str, RatedSet]:
    """The data set asked for and the severity of harm, each by its name; once where both are one.

    Args:
        dataset: as `open_features` takes it.
        scorer: the backbone.
        root: where the data set lies.
        seed: of the bootstrap.
        n_boot: resamples of it.
        whole: with the features of whole pictures, for CLIP-IQA.
        store: folder of the feature store; None for the one that all notebooks share.
        choices: further arguments of `open_features`, for the data set asked for.
    """
    statistics = EvaluationSettings(n_boot, seed)
    found: dict[str, RatedSet] = {}
    for name, where, how in ((dataset, root, choices), (SEVERITY, None, {})):
        if whole:
            crops, wholes = open_crops_and_whole(name, scorer, where, store=store, **how)
        else:
            crops, wholes = open_features(name, scorer, where, store=store, **how), None
        rated = RatedSet(crops, scorer.anchors, statistics, wholes)
        found.setdefault(rated.name, rated)
    return found
