"""Where MA-CLIP's gain comes from: from CLIP-IQA to MA-CLIP in single steps.

Each rung adds one thing: the whole picture seen by CLIP-IQA; the same prompts on crops; the
magnitude cue beside them, by a plain mean; and the adaptive weight.
"""

from itertools import pairwise

import pandas as pd

from maclip_lab.ablations.rated import RatedSet
from maclip_lab.ablations.sweeps import score_store

RUNGS = ("whole picture", "+ crops", "+ magnitude, plain mean", "+ adaptive weight")
"""CLIP-IQA, the cosine cue, the mean of the cues, and MA-CLIP."""


def rung_scores(rated: RatedSet) -> pd.DataFrame:
    """Score of every picture on every rung, of those pictures that have one on each.

    Raises:
        ValueError: the set was opened without its whole pictures.
    """
    if rated.wholes is None:
        raise ValueError(f"{rated.name} was opened without its whole pictures, which CLIP-IQA sees")
    columns = [
        score_store(rated.wholes, rated.anchors)["q_cos"].to_numpy(),
        *(rated.scores(rule=rule) for rule in ("cosine", "mean", "adaptive")),
    ]
    scores = pd.DataFrame(dict(zip(RUNGS, columns, strict=True)), index=rated.facts.index)
    return scores.dropna().reindex(scores.index)


def ladder(rated: RatedSet) -> pd.DataFrame:
    """SRCC of every rung, and what its step adds.

    Returns:
        One row a rung: ``rung, srcc, srcc_lo, srcc_hi``, and ``step, step_lo, step_hi``, the gain
        over the rung below with its paired interval, NaN for the first.
    """
    scores = rung_scores(rated)
    table = rated.agreement(scores).rename(columns={"method": "rung"})
    steps = [rated.lead(scores[high], scores[low]) for low, high in pairwise(RUNGS)]
    names = ["step", "step_lo", "step_hi"]
    table[names] = pd.DataFrame(steps, index=range(1, len(RUNGS))).reindex(table.index).to_numpy()
    return table
