"""One policy for every verdict: an estimate with its interval, and Holm over a stated family."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from maclip_lab.evaluation.correlations import Array, spearman
from maclip_lab.evaluation.intervals import EvaluationSettings, bootstrap, percentile_interval
from maclip_lab.evaluation.significance import bootstrap_p, holm

FEW_CLUSTERS = 30
POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, and how they came about."""

    value: float
    low: float
    high: float
    p: float = float("nan")
    n: int = 0
    clusters: int = 0
    method: str = ""
    reason: str = ""
    detectable: float = float("nan")
    n_boot: int = 0

    def __repr__(self) -> str:
        """The number and its interval; three digits where two say nothing."""
        digits = 2 if max(abs(self.value), abs(self.low), abs(self.high)) >= 0.1 else 3
        value, low, high = (round(x, digits) + 0 for x in (self.value, self.low, self.high))
        return f"{value:+.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def correlate(
    quality: ArrayLike,
    prediction: ArrayLike,
    other: ArrayLike | None = None,
    *,
    clusters: Sequence[object] | None = None,
    settings: EvaluationSettings | None = None,
) -> Estimate:
    """SRCC of a prediction with quality, or its lead over another's on the same pictures."""
    settings = settings or EvaluationSettings(n_boot=2000)
    target = np.asarray(quality, dtype=float)
    columns = [np.asarray(prediction, dtype=float)]
    columns += [] if other is None else [np.asarray(other, dtype=float)]
    predictions = np.column_stack(columns)
    kept = np.isfinite(predictions).all(1) & np.isfinite(target)
    predictions, target = predictions[kept], target[kept]
    codes = None if clusters is None else pd.factorize(np.asarray(clusters, dtype=object)[kept])[0]
    count = len(target) if codes is None else int(codes.max()) + 1
    value = _statistic(predictions, target)
    tail = (1 - settings.level) / 2
    if count < FEW_CLUSTERS:
        units = np.arange(len(target)) if codes is None else codes
        others = [units != i for i in range(count)]
        left_out = np.array([_statistic(predictions[rows], target[rows]) for rows in others])
        error = np.sqrt((count - 1) * left_out.var())
        reach = stats.t.ppf(1 - tail, count - 1) * error
        low, high = value - reach, value + reach
        p = 2 * stats.t.sf(abs(value) / error, count - 1) if error > 0 else float(value == 0)
        shown = (stats.t.ppf(1 - tail, count - 1) + stats.t.ppf(POWER, count - 1)) * error
        return Estimate(value, low, high, p, len(target), count, "jackknife-t", "", float(shown))
    drawn = bootstrap(predictions, predictions, target, clusters=codes, settings=settings).srcc
    change = drawn[:, 0] if other is None else drawn[:, 0] - drawn[:, 1]
    low, high = percentile_interval(change, settings.level)
    shown = (stats.norm.ppf(1 - tail) + stats.norm.ppf(POWER)) * np.nanstd(change)
    return Estimate(
        value, low, high, bootstrap_p(change), len(target), count, "bootstrap", "", float(shown),
        settings.n_boot,
    )  # fmt: skip


def verdicts(estimates: Sequence[Estimate], level: float = 0.05) -> list[str]:
    """Whether each number is surely above zero, below it, or cannot be told, by Holm's correction.

    Raises:
        ValueError: there are too few resamples for so many tests.
    """
    adjusted = holm([one.p for one in estimates])
    tests = int(np.isfinite(adjusted).sum())
    needed = int(np.ceil(2 * tests / level))
    fewest = min((one.n_boot for one in estimates if one.method == "bootstrap"), default=needed)
    if fewest < needed:
        raise ValueError(f"{fewest} resamples are too few for {tests} tests: give {needed}")
    return [
        "cannot tell" if not p < level else "above" if one.value > 0 else "below"
        for one, p in zip(estimates, adjusted, strict=True)
    ]


def _statistic(predictions: Array, quality: Array) -> float:
    values = [spearman(column, quality) for column in predictions.T]
    return float(values[0] - (values[1] if len(values) > 1 else 0.0))
