"""Figures of what an evaluation finds: correlations with intervals, differences, fits, heat maps.

Our numbers carry the backbone that made them in the title or on an axis; the paper's stand in a
panel of their own.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from maclip_lab.plots.style import (
    CUE_COLOURS,
    CUE_LABELS,
    CUE_MARKERS,
    LINES,
    SERIES,
    SERIES_MARKERS,
    cue_style,
    finish,
    new_axes,
    set_suptitle,
    spoken,
    spread,
)

DIVERGING = "PuOr"
"""Colour map of signed correlations: orange below zero, purple above, white at none."""

_TREND_STEPS = 6


def srcc_intervals(
    table: pd.DataFrame, group: str = "backbone", ax: Axes | None = None, *, title: str
) -> Axes:
    """SRCC of every method with its interval, one line a method, grouped.

    Args:
        table: rows of `evaluate` with the column ``group``.
        group: what to group by, ``"backbone"`` or ``"dataset"``.
        ax: axes to draw on.
        title: the finding.
    """
    groups = list(dict.fromkeys(table[group]))
    methods = list(dict.fromkeys(table["method"]))
    ax = new_axes(ax, 7, 0.32 * len(groups) * (len(methods) + 1) + 1.2)
    for m, method in enumerate(methods):
        rows = table[table["method"] == method]
        y = [groups.index(name) + (m - (len(methods) - 1) / 2) / (len(methods) + 1)
             for name in rows[group]]  # fmt: skip
        _, colour, marker = cue_style(method, m)
        ax.hlines(y, rows["srcc_lo"], rows["srcc_hi"], color=colour, linewidth=1.6)
        ax.plot(rows["srcc"], y, color=colour, marker=marker, linestyle="", label=method)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(groups)), [str(name) for name in groups])
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, "SRCC with quality, 95 % interval", "")


def difference_intervals(
    table: pd.DataFrame, labels: Sequence[str], ax: Axes | None = None, *, xlabel: str, title: str
) -> Axes:
    """Differences in SRCC with their intervals; filled where Holm's correction leaves p < 0.05.

    Args:
        table: rows of `compare`.
        labels: one a row.
        ax: axes to draw on.
        xlabel: which SRCC is taken from which.
        title: the finding.
    """
    ax = new_axes(ax, 8.5, 0.36 * len(table) + 1.3)
    y = np.arange(len(table))
    ax.hlines(y, table["delta_srcc_lo"], table["delta_srcc_hi"], color=SERIES[0], linewidth=1.6)
    sure = (table["p_srcc_holm"] < 0.05).to_numpy()
    for mask, face, label in ((sure, SERIES[0], "p < 0.05 (Holm)"), (~sure, "white", "not sure")):
        if mask.any():
            ax.plot(table["delta_srcc"][mask], y[mask], "o", color=SERIES[0],
                    markerfacecolor=face, label=label)  # fmt: skip
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(y, list(labels))
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, f"{xlabel}, 95 % interval", "")


def srcc_heat_map(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    title: str,
    xlabel: str = "",
    ylabel: str = "",
    label: str = "SRCC",
) -> Axes:
    """Correlations, or shares, as coloured cells with their numbers; grey where there is none.

    Args:
        table: numbers in [-1, 1], index and columns as labels.
        ax: axes to draw on.
        title: the finding.
        xlabel: what the columns are.
        ylabel: what the rows are.
        label: what the numbers are.
    """
    ax = new_axes(ax, max(1.1 * table.shape[1], 3) + 3, 0.34 * table.shape[0] + 1.5)
    values = table.to_numpy(dtype=float)
    ax.set_facecolor("#cccccc")
    shown = ax.imshow(values, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.65 else "black"
            ax.text(column, row, f"{round(value, 2) + 0:.2f}", ha="center", va="center",
                    color=colour, fontsize="small")  # fmt: skip
    ax.set_xticks(range(table.shape[1]), [spoken(name) for name in table.columns])
    ax.set_yticks(range(table.shape[0]), [spoken(name) for name in table.index])
    bar = plt.colorbar(shown, ax=ax, label=label, shrink=0.9)
    bar.ax.set_ylim(-1.0 if np.nanmin(values, initial=0.0) < 0 else 0.0, 1.0)
    finish(ax, title, xlabel, ylabel)
    ax.grid(visible=False)
    return ax


def cue_trends(tables: Mapping[str, pd.DataFrame], *, title: str, xlabel: str) -> Figure:
    """Both cues and the score against quality, one panel a backbone: mean and middle half.

    Args:
        tables: a backbone's name to rows with ``quality, q_cos, q_mag, score``.
        title: the finding.
        xlabel: what quality is.
    """
    figure, axes = plt.subplots(
        1, len(tables), figsize=(4 * len(tables) + 0.6, 3.6), dpi=100, layout="constrained",
        facecolor="white", sharey=True, squeeze=False,
    )  # fmt: skip
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        for cue in ("q_cos", "q_mag", "score"):
            grouped = table[cue].groupby(_steps(table["quality"]))
            x = table["quality"].groupby(_steps(table["quality"])).mean()
            low, high = grouped.quantile(0.25), grouped.quantile(0.75)
            ax.fill_between(x, low, high, color=CUE_COLOURS[cue], alpha=0.15, linewidth=0)
            ax.plot(x, grouped.mean(), color=CUE_COLOURS[cue], marker=CUE_MARKERS[cue],
                    label=CUE_LABELS[cue])  # fmt: skip
        finish(ax, name, xlabel, "")
    axes[0, 0].set_ylabel("cue, higher means better")
    axes[0, -1].legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    set_suptitle(figure, title)
    return figure


def cost_quality(table: pd.DataFrame, ax: Axes | None = None, *, title: str) -> Axes:
    """What a backbone costs against what it gives.

    Args:
        table: one row a backbone: ``backbone``, ``parameters`` of the image tower, ``srcc`` with
            ``srcc_lo, srcc_hi``.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6, 3.6)
    for i, (_, row) in enumerate(table.iterrows()):
        bars = [[row["srcc"] - row["srcc_lo"]], [row["srcc_hi"] - row["srcc"]]]
        ax.errorbar(row["parameters"] / 1e6, row["srcc"], yerr=bars, linestyle="", capsize=3,
                    color=SERIES[i % len(SERIES)], marker=SERIES_MARKERS[i % len(SERIES)],
                    label=row["backbone"])  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks(table["parameters"] / 1e6)
    ax.xaxis.set_major_formatter("{x:.3g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.15)
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(
        ax, title, "parameters of the image tower (millions)", "SRCC with quality, 95 % interval"
    )


def prediction_fits(
    scores: NDArray[np.float64],
    quality: NDArray[np.float64],
    fits: Mapping[str, NDArray[np.float64]],
    ax: Axes | None = None,
    *,
    ylabel: str,
    title: str,
) -> Axes:
    """Quality against scores, and the curves that take a score to the scale of quality.

    Args:
        scores: predictions ``(N,)``.
        quality: MOS ``(N,)``, higher is better.
        fits: a curve's name to the fitted quality ``(N,)``.
        ax: axes to draw on.
        ylabel: what quality is.
        title: the finding.
    """
    ax = new_axes(ax, 6.4, 4)
    ax.scatter(scores, spread(quality), s=12, alpha=0.35, color=CUE_COLOURS["score"],
               marker=CUE_MARKERS["score"], label="a picture", linewidths=0)  # fmt: skip
    order = np.argsort(scores)
    for i, (name, fitted) in enumerate(fits.items()):
        ax.plot(scores[order], fitted[order], color=(SERIES[6], SERIES[1], SERIES[0])[i % 3],
                linestyle=LINES[i % 4], label=name)  # fmt: skip
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, "MA-CLIP score", ylabel)


def beside_paper(
    ours: pd.DataFrame, paper: pd.DataFrame, datasets: Sequence[str], *, ours_label: str, title: str
) -> Figure:
    """The paper's SRCC in one panel and ours in another; a set we have not run stays empty.

    Args:
        ours: rows of `evaluate` with ``dataset``.
        paper: rows of `published_results`.
        datasets: the rows from top to bottom.
        ours_label: the backbone that made ours.
        title: the finding.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 0.36 * len(datasets) + 1.5), dpi=100, layout="constrained",
        facecolor="white", sharex=True, sharey=True,
    )  # fmt: skip
    place = {name: i for i, name in enumerate(datasets)}
    for method, above in (("CLIP-IQA", 0.15), ("MA-CLIP", -0.15)):
        _, colour, marker = cue_style(method)
        rows = paper[(paper["method"] == method) & paper["dataset"].isin(place)]
        y = [place[name] - above for name in rows["dataset"]]
        left.plot(rows["value"], y, color=colour, marker=marker, linestyle="",
                  markerfacecolor="none", label=method)  # fmt: skip
        rows = ours[(ours["method"] == method) & ours["dataset"].isin(place)]
        y = [place[name] - above for name in rows["dataset"]]
        right.hlines(y, rows["srcc_lo"], rows["srcc_hi"], color=colour)
        right.plot(rows["srcc"], y, color=colour, marker=marker, linestyle="", label=method)
    left.set_yticks(range(len(datasets)), list(datasets))
    left.set_ylim(len(datasets) - 0.5, -0.5)
    finish(left, "the paper, RN50", "SRCC as published", "")
    finish(right, ours_label, "SRCC, 95 % interval", "")
    right.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    set_suptitle(figure, title)
    return figure


def _steps(quality: pd.Series) -> pd.Series:
    """Quality itself where it has few levels, else its quantiles, as a key to group by."""
    if quality.nunique() <= _TREND_STEPS:
        return quality
    return pd.qcut(quality, _TREND_STEPS, labels=False, duplicates="drop")
