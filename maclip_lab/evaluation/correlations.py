"""Predictions lined up with mean opinion scores, and correlations without surprises.

Those of two finite vectors (N,) keep the sign, and are NaN, never a warning, where none exists.
"""

from collections.abc import Mapping, Sequence
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
