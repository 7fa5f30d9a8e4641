"""The exponent of Box-Cox: what every lambda gives, and how steady that is."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from maclip_lab.ablations.rated import RatedSet, crop_statistics
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.cues import box_cox
from maclip_lab.evaluation.estimates import Estimate
from maclip_lab.fusion import FusionSettings, fuse

PLATEAU = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Where the paper finds the score steady."""
CURVE = (0.0, 0.1, 0.2, *PLATEAU, 1.0, 1.5, 2.0)
"""Exponents of a curve from the logarithm to the square."""


def lambda_scores(rated: RatedSet, box_lams: Sequence[float]) -> dict[float, pd.DataFrame]:
    """`score_store` by every exponent."""
    cues = rated.cues(box_lams)
    return {lam: score_store(cues, settings=FusionSettings(box_lam=lam)) for lam in box_lams}


def undivided_scores(rated: RatedSet, box_lams: Sequence[float]) -> dict[float, pd.DataFrame]:
    """``score`` and ``q_mag`` by every exponent, of magnitudes in the unit they come in.

    That is without the division by their standard deviation.
    """

    def bent(features: Tensor, lam: float) -> Tensor:
        return box_cox(features.abs(), lam).mean(-1)

    cues = crop_statistics(rated.features, {str(lam): partial(bent, lam=lam) for lam in box_lams})
    stored, tables = rated.stored, {}
    (q_cos,), everything = stored.q_cos.values(), stored.select()
    for lam in box_lams:
        q_mag = cues[str(lam)]
        score, *_ = fuse(torch.from_numpy(q_cos), torch.from_numpy(q_mag))
        crops = {"score": score.numpy(), "q_mag": q_mag}
        means = {name: stored.means(values, everything) for name, values in crops.items()}
        tables[lam] = pd.DataFrame(means, index=rated.facts.index)
    return tables


def lambda_agreement(rated: RatedSet, tables: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """SRCC of score and magnitude cue by every exponent, with intervals.

    Args:
        rated: the data set.
        tables: of `lambda_scores` or `undivided_scores`.

    Returns:
        One row an exponent and method: ``method, box_lam, srcc, srcc_lo, srcc_hi``.
    """
    found = [
        rated.agreement(table[["score", "q_mag"]]).assign(box_lam=lam)
        for lam, table in tables.items()
    ]
    return pd.concat(found, ignore_index=True)


def steadiness(rated: RatedSet, tables: dict[float, pd.DataFrame]) -> Estimate:
    """How far the score's SRCC moves over the `PLATEAU`, the highest less the lowest."""
    return rated.reach(pd.DataFrame({lam: tables[lam]["score"] for lam in PLATEAU}))
