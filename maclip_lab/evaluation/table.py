"""How well predictions follow mean opinion scores: one row per method, nothing hidden."""

from collections.abc import Hashable
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from maclip_lab.evaluation.correlations import (
    MIN_PICTURES,
    Array,
    Estimate,
    Labels,
    Predictions,
    align,
    aligned_labels,
    pearson,
    resamples,
    spearman,
    verdicts,
)
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

    A picture without a finite prediction or score is left out for that method and counted in
    ``n_dropped``. Correlations are positive where a higher prediction goes with better quality,
    also on DMOS sets and also after a fit.

    Args:
        predictions: one column, or one vector (N,), per method; higher means better quality.
        mos: mean opinion scores (N,) in the data set's own units and direction.
        baseline: a method that all others are compared with, on the pictures that both scored.
        higher_is_better: direction of ``mos``; False for DMOS.
        clusters: reference of each picture (N,), drawn as a whole; pictures are where none has one.
        settings: of the intervals; None for as many resamples as the differences take.

    Returns:
        One row per method. ``srcc``, ``krcc`` (tau-b) and ``plcc_raw`` are of the raw predictions,
        ``plcc_4p``, ``rmse_4p`` and ``plcc_5p`` of fits of four and five parameters;
        ``fit_status`` is the worse of the two: ok, nonmonotone, failed or degenerate.
        ``*_official`` is the authors' variant, on the scores as they are: its SRCC has lost its
        sign. ``n_clusters`` is 0 where pictures were resampled. ``reason`` says why a number is
        missing or a fit is not ok. With a baseline, called ``other``, also ``delta_srcc``, the
        SRCC less the other's, with what `verdicts` says of it in this table.
    """
    scores, quality = align(predictions, mos, higher_is_better)
    labels = aligned_labels(clusters, mos, "clusters")
    if baseline is not None and (baseline not in scores or len(scores.columns) < 2):
        raise ValueError(f"no method to compare {baseline!r} with in {', '.join(scores)}")
    given = labels, settings or EvaluationSettings(resamples(len(scores.columns) - 1))
    usable = np.isfinite(scores).mul(np.isfinite(quality), axis=0)
    # Methods that scored the same pictures, those that all scored, share one pass.
    alike = tuple(name for name in scores if usable[name].equals(usable.all(axis=1)))

    @cache
    def correlations(*methods: str) -> Correlations:
        return correlate(scores[[*methods]], quality, *given)

    rows = []
    for method in scores:
        group = alike if method in alike else (method,)
        srccs, i = correlations(*group), group.index(method)
        x, y = scores[method].to_numpy()[usable[method]], quality[usable[method]]
        row = {"method": method, "n": y.size, "n_dropped": quality.size - y.size}
        row["n_clusters"] = 0 if labels is None else srccs.resamples.clusters
        rows.append(row | _numbers(x, y, srccs.srcc(i), higher_is_better))
    table = pd.DataFrame(rows, columns=COLUMNS)
    if baseline is None:
        return table
    leads: dict[Hashable, Estimate] = {}
    for method in scores.columns.drop(baseline):
        group = alike if method in alike and baseline in alike else (method, baseline)
        leads[method] = correlations(*group).lead(group.index(method), group.index(baseline))
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
        "krcc": np.nan if np.isnan(srcc.value) else stats.kendalltau(x, quality).statistic,
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
