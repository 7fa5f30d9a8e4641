"""How well predictions follow mean opinion scores: one row per method, nothing hidden.

Rank correlations are taken on raw predictions and keep their sign; a fit that fails leaves
NaN and says so; the authors' own variant stands beside in columns that end in ``_official``.
Differences from a baseline come from the same resamples as the table.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from maclip_lab.evaluation.correlations import (
    MIN_PICTURES,
    Array,
    Predictions,
    Ratings,
    align,
    aligned,
    aligned_labels,
    is_constant,
    kendall,
    outlier_ratio,
    pearson,
    rmse,
    spearman,
)
from maclip_lab.evaluation.estimates import Estimate, resamples, verdicts
from maclip_lab.evaluation.fits import LogisticFit, fit_logistic, official_evaluation
from maclip_lab.evaluation.intervals import Correlations, EvaluationSettings, correlate

COLUMNS = (
    *("method", "n", "n_dropped", "mos_direction", "srcc", "srcc_lo", "srcc_hi"),
    *("krcc", "plcc_raw", "plcc_4p", "plcc_4p_lo", "plcc_4p_hi", "plcc_5p"),
    *("rmse_4p", "rmse_5p", "outlier_ratio", "fit_status", "fit_monotone"),
    *("srcc_official", "plcc_official", "rmse_official", "official_fell_back", "n_clusters"),
    "reason",
)
DIFFERENCES = (
    *("other", "n_common", "delta_srcc", "delta_srcc_lo", "delta_srcc_hi", "p_srcc"),
    *("p_srcc_holm", "verdict", "detectable", "delta_reason"),
)
MIN_GROUP = 20
_STATUSES = ("ok", "nonmonotone", "failed", "degenerate")  # the worst last


def evaluate(
    predictions: Predictions,
    mos: ArrayLike,
    *,
    baseline: str | None = None,
    higher_is_better: bool = True,
    mos_std: ArrayLike | None = None,
    clusters: Sequence[object] | None = None,
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
        mos_std: standard deviation of each picture's opinions (N,), for the outlier ratio.
        clusters: label of each picture's reference (N,); whole references are resampled. No
            label at all means that pictures are independent.
        settings: resamples, seed and level of the intervals; None for as many resamples as the
            differences take.

    Returns:
        One row per method. ``srcc``, ``krcc`` (tau-b) and ``plcc_raw`` are of the raw
        predictions, ``plcc_4p``, ``rmse_4p`` and ``outlier_ratio`` of the four-parameter fit,
        ``*_5p`` of the five-parameter one. ``plcc_4p_lo`` and ``plcc_4p_hi`` hold the curve;
        near zero they flatter, as any fitted correlation. ``fit_status`` is the worse of the two
        fits': ok, nonmonotone, failed or degenerate. ``*_official`` is the authors' variant, on
        the scores as they are: its SRCC has lost its sign, and ``official_fell_back`` says that
        its fit failed. ``n_clusters`` is 0 where pictures were resampled. ``reason`` says why a
        number is missing or a fit is not ok. With a baseline, called ``other``, also
        ``delta_srcc``, the method's SRCC less the other's, with its interval and p, Holm's p and
        the verdict over this table ("above", "below" or "cannot tell"), the smallest
        ``detectable`` difference, and ``delta_reason``.
    """
    ratings = align(predictions, mos, higher_is_better=higher_is_better)
    deviations = None if mos_std is None else aligned(mos_std, mos, "mos_std")
    labels = aligned_labels(clusters, mos, "clusters")
    if baseline is not None and (baseline not in ratings.methods or len(ratings.methods) < 2):
        raise ValueError(f"no method to compare {baseline!r} with in {', '.join(ratings.methods)}")
    settings = settings or EvaluationSettings(resamples(len(ratings.methods) - 1))
    work = _Evaluation(ratings, labels, deviations, settings)
    passes = work.passes()
    rows = [work.row(one, i) for one in passes for i in range(len(one.methods))]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).set_index("method", drop=False)
    table = table.loc[list(ratings.methods)].reset_index(drop=True)
    if baseline is None:
        return table
    return table.join(work.differences(passes, ratings.methods.index(baseline)))


@dataclass(frozen=True)
class _Pass:
    """Methods that share their usable pictures, and so one pass over the resamples."""

    usable: NDArray[np.bool_]
    methods: list[int]
    fits: list[tuple[LogisticFit, LogisticFit]]
    drawn: Correlations


@dataclass(frozen=True)
class _Evaluation:
    """One call of `evaluate`."""

    ratings: Ratings
    labels: NDArray[np.object_] | None
    deviations: Array | None
    settings: EvaluationSettings

    def passes(self) -> list[_Pass]:
        """One for each set of pictures."""
        groups: dict[bytes, list[int]] = {}
        for m in range(len(self.ratings.methods)):
            groups.setdefault(self.ratings.usable(m).tobytes(), []).append(m)
        passes = []
        for methods in groups.values():
            usable = self.ratings.usable(*methods)
            x, quality = self.ratings.predictions[usable][:, methods], self.ratings.quality[usable]
            fits = [
                (fit_logistic(c, quality), fit_logistic(c, quality, n_parameters=5)) for c in x.T
            ]
            fitted = np.column_stack([four.signed for four, _ in fits])
            drawn = correlate(x, quality, self._labels(usable), self.settings, fitted=fitted)
            passes.append(_Pass(usable, methods, fits, drawn))
        return passes

    def _labels(self, usable: NDArray[np.bool_]) -> Sequence[object] | None:
        return None if self.labels is None else list(self.labels[usable])

    def row(self, one: _Pass, i: int) -> dict[str, object]:
        """The table's row of a method of a pass."""
        usable, m = one.usable, one.methods[i]
        given = self.ratings
        x, mos, quality = given.predictions[usable, m], given.mos[usable], given.quality[usable]
        up = given.higher_is_better
        row: dict[str, object] = {
            "method": self.ratings.methods[m],
            "n": mos.size,
            "n_dropped": usable.size - mos.size,
            "mos_direction": "higher is better" if up else "lower is better",
            "n_clusters": 0,
        }
        problem = _problem(x, mos)
        if problem:
            nothing = {"fit_monotone": False, "official_fell_back": False, "reason": problem}
            return row | {"fit_status": "degenerate"} | nothing
        if one.drawn.resamples.codes is not None:
            row["n_clusters"] = one.drawn.resamples.clusters
        four, five = one.fits[i]
        official = official_evaluation(x, mos)
        row |= {
            "srcc": spearman(x, quality),
            "krcc": kendall(x, quality),
            "plcc_raw": pearson(x, quality),
            "plcc_4p": pearson(four.signed, quality) if four.converged else np.nan,
            "plcc_5p": pearson(five.signed, quality) if five.converged else np.nan,
            "rmse_4p": rmse(four.fitted, quality),
            "rmse_5p": rmse(five.fitted, quality),
            "fit_status": max(four.status, five.status, key=_STATUSES.index),
            "fit_monotone": four.monotone and five.monotone,
            "srcc_official": official.srcc,
            "plcc_official": official.plcc,
            "rmse_official": official.rmse,
            "official_fell_back": official.fell_back,
        }
        if self.deviations is not None:
            row["outlier_ratio"] = outlier_ratio(four.fitted, quality, self.deviations[usable])
        reasons = [four.reason, five.reason]
        if self.settings.n_boot:
            srcc, plcc = one.drawn.srcc(i), one.drawn.plcc(i)
            row |= {"srcc_lo": srcc.low, "srcc_hi": srcc.high}
            row |= {"plcc_4p_lo": plcc.low, "plcc_4p_hi": plcc.high}
            reasons.append(srcc.reason)
        return row | {"reason": "; ".join(dict.fromkeys(filter(None, reasons)))}

    def differences(self, passes: list[_Pass], baseline: int) -> pd.DataFrame:
        """Columns `DIFFERENCES`, blank for the baseline itself."""
        leads: dict[Hashable, Estimate] = {
            m: self._lead(passes, m, baseline)
            for m in range(len(self.ratings.methods))
            if m != baseline
        }
        judged = verdicts(leads)
        columns = pd.DataFrame(
            {
                "other": self.ratings.methods[baseline],
                "n_common": [lead.n for lead in leads.values()],
                "delta_srcc": judged["value"],
                "delta_srcc_lo": judged["low"],
                "delta_srcc_hi": judged["high"],
                "p_srcc": judged["p"],
                "p_srcc_holm": judged["p_holm"],
                "verdict": judged["verdict"],
                "detectable": judged["detectable"],
                "delta_reason": judged["reason"],
            }
        ).reindex(range(len(self.ratings.methods)))
        words = ["other", "verdict", "delta_reason"]
        return columns.assign(**columns[words].fillna(""))[list(DIFFERENCES)]

    def _lead(self, passes: list[_Pass], method: int, baseline: int) -> Estimate:
        for one in passes:
            if method in one.methods and baseline in one.methods:
                return one.drawn.lead(one.methods.index(method), one.methods.index(baseline))
        common = self.ratings.usable(method, baseline)
        both = self.ratings.predictions[common][:, [method, baseline]]
        drawn = correlate(both, self.ratings.quality[common], self._labels(common), self.settings)
        return drawn.lead(0, 1)


def _problem(x: Array, mos: Array) -> str:
    if mos.size < MIN_PICTURES:
        return f"{mos.size} usable pictures, at least {MIN_PICTURES} are needed"
    if is_constant(x):
        return "constant predictions"
    return "constant MOS" if is_constant(mos) else ""


def breakdown(
    predictions: Predictions,
    mos: ArrayLike,
    groups: Sequence[object],
    *,
    min_n: int = MIN_GROUP,
    higher_is_better: bool = True,
) -> pd.DataFrame:
    """SRCC of every method inside every group: distortion type, level, reference, generator.

    Arguments are as in `evaluate`, with ``groups``, the label of each picture (N,); groups with
    fewer than ``min_n`` usable pictures stay blank (NaN). One row per method and group:
    ``method, group, n, n_dropped, srcc, reason``.
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
            rows.append((method, group, n, int(inside.sum()) - n, srcc, reason))
    return pd.DataFrame(rows, columns=["method", "group", "n", "n_dropped", "srcc", "reason"])


def macro_mean(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of the groups' SRCC, every group counting alike, from a `breakdown`.

    Grouped by reference it says how well a method orders the versions of one picture, which
    a correlation over all pictures hides. One row per method: ``method, srcc_within, n_groups,
    n_blank``; blank groups are left out of the mean and counted in ``n_blank``.
    """
    srcc = table.groupby("method", sort=False)["srcc"]
    result = pd.DataFrame({"srcc_within": srcc.mean(), "n_groups": srcc.count()})
    result["n_blank"] = srcc.size() - result["n_groups"]
    return result.reset_index()
