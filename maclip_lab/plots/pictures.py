"""Drawings that seaborn has not: photographs ranked, and a picture's quality laid over it."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from maclip_lab.errors import PictureError
from maclip_lab.images import load_picture
from maclip_lab.plots.style import KNOWN_COLOURS
from maclip_lab.score import Score

_LABELS = {
    "q_cos": "cosine cue $Q_{cos}$",
    "q_mag": "magnitude cue $Q_{mag}$",
    "score": "MA-CLIP score",
}
_MARKERS = {"q_cos": "o", "q_mag": "s", "score": "D"}
_TITLE: dict[str, Any] = {"fontsize": "medium", "fontweight": "bold", "wrap": True}


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
    figure.suptitle(title, x=0.01, ha="left", **_TITLE)
    axes = np.atleast_1d(strip.subplots(1, len(shown)))
    for ax, (_, row) in zip(axes, shown.iterrows(), strict=True):
        picture = load_picture(row["path"])
        if picture.image is None:
            raise PictureError(picture.message)
        ax.imshow(ImageOps.fit(picture.image, (160, 160)))
        ax.set_title(f"{row['score']:.2f}", fontsize="small", fontweight="bold")
        ax.set_xlabel(row["label"], fontsize="x-small")
        ax.set(xticks=[], yticks=[])
    ax = chart.subplots()
    rank = np.arange(1, len(ordered) + 1)
    for cue, marker in _MARKERS.items():
        ax.scatter(rank, ordered[cue], s=14, color=KNOWN_COLOURS[cue], marker=marker,
                   label=_LABELS[cue], alpha=0.8)  # fmt: skip
    if len(shown) < len(ordered):
        ax.scatter(rank[shown.index], ordered["score"][shown.index], s=70, facecolors="none",
                   edgecolors="black", label="shown above")  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, fontsize="small",
              frameon=False)  # fmt: skip
    ax.set(xlabel="rank (1 is the best score)", ylabel="cue or score, higher is better")
    ax.set_axisbelow(True)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def quality_map(
    image: Image.Image, score: Score, column: str = "score", ax: Axes | None = None, *, title: str
) -> Axes:
    """A picture with its crops' numbers laid over it; strips that no crop reaches are hatched.

    ``image`` is the picture as it was cut and scored, ``column`` one of ``score.crops``, and
    ``title`` the finding.
    """
    size: dict[str, Any] = {
        "figsize": (6, 4.2),
        "dpi": 100,
        "layout": "constrained",
        "facecolor": "white",
    }
    ax = ax or plt.subplots(**size)[1]
    ax.imshow(image.convert("L"), cmap="gray")
    numbers = score.quality_map(column)
    laid = ax.imshow(numbers, cmap="plasma", alpha=0.55)  # no grey in it, as the picture has
    if np.isnan(numbers).any():
        unseen = np.isnan(numbers).astype(float)
        ax.contourf(unseen, levels=[0.5, 1.5], colors="none", hatches=["//"])
    plt.colorbar(laid, ax=ax, label=_LABELS.get(column, column), shrink=0.8)
    ax.set_title(title, loc="left", **_TITLE)
    ax.set(xticks=[], yticks=[])
    return ax
