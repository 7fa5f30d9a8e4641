"""Correlations inside groups of pictures, and averages over groups and data sets."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from maclip_lab.evaluation.correlations import spearman
from maclip_lab.evaluation.ratings import Predictions, align, aligned_labels

MIN_GROUP = 20


def breakdown(
    predictions: Predictions,
    mos: ArrayLike,
    groups: Sequence[object],
    *,
    min_n: int = MIN_GROUP,
    higher_is_better: bool = True,
) -> pd.DataFrame:
    """SRCC of every method inside every group: distortion type, level, reference, generator.

    Args:
        predictions: one column, or one vector (N,), per method.
        mos: mean opinion scores (N,) in the data set's own direction.
        groups: label of each picture (N,).
        min_n: groups with fewer usable pictures stay blank (NaN).
        higher_is_better: direction of ``mos``; False for DMOS.

    Returns:
        One row per method and group: ``method, group, n, n_dropped, srcc, reason``.

    Raises:
        ValueError: if some or all pictures have no label.
    """
    ratings = align(predictions, mos, higher_is_better=higher_is_better)
    labels = aligned_labels(groups, mos, "groups")
    if labels is None:
        raise ValueError("groups has no label at all; give one per picture")
    codes, names = pd.factorize(labels, sort=False)
    rows = []
    for m, method in enumerate(ratings.methods):
        usable = ratings.usable(m)
        for code, group in enumerate(names):
            inside = codes == code
            chosen = inside & usable
            n, srcc, reason = int(chosen.sum()), np.nan, ""
            if n < min_n:
                reason = f"{n} pictures, at least {min_n} are asked for"
            else:
                srcc = spearman(ratings.predictions[chosen, m], ratings.quality[chosen])
                reason = "" if np.isfinite(srcc) else "constant predictions or MOS"
            dropped = int(inside.sum()) - n
            rows.append((method, group, n, dropped, srcc, reason))
    return pd.DataFrame(rows, columns=["method", "group", "n", "n_dropped", "srcc", "reason"])


def macro_mean(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of the groups' SRCC, every group counting alike, from a `breakdown`.

    Grouped by reference it says how well a method orders the versions of one picture, which
    a correlation over all pictures hides.

    Returns:
        One row per method: ``method, srcc_within, n_groups, n_blank``; blank groups are left
        out of the mean and counted in ``n_blank``.
    """
    srcc = table.groupby("method", sort=False)["srcc"]
    result = pd.DataFrame({"srcc_within": srcc.mean(), "n_groups": srcc.count()})
    result["n_blank"] = srcc.size() - result["n_groups"]
    return result.reset_index()


def average_over_datasets(
    table: pd.DataFrame, metrics: Sequence[str] = ("srcc", "krcc", "plcc_4p", "plcc_5p")
) -> pd.DataFrame:
    """Averages of each method over data sets: simple, and Fisher-z weighted by size.

    The weighted mean averages ``arctanh(r)`` with weights ``n - 3`` and transforms back. A
    method that lacks a number on any of the data sets gets NaN and a reason: means over
    different sets cannot be compared.

    Args:
        table: rows of `evaluate` with a ``dataset`` column (and ``backbone``, if several).
        metrics: correlation columns to average; those not in the table are skipped.

    Returns:
        One row per method: ``n_datasets``, ``n`` (pictures), ``<metric>_mean`` and
        ``<metric>_weighted`` for each metric, ``reason``.

    Raises:
        ValueError: if columns are missing or a method has two rows for a data set.
    """
    missing = {"dataset", "method", "n"} - set(table.columns)
    if missing:
        raise ValueError(f"expected columns dataset, method and n; missing {sorted(missing)}")
    keys = [key for key in ("backbone", "method") if key in table]
    if table.duplicated([*keys, "dataset"]).any():
        raise ValueError("a method has several rows for one data set; keep one of them")
    datasets = list(dict.fromkeys(table["dataset"]))
    metrics = [metric for metric in metrics if metric in table]
    rows = []
    for key, part in table.groupby(keys, sort=False):
        part = part.set_index("dataset").reindex(datasets)
        row: dict[str, object] = dict(zip(keys, key, strict=True))
        row |= {"n_datasets": len(datasets), "n": int(part["n"].fillna(0).sum())}
        for metric in metrics:
            row |= _averages(metric, part)
        blank = [name for name in datasets if part.loc[name, metrics].isna().any()]
        rows.append(row | {"reason": f"no number on {', '.join(blank)}" if blank else ""})
    return pd.DataFrame(rows)


def _averages(metric: str, part: pd.DataFrame) -> dict[str, float]:
    values = part[metric].to_numpy(dtype=np.float64)
    sizes = part["n"].to_numpy(dtype=np.float64) - 3
    if np.isnan(values).any():
        return {f"{metric}_mean": np.nan, f"{metric}_weighted": np.nan}
    # A perfect correlation has an infinite arctanh and would swallow the others.
    z = np.arctanh(np.clip(values, -1 + 1e-12, 1 - 1e-12))
    return {
        f"{metric}_mean": float(values.mean()),
        f"{metric}_weighted": float(np.tanh(np.average(z, weights=sizes))),
    }
