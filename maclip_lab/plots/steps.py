"""Figures of the method's single steps: features, prompts, Box-Cox, fusion, and severity."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from maclip_lab.cues import box_cox, scaled_magnitude
from maclip_lab.fusion import FusionSettings, fusion_weights
from maclip_lab.plots.style import (
    CUE_COLOURS,
    LINES,
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


def feature_profiles(features: Mapping[str, Tensor], ax: Axes | None = None, *, title: str) -> Axes:
    """Absolute values of features in units of their standard deviation, sorted.

    Args:
        features: what a feature is called to the feature, ``(D,)``.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6, 3.6)
    for i, (name, feature) in enumerate(features.items()):
        profile = scaled_magnitude(feature).sort(descending=True)[0].numpy()
        share = np.arange(1, len(profile) + 1) / len(profile) * 100
        ax.plot(share, profile, color=SERIES[i % len(SERIES)], linestyle=LINES[i % 4],
                label=spoken(name))  # fmt: skip
    ax.legend(fontsize="small", frameon=False)
    return finish(
        ax, title, "dimensions, the largest first (%)", "$|f|$ over its standard deviation"
    )


def prompt_pairs(table: pd.DataFrame, ax: Axes | None = None, *, title: str) -> Axes:
    """Probability of every pair's or named axis' good member, one marker a picture.

    Args:
        table: ``(K, pictures)`` in [0, 1]; the index has pairs, "positive / negative", or axes:
            ``DataFrame({name: score.attributes for name, score in scores.items()})``.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 6.4, 0.55 * len(table) + 1.2)
    rows = np.arange(len(table))[::-1]
    ax.hlines(rows, table.min(axis=1), table.max(axis=1), color="#bbbbbb", zorder=1)
    for i, name in enumerate(table.columns):
        ax.scatter(
            table[name],
            rows,
            color=SERIES[i % len(SERIES)],
            marker=SERIES_MARKERS[i % len(SERIES_MARKERS)],
            label=spoken(name),
            zorder=2,
            clip_on=False,
        )
    ax.axvline(0.5, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(rows, [str(pair).replace(" / ", "\n") for pair in table.index], fontsize="small")
    ax.set_xlim(0, 1)
    ax.set_ylim(-0.5, len(table) - 0.5)
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return finish(ax, title, "probability of the good member, mean over the crops", "")


def box_cox_curves(lams: Sequence[float], ax: Axes | None = None, *, title: str) -> Axes:
    """The Box-Cox transform of ``1 + x`` for several exponents.

    Args:
        lams: the exponents.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 5.4, 3.6)
    x = torch.linspace(0, 6, 121)
    for i, lam in enumerate(lams):
        name = f"λ = {lam:g}" + (" (log)" if lam == 0 else "")
        ax.plot(x, box_cox(x, lam), color=SERIES[i % len(SERIES)], linestyle=LINES[i % 4],
                label=name)  # fmt: skip
    ax.legend(fontsize="small", frameon=False)
    return finish(ax, title, "$|f|$ over its standard deviation", "after Box-Cox")


def fusion_weight(
    q_cos: Tensor,
    q_mag: Tensor,
    settings: FusionSettings = FusionSettings(),
    ax: Axes | None = None,
    *,
    title: str,
) -> Axes:
    """The cosine cue's weight against its lead, with a picture's crops on the curve.

    Args:
        q_cos: cosine cue of the crops, ``(P,)``.
        q_mag: magnitude cue of the crops, ``(P,)``.
        settings: the method's constants.
        ax: axes to draw on.
        title: the finding.
    """
    ax = new_axes(ax, 5.8, 3.6)
    lead = torch.linspace(-1.5, 1.5, 121)
    ax.plot(lead, fusion_weights(lead, torch.zeros_like(lead), settings)[0],
            color=CUE_COLOURS["q_cos"], label="weight of $Q_{cos}$")  # fmt: skip
    ax.scatter(q_cos - q_mag, fusion_weights(q_cos, q_mag, settings)[0], s=36, zorder=3,
               facecolors="none", edgecolors="black", label="the crops")  # fmt: skip
    ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
    ax.set_ylim(0, 1)
    ax.legend(fontsize="small", frameon=False)
    return finish(ax, title, "lead of the cosine cue, $Q_{cos} - Q_{mag}$", "weight")
