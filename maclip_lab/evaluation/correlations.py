"""Correlations of predictions with mean opinion scores, and what a number's interval lets one say.

Those of two finite vectors (N,) keep the sign, and are NaN, never a warning, where none exists.
"""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
Predictions: TypeAlias = pd.DataFrame | Mapping[str, ArrayLike]
Labels: TypeAlias = Sequence[object] | NDArray[np.object_]

MIN_PICTURES = 5
METHODS = {
    "clip_iqa": "CLIP-IQA",
    "q_cos": "cosine cue",
    "q_mag": "magnitude cue",
    "score": "MA-CLIP",
}
"""Columns of a study's predictions, and the methods they belong to."""
_ROUNDING = 1e-13


def is_constant(x: Array) -> bool:
    """Whether all of ``x`` (N,) is one value, up to float64 rounding noise."""
    return x.size == 0 or bool(np.ptp(x) <= _ROUNDING * np.abs(x).max())


def standardise(x: Array) -> Array:
    """``x`` (N,) shifted and scaled to mean 0 and standard deviation 1; x must vary."""
    centred = x - x.mean()
    centred = centred / np.abs(centred).max()
    centred -= centred.mean()
    return centred / np.sqrt(np.mean(centred**2))


def pearson(x: Array, y: Array) -> float:
    """Pearson's linear correlation (PLCC) in [-1, 1]; NaN if either vector is constant."""
    if is_constant(x) or is_constant(y):
        return float("nan")
    return float(np.clip(np.mean(standardise(x) * standardise(y)), -1.0, 1.0))


def spearman(x: Array, y: Array) -> float:
    """Spearman's rank correlation (SRCC) in [-1, 1], ties sharing their mean rank.

    >>> round(spearman(np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])), 4)
    0.6325
    """
    if is_constant(x) or is_constant(y):
        return float("nan")
    return pearson(stats.rankdata(x), stats.rankdata(y))


def align(
    predictions: Predictions, mos: ArrayLike, higher_is_better: bool = True
) -> tuple[pd.DataFrame, Array]:
    """Predictions (N, M), a column a method, and quality (N,), where higher is better."""
    if not isinstance(predictions, pd.DataFrame | Mapping):
        raise TypeError(
            "expected predictions as a DataFrame or a mapping from method to scores, such as "
            f'{{"MA-CLIP": scores}}, got {type(predictions).__name__}'
        )
    columns = {str(n): numbers(x, mos, f"predictions[{n!r}]") for n, x in predictions.items()}
    if not columns or len(columns) < len(predictions.keys()):
        raise ValueError(f"expected one column per method, names unique, got {[*predictions]}")
    scores = numbers(mos, mos, "mos")
    return pd.DataFrame(columns), scores if higher_is_better else -scores


def numbers(values: ArrayLike, mos: ArrayLike, name: str) -> Array:
    """A column of numbers (N,) for the rows of ``mos``."""
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers in {name}: {error}") from None
    if column.ndim != 1:
        raise ValueError(f"expected {name} as a vector (N,), got shape {column.shape}")
    _check_rows(values, column.size, mos, name)
    return column


def aligned_labels(labels: Labels | None, mos: ArrayLike, name: str) -> NDArray[np.object_] | None:
    """Labels (N,) for the rows of ``mos``, or None where there is not a single one."""
    if labels is None:
        return None
    column = pd.Series(labels, dtype=object)
    _check_rows(labels, column.size, mos, name)
    missing = int(column.isna().sum())
    if 0 < missing < column.size:
        raise ValueError(f"{name} has no label in {missing} of {column.size} rows; give all one")
    return None if missing else column.to_numpy(dtype=object)


def _check_rows(values: object, n: int, mos: ArrayLike, name: str) -> None:
    if n != np.size(mos):
        raise ValueError(
            f"{name} has {n} rows but mos has {np.size(mos)}; one row per picture in both"
        )
    indexes = [rows.index for rows in (values, mos) if isinstance(rows, pd.Series)]
    if len(indexes) == 2 and not indexes[0].equals(indexes[1]):
        raise ValueError(
            f"{name} and mos have different pandas indexes; align them first "
            "(reindex, or reset_index(drop=True) where the order is the same)"
        )


_LEVEL = 0.05
_LEAST = 40  # resamples a test: their counted p, of none beyond zero, passes at that level


@dataclass(frozen=True)
class Estimate:
    """A number, how sure it is, and what it rests on; NaN where something is missing.

    ``p`` is two-sided, that the number is zero; ``n`` counts pictures, ``clusters`` independent
    units: references where the set has them. ``method`` is "jackknife-t", "bootstrap" or "draws of
    chance", empty without an interval; ``reason`` says why something is missing; ``se`` is the
    standard error; ``resamples`` are behind a counted p, 0 where p comes from a t distribution.

    >>> Estimate(0.25, 0.161, 0.342)
    +0.25 [0.16, 0.34]
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    n: int = 0
    clusters: int = 0
    method: str = ""
    reason: str = ""
    se: float = np.nan
    resamples: int = 0

    def __repr__(self) -> str:
        """The number, signed, and its interval; the reason where there is none."""
        return self._written("")

    def __str__(self) -> str:
        """As its repr, with every end signed."""
        return self._written("+")

    def _written(self, sign: str) -> str:
        digits = 3 if max(map(abs, self)) < 0.1 else 2
        value, low, high = (round(number, digits) + 0 for number in self)  # without -0
        number = "nan" if math.isnan(value) else f"{value:+.{digits}f}"
        interval = f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
        return f"{number} ({self.reason})" if self.reason else f"{number} {interval}"

    def __neg__(self) -> "Estimate":
        """The same the other way round."""
        return replace(self, value=-self.value, low=-self.high, high=-self.low)

    def __iter__(self) -> Iterator[float]:
        """``value, low, high``, for a row of a table."""
        return iter((self.value, self.low, self.high))

    @property
    def detectable(self) -> float:
        """The smallest number that these pictures could have shown, four times in five, at 5 %."""
        return self.shown_at(_LEVEL)

    def shown_at(self, level: float) -> float:
        """The smallest number found at a level, such as one that many tests share, in 80 %."""
        if not self.clusters > 1:
            return np.nan
        t = stats.t(self.clusters - 1)
        return float((t.ppf(1 - level / 2) + t.ppf(0.8)) * self.se)

    @classmethod
    def counted(
        cls, value: float, replicates: Array, level: float = 0.95, method: str = "bootstrap"
    ) -> "Estimate":
        """With percentiles of its replicates (B,) and a counted p, never below 2 / (B + 1)."""
        low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]).tolist()
        tail, size = min(np.sum(replicates <= 0), np.sum(replicates >= 0)), replicates.size
        p = float(min(1.0, 2 * (tail + 1) / (size + 1)))
        se = float(replicates.std(ddof=1)) if size > 1 else np.nan
        return cls(value, low, high, p, method=method, se=se, resamples=size)


def resamples(tests: int) -> int:
    """How many resamples a family of tests takes: twice what Holm's correction needs at least."""
    return max(2000, 2 * _LEAST * tests)


def holm(p_values: ArrayLike) -> Array:
    """Holm's adjusted p values (Scand. J. Stat. 6, 1979); NaN stays NaN and counts as no test.

    >>> [round(float(p), 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[: np.sum(~np.isnan(p))]  # NaN comes last
    factors = np.arange(order.size, 0, -1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def verdicts(estimates: Mapping[Hashable, Estimate] | Sequence[Estimate]) -> pd.DataFrame:
    """What one family of numbers allows to say, after one correction (Holm, 5 %) for all of them.

    A counted p has a floor: where so few resamples cannot pass the correction, the verdict is
    refused, and the reason names the number that would do. An estimate without a p is no test.

    One row each, the name as index: ``value, low, high, p, p_holm, verdict`` ("above" or "below"
    zero, or "cannot tell"), ``detectable``, what these pictures could have shown at the strictest
    level of the correction in four of five cases, and ``reason``. Intervals are not corrected.
    """
    named = dict(estimates if isinstance(estimates, Mapping) else enumerate(estimates))
    p = np.array([estimate.p for estimate in named.values()], dtype=float)
    tests = max(1, int(np.isfinite(p).sum()))
    rows = []
    for estimate, corrected in zip(named.values(), holm(p), strict=True):
        verdict, reason = "cannot tell", estimate.reason
        detectable = estimate.shown_at(_LEVEL / tests)
        if corrected <= _LEVEL:
            verdict = "above" if estimate.value > 0 else "below"
        elif np.isnan(estimate.p):
            reason = reason or "no test"
        elif estimate.p <= _LEVEL and 0 < estimate.resamples < _LEAST * tests:
            few = f"{estimate.resamples} resamples cannot pass a correction for {tests} tests"
            reason = f"{few}, {_LEAST * tests} would do"
        elif np.isfinite(detectable):
            reason = f"could have shown {detectable:.2f}"
        rows.append((*estimate, estimate.p, corrected, verdict, detectable, reason))
    columns = ["value", "low", "high", "p", "p_holm", "verdict", "detectable", "reason"]
    return pd.DataFrame(rows, pd.Index(list(named), tupleize_cols=False), columns)
