"""How well predictions follow mean opinion scores: one row per method, nothing hidden."""

from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from maclip_lab.evaluation.correlations import (
    MIN_PICTURES,
    Array,
    Labels,
    Predictions,
    align,
    aligned_labels,
    kendall,
    pearson,
    spearman,
)
from maclip_lab.evaluation.estimates import Estimate, resamples, verdicts
from maclip_lab.evaluation.fits import fit_logistic, official_evaluation
from maclip_lab.evaluation.intervals import Correlations, EvaluationSettings, correlate

COLUMNS = ["method", "n", "n_dropped", "n_clusters", "srcc", "srcc_lo", "srcc_hi", "krcc"]
COLUMNS += ["plcc_raw", "plcc_4p", "plcc_5p", "rmse_4p", "fit_status"]
COLUMNS += ["srcc_official", "plcc_official", "reason"]
DIFFERENCES = ["other", "n_common", "delta_srcc", "delta_srcc_lo", "delta_srcc_hi", "p_srcc"]
DIFFERENCES += ["p_srcc_holm", "verdict", "detectable", "delta_reason"]
_STATUSES = ("ok", "nonmonotone", "failed", "degenerate")  # the worst last


def evaluate(
    predictions: Predictions,
    mos: ArrayLike,
    *,
    baseline: str | None = None,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
    settings: EvaluationSettings | None = None,
) -> pd.DataFrame:
    """Correlations and errors of every method, with intervals, and leads over a baseline.

    A picture without a finite prediction is left out for that method and counted in
    ``n_dropped``; so is one without a score. Correlations are positive where a higher
    prediction goes with better quality, also on DMOS sets and also after a fit.

    Args:
        predictions: one column, or one vector (N,), per method; higher means better quality.
        mos: mean opinion scores (N,) in the data set's own units and direction.
        baseline: a method that all others are compared with, on the pictures that both scored.
        higher_is_better: direction of ``mos``; False for DMOS.
        clusters: reference of each picture (N,), drawn as a whole; pictures are where none has one.
        settings: of the intervals; None for as many resamples as the differences take.

    Returns:
        One row per method. ``srcc``, ``krcc`` (tau-b) and ``plcc_raw`` are of the raw
        predictions, ``plcc_4p`` and ``rmse_4p`` of the four-parameter fit, ``plcc_5p`` of the
        five-parameter one. ``fit_status`` is the worse of the two fits': ok, nonmonotone, failed
        or degenerate. ``*_official`` is the authors' variant, on the scores as they are: its SRCC
        has lost its sign. ``n_clusters`` is 0 where pictures were resampled. ``reason`` says why a
        number is missing or a fit is not ok. With a baseline, called ``other``, also
        ``delta_srcc``, the method's SRCC less the other's, with its interval and p, Holm's p and
        the verdict over this table ("above", "below" or "cannot tell"), the smallest
        ``detectable`` difference, and ``delta_reason``.
    """
    scores, quality = align(predictions, mos, higher_is_better)
    labels = aligned_labels(clusters, mos, "clusters")
    if baseline is not None and (baseline not in scores or len(scores.columns) < 2):
        raise ValueError(f"no method to compare {baseline!r} with in {', '.join(scores)}")
    given = labels, settings or EvaluationSettings(resamples(len(scores.columns) - 1))
    usable = np.isfinite(scores).mul(np.isfinite(quality), axis=0)
    groups: dict[bytes, list[str]] = {}  # of methods with the same pictures, and so one pass
    for method in scores:
        groups.setdefault(usable[method].to_numpy().tobytes(), []).append(method)
    drawn: dict[str, tuple[Correlations, int]] = {}
    for methods in groups.values():
        found = correlate(scores[methods], quality, *given)
        drawn |= {method: (found, i) for i, method in enumerate(methods)}
    rows = []
    for method in scores:
        found, i = drawn[method]
        x, y = scores[method].to_numpy()[usable[method]], quality[usable[method]]
        row = {"method": method, "n": y.size, "n_dropped": quality.size - y.size}
        row["n_clusters"] = 0 if labels is None else found.resamples.clusters
        rows.append(row | _numbers(x, y, found.srcc(i), higher_is_better))
    table = pd.DataFrame(rows, columns=COLUMNS)
    if baseline is None:
        return table
    leads: dict[Hashable, Estimate] = {}
    for method in scores.columns.drop(baseline):
        (found, i), (of_baseline, j) = drawn[method], drawn[baseline]
        if found is not of_baseline:
            found, i, j = correlate(scores[[method, baseline]], quality, *given), 0, 1
        leads[method] = found.lead(i, j)
    tests = verdicts(leads).set_axis(DIFFERENCES[2:], axis=1)
    tests = tests.assign(other=baseline, n_common=[lead.n for lead in leads.values()])
    table = table.join(tests[DIFFERENCES], on="method")
    return table.fillna({"other": "", "verdict": "", "delta_reason": ""})


def _numbers(x: Array, quality: Array, srcc: Estimate, higher_is_better: bool) -> dict[str, object]:
    """Columns of the pictures that a method scored."""
    if quality.size < MIN_PICTURES:
        return {"fit_status": "degenerate", "reason": srcc.reason}
    four, five = fit_logistic(x, quality), fit_logistic(x, quality, line=True)
    mos = quality if higher_is_better else -quality
    srcc_official, plcc_official, fell_back = official_evaluation(x, mos)
    reasons = [four.reason, five.reason, srcc.reason, fell_back]
    return {
        "srcc": srcc.value,
        "srcc_lo": srcc.low,
        "srcc_hi": srcc.high,
        "krcc": kendall(x, quality),
        "plcc_raw": pearson(x, quality),
        "plcc_4p": pearson(four.direction * four.fitted, quality),
        "plcc_5p": pearson(five.direction * five.fitted, quality),
        "rmse_4p": np.sqrt(np.mean((four.fitted - quality) ** 2)),
        "fit_status": max(four.status, five.status, key=_STATUSES.index),
        "srcc_official": srcc_official,
        "plcc_official": plcc_official,
        "reason": "; ".join(dict.fromkeys(filter(None, reasons))),
    }


def breakdown(
    predictions: Predictions,
    mos: ArrayLike,
    groups: Labels,
    *,
    min_n: int = 20,
    higher_is_better: bool = True,
) -> pd.DataFrame:
    """SRCC of every method inside every group: distortion type, level, reference, generator.

    Arguments are as in `evaluate`, with ``groups``, the label of each picture (N,); groups with
    fewer than ``min_n`` usable pictures stay blank (NaN). One row per method and group:
    ``method, group, n, n_dropped, srcc, reason``.
    """
    scores, quality = align(predictions, mos, higher_is_better)
    labels = aligned_labels(groups, mos, "groups")
    if labels is None:
        raise ValueError("groups has no label at all; give one per picture")
    rows = []
    for method in scores:
        x = scores[method].to_numpy()
        usable = np.isfinite(x) & np.isfinite(quality)
        for group, inside in pd.Series(usable).groupby(labels, sort=False):
            chosen = inside.index[inside]
            n = len(chosen)
            srcc = spearman(x[chosen], quality[chosen]) if n >= min_n else np.nan
            reason = "" if np.isfinite(srcc) else "constant predictions or MOS"
            if n < min_n:
                reason = f"{n} pictures, at least {min_n} are asked for"
            rows.append((method, group, n, len(inside) - n, srcc, reason))
    return pd.DataFrame(rows, columns=["method", "group", "n", "n_dropped", "srcc", "reason"])
