"""Differences between methods on the same pictures: intervals, tests, Holm's correction."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from maclip_lab.evaluation.correlations import MIN_PICTURES, Array, pearson, spearman
from maclip_lab.evaluation.fits import fit_logistic
from maclip_lab.evaluation.intervals import (
    MIN_CLUSTERS,
    EvaluationSettings,
    Replicates,
    bootstrap,
    percentile_interval,
)
from maclip_lab.evaluation.ratings import Predictions, Ratings, Rows, align, aligned_labels
from maclip_lab.evaluation.significance import bootstrap_p, holm, williams

Pair = tuple[int, int]
_P_VALUES = ("p_srcc", "p_plcc_4p", "williams_p")


def compare(
    predictions: Predictions,
    mos: ArrayLike,
    *,
    baseline: str | None = None,
    higher_is_better: bool = True,
    clusters: Sequence[object] | None = None,
    settings: EvaluationSettings | None = None,
) -> pd.DataFrame:
    """Differences between all pairs of methods, or between each method and a baseline.

    A pair is compared on the pictures that both methods scored. Differences are ``method``
    less ``other``. PLCC is that of the four-parameter fits, signed like the raw correlation;
    the fits are held in the resamples. Where there are clusters the bootstrap honours them;
    Williams' test takes pictures as independent.

    Args:
        predictions: one column, or one vector (N,), per method.
        mos: mean opinion scores (N,) in the data set's own direction.
        baseline: name of the method all others are compared with.
        higher_is_better: direction of ``mos``; False for DMOS.
        clusters: label of each picture's reference (N,); whole references are resampled.
        settings: resamples, seed and level.

    Returns:
        One row per pair: ``method, other, n``, then ``srcc, srcc_other, delta_srcc`` with
        ``_lo, _hi`` and the bootstrap's ``p_srcc``, the same for PLCC, ``williams_t`` and
        ``williams_p``, each p also as ``_holm``, and ``reason`` where something is blank.

    Raises:
        ValueError: if there are fewer than two methods or no such baseline.
    """
    settings = settings or EvaluationSettings()
    ratings = align(predictions, mos, higher_is_better=higher_is_better)
    labels = aligned_labels(clusters, mos, "clusters")
    rows: dict[Pair, dict[str, object]] = {}
    pairs = _pairs(ratings.methods, baseline)
    for usable, sharing in _by_rows(ratings, pairs):
        rows |= _compare_group(ratings, usable, sharing, labels, settings)
    table = pd.DataFrame([rows[pair] for pair in pairs])
    for name in _P_VALUES:
        table[f"{name}_holm"] = holm(table[name])
    return table[[*(c for c in table if c != "reason"), "reason"]]


def _pairs(methods: tuple[str, ...], baseline: str | None) -> list[Pair]:
    if len(methods) < 2:
        raise ValueError(f"expected at least two methods to compare, got {list(methods)}")
    if baseline is None:
        return list(combinations(range(len(methods)), 2))
    if baseline not in methods:
        raise ValueError(f"no method is called {baseline!r}; there are {', '.join(methods)}")
    other = methods.index(baseline)
    return [(m, other) for m in range(len(methods)) if m != other]


def _by_rows(ratings: Ratings, pairs: list[Pair]) -> list[tuple[Rows, list[Pair]]]:
    """Pairs that share their usable pictures, so that one bootstrap serves them all."""
    groups: dict[bytes, tuple[Rows, list[Pair]]] = {}
    for pair in pairs:
        usable = ratings.usable(*pair)
        groups.setdefault(usable.tobytes(), (usable, []))[1].append(pair)
    return list(groups.values())


def _compare_group(
    ratings: Ratings,
    usable: Rows,
    pairs: list[Pair],
    labels: NDArray[np.object_] | None,
    settings: EvaluationSettings,
) -> dict[Pair, dict[str, object]]:
    methods = sorted({m for pair in pairs for m in pair})
    raw, quality = ratings.predictions[usable][:, methods], ratings.quality[usable]
    codes = None if labels is None else pd.factorize(labels[usable])[0]
    fits = [fit_logistic(raw[:, i], quality) for i in range(len(methods))]
    fitted = np.column_stack([fit.signed for fit in fits])
    few = quality.size < MIN_PICTURES
    why = f"{quality.size} pictures in common, at least {MIN_PICTURES} are needed"
    problems = [why if few else fit.reason for fit in fits]
    replicates = None
    if not few and (codes is None or codes.max() + 1 >= MIN_CLUSTERS):
        replicates = bootstrap(raw, fitted, quality, clusters=codes, settings=settings)
    rows = {}
    for pair in pairs:
        columns = (methods.index(pair[0]), methods.index(pair[1]))
        names = [ratings.methods[m] for m in pair]
        row: dict[str, object] = {"method": names[0], "other": names[1], "n": quality.size}
        row |= _differences(raw, fitted, quality, columns, replicates, settings)
        reasons = {
            f"{name}: {problems[c]}" for name, c in zip(names, columns, strict=True) if problems[c]
        }
        if replicates is None and settings.n_boot and not few:
            reasons.add(f"fewer than {MIN_CLUSTERS} clusters to resample")
        rows[pair] = row | {"reason": "; ".join(sorted(reasons))}
    return rows


def _differences(
    raw: Array,
    fitted: Array,
    quality: Array,
    columns: tuple[int, int],
    replicates: Replicates | None,
    settings: EvaluationSettings,
) -> dict[str, float]:
    a, b = columns
    enough = quality.size >= MIN_PICTURES
    row: dict[str, float] = {}
    drawn_of = {} if replicates is None else {"srcc": replicates.srcc, "plcc_4p": replicates.plcc}
    for name, values, correlate in (("srcc", raw, spearman), ("plcc_4p", fitted, pearson)):
        r1, r2 = (correlate(values[:, c], quality) if enough else np.nan for c in columns)
        drawn = drawn_of.get(name, np.empty(0))
        change = drawn[:, a] - drawn[:, b] if drawn.size else drawn
        low, high = percentile_interval(change, settings.level)
        row |= {name: r1, f"{name}_other": r2, f"delta_{name}": r1 - r2}
        row |= {f"delta_{name}_lo": low, f"delta_{name}_hi": high}
        row[f"p_{name}"] = bootstrap_p(change) if np.isfinite(low) else np.nan
    r12 = pearson(fitted[:, a], fitted[:, b]) if enough else np.nan
    test = williams(row["plcc_4p"], row["plcc_4p_other"], r12, quality.size)
    return row | {"williams_t": test.statistic, "williams_p": test.p}
