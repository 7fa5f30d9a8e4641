"""Predictions of several methods lined up with the mean opinion scores of the same pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from maclip_lab.evaluation.correlations import Array

Predictions: TypeAlias = pd.DataFrame | Mapping[str, ArrayLike]
Rows = NDArray[np.bool_]

METHODS = {
    "clip_iqa": "CLIP-IQA",
    "q_cos": "cosine cue",
    "q_mag": "magnitude cue",
    "score": "MA-CLIP",
}
"""Columns of a study's predictions, and the methods they belong to."""


@dataclass(frozen=True)
class Ratings:
    """What every statistic starts from. N pictures, M methods.

    Attributes:
        methods: names of the methods.
        predictions: raw predictions (N, M); not finite where a method has none.
        mos: mean opinion scores (N,) in the data set's own units and direction.
        higher_is_better: direction of ``mos``; False for DMOS.
    """

    methods: tuple[str, ...]
    predictions: Array
    mos: Array
    higher_is_better: bool = True

    @property
    def quality(self) -> Array:
        """The scores (N,) turned so that higher is better."""
        return self.mos if self.higher_is_better else -self.mos

    def usable(self, *methods: int) -> Rows:
        """Rows (N,) with a score and a finite prediction of all these methods."""
        chosen = self.predictions[:, list(methods)]
        return np.isfinite(self.mos) & np.isfinite(chosen).all(axis=1)


def align(predictions: Predictions, mos: ArrayLike, *, higher_is_better: bool = True) -> Ratings:
    """Check predictions and scores and line them up by position.

    Raises:
        TypeError: if ``predictions`` names no methods.
        ValueError: if lengths or pandas indexes differ, or something is not a number.
    """
    if not isinstance(predictions, pd.DataFrame | Mapping):
        raise TypeError(
            "expected predictions as a DataFrame or a mapping from method to scores, such as "
            f'{{"MA-CLIP": scores}}, got {type(predictions).__name__}'
        )
    names = [str(name) for name in predictions]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"expected one column per method, names unique, got {names}")
    scores = _numbers(mos, "mos")
    columns = [_numbers(predictions[name], f"predictions[{name!r}]") for name in predictions]
    for name, column in zip(predictions, columns, strict=True):
        _check_rows(predictions[name], column.size, mos, scores.size, f"predictions[{name!r}]")
    return Ratings(tuple(names), np.column_stack(columns), scores, higher_is_better)


def aligned_numbers(values: ArrayLike | None, mos: ArrayLike, name: str) -> Array | None:
    """A further column of numbers (N,) for the rows of ``mos``, or None."""
    if values is None:
        return None
    column = _numbers(values, name)
    _check_rows(values, column.size, mos, np.size(mos), name)
    return column


def aligned_labels(
    labels: Sequence[object] | None, mos: ArrayLike, name: str
) -> NDArray[np.object_] | None:
    """Labels (N,) for the rows of ``mos``, or None where there is not a single one.

    Raises:
        ValueError: if lengths differ or only some rows have a label.
    """
    if labels is None:
        return None
    column = pd.Series(labels)
    _check_rows(labels, column.size, mos, np.size(mos), name)
    missing = int(column.isna().sum())
    if missing == column.size:
        return None
    if missing:
        raise ValueError(
            f"{name} has no label in {missing} of {column.size} rows; give every row one, "
            "or leave those rows out"
        )
    return column.to_numpy(dtype=object)


def _numbers(values: ArrayLike, name: str) -> Array:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers in {name}: {error}") from None
    if column.ndim != 1:
        raise ValueError(f"expected {name} as a vector (N,), got shape {column.shape}")
    return column


def _check_rows(values: object, size: int, mos: object, n: int, name: str) -> None:
    if size != n:
        raise ValueError(f"{name} has {size} rows but mos has {n}; one row per picture in both")
    index, mos_index = getattr(values, "index", None), getattr(mos, "index", None)
    if not isinstance(index, pd.Index) or not isinstance(mos_index, pd.Index):
        return
    if not index.equals(mos_index):
        raise ValueError(
            f"{name} and mos have different pandas indexes; align them first "
            "(reindex, or reset_index(drop=True) where the order is the same)"
        )
