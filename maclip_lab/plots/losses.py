"""Figures of how the embedded backbones are made: what captions ask, and how the losses fall."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from maclip_lab.plots.style import LINES, SERIES, finish, new_axes


def acceptance_curves(
    harm: NDArray[np.float64],
    accepted: Mapping[str, NDArray[np.float64]],
    ax: Axes | None = None,
    *,
    title: str,
) -> Axes:
    """The probability that a viewer accepts a caption, against the harm done to a picture.

    Args:
        harm: ``(N,)`` in [0, 1], ascending.
        accepted: caption to probabilities ``(N,)``.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6.4, 3.6)
    for i, (caption, values) in enumerate(accepted.items()):
        ax.plot(harm, values, color=SERIES[i % len(SERIES)], linestyle=LINES[i % 4],
                label=f"“{caption}”")  # fmt: skip
    ax.set_ylim(0, 1)
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, "harm to what the caption speaks of", "probability of acceptance")


def loss_curves(
    losses: Mapping[str, Sequence[float]],
    levels: Mapping[str, float] | None = None,
    ax: Axes | None = None,
    *,
    title: str,
    window: int = 9,
) -> Axes:
    """Losses against the step of training, as they come and smoothed.

    Args:
        losses: a loss's name to its value at every step.
        levels: what a loss is to be held against, by name.
        ax: axes to draw on.
        title: the finding.
        window: steps in the running mean.
    """
    ax = new_axes(ax, 6.4, 3.6)
    for i, (name, values) in enumerate(losses.items()):
        series = pd.Series(values, index=np.arange(1, len(values) + 1), dtype=float)
        ax.plot(series.index, series, color=SERIES[i], alpha=0.3, linewidth=0.8)
        smooth = series.rolling(window, center=True, min_periods=1).mean()
        ax.plot(series.index, smooth, color=SERIES[i], linestyle=LINES[i % 4], label=name)
    for i, (name, level) in enumerate((levels or {}).items(), start=2):
        ax.axhline(level, color="black", linewidth=1.2, linestyle=LINES[i % 4], label=name)
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, "step of training", "loss, mean over captions")
