"""The explorer: one page of sliders over the cues of rated sets, without kernel, server or network.

The page fuses by itself. It needs a crop's two cues only; the magnitude cue, which depends on
box_lam too, is read at a few nodes, and the polynomial through them is right to 1e-6.
"""

import base64
import html
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from maclip_lab.ablations.rated import Rated
from maclip_lab.features.cues import store_cues
from maclip_lab.fusion import FusionSettings

RANGES = {
    "box_lam": (0.0, 2.0, 0.05),
    "base_cos": (-2.0, 2.0, 0.1),
    "base_norm": (-2.0, 2.0, 0.1),
    "alpha": (0.0, 5.0, 0.1),
}
"""Least value, greatest value and step of every slider."""
PRESETS = {
    "paper": FusionSettings(),
    "plain mean": FusionSettings(base_cos=0.0, base_norm=0.0, alpha=0.0),
    "cosine (98 %)": FusionSettings(base_cos=2.0, base_norm=-2.0, alpha=0.0),
    "alpha 5": FusionSettings(alpha=5.0),
}
"""Places worth a visit, by the words on their buttons."""
NODES = tuple((1 - np.cos(np.pi * np.arange(9) / 8)).tolist())
MOST_PICTURES = 400
_TEMPLATE = Path(__file__).with_name("explorer.html")
_LINKS = (
    '<p><a href="README.html">The project</a> · <a href="docs/method.html">the method on one '
    'page</a> · <a href="notebooks/05_fusion.html">the notebook, for your own pictures</a> · '
    '<a href="data/packs/README.html">where opinions and features come from</a></p>'
)


class Explorer:
    """The page over the cues of a set, as the last value of a notebook's cell."""

    def __init__(self, rated: Rated) -> None:
        self._rated = rated

    def __repr__(self) -> str:
        return f"The explorer: {self._rated!r}"

    def _repr_html_(self) -> str:
        page = html.escape(explorer_page([self._rated], links=""))
        return (
            f'<iframe title="Explorer of MA-CLIP" srcdoc="{page}" width="100%" height="760" '
            'style="border:1px solid #c9d1d9"></iframe><p>Nothing moves here? Run this cell.</p>'
        )


def explorer_page(sets: Iterable[Rated], *, links: str = _LINKS) -> str:
    """The page over the cues of some sets, one text with everything in it.

    Of a large set it shows some pictures, drawn at random and always the same; ``links`` at the
    foot lead to the page's neighbours.
    """
    data = {
        "ranges": RANGES,
        "presets": {name: vars(settings) for name, settings in PRESETS.items()},
        "nodes": NODES,
        "sets": [_cues(rated) for rated in sets],
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    page = _TEMPLATE.read_text(encoding="utf-8")
    return page.replace("{{links}}", links).replace("{{data}}", text)


def _cues(rated: Rated) -> dict[str, object]:
    """A set's pictures and both cues of their crops, the second node by node."""
    rng = np.random.default_rng(0)
    few = np.sort(rng.permutation(rated.n)[:MOST_PICTURES])
    crops = np.isin(rated.picture, few)
    cues = store_cues(rated.features, rated.anchors, NODES)
    (q_cos,) = cues.q_cos.values()
    rows = rated.table.iloc[few]
    references = np.arange(rated.n) if rated.clusters is None else rated.clusters.to_numpy()
    return {
        "title": rated.name,
        "backbone": rated.backbone,
        "quality": "5 minus the level of harm" if rated.is_severity else "MOS, higher is better",
        "names": rows["name"].tolist(),
        "mos": rows["quality"].tolist(),
        "held_out": half_held_out(references[few]).tolist(),
        "crops": np.bincount(rated.picture[crops], minlength=rated.n)[few].tolist(),
        "q_cos": _packed(q_cos[crops]),
        "q_mag": _packed(np.stack([cues.q_mag[lam][crops] for lam in NODES])),
    }


def half_held_out(references: np.ndarray) -> np.ndarray:
    """Which pictures (N,) are held out: half at random, always the same; references stay whole."""
    groups = np.unique(references, return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(groups.max() + 1)
    return (order < len(order) // 2)[groups]


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")
