"""A test for two correlations with the same scores, and correction for many tests.

The two predictions are made on the same pictures, so their correlations with the MOS depend
on each other. Williams' test is for Pearson's correlation of independent pictures; for
Spearman's it rejects too often, and the paired bootstrap takes its place.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from maclip_lab.evaluation.correlations import Array


class Significance(NamedTuple):
    """A statistic and its two-sided p value; both NaN where the test does not exist."""

    statistic: float
    p: float


_UNDEFINED = Significance(float("nan"), float("nan"))


def williams(r1: float, r2: float, r12: float, n: int) -> Significance:
    """Williams' t for two dependent Pearson correlations.

    ``r1`` and ``r2`` are the predictions' correlations with the scores of n pictures, ``r12``
    is the one between them.

    Source: Williams, J. R. Stat. Soc. B 21 (1959); Steiger, Psychol. Bull. 87 (1980), eq. 7.

    >>> round(williams(0.5, 0.4, 0.8, 200).statistic, 4)
    2.5588
    """
    if n <= 3 or not all(abs(r) < 1 - 1e-12 for r in (r1, r2, r12)):
        same = abs(r1 - r2) < 1e-9 and r12 > 1 - 1e-9
        return Significance(0.0, 1.0) if same else _UNDEFINED
    determinant = 1 - r1**2 - r2**2 - r12**2 + 2 * r1 * r2 * r12
    mean = (r1 + r2) / 2
    spread = 2 * (n - 1) / (n - 3) * determinant + mean**2 * (1 - r12) ** 3
    if spread <= 0:
        return _UNDEFINED
    t = (r1 - r2) * np.sqrt((n - 1) * (1 + r12) / spread)
    return Significance(float(t), float(2 * stats.t.sf(abs(t), n - 3)))


def bootstrap_p(differences: Array) -> float:
    """Two-sided p value that a difference is zero, from its bootstrap replicates (B,).

    Never below 2 / (B + 1): raise ``n_boot`` where a correction for many tests needs less.
    """
    known = differences[~np.isnan(differences)]
    if known.size == 0:
        return float("nan")
    tail = min(np.sum(known <= 0), np.sum(known >= 0))
    return float(min(1.0, 2 * (tail + 1) / (known.size + 1)))


def chance_p(null: Array, value: float) -> float:
    """One-sided p value of a number among draws of chance (B,): how often these do as well.

    The number counts as one draw, so p is never below 1 / (B + 1).

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), eq. 4.11.

    >>> chance_p(np.array([0.1, 0.2, 0.3]), 0.25)
    0.5
    """
    return float((1 + np.sum(null >= value)) / (1 + len(null)))


def holm(p_values: ArrayLike) -> Array:
    """Holm's step-down adjusted p values (T,); NaN stays NaN and counts as no test.

    Source: Holm, Scand. J. Stat. 6 (1979), 65-70.

    >>> [round(float(p), 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted
