"""Figures of the method's single steps: features, prompts, Box-Cox, fusion, and severity."""

import pandas as pd
from matplotlib.axes import Axes

from maclip_lab.plots.style import (
    SERIES,
    SERIES_MARKERS,
    finish,
    new_axes,
    spoken,
)


def severity_curves(
    table: pd.DataFrame,
    column: str = "score",
    ax: Axes | None = None,
    *,
    ylabel: str = "MA-CLIP score, mean",
    title: str,
) -> Axes:
    """A number against the level of every degradation, the mean over the photographs.

    Args:
        table: rows with ``dist_type``, ``dist_level`` (0 is the clean photograph) and ``column``.
        column: what to show.
        ax: axes to draw on.
        ylabel: what that is.
        title: the finding.
    """
    ax = new_axes(ax, 6.4, 3.8)
    means = table.groupby(["dist_type", "dist_level"])[column].mean()
    worst_last = means.groupby("dist_type").last().sort_values(ascending=False)
    for i, name in enumerate(worst_last.index):
        line = means[name]
        style = SERIES[i % len(SERIES)], SERIES_MARKERS[i % len(SERIES_MARKERS)]
        label = spoken(name)
        ax.plot(line.index, line, color=style[0], marker=style[1], markersize=5, label=label)
    ax.set_xticks(sorted(table["dist_level"].unique()))
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, "level of the degradation (0 is clean)", ylabel)
