"""How well predictions follow mean opinion scores: one row per method, nothing hidden.

Rank correlations are taken on raw predictions and keep their sign; a fit that fails leaves
NaN and says so; the authors' own variant stands beside in columns that end in ``_official``.
Pure statistics on arrays and tables: no files, models or devices.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from maclip_lab.evaluation.correlations import (
    MIN_PICTURES,
    Array,
    is_constant,
    kendall,
    mae,
    outlier_ratio,
    pearson,
    rmse,
    spearman,
)
from maclip_lab.evaluation.fits import (
    LogisticFit,
    fit_logistic,
    official_evaluation,
)
from maclip_lab.evaluation.intervals import (
    MIN_CLUSTERS,
    EvaluationSettings,
    bootstrap,
    percentile_interval,
)
from maclip_lab.evaluation.ratings import (
    Predictions,
    Ratings,
    align,
    aligned_labels,
    aligned_numbers,
)

COLUMNS = (
    *("method", "n", "n_dropped", "mos_direction", "srcc", "srcc_lo", "srcc_hi"),
    *("krcc", "plcc_raw", "plcc_4p", "plcc_4p_lo", "plcc_4p_hi", "plcc_5p"),
    *("rmse_raw", "rmse_4p", "rmse_5p", "mae", "outlier_ratio", "fit_status", "fit_monotone"),
    *("srcc_official", "plcc_official", "rmse_official", "official_fell_back", "n_clusters"),
    "reason",
)


def evaluate(
    predictions: Predictions,
    mos: ArrayLike,
    *,
    higher_is_better: bool = True,
    mos_std: ArrayLike | None = None,
    clusters: Sequence[object] | None = None,
    settings: EvaluationSettings | None = None,
) -> pd.DataFrame:
    """Correlations and errors of every method, with intervals.

    A picture without a finite prediction is left out for that method and counted in
    ``n_dropped``; so is one without a score. Correlations are positive where a higher
    prediction goes with better quality, also on DMOS sets and also after a fit.

    Args:
        predictions: one column, or one vector (N,), per method; higher means better quality.
        mos: mean opinion scores (N,) in the data set's own units and direction.
        higher_is_better: direction of ``mos``; False for DMOS.
        mos_std: standard deviation of each picture's opinions (N,), for the outlier ratio.
        clusters: label of each picture's reference (N,); whole references are resampled. No
            label at all means that pictures are independent.
        settings: resamples, seed and level of the intervals.

    Returns:
        One row per method. ``srcc``, ``krcc`` (tau-b) and ``plcc_raw`` are of the raw
        predictions, ``plcc_4p``, ``rmse_4p``, ``mae`` and ``outlier_ratio`` of the
        four-parameter fit, ``*_5p`` of the five-parameter one. ``plcc_4p_lo`` and
        ``plcc_4p_hi`` hold the curve; near zero they flatter, as any fitted correlation.
        ``rmse_raw`` takes the raw predictions as if in MOS units. ``fit_status`` is the worse
        of the two fits': ok, nonmonotone, failed or degenerate. ``*_official`` is the
        authors' variant, on the scores as they are: its SRCC has lost its sign, and
        ``official_fell_back`` says that its fit failed. ``n_clusters`` is 0 where pictures
        were resampled. ``reason`` says why a number is missing or a fit is not ok.

    Raises:
        TypeError: if ``predictions`` names no methods.
        ValueError: if lengths or pandas indexes differ or something is not a number.
    """
    settings = settings or EvaluationSettings()
    ratings = align(predictions, mos, higher_is_better=higher_is_better)
    deviations = aligned_numbers(mos_std, mos, "mos_std")
    labels = aligned_labels(clusters, mos, "clusters")
    rows = [
        _evaluate_method(ratings, m, deviations, labels, settings)
        for m in range(len(ratings.methods))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _evaluate_method(
    ratings: Ratings,
    method: int,
    deviations: Array | None,
    labels: NDArray[np.object_] | None,
    settings: EvaluationSettings,
) -> dict[str, object]:
    usable = ratings.usable(method)
    x, mos, quality = (
        ratings.predictions[usable, method],
        ratings.mos[usable],
        ratings.quality[usable],
    )
    row: dict[str, object] = {
        "method": ratings.methods[method],
        "n": mos.size,
        "n_dropped": usable.size - mos.size,
        "mos_direction": "higher is better" if ratings.higher_is_better else "lower is better",
        "n_clusters": 0,
    }
    problem = _problem(x, mos)
    if problem:
        nothing = {"fit_status": "degenerate", "fit_monotone": False, "official_fell_back": False}
        return row | nothing | {"reason": problem}
    four = fit_logistic(x, quality)
    five = fit_logistic(x, quality, n_parameters=5)
    row |= _point_estimates(x, mos, quality, four, five)
    if deviations is not None:
        row["outlier_ratio"] = outlier_ratio(four.fitted, quality, deviations[usable])
    codes = None if labels is None else pd.factorize(labels[usable])[0]
    row["n_clusters"] = 0 if codes is None else int(codes.max()) + 1
    reasons = [four.reason, five.reason]
    reasons.append(_add_intervals(row, x, four.signed, quality, codes, settings))
    return row | {"reason": "; ".join(dict.fromkeys(filter(None, reasons)))}


def _problem(x: Array, mos: Array) -> str:
    if mos.size < MIN_PICTURES:
        return f"{mos.size} usable pictures, at least {MIN_PICTURES} are needed"
    if is_constant(x):
        return "constant predictions"
    return "constant MOS" if is_constant(mos) else ""


def _point_estimates(
    x: Array, mos: Array, quality: Array, four: LogisticFit, five: LogisticFit
) -> dict[str, object]:
    official = official_evaluation(x, mos)
    return {
        "srcc": spearman(x, quality),
        "krcc": kendall(x, quality),
        "plcc_raw": pearson(x, quality),
        "plcc_4p": pearson(four.signed, quality) if four.converged else np.nan,
        "plcc_5p": pearson(five.signed, quality) if five.converged else np.nan,
        "rmse_raw": rmse(x, mos),
        "rmse_4p": rmse(four.fitted, quality),
        "rmse_5p": rmse(five.fitted, quality),
        "mae": mae(four.fitted, quality),
        "fit_status": _worse(four.status, five.status),
        "fit_monotone": four.monotone and five.monotone,
        "srcc_official": official.srcc,
        "plcc_official": official.plcc,
        "rmse_official": official.rmse,
        "official_fell_back": official.fell_back,
    }


def _worse(*statuses: str) -> str:
    return max(statuses, key=("ok", "nonmonotone", "failed", "degenerate").index)


def _add_intervals(
    row: dict[str, object],
    x: Array,
    signed: Array,
    quality: Array,
    codes: NDArray[np.intp] | None,
    settings: EvaluationSettings,
) -> str:
    if settings.n_boot == 0:
        return ""
    if codes is not None and codes.max() + 1 < MIN_CLUSTERS:
        return f"{codes.max() + 1} clusters, at least {MIN_CLUSTERS} are needed for intervals"
    drawn = bootstrap(x[:, None], signed[:, None], quality, clusters=codes, settings=settings)
    for name, replicates in (("srcc", drawn.srcc), ("plcc_4p", drawn.plcc)):
        interval = percentile_interval(replicates[:, 0], settings.level)
        row[f"{name}_lo"], row[f"{name}_hi"] = interval
    blank = np.isnan(row["srcc_lo"])  # type: ignore[call-overload]
    return "too many resamples are constant for intervals" if blank else ""
