"""The explorer: one page of sliders over the cues of rated sets, without kernel, server or network.

The page fuses by itself. It needs a crop's two cues only; the magnitude cue, which depends on
box_lam too, is read at a few nodes, and the polynomial through them is right to 1e-6.
"""

import base64
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from maclip_lab.ablations.rated import Rated
from maclip_lab.features.cues import store_cues
from maclip_lab.fusion import FusionSettings

NODES = tuple((1 - np.cos(np.pi * np.arange(9) / 8)).tolist())
MOST_PICTURES = 400
_TEMPLATE = Path(__file__).with_name("explorer.html")


def explorer_page(sets: Iterable[Rated], *, foot: str = "") -> str:
    """The page over the cues of some sets, one text with everything in it.

    Of a large set it shows some pictures, drawn at random and always the same; ``foot`` is a last
    line of HTML, such as links to the page's neighbours.
    """
    data = {"paper": vars(FusionSettings()), "nodes": NODES, "sets": [_cues(one) for one in sets]}
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    page = _TEMPLATE.read_text(encoding="utf-8")
    return page.replace("{{foot}}", foot).replace("{{data}}", text)


def _cues(rated: Rated) -> dict[str, object]:
    """A set's pictures and both cues of their crops, the second node by node."""
    rng = np.random.default_rng(0)
    few = np.sort(rng.permutation(rated.n)[:MOST_PICTURES])
    crops = np.isin(rated.picture, few)
    cues = store_cues(rated.features, rated.anchors, NODES)
    (q_cos,) = cues.q_cos.values()
    rows = rated.table.iloc[few]
    references = few if rated.clusters is None else rated.clusters.iloc[few]
    groups = np.unique(references, return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(groups.max() + 1)  # references stay whole
    return {
        "title": rated.name,
        "backbone": rated.backbone,
        "quality": "5 minus the level of harm" if rated.is_severity else "MOS, higher is better",
        "names": rows["name"].tolist(),
        "mos": rows["quality"].tolist(),
        "held_out": (order < len(order) // 2)[groups].tolist(),
        "crops": np.bincount(rated.picture[crops], minlength=rated.n)[few].tolist(),
        "q_cos": _packed(q_cos[crops]),
        "q_mag": _packed(np.stack([cues.q_mag[lam][crops] for lam in NODES])),
    }


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")
