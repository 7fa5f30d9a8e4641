"""Figures of what an evaluation finds: correlations with intervals, differences, fits, heat maps.

Our numbers carry the backbone that made them in the title or on an axis; the paper's stand in a
panel of their own.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from maclip_lab.plots.style import (
    cue_style,
    finish,
    set_suptitle,
)

DIVERGING = "PuOr"
"""Colour map of signed correlations: orange below zero, purple above, white at none."""

_TREND_STEPS = 6


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
