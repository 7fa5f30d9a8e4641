"""Of two pictures, which is the better one: agreement pair by pair, and its resamples.

Where scores take a few values, ties bound a rank correlation, and each group of pictures by
another bound. The share of the pairs that differ in quality and are ordered rightly has no such
bound, so groups can be compared. It is one half for a coin, and (1 + Somers' D) / 2.
"""

import numpy as np
from numpy.typing import NDArray

from maclip_lab.evaluation.correlations import Array
from maclip_lab.evaluation.intervals import EvaluationSettings, Indices, resample_counts


def pair_agreement(predictions: Array, quality: Array) -> float:
    """Share of the pairs of different quality that ``predictions`` (N,) order as it does.

    A pair of equal predictions counts one half. NaN where all pictures are equally good.

    Source: Somers, Am. Sociol. Rev. 27 (1962).

    >>> pair_agreement(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 1.0]))
    0.6666666666666666
    """
    right, asked = _pairs(predictions, quality)
    return float(right.sum() / asked.sum()) if asked.any() else float("nan")


def pair_agreement_replicates(
    predictions: Array,
    quality: Array,
    inside: NDArray[np.bool_] | None = None,
    *,
    clusters: Indices | None = None,
    settings: EvaluationSettings | None = None,
) -> Array:
    """`pair_agreement` of each method in every resample, ``(B, M)``.

    Pictures are drawn from all N, so that groups of one set share their resamples.

    Args:
        predictions: (N, M).
        quality: (N,), higher is better.
        inside: the group whose pairs count (N,); None for all pictures.
        clusters: cluster number of each picture (N,); whole clusters are drawn.
        settings: number of resamples and seed.
    """
    settings = settings or EvaluationSettings()
    rows = np.arange(quality.size) if inside is None else np.flatnonzero(inside)
    columns = []
    for column in predictions.T:
        right, asked = _pairs(column[rows], quality[rows])
        columns.append(
            pair_replicates(right, asked, quality.size, rows, clusters=clusters, settings=settings)
        )
    return np.column_stack(columns)


def pair_replicates(
    values: Array,
    weights: Array,
    n: int,
    rows: Indices | None = None,
    *,
    clusters: Indices | None = None,
    settings: EvaluationSettings | None = None,
) -> Array:
    """Mean over pairs of things in every resample of the things, ``(B,)``.

    A thing drawn twice is no pair with itself.

    Args:
        values: what is averaged, ``(m, m)``.
        weights: how much each pair counts, ``(m, m)``; ``values`` hold this factor already.
        n: how many things are drawn from.
        rows: which of these the ``m`` are; None for all.
        clusters: cluster number of each of the n things; whole clusters are drawn.
        settings: number of resamples and seed.
    """
    off = ~np.eye(len(values), dtype=bool)
    sums = []
    for counts in resample_counts(n, clusters, settings or EvaluationSettings()):
        drawn = counts if rows is None else counts[rows]
        top, bottom = (
            np.einsum("nb,nb->b", drawn, np.where(off, table, 0) @ drawn)
            for table in (values, weights)
        )
        mean = np.full(top.shape, np.nan)
        np.divide(top, bottom, out=mean, where=bottom > 0)
        sums.append(mean)
    return np.concatenate(sums) if sums else np.empty(0)


def _pairs(predictions: Array, quality: Array) -> tuple[Array, Array]:
    """How far every pair is ordered rightly (1, 0.5 or 0), and which pairs differ in quality."""
    asked = np.sign(quality[:, None] - quality)
    same = asked * np.sign(predictions[:, None] - predictions)
    differ = np.abs(asked)
    return differ * (1 + same) / 2, differ
