"""Which harms raise a cue and which lower it: a cue against the level, kind by kind.

Why a cue can follow people's opinions and not the severity of harm: over a mixture of kinds, those
that raise it and those that lower it cancel, whatever the cue says about each of them.
"""

import numpy as np
import pandas as pd

from maclip_lab.ablations.rated import RatedSet


def cue_changes(rated: RatedSet, cue: str = "q_mag") -> pd.DataFrame:
    """A cue of every harmed picture less that of the clean photograph it was made from.

    Args:
        rated: a set that names references, kinds and levels, with the clean photographs at level 0.
        cue: column of `RatedSet.table`.

    Returns:
        One row a picture and kind: ``ref_id, dist_type, dist_level, change``; the clean ones stand
        with every kind, at level 0 and change 0.

    Raises:
        ValueError: the set lacks what is needed.
    """
    facts = rated.facts[["ref_id", "dist_type", "dist_level"]].assign(cue=rated.table[cue])
    clean = facts[facts["dist_level"] == 0].set_index("ref_id")["cue"]
    harmed = facts[facts["dist_level"] > 0]
    if (
        clean.empty
        or harmed["dist_type"].isna().any()
        or not harmed["ref_id"].isin(clean.index).all()
    ):
        raise ValueError(f"{rated.name} does not name kinds, levels and clean photographs")
    harmed = harmed.assign(change=harmed["cue"] - harmed["ref_id"].map(clean))
    kinds = harmed["dist_type"].unique()
    still = pd.DataFrame(
        [(ref, kind, 0, 0.0) for kind in kinds for ref in clean.index],
        columns=["ref_id", "dist_type", "dist_level", "change"],
    )
    return pd.concat([still, harmed[still.columns]], ignore_index=True)


def directions(changes: pd.DataFrame) -> pd.Series:
    """Mean change at the highest level of every kind, lowest first, from `cue_changes`."""
    worst = changes[changes["dist_level"] == changes["dist_level"].max()]
    return worst.groupby("dist_type")["change"].mean().sort_values()


def srcc_by_mixture(rated: RatedSet, changes: pd.DataFrame, cue: str = "q_mag") -> pd.DataFrame:
    """SRCC of a cue with quality on mixtures of kinds: those that lower it, that raise it, and all.

    Returns:
        One row a mixture: ``mixture, kinds, srcc, srcc_lo, srcc_hi``. The two parts were chosen by
        what they do to the cue; they explain the whole, they are no test of it.
    """
    change = directions(changes)
    parts = {
        "harms that lower the cue": list(change.index[change < 0]),
        "harms that raise the cue": list(change.index[change >= 0]),
        "all harms": list(change.index),
    }
    kind, clean = rated.facts["dist_type"], rated.facts["dist_level"] == 0
    rows = []
    for name, kinds in parts.items():
        if kinds:
            chosen = np.where(kind.isin(kinds) | clean, rated.table[cue], np.nan)
            rows.append((name, len(kinds), *rated.srcc(chosen)))
    return pd.DataFrame(rows, columns=["mixture", "kinds", "srcc", "srcc_lo", "srcc_hi"])
