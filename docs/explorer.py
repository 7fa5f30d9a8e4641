"""The explorer as one page that needs no server or network, from the shipped packs."""

import base64
import json
from pathlib import Path

import numpy as np

from maclip_lab.features.cues import store_cues
from maclip_lab.features.packs import PACK_SUFFIX, SHIPPED, open_pack
from maclip_lab.files.identity import data_path
from maclip_lab.lessons import quality_label
from maclip_lab.lessons.explorer import PRESETS, RANGES, half_held_out

TEMPLATE = Path(__file__).with_name("explorer.html")
NODES = tuple((1 - np.cos(np.pi * np.arange(9) / 8)).tolist())
"""Where the magnitude cue is read; the polynomial through these is right to 1e-6."""


def explorer_page() -> str:
    """The template with the packs' cues in it, as JSON."""
    data = {
        "ranges": RANGES,
        "presets": {name: vars(settings) for name, settings in PRESETS.items()},
        "nodes": NODES,
        "sets": [
            _cues(path)
            for name in SHIPPED
            for path in sorted(data_path("packs").glob(f"{name}.*{PACK_SUFFIX}"))
        ],
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace("{{data}}", text)


def _cues(path: Path) -> dict[str, object]:
    """A pack's pictures and both cues of their crops, the second node by node."""
    pack = open_pack(path)
    cues = store_cues(pack.crops, pack.anchors, NODES)
    (q_cos,) = cues.q_cos.values()
    pictures = cues.pictures.iloc[cues.ok]
    references = pack.manifest.table["ref_id"].fillna(pack.manifest.table["path"])
    return {
        "title": path.name.split(".")[0],
        "backbone": pack.backbone,
        "quality": quality_label(pack.manifest),
        "names": pictures["name"].tolist(),
        "mos": (pictures["mos"] if cues.higher_is_better else -pictures["mos"]).tolist(),
        "held_out": half_held_out(references)[cues.ok].tolist(),
        "crops": np.diff(cues.offsets).tolist(),
        "q_cos": _packed(q_cos),
        "q_mag": _packed(np.stack([cues.q_mag[lam] for lam in NODES])),
    }


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")
