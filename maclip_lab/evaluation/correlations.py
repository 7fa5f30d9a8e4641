"""Predictions lined up with mean opinion scores, and correlations and errors without surprises.

Functions of two vectors (N,) of finite numbers keep the sign, and give NaN, never a warning,
where the quantity does not exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
Predictions: TypeAlias = pd.DataFrame | Mapping[str, ArrayLike]

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
    if x.size < 2 or is_constant(x) or is_constant(y):
        return float("nan")
    return float(np.clip(np.mean(standardise(x) * standardise(y)), -1.0, 1.0))


def spearman(x: Array, y: Array) -> float:
    """Spearman's rank correlation (SRCC) in [-1, 1], ties sharing their mean rank.

    >>> round(spearman(np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])), 4)
    0.6325
    """
    if x.size < 2 or is_constant(x) or is_constant(y):
        return float("nan")
    return pearson(stats.rankdata(x), stats.rankdata(y))


def kendall(x: Array, y: Array) -> float:
    """Kendall's tau-b (KRCC) in [-1, 1]; NaN if either vector is constant."""
    if x.size < 2 or is_constant(x) or is_constant(y):
        return float("nan")
    return float(stats.kendalltau(x, y, variant="b").statistic)


def rmse(predicted: Array, mos: Array) -> float:
    """Root mean squared error, in the units of the MOS."""
    return float(np.sqrt(np.mean((predicted - mos) ** 2))) if mos.size else float("nan")


def outlier_ratio(predicted: Array, mos: Array, mos_std: Array) -> float:
    """Share of pictures missed by more than two standard deviations of their opinions.

    Pictures without a deviation are left out. Source: VQEG FR-TV Phase I, 6.3; ITU-T P.1401.
    """
    known = np.isfinite(mos_std)
    if not known.any():
        return float("nan")
    return float(np.mean(np.abs(predicted - mos)[known] > 2 * mos_std[known]))


@dataclass(frozen=True)
class Ratings:
    """Of N pictures and M methods: raw predictions (N, M), not finite where there is none, and MOS.

    ``mos`` (N,) are in the data set's own units and direction, of which DMOS go down.
    """

    methods: tuple[str, ...]
    predictions: Array
    mos: Array
    higher_is_better: bool = True

    @property
    def quality(self) -> Array:
        """The scores (N,) turned so that higher is better."""
        return self.mos if self.higher_is_better else -self.mos

    def usable(self, *methods: int) -> NDArray[np.bool_]:
        """Rows (N,) with a score and a finite prediction of all these methods."""
        chosen = self.predictions[:, list(methods)]
        return np.isfinite(self.mos) & np.isfinite(chosen).all(axis=1)


def align(predictions: Predictions, mos: ArrayLike, *, higher_is_better: bool = True) -> Ratings:
    """Check predictions and scores and line them up by position."""
    if not isinstance(predictions, pd.DataFrame | Mapping):
        raise TypeError(
            "expected predictions as a DataFrame or a mapping from method to scores, such as "
            f'{{"MA-CLIP": scores}}, got {type(predictions).__name__}'
        )
    names = [str(name) for name in predictions]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"expected one column per method, names unique, got {names}")
    columns = [aligned(predictions[name], mos, f"predictions[{name!r}]") for name in predictions]
    scores = aligned(mos, mos, "mos")
    return Ratings(tuple(names), np.column_stack(columns), scores, higher_is_better)


def aligned(values: ArrayLike, mos: ArrayLike, name: str) -> Array:
    """A column of numbers (N,) for the rows of ``mos``."""
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers in {name}: {error}") from None
    if column.ndim != 1:
        raise ValueError(f"expected {name} as a vector (N,), got shape {column.shape}")
    _check_rows(values, mos, name)
    return column


def aligned_labels(
    labels: Sequence[object] | None, mos: ArrayLike, name: str
) -> NDArray[np.object_] | None:
    """Labels (N,) for the rows of ``mos``, or None where there is not a single one."""
    column = pd.Series(labels, dtype=object)
    if labels is not None:
        _check_rows(labels, mos, name)
    missing = int(column.isna().sum())
    if missing == column.size:
        return None
    if missing:
        raise ValueError(
            f"{name} has no label in {missing} of {column.size} rows; give every row one, "
            "or leave those rows out"
        )
    return column.to_numpy(dtype=object)


def _check_rows(values: ArrayLike | Sequence[object], mos: ArrayLike, name: str) -> None:
    rows, n = len(pd.Series(values, dtype=object)), np.size(mos)
    if rows != n:
        raise ValueError(f"{name} has {rows} rows but mos has {n}; one row per picture in both")
    index, mos_index = getattr(values, "index", None), getattr(mos, "index", None)
    if not isinstance(index, pd.Index) or not isinstance(mos_index, pd.Index):
        return
    if not index.equals(mos_index):
        raise ValueError(
            f"{name} and mos have different pandas indexes; align them first "
            "(reindex, or reset_index(drop=True) where the order is the same)"
        )
