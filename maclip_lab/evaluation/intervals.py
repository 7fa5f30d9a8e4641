"""Bootstrap intervals for correlations: every method sees the same resampled pictures.

A resample is a vector of counts, how often each picture was drawn. Values are sorted once;
each resample then costs a few passes over the counts, exact with ties, for Spearman and
Pearson alike. Shapes: N pictures, M methods, B resamples (a chunk of them at a time).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maclip_lab.evaluation.correlations import Array, is_constant, standardise

MIN_CLUSTERS = 5
_CHUNK_NUMBERS = 2**17
_MAX_UNDEFINED = 0.05
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class EvaluationSettings:
    """How intervals are made.

    Attributes:
        n_boot: number of resamples; 0 for no intervals.
        seed: the same seed gives the same resamples, so results repeat to the last bit.
        level: coverage of the intervals, between 0 and 1.
    """

    n_boot: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.n_boot < 0:
            raise ValueError(f"expected n_boot of 0 or more resamples, got {self.n_boot}")
        if not 0 < self.level < 1:
            raise ValueError(f"expected a level between 0 and 1 such as 0.95, got {self.level}")


@dataclass(frozen=True)
class Replicates:
    """Correlations with the MOS in each resample, one column per method (B, M)."""

    srcc: Array
    plcc: Array


def bootstrap(
    predictions: Array,
    fitted: Array,
    mos: Array,
    *,
    clusters: Indices | None = None,
    settings: EvaluationSettings | None = None,
) -> Replicates:
    """Correlations of all methods with the MOS over the same resamples.

    Args:
        predictions: raw predictions (N, M), for Spearman.
        fitted: predictions on the MOS scale (N, M), for Pearson. The curve is held, not
            refitted in every resample. Columns with NaN give NaN.
        mos: mean opinion scores (N,).
        clusters: cluster number of each picture (N,), 0 to G-1; whole clusters are drawn.
        settings: number of resamples and seed.
    """
    settings = settings or EvaluationSettings()
    n_methods = predictions.shape[1]
    columns = range(n_methods)
    mos_order = _TieGroups(mos)
    orders = [_TieGroups(predictions[:, m]) for m in columns]
    moments = [_Moments(fitted[:, m], mos) for m in columns]
    shape = (settings.n_boot, n_methods)
    result = Replicates(np.full(shape, np.nan), np.full(shape, np.nan))
    first = 0
    for counts in resample_counts(mos.size, clusters, settings):
        rows = slice(first, first + counts.shape[1])
        first = rows.stop
        mos_ranks = mos_order.centred_ranks(counts)
        mos_spread = np.einsum("nb,nb,nb->b", counts, mos_ranks, mos_ranks)
        for m in columns:
            ranks = orders[m].centred_ranks(counts)
            spread = np.einsum("nb,nb,nb->b", counts, ranks, ranks)
            product = np.einsum("nb,nb,nb->b", counts, ranks, mos_ranks)
            result.srcc[rows, m] = _ratio(product, spread * mos_spread)
            result.plcc[rows, m] = moments[m].correlation(counts)
    return result


def resample_counts(
    n: int, clusters: Indices | None, settings: EvaluationSettings
) -> Iterator[Array]:
    """How often each of ``n`` pictures is drawn, in chunks (N, b) of ``n_boot`` resamples."""
    generator = np.random.default_rng(settings.seed)
    n_drawn = n if clusters is None else int(clusters.max()) + 1
    chunk = max(1, min(settings.n_boot, _CHUNK_NUMBERS // n))
    for first in range(0, settings.n_boot, chunk):
        size = min(chunk, settings.n_boot - first)
        drawn = generator.integers(0, n_drawn, (size, n_drawn))
        drawn += np.arange(size)[:, None] * n_drawn
        flat = np.bincount(drawn.ravel(), minlength=size * n_drawn)
        counts = np.ascontiguousarray(flat.reshape(size, n_drawn).T, dtype=np.float64)
        yield counts if clusters is None else counts[clusters]


def percentile_interval(replicates: Array, level: float) -> tuple[float, float]:
    """Percentile interval of one column of replicates (B,).

    NaN where more than one resample in twenty has no correlation (all pictures drawn alike).
    """
    if replicates.size == 0 or np.isnan(replicates).mean() > _MAX_UNDEFINED:
        return float("nan"), float("nan")
    low, high = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _ratio(product: Array, spread: Array) -> Array:
    ratio = np.full(product.shape, np.nan)
    np.divide(product, np.sqrt(np.maximum(spread, 0)), out=ratio, where=spread > 0)
    return np.clip(ratio, -1, 1)


class _TieGroups:
    """One variable's order and ties, found once; ranks of any resample follow from counts."""

    def __init__(self, x: Array) -> None:
        _, self.member = np.unique(x, return_inverse=True)
        self.order = np.argsort(self.member, kind="stable")
        sizes = np.bincount(self.member)
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.has_ties = bool((sizes > 1).any())

    def centred_ranks(self, counts: Array) -> Array:
        """Mean ranks (N, B) in each resample, less their mean."""
        in_group = counts[self.order]
        if self.has_ties:
            in_group = np.add.reduceat(in_group, self.starts, axis=0)
        up_to = np.cumsum(in_group, axis=0)
        ranks = up_to - 0.5 * in_group - 0.5 * up_to[-1]
        return ranks[self.member]


class _Moments:
    """Pearson's correlation under counts, as one matrix product."""

    def __init__(self, x: Array, y: Array) -> None:
        self.rows = None
        if np.isfinite(x).all() and not is_constant(x) and not is_constant(y):
            x, y = standardise(x), standardise(y)
            self.rows = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y])

    def correlation(self, counts: Array) -> Array:
        if self.rows is None:
            return np.full(counts.shape[1], np.nan)
        n, x, y, xx, yy, xy = self.rows @ counts
        x_spread, y_spread = xx - x * x / n, yy - y * y / n
        # Standardised data: a spread this far below n is rounding, the resample is constant.
        x_spread[x_spread < 1e-12 * n] = 0
        y_spread[y_spread < 1e-12 * n] = 0
        return _ratio(xy - x * y / n, x_spread * y_spread)
