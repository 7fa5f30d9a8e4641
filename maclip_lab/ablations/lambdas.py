"""The exponent of Box-Cox: what every lambda gives, and how steady that is."""

from collections.abc import Sequence

import pandas as pd

from maclip_lab.ablations.rated import RatedSet
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.evaluation.estimates import Estimate
from maclip_lab.fusion import FusionSettings

PLATEAU = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Where the paper finds the score steady."""


def lambda_scores(rated: RatedSet, box_lams: Sequence[float]) -> dict[float, pd.DataFrame]:
    """`score_store` by every exponent."""
    cues = rated.cues(box_lams)
    return {lam: score_store(cues, settings=FusionSettings(box_lam=lam)) for lam in box_lams}


def lambda_agreement(rated: RatedSet, tables: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """SRCC of score and magnitude cue by every exponent, with intervals.

    Args:
        rated: the data set.
        tables: of `lambda_scores`.

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
