"""Figures of the ablations: cues against quality, lambda, fusion, prompts and crops."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import norm, skew

from maclip_lab.evaluation.correlations import spearman
from maclip_lab.evaluation.fits import fit_logistic
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.plots.style import (
    CMAP,
    CUE_COLOURS,
    CUE_LABELS,
    CUE_MARKERS,
    LINES,
    SERIES,
    SERIES_MARKERS,
    finish,
    new_axes,
    set_suptitle,
    spread,
)


def cue_scatter(
    table: pd.DataFrame, cues: Sequence[str], *, mos_label: str = "MOS", title: str
) -> Figure:
    """Cues against quality, one panel a cue, each with its logistic fit and SRCC.

    Args:
        table: one row a picture: ``mos`` (higher is better) and the cues.
        cues: columns to show, at most five.
        mos_label: what ``mos`` is called.
        title: the finding.
    """
    figure, axes = _panels(len(cues), 2.7, 3.1, title)
    mos = table["mos"].to_numpy(dtype=float)
    for ax, cue in zip(axes, cues, strict=True):
        values = table[cue].to_numpy(dtype=float)
        _, colour, marker = _style(cue)
        ax.scatter(spread(mos), values, s=12, color=colour, marker=marker, alpha=0.5, linewidths=0)
        fit = fit_logistic(values, mos)
        order = np.argsort(values)
        if fit.converged:
            ax.plot(fit.fitted[order], values[order], color="black", linewidth=1.5)
        finish(ax, f"SRCC {spearman(values, mos):+.2f}", mos_label, CUE_LABELS.get(cue, cue))
    return figure


def srcc_dots(
    table: pd.DataFrame,
    low: pd.DataFrame | None = None,
    high: pd.DataFrame | None = None,
    ax: Axes | None = None,
    *,
    title: str,
) -> Axes:
    """Rank correlations as dots, one row a group and one colour a method, with intervals.

    A method that gives all pictures of a group one score has no dot, and says so.

    Args:
        table: SRCC, groups as index and methods as columns.
        low: lower ends of the intervals, of the same shape.
        high: upper ends of the intervals.
        ax: axes to draw on.
        title: the finding.
    """
    width = table.shape[1]
    if ax is None:  # the title starts above the rows' names, which may be long
        ax = new_axes(ax, 7, 1.2 + len(table) * (0.2 + 0.1 * width))
        set_suptitle(ax.figure, title)
        title = ""
    rows = np.arange(len(table))[::-1]
    for i, method in enumerate(table.columns):
        name, colour, marker = _style(str(method), i)
        places = rows + (0.5 * (width - 1) - i) * 0.6 / width
        if low is not None and high is not None:
            ax.hlines(places, low[method], high[method], color=colour, linewidth=1.5, alpha=0.6)
        ax.scatter(table[method], places, s=30, color=colour, marker=marker, label=name, zorder=3)
        for place in places[table[method].isna()]:
            ax.text(0, place, "  one answer for all", va="center", color="#555555", fontsize=8)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(rows, [str(group).replace("_", " ") for group in table.index])
    ax.set_ylim(-0.6, len(table) - 0.4)
    for edge in rows[:-1] - 0.5:
        ax.axhline(edge, color="#cccccc", linewidth=0.6)
    if width > 1:
        ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, "SRCC with quality", "")


def setting_grid(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    mark: tuple[object, object] | None = None,
    xlabel: str,
    ylabel: str,
    title: str,
) -> Axes:
    """Rank correlations of a grid as colours with their numbers, the best nearest to yellow.

    Args:
        table: SRCC, rows and columns as in the figure.
        ax: axes to draw on.
        mark: row and column label of a cell to frame, such as the paper's setting.
        xlabel: what the columns are.
        ylabel: what the rows are.
        title: the finding.
    """
    rows, cols = table.shape
    ax = new_axes(ax, 2.6 + 0.62 * cols, 1.4 + 0.42 * rows)
    values = table.to_numpy(dtype=float)
    image = ax.imshow(values, cmap=CMAP, aspect="auto")
    plt.colorbar(image, ax=ax, label="SRCC with quality")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, col), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "black" if value > middle else "white"
            ax.text(col, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
    if mark is not None:
        row, col = table.index.get_loc(mark[0]), table.columns.get_loc(mark[1])
        corner = (col - 0.5, row - 0.5)
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=SERIES[1], linewidth=2.5))
    ax.set_xticks(range(cols), [_tick(name) for name in table.columns])
    ax.set_yticks(range(rows), [_tick(name) for name in table.index])
    finish(ax, title, xlabel, ylabel)
    ax.grid(visible=False)
    return ax


def shape_scatter(table: pd.DataFrame, *, title: str) -> Figure:
    """The magnitude cue against what it might measure: the feature's length, and its evenness.

    Args:
        table: one row a crop: ``q_mag``, ``norm``, and ``evenness``, the mean of ``|f|`` over its
            root mean square, in (0, 1].
        title: the finding.
    """
    figure, axes = _panels(2, 4, 3.3, title)
    labels = {"norm": "length $\\|f\\|_2$", "evenness": "mean $|f|$ / RMS of $f$"}
    for ax, (column, label) in zip(axes, labels.items(), strict=True):
        ax.scatter(table[column], table["q_mag"], s=9, color=CUE_COLOURS["q_mag"], alpha=0.5,
                   marker=CUE_MARKERS["q_mag"], linewidths=0)  # fmt: skip
        found = spearman(table[column].to_numpy(), table["q_mag"].to_numpy())
        finish(ax, f"SRCC {found:+.2f}", label, CUE_LABELS["q_mag"])
    return figure


def magnitude_histograms(values: Mapping[str, np.ndarray], *, title: str) -> Figure:
    """Distributions on a common scale beside the normal one, the skewness above each.

    Args:
        values: what the numbers are to the numbers, any count.
        title: the finding.
    """
    figure, axes = _panels(len(values), 2.5, 2.8, title)
    edges = np.linspace(-3.5, 5, 52)
    for ax in axes[1:]:
        ax.sharey(axes[0])
    for ax, (name, numbers) in zip(axes, values.items(), strict=True):
        standard = (numbers - numbers.mean()) / numbers.std()
        ax.hist(standard, edges.tolist(), density=True, color=CUE_COLOURS["q_mag"], alpha=0.6)
        ax.plot(edges, norm.pdf(edges), color="black", linewidth=1.2)
        finish(ax, f"{name}, skewness {skew(numbers):.1f}", "standard deviations", "density")
        ax.label_outer()
    return figure


def normality_curves(table: pd.DataFrame, *, title: str) -> Figure:
    """Skewness and Shapiro-Wilk's W of the magnitudes of a feature against lambda.

    Args:
        table: lambda as index, with ``skewness`` and ``shapiro_w`` and the lower and upper
            quartile of each over the features, ``skewness_lo``, ``skewness_hi`` and so on.
        title: the finding.
    """
    figure, axes = _panels(2, 3.8, 3.2, title)
    names = {"skewness": "skewness (0 if symmetric)", "shapiro_w": "Shapiro-Wilk W (1 if normal)"}
    for ax, (i, (column, label)) in zip(axes, enumerate(names.items()), strict=True):
        _band(ax, table.index, table, column, SERIES[i], SERIES_MARKERS[i], "median")
        ax.axhline(i, color="black", linewidth=0.8, linestyle=":")
        ax.axvline(0.5, color="black", linewidth=0.8, linestyle="--")
        finish(ax, "", "$\\lambda$ (0 is the logarithm)", label)
    return figure


def lambda_curves(table: pd.DataFrame, ax: Axes | None = None, *, title: str) -> Axes:
    """Agreement with quality against lambda, with intervals; 0.3 to 0.7 is shaded.

    Args:
        table: ``method, box_lam, srcc, srcc_lo, srcc_hi``.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6.6, 3.8)
    ax.axvspan(0.3, 0.7, color="#dddddd", alpha=0.6, linewidth=0, label="steady in the paper")
    for i, (method, part) in enumerate(table.groupby("method", sort=False)):
        name, colour, marker = _style(str(method), i)
        _band(ax, part["box_lam"], part, "srcc", colour, marker, name)
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":")
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, "$\\lambda$ (0 is the logarithm)", "SRCC with quality")


def distance_matrices(tables: Mapping[str, pd.DataFrame], *, title: str) -> Figure:
    """Distances between contents at several stages on one colour scale, their mean above each.

    Args:
        tables: what a stage is called to its symmetric ``(G, G)`` distances.
        title: the finding.
    """
    figure, axes = _panels(len(tables), 3.1, 3.6, title)
    top = max(float(table.to_numpy().max()) for table in tables.values())
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        image = ax.imshow(table, cmap=CMAP, vmin=0, vmax=top)
        mean = table.to_numpy()[np.triu_indices(len(table), 1)].mean()
        ax.set_title(f"{name}: mean {mean:.2f}", loc="left", fontsize="small", fontweight="bold")
        names = [str(label).replace("_", " ") for label in table.index]
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize="x-small")
        ax.set_yticks(range(len(names)), names, fontsize="x-small")
        ax.label_outer()
    plt.colorbar(image, ax=list(axes), label="Wasserstein distance\n(standard deviations)",
                 shrink=0.75)  # fmt: skip
    return figure


def weight_curve(
    table: pd.DataFrame, rules: Mapping[str, float], ax: Axes | None = None, *, title: str
) -> Axes:
    """Agreement with quality of every fixed weight, and of other rules as level lines.

    Args:
        table: ``w_cos, srcc, srcc_lo, srcc_hi``, one row a fixed weight of the cosine cue.
        rules: what a rule is called to its SRCC.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6.6, 3.6)
    _band(ax, table["w_cos"], table, "srcc", SERIES[0], SERIES_MARKERS[0], "fixed weight")
    for i, (name, srcc) in enumerate(rules.items(), start=1):
        ax.axhline(srcc, color=SERIES[i], linestyle=LINES[i % 4], label=name)
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    label = "fixed weight of the cosine cue (0: magnitude alone, 1: cosine alone)"
    return finish(ax, title, label, "SRCC with quality")


def fusion_plane(
    q_cos: np.ndarray,
    q_mag: np.ndarray,
    settings: FusionSettings | None = None,
    ax: Axes | None = None,
    *,
    title: str,
) -> Axes:
    """The fused score over both cues; hatched where more magnitude makes it lower.

    Args:
        q_cos: cosine cue of some crops, ``(M,)``, shown as points.
        q_mag: their magnitude cue, ``(M,)``.
        settings: the method's constants; None for the paper's.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6.2, 4)
    top = max(1.2, float(np.max(q_mag)) * 1.1)
    cos, mag = np.meshgrid(np.linspace(0, 1, 121), np.linspace(0, top, 121))
    score = fuse(torch.from_numpy(cos), torch.from_numpy(mag), settings or FusionSettings())[0]
    filled = ax.contourf(cos, mag, score, levels=12, cmap=CMAP)
    plt.colorbar(filled, ax=ax, label="fused score of a crop")
    falls = (np.gradient(score.numpy(), mag[:, 0], axis=0) < 0).astype(float)
    ax.contourf(cos, mag, falls, levels=[-0.5, 0.5, 1.5], colors="none", hatches=["", "//"])
    ax.scatter(q_cos, q_mag, s=8, color="white", edgecolors="black", linewidths=0.3, label="crops")
    ax.legend(fontsize="small", loc="upper left")
    finish(ax, title, CUE_LABELS["q_cos"], CUE_LABELS["q_mag"])
    ax.grid(visible=False)
    return ax


def weight_histograms(
    groups: Mapping[str, np.ndarray], ax: Axes | None = None, *, title: str
) -> Axes:
    """How the cosine cue's weight is distributed over the crops of several groups of pictures.

    Args:
        groups: what a group is called to its crops' weights in [0, 1].
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6, 3.4)
    edges = np.linspace(*_range(list(groups.values())), 31).tolist()
    for i, (name, weights) in enumerate(groups.items()):
        ax.hist(weights, edges, density=True, histtype="step", label=name, color=SERIES[i],
                linestyle=LINES[i % 4], linewidth=1.8)  # fmt: skip
        ax.axvline(float(np.mean(weights)), color=SERIES[i], linestyle=":", linewidth=1)
    ax.legend(fontsize="small", frameon=False)
    return finish(ax, title, "weight of the cosine cue", "density of crops")


def agreement_scatter(
    before: pd.Series, after: pd.Series, ax: Axes | None = None, *, title: str
) -> Axes:
    """The same pictures scored in two ways, with the line on which both agree.

    Args:
        before: scores ``(N,)``; its name labels the axis.
        after: scores ``(N,)`` of the same pictures.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 4.6, 4)
    ends = _range([before.to_numpy(), after.to_numpy()])
    ax.plot(ends, ends, color="black", linewidth=0.8, linestyle=":", label="no difference")
    ax.scatter(before, after, s=14, color=CUE_COLOURS["score"], marker=CUE_MARKERS["score"],
               alpha=0.5, linewidths=0)  # fmt: skip
    ax.legend(fontsize="small", frameon=False)
    return finish(ax, title, str(before.name), str(after.name))


def _panels(count: int, width: float, height: float, title: str) -> tuple[Figure, list[Axes]]:
    """Panels side by side under one title, each of that size in inches."""
    figure, axes = plt.subplots(
        1,
        count,
        figsize=(width * count, height),
        dpi=100,
        layout="constrained",
        facecolor="white",
        squeeze=False,
    )
    set_suptitle(figure, title)
    return figure, list(axes[0])


def _style(name: str, place: int = 0) -> tuple[str, str, str]:
    """Label, colour and marker: a cue's own, or those of a place in the series."""
    colour = CUE_COLOURS.get(name, SERIES[place % len(SERIES)])
    marker = CUE_MARKERS.get(name, SERIES_MARKERS[place % len(SERIES_MARKERS)])
    return CUE_LABELS.get(name, name), colour, marker


def _band(
    ax: Axes,
    x: "pd.Index[float] | pd.Series[float]",
    table: pd.DataFrame,
    column: str,
    colour: str,
    marker: str,
    name: str,
) -> None:
    """A line with the band between its ``_lo`` and ``_hi``."""
    ax.fill_between(x, table[f"{column}_lo"], table[f"{column}_hi"], color=colour, alpha=0.15,
                    linewidth=0)  # fmt: skip
    ax.plot(x, table[column], color=colour, marker=marker, markersize=4, label=name)


def _range(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    """Lowest and highest of all numbers, a little apart even where they are equal."""
    numbers = np.concatenate([np.ravel(array) for array in arrays])
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    margin = 0.03 * (high - low) or 1e-3
    return low - margin, high + margin


def _tick(name: object) -> str:
    return f"{name:g}" if isinstance(name, int | float) else str(name).replace("_", " ")
