"""Figures of the fusion: its constants, its rules, where it works backwards, and when it pays."""

from collections.abc import Mapping
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from maclip_lab.fusion import FusionSettings, fuse, fusion_slopes
from maclip_lab.plots.style import (
    CMAP,
    CUE_LABELS,
    LINES,
    SERIES,
    SERIES_MARKERS,
    band,
    finish,
    new_axes,
    panels,
    spoken,
)

_LEAST_RANGE = 0.1
"""SRCC between the ends of a colour scale at least, so that small differences look small."""


def setting_grid(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    mark: tuple[object, object] | None = None,
    alike: pd.DataFrame | None = None,
    xlabel: str,
    ylabel: str,
    title: str,
) -> Axes:
    """Rank correlations of a grid as colours with their numbers, the best nearest to yellow.

    Args:
        table: SRCC, rows and columns as in the figure.
        ax: axes to draw on.
        mark: row and column label of a cell to frame, such as the paper's setting.
        alike: which cells are not told apart from the framed one; these are greyed.
        xlabel: what the columns are.
        ylabel: what the rows are.
        title: the finding.
    """
    rows, cols = table.shape
    ax = new_axes(ax, 2.6 + 0.62 * cols, 1.4 + 0.42 * rows)
    values = table.to_numpy(dtype=float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    low = min(low, high - _LEAST_RANGE)
    image = ax.imshow(values, cmap=CMAP, aspect="auto", vmin=low, vmax=high)
    plt.colorbar(image, ax=ax, label="SRCC with quality")
    for (row, col), value in np.ndenumerate(values):
        if np.isfinite(value):
            greyed = alike is not None and bool(alike.iloc[row, col])
            if greyed:
                ax.add_patch(Rectangle((col - 0.5, row - 0.5), 1, 1, color="#bbbbbb", linewidth=0))
            ink = "black" if greyed or value > (low + high) / 2 else "white"
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


def weight_curves(
    tables: Mapping[str, pd.DataFrame], rules: Mapping[str, Mapping[str, float]], *, title: str
) -> Figure:
    """Agreement with quality of every fixed weight, and of other rules as level lines.

    Args:
        tables: a set's name to its rows ``w_cos, srcc, srcc_lo, srcc_hi``, one a fixed weight of
            the cosine cue.
        rules: a set's name to what a rule is called and its SRCC.
        title: the finding.
    """
    figure, axes = panels(len(tables), 4.4, 3.5, title)
    for ax, (panel, table) in zip(axes, tables.items(), strict=True):
        ax.sharey(axes[0])
        band(ax, table["w_cos"], table, "srcc", SERIES[0], SERIES_MARKERS[0], "fixed weight")
        for i, (name, srcc) in enumerate(rules[panel].items(), start=1):
            ax.axhline(srcc, color=SERIES[i], linestyle=LINES[i % 4], label=name)
        finish(ax, panel, "weight of the cosine cue (0: magnitude alone)", "SRCC with quality")
        ax.label_outer()
    axes[-1].legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def ladder_steps(tables: Mapping[str, pd.DataFrame], *, title: str) -> Figure:
    """From CLIP-IQA to MA-CLIP rung by rung, and what each step adds, one panel a data set.

    Args:
        tables: a set's name to its rows ``rung, srcc, srcc_lo, srcc_hi, step, step_lo, step_hi``;
            a step whose interval holds zero is drawn dotted.
        title: the finding.
    """
    figure, axes = panels(len(tables), 4.6, 3.1, title)
    for ax, (panel, table) in zip(axes, tables.items(), strict=True):
        ax.sharey(axes[0])
        x = np.arange(len(table))
        ax.hlines(table["srcc"], x - 0.3, x + 0.3, color=SERIES[0], linewidth=3)
        ax.fill_between(x, table["srcc_lo"], table["srcc_hi"], color=SERIES[0], alpha=0.12,
                        linewidth=0)  # fmt: skip
        for i, (below, rung) in enumerate(pairwise(row for _, row in table.iterrows())):
            sure = rung["step_lo"] > 0 or rung["step_hi"] < 0
            ax.plot([i + 0.3, i + 0.7], [below["srcc"], rung["srcc"]], color=SERIES[1],
                    linestyle="-" if sure else ":")  # fmt: skip
            ax.annotate(f"{rung['step']:+.3f}", (i + 0.5, max(below["srcc"], rung["srcc"])),
                        xytext=(0, 6), textcoords="offset points", ha="center", fontsize="small",
                        fontweight="bold" if sure else "normal")  # fmt: skip
        names = [str(rung).replace(", ", ",\n") for rung in table["rung"]]
        ax.set_xticks(x, names, fontsize="x-small")
        finish(ax, panel, "", "SRCC with quality")
    return figure


def fusion_plane(
    q_cos: np.ndarray,
    q_mag: np.ndarray,
    settings: FusionSettings | None = None,
    ax: Axes | None = None,
    *,
    title: str,
) -> Axes:
    """The fused score over both cues; hatched where a better cue makes it lower.

    Args:
        q_cos: cosine cue of some crops, ``(M,)``, shown as points.
        q_mag: their magnitude cue, ``(M,)``.
        settings: the method's constants; None for the paper's.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6.6, 4.2)
    constants = settings or FusionSettings()
    top = max(1.2, float(np.max(q_mag)) * 1.1)
    cos, mag = np.meshgrid(np.linspace(0, 1, 121), np.linspace(0, top, 121))
    given = torch.from_numpy(cos), torch.from_numpy(mag)
    filled = ax.contourf(cos, mag, fuse(*given, constants)[0], levels=12, cmap=CMAP)
    plt.colorbar(filled, ax=ax, label="fused score of a crop")
    keys = []
    named = zip(
        fusion_slopes(*given, constants), ("cosine", "magnitude"), ("..", "//"), strict=True
    )
    for slope, cue, hatch in named:
        falls = (slope < 0).double()
        ax.contourf(cos, mag, falls, levels=[-0.5, 0.5, 1.5], colors="none", hatches=["", hatch])
        keys.append(Patch(facecolor="white", edgecolor="black", hatch=hatch,
                          label=f"more {cue}, lower score"))  # fmt: skip
    dots = ax.scatter(q_cos, q_mag, s=8, color="white", edgecolors="black", linewidths=0.3,
                      label="crops")  # fmt: skip
    ax.legend(handles=[dots, *keys], fontsize="small", loc="upper center", ncols=3,
              bbox_to_anchor=(0.5, -0.14), frameon=False)  # fmt: skip
    finish(ax, title, CUE_LABELS["q_cos"], CUE_LABELS["q_mag"])
    ax.grid(visible=False)
    return ax


def _tick(name: object) -> str:
    return f"{name:g}" if isinstance(name, int | float) else spoken(name)
