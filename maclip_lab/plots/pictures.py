"""Drawings that seaborn has not: photographs ranked, crops, quality, the plane of fusion."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from maclip_lab.crops import CropGrid
from maclip_lab.errors import PictureError
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.images import load_picture
from maclip_lab.plots.style import (
    CMAP,
    CUE_LABELS,
    CUE_MARKERS,
    KNOWN_COLOURS,
    finish,
    new_axes,
    set_title,
)
from maclip_lab.score import Score

_LAID = "plasma"  # no grey in it, which the picture beneath has


def ranking(table: pd.DataFrame, pictures: Sequence[str], *, title: str) -> Figure:
    """Photographs from the best to the worst score, with both cues of every one of them.

    Args:
        table: one row a picture: ``path, score, q_cos, q_mag``, and ``label``, the text below it.
        pictures: paths of the rows to show as pictures, at most a dozen.
        title: the finding.

    Raises:
        PictureError: a picture to show cannot be read.
    """
    ordered = table.sort_values("score", ascending=False, ignore_index=True)
    missing = sorted(set(pictures) - set(ordered["path"]))
    if missing:
        raise ValueError(f"no row has the path {missing[0]!r}")
    shown = ordered[ordered["path"].isin(list(pictures))]
    figure = plt.figure(figsize=(11, 5.2), dpi=100, layout="constrained", facecolor="white")
    strip, chart = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 2.2])[:, 0]
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium", fontweight="bold", wrap=True)
    axes = np.atleast_1d(strip.subplots(1, len(shown)))
    for ax, (_, row) in zip(axes, shown.iterrows(), strict=True):
        picture = load_picture(row["path"])
        if picture.image is None:
            raise PictureError(picture.message)
        ax.imshow(_square(picture.image))
        ax.set_title(f"{row['score']:.2f}", fontsize="small", fontweight="bold")
        ax.set_xlabel(row["label"], fontsize="x-small")
        ax.set(xticks=[], yticks=[])
    ax = chart.subplots()
    rank = np.arange(1, len(ordered) + 1)
    for cue, marker in CUE_MARKERS.items():
        ax.scatter(rank, ordered[cue], s=14, color=KNOWN_COLOURS[cue], marker=marker,
                   label=CUE_LABELS[cue], alpha=0.8)  # fmt: skip
    if len(shown) < len(ordered):
        ax.scatter(rank[shown.index], ordered["score"][shown.index], s=70, facecolors="none",
                   edgecolors="black", label="shown above")  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, fontsize="small",
              frameon=False)  # fmt: skip
    finish(ax, "", "rank (1 is the best score)", "cue or score, higher is better")
    return figure


def quality_map(
    image: Image.Image, score: Score, column: str = "score", ax: Axes | None = None, *, title: str
) -> Axes:
    """A picture with its crops' numbers laid over it; strips that no crop reaches are hatched.

    Args:
        image: the picture that was scored, as it was cut.
        score: its score.
        column: of ``score.crops`` to show.
        ax: axes to draw on.
        title: the finding.
    """
    ax = ax or new_axes(6, 4.2)
    ax.imshow(image.convert("L"), cmap="gray")
    numbers = score.quality_map(column)
    laid = ax.imshow(numbers, cmap=_LAID, alpha=0.55)
    if np.isnan(numbers).any():
        unseen = np.isnan(numbers).astype(float)
        ax.contourf(unseen, levels=[0.5, 1.5], colors="none", hatches=["//"])
    plt.colorbar(laid, ax=ax, label=CUE_LABELS.get(column, column), shrink=0.8)
    set_title(ax, title)
    ax.set(xticks=[], yticks=[])
    return ax


def crop_grid(
    image: Image.Image, grid: CropGrid, shown: int = 0, ax: Axes | None = None, *, title: str
) -> Axes:
    """A picture with the windows cut from it, one of them filled, and what none of them reaches.

    Args:
        image: the picture as it was cut.
        grid: where the windows lie.
        shown: index of the window to fill.
        ax: axes to draw on.
        title: the finding.
    """
    ax = ax or new_axes(5.2, 5.2 * image.height / image.width + 0.4)
    ax.imshow(image)
    side, corners = grid.protocol.crop, grid.corners()
    for top, left in corners:
        ax.add_patch(Rectangle((left, top), side, side, fill=False, ec="white", lw=1.2))
    filled, edge = (*to_rgb(KNOWN_COLOURS["norm"]), 0.35), KNOWN_COLOURS["q_cos"]
    ax.patches[shown].set(fill=True, facecolor=filled, edgecolor=edge, linewidth=2.5)
    bottom, right = corners[-1][0] + side, corners[-1][1] + side
    at_right = Rectangle((right, 0), grid.width - right, grid.height)
    for unseen in (at_right, Rectangle((0, bottom), right, grid.height - bottom)):
        unseen.set(facecolor=(0, 0, 0, 0.45), hatch="//", edgecolor="white", linewidth=0)
        ax.add_patch(unseen)
    set_title(ax, title)
    ax.grid(visible=False)
    ax.set(xlim=(-0.5, grid.width - 0.5), ylim=(grid.height - 0.5, -0.5))
    ax.set(xlabel="pixels from the left", ylabel="pixels from the top")
    return ax


def _square(image: Image.Image, side: int = 160) -> Image.Image:
    """The middle of a picture as a small square."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return image.crop((left, top, left + edge, top + edge)).resize((side, side))


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
    ax = ax or new_axes(6.6, 4.2)
    constants = settings or FusionSettings()
    top = max(1.2, float(np.max(q_mag)) * 1.1)
    cos, mag = np.meshgrid(np.linspace(0, 1, 121), np.linspace(0, top, 121))
    score = fuse(torch.from_numpy(cos), torch.from_numpy(mag), constants)[0].numpy()
    filled = ax.contourf(cos, mag, score, levels=12, cmap=CMAP)
    plt.colorbar(filled, ax=ax, label="fused score of a crop")
    keys = []
    for axis, cue, hatch in ((1, "cosine", ".."), (0, "magnitude", "//")):
        falls = (np.gradient(score, axis=axis) < 0).astype(float)
        ax.contourf(cos, mag, falls, levels=[-0.5, 0.5, 1.5], colors="none", hatches=["", hatch])
        said = f"more {cue}, lower score"
        keys.append(Patch(facecolor="white", edgecolor="black", hatch=hatch, label=said))
    dots = ax.scatter(q_cos, q_mag, s=8, color="white", edgecolors="black", linewidths=0.3,
                      label="crops")  # fmt: skip
    ax.legend(handles=[dots, *keys], fontsize="small", loc="upper center", ncols=3,
              bbox_to_anchor=(0.5, -0.14), frameon=False)  # fmt: skip
    finish(ax, title, CUE_LABELS["q_cos"], CUE_LABELS["q_mag"])
    ax.grid(visible=False)
    return ax
