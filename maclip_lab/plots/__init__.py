"""The house style for seaborn, and the drawings that it has not: a ranking, a map of quality.

Colours are Okabe and Ito's, safe for colour-blind readers; one colour has one meaning throughout.
Backgrounds are white, so dark pages show them too.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from maclip_lab.errors import PictureError
from maclip_lab.evaluation import METHODS
from maclip_lab.images import load_picture
from maclip_lab.score import Score

_CUES = {"q_cos": "#0072B2", "q_mag": "#D55E00", "score": "#009E73", "clip_iqa": "#E69F00"}
_OTHERS = {"mean_magnitude": "#CC79A7", "norm": "#56B4E9", "tiny-rn": "#333333"}
_OTHERS |= {"tiny-vit": "#9a9a9a", "CLIVE": "#332288", "BIQ2021": "#AA4499", "severity": "#999933"}
KNOWN_COLOURS = _CUES | {METHODS[column]: colour for column, colour in _CUES.items()} | _OTHERS
"""One meaning a colour, by column or by name: cues and methods, backbones, data sets."""
PALETTE = dict(KNOWN_COLOURS)
"""The same, and what a `Lesson` adds: names of the reader's own."""
_ELSE = ("#44AA99", "#882255", "#117733", "#88CCEE", "#CC6677", "#661100")
"""Colours of anything that is no cue, backbone or data set, so that those mean one thing."""
_OWN_COLOURS = ("#000000", "#882255", "#117733", "#661100", "#888888")
_HOUSE = {
    "figure.figsize": (6.4, 3.4),
    "figure.dpi": 150,
    "figure.facecolor": "white",
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": "medium",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "image.cmap": "cividis",
    "savefig.bbox": "tight",
}
_LABELS = {
    "q_cos": "cosine cue $Q_{cos}$",
    "q_mag": "magnitude cue $Q_{mag}$",
    "score": "MA-CLIP score",
}
_MARKERS = {"q_cos": "o", "q_mag": "s", "score": "D"}
_TITLE: dict[str, Any] = {"fontsize": "medium", "fontweight": "bold", "wrap": True}


def palette(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, for seaborn's ``hue``: that of `KNOWN_COLOURS`, else one of nobody's.

    >>> palette(["q_cos", "my cue"])
    {'q_cos': '#0072B2', 'my cue': '#000000'}
    """
    own = itertools.cycle(_OWN_COLOURS)
    return {name: KNOWN_COLOURS.get(name) or next(own) for name in dict.fromkeys(names)}


def set_house_style() -> None:
    """Seaborn and Matplotlib as all notebooks draw: white, a light grid, titles from the left."""
    sns.set_theme(context="paper", style="whitegrid", palette=list(_ELSE), rc=_HOUSE)


def backbone_label(backbone: str) -> str:
    """A backbone's name for titles and tables: a file's own name without its folder.

    >>> backbone_label("ViT-B/32"), backbone_label("models/mine.safetensors")
    ('ViT-B/32', 'mine.safetensors')
    >>> backbone_label("hf-hub:timm/vit_base_patch16_clip_224.openai")
    'hf-hub:timm/vit_base_patch16_clip_224.openai'
    """
    is_file = Path(backbone).suffix and not backbone.startswith("hf-hub:")
    return Path(backbone).name if is_file else backbone


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

    ``image`` is the picture as it was scored, ``column`` one of ``score.crops``.
    """
    if ax is None:
        ax = plt.figure(figsize=(6, 4.2), dpi=100, layout="constrained").subplots()
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
