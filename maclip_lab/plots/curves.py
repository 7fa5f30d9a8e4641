"""Figures of the ablations: cues against quality, the magnitude cue, lambda, prompts and crops."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from maclip_lab.evaluation.correlations import spearman
from maclip_lab.evaluation.fits import fit_logistic
from maclip_lab.plots.style import (
    CMAP,
    CUE_LABELS,
    band,
    cue_style,
    finish,
    new_axes,
    panels,
    set_suptitle,
    spoken,
    spread,
)


def cue_scatter(tables: Mapping[str, pd.DataFrame], cues: Sequence[str], *, title: str) -> Figure:
    """Quality against cues, one row a data set and one panel a cue, with logistic fit and SRCC.

    Args:
        tables: what a set's quality is called to its rows, one a picture: ``quality``, higher is
            better, and the cues.
        cues: columns to show, at most five.
        title: the finding.
    """
    figure, axes = panels(len(cues), 2.6, 2.9, title, rows=len(tables))
    for place, (label, table) in enumerate(tables.items()):
        quality = table["quality"].to_numpy(dtype=float)
        for i, cue in enumerate(cues):
            ax = axes[place * len(cues) + i]
            values = table[cue].to_numpy(dtype=float)
            known = np.isfinite(values) & np.isfinite(quality)
            x, y = values[known], quality[known]
            _, colour, marker = cue_style(cue)
            ax.scatter(x, spread(y), s=10, color=colour, marker=marker, alpha=0.5, linewidths=0)
            fit = fit_logistic(x, y)
            if fit.converged:
                order = np.argsort(x)
                ax.plot(x[order], fit.fitted[order], color="black", linewidth=1.5)
            finish(ax, f"SRCC {spearman(x, y):+.2f}", CUE_LABELS.get(cue, cue), "" if i else label)
    return figure


def _srcc_dots(
    table: pd.DataFrame,
    low: pd.DataFrame | None = None,
    high: pd.DataFrame | None = None,
    ax: Axes | None = None,
    *,
    title: str,
    xlabel: str = "SRCC with quality",
    none: float = 0.0,
) -> Axes:
    """Rank correlations as dots, one row a group and one colour a method, with intervals.

    A method that gives all pictures of a group one score has no dot, and says so.

    Args:
        table: SRCC, groups as index and methods as columns.
        low: lower ends of the intervals, of the same shape.
        high: upper ends of the intervals.
        ax: axes to draw on.
        title: the finding.
        xlabel: what the numbers are.
        none: where the dotted line stands, the value of a cue that knows nothing.
    """
    width = table.shape[1]
    if ax is None:  # the title starts above the rows' names, which may be long
        ax = new_axes(ax, 7, 1.2 + len(table) * (0.2 + 0.1 * width))
        set_suptitle(ax.figure, title)
        title = ""
    rows = np.arange(len(table))[::-1]
    for i, method in enumerate(table.columns):
        name, colour, marker = cue_style(str(method), i)
        places = rows + (0.5 * (width - 1) - i) * 0.6 / width
        if low is not None and high is not None:
            ax.hlines(places, low[method], high[method], color=colour, linewidth=1.5, alpha=0.6)
        ax.scatter(table[method], places, s=30, color=colour, marker=marker, label=name, zorder=3)
        for place in places[table[method].isna()]:
            ax.text(none, place, "  one answer for all", va="center", color="#555555", fontsize=8)
    ax.axvline(none, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(rows, [spoken(group) for group in table.index])
    ax.set_ylim(-0.6, len(table) - 0.4)
    for edge in rows[:-1] - 0.5:
        ax.axhline(edge, color="#cccccc", linewidth=0.6)
    if width > 1:
        ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, xlabel, "")


def group_dots(
    table: pd.DataFrame, group: str, value: str = "srcc", *, title: str, **look: Any
) -> Axes:
    """`srcc_dots` of a tidy table: one row a group and method.

    Args:
        table: columns ``group``, ``method``, and ``value`` with its ``_lo`` and ``_hi``.
        group: column that makes the rows.
        value: column to show.
        title: the finding.
        look: further arguments of `srcc_dots`.
    """
    groups, methods = (list(dict.fromkeys(table[name])) for name in (group, "method"))
    middle, low, high = (
        table.pivot(index=group, columns="method", values=f"{value}{end}").loc[groups, methods]
        for end in ("", "_lo", "_hi")
    )
    return _srcc_dots(middle, low, high, title=title, **look)


def lambda_curves(tables: Mapping[str, pd.DataFrame], *, title: str) -> Figure:
    """Agreement with quality against lambda, one panel a data set; 0.3 to 0.7 is shaded.

    Args:
        tables: a set's name to its rows ``method, box_lam, srcc, srcc_lo, srcc_hi``.
        title: the finding.
    """
    figure, axes = panels(len(tables), 4.4, 3.5, title)
    for ax, (panel, table) in zip(axes, tables.items(), strict=True):
        ax.sharey(axes[0])
        ax.axvspan(0.3, 0.7, color="#dddddd", alpha=0.6, linewidth=0, label="steady in the paper")
        for i, (method, part) in enumerate(table.groupby("method", sort=False)):
            name, colour, marker = cue_style(str(method), i)
            band(ax, part["box_lam"], part, "srcc", colour, marker, name)
        ax.axhline(0, color="black", linewidth=0.8, linestyle=":")
        finish(ax, panel, "$\\lambda$ (0 is the logarithm)", "SRCC with quality")
        ax.label_outer()
    axes[-1].legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def distance_matrices(tables: Mapping[str, pd.DataFrame], *, title: str) -> Figure:
    """Distances between contents at several stages on one colour scale, their mean above each.

    Args:
        tables: what a stage is called to its symmetric ``(G, G)`` distances.
        title: the finding.
    """
    figure, axes = panels(len(tables), 3.1, 3.6, title)
    top = max(float(table.to_numpy().max()) for table in tables.values())
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        image = ax.imshow(table, cmap=CMAP, vmin=0, vmax=top)
        mean = table.to_numpy()[np.triu_indices(len(table), 1)].mean()
        ax.set_title(f"{name}: mean {mean:.2f}", loc="left", fontsize="small", fontweight="bold")
        names = [spoken(label) for label in table.index]
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize="x-small")
        ax.set_yticks(range(len(names)), names, fontsize="x-small")
        ax.label_outer()
    plt.colorbar(image, ax=list(axes), label="Wasserstein distance\n(standard deviations)",
                 shrink=0.75)  # fmt: skip
    return figure
