"""What all figures share: a colour, a marker and a name for every cue."""

from collections.abc import Iterable
from pathlib import Path

import seaborn as sns

KNOWN_COLOURS = {
    "q_cos": "#0072B2",
    "cosine cue": "#0072B2",
    "q_mag": "#D55E00",
    "magnitude cue": "#D55E00",
    "score": "#009E73",
    "MA-CLIP": "#009E73",
    "clip_iqa": "#E69F00",
    "CLIP-IQA": "#E69F00",
    "mean_magnitude": "#CC79A7",
    "norm": "#56B4E9",
    "tiny-rn": "#333333",
    "tiny-vit": "#9a9a9a",
    "CLIVE": "#332288",
    "BIQ2021": "#AA4499",
    "severity": "#999933",
}
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
}


def palette(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, for seaborn's ``hue``: that of `KNOWN_COLOURS`, else one of nobody's.

    >>> palette(["q_cos", "my cue"])
    {'q_cos': '#0072B2', 'my cue': '#000000'}
    """
    names = list(dict.fromkeys(names))
    own = [name for name in names if name not in KNOWN_COLOURS]
    others = {name: _OWN_COLOURS[i % len(_OWN_COLOURS)] for i, name in enumerate(own)}
    return {name: KNOWN_COLOURS.get(name) or others[name] for name in names}


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
