"""What all figures share: a colour, a marker and a name for every cue."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from numpy.typing import NDArray

from maclip_lab.evaluation.correlations import METHODS

CUE_COLOURS = {
    "q_cos": "#0072B2",
    "q_mag": "#D55E00",
    "score": "#009E73",
    "mean_magnitude": "#CC79A7",
    "norm": "#56B4E9",
    "clip_iqa": "#E69F00",
}
CUE_MARKERS = {
    "q_cos": "o", "q_mag": "s", "score": "D", "mean_magnitude": "^", "norm": "v", "clip_iqa": "P"
}  # fmt: skip
CUE_LABELS = {
    "q_cos": "cosine cue $Q_{cos}$",
    "q_mag": "magnitude cue $Q_{mag}$",
    "score": "MA-CLIP score",
    "mean_magnitude": "mean $|f|$",
    "norm": "norm $\\|f\\|_2$",
    "clip_iqa": "CLIP-IQA",
}
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours in the order a figure takes them for anything that is not a cue."""
SERIES_MARKERS = ("o", "s", "D", "^", "P", "v", "X")
LINES = ("-", "--", "-.", ":")
"""Line styles, in the order a figure takes them."""
CMAP = "cividis"

_FEW = 20  # different numbers below which points of a scatter are spread


PALETTE = {
    **CUE_COLOURS,
    "cosine cue": CUE_COLOURS["q_cos"],
    "magnitude cue": CUE_COLOURS["q_mag"],
    "MA-CLIP": CUE_COLOURS["score"],
    "CLIP-IQA": CUE_COLOURS["clip_iqa"],
    "tiny-rn": "#333333",
    "tiny-vit": "#9a9a9a",
    "CLIVE": "#332288",
    "BIQ2021": "#AA4499",
    "severity": "#999933",
}
"""One meaning a colour, by column or by name: cues and methods, backbones, data sets."""

ELSE = ("#44AA99", "#882255", "#117733", "#88CCEE", "#CC6677", "#661100")
"""Colours of anything that is no cue, backbone or data set, so that those mean one thing."""

_OWN_COLOURS = ("#000000", "#882255", "#117733", "#661100", "#888888")
_OWN_MARKERS = ("X", "p", "*", "h", "<")

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
    "image.cmap": CMAP,
}


def palette(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, for seaborn's ``hue``: that of `PALETTE`, else one of nobody's.

    >>> palette(["q_cos", "my cue"])
    {'q_cos': '#0072B2', 'my cue': '#000000'}
    """
    names = list(dict.fromkeys(names))
    own = [name for name in names if name not in PALETTE]
    others = {name: _OWN_COLOURS[i % len(_OWN_COLOURS)] for i, name in enumerate(own)}
    return {name: PALETTE.get(name) or others[name] for name in names}


def set_house_style() -> None:
    """Seaborn and Matplotlib as all notebooks draw: white, a light grid, titles from the left."""
    sns.set_theme(context="paper", style="whitegrid", palette=list(ELSE), rc=_HOUSE)


def new_axes(ax: Axes | None, width: float = 6, height: float = 4) -> Axes:
    """The axes given, or new ones of that size in inches at 100 dpi on white."""
    if ax is not None:
        return ax
    size = (width, height)
    _, ax = plt.subplots(figsize=size, dpi=100, layout="constrained", facecolor="white")
    return ax


def backbone_label(backbone: str) -> str:
    """A backbone's name for titles and tables: a file's own name without its folder.

    >>> backbone_label("ViT-B/32"), backbone_label("models/mine.safetensors")
    ('ViT-B/32', 'mine.safetensors')
    >>> backbone_label("hf-hub:timm/vit_base_patch16_clip_224.openai")
    'hf-hub:timm/vit_base_patch16_clip_224.openai'
    """
    is_file = Path(backbone).suffix and not backbone.startswith("hf-hub:")
    return Path(backbone).name if is_file else backbone


def spoken(name: object) -> str:
    """A column's name or a kind of harm in words; a symbol keeps its index.

    >>> spoken("white_noise"), spoken("Q_cos: CLIVE")
    ('white noise', 'Q_cos: CLIVE')
    """
    return re.sub("(?<![A-Z])_", " ", str(name))


def spread(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers for a scatter's axis: a few that repeat are spread a little, always alike."""
    if len(np.unique(numbers)) >= min(_FEW, len(numbers)):
        return numbers
    reach = 0.03 * (np.nanmax(numbers) - np.nanmin(numbers))
    return numbers + np.random.default_rng(0).uniform(-reach, reach, numbers.shape)


def set_title(ax: Axes, title: str) -> None:
    """The finding above some axes, from the left, in as many lines as it needs."""
    ax.set_title(title, loc="left", fontsize="medium", fontweight="bold", wrap=True)


def set_suptitle(figure: FigureBase, title: str) -> None:
    """The finding above a whole figure, from the left, in as many lines as it needs."""
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium", fontweight="bold", wrap=True)


def finish(ax: Axes, title: str, xlabel: str, ylabel: str) -> Axes:
    """Title and labels, a light grid, no frame at the top and right."""
    set_title(ax, title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def panels(
    count: int, width: float, height: float, title: str, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """Panels side by side under one title, each of that size in inches, row by row."""
    figure, axes = plt.subplots(
        rows,
        count,
        figsize=(width * count, height * rows),
        dpi=100,
        layout="constrained",
        facecolor="white",
        squeeze=False,
    )
    set_suptitle(figure, title)
    return figure, list(axes.flat)


def cue_style(name: str, place: int = 0) -> tuple[str, str, str]:
    """Label, colour and marker of a cue or of its method; one's own cue has none of theirs."""
    cue = next((cue for cue, method in METHODS.items() if method == name), name)
    colour = CUE_COLOURS.get(cue, _OWN_COLOURS[place % len(_OWN_COLOURS)])
    marker = CUE_MARKERS.get(cue, _OWN_MARKERS[place % len(_OWN_MARKERS)])
    return CUE_LABELS.get(name, name), colour, marker


def band(
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


def span(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    """Lowest and highest of all numbers, a little apart even where they are equal."""
    numbers = np.concatenate([np.ravel(array) for array in arrays])
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    margin = 0.03 * (high - low) or 1e-3
    return low - margin, high + margin
