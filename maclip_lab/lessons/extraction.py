"""Extraction before somebody's eyes: what it will cost, and how far it has come.

Nothing of that is said where no one watches, so that the outputs of a notebook run by a program do
not depend on the machine or on what its store holds.
"""

import os
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from IPython.core.getipython import get_ipython
from PIL import Image

from maclip_lab.crops import CropGrid, Protocol
from maclip_lab.datasets import Manifest
from maclip_lab.features import (
    Features,
    extract_crops_and_whole,
    extract_features,
    feature_config,
)
from maclip_lab.features.serving import pending_pictures
from maclip_lab.scorer import Maclip

_LOOKED_AT = 100  # pictures whose size is read; the others are taken to be like them
_BATCH = 8
_WHOLE = 1.5  # how much more work it is to show the encoder the whole pictures too


def is_watched() -> bool:
    """Whether a person runs this, at a terminal or in a notebook, and not a program."""
    shell = get_ipython()
    if shell is None or not hasattr(shell, "get_parent"):
        return sys.stderr.isatty()
    return "cellId" in shell.get_parent().get("metadata", {})  # what front ends tell a kernel


def extract(
    manifest: Manifest,
    scorer: Maclip,
    folder: str | os.PathLike[str],
    *,
    protocol: Protocol | None = None,
) -> Features:
    """`extract_features` with an estimate first and a bar, where somebody watches."""
    watched = _announced(manifest, scorer, folder, protocol)
    return extract_features(manifest, scorer, folder, protocol=protocol, progress=watched)


def extract_both(
    manifest: Manifest, scorer: Maclip, folder: str | os.PathLike[str]
) -> tuple[Features, Features]:
    """`extract_crops_and_whole`, likewise."""
    watched = _announced(manifest, scorer, folder, None, _WHOLE)
    return extract_crops_and_whole(manifest, scorer, folder, progress=watched)


def _announced(
    manifest: Manifest,
    scorer: Maclip,
    folder: str | os.PathLike[str],
    protocol: Protocol | None,
    work: float = 1.0,
) -> bool:
    watched = manifest.has_pictures and is_watched()
    if watched:
        print(encoding_estimate(manifest, scorer, folder, protocol=protocol, work=work))
    return watched


def encoding_estimate(
    manifest: Manifest,
    scorer: Maclip,
    folder: str | os.PathLike[str],
    *,
    protocol: Protocol | None = None,
    work: float = 1.0,
) -> str:
    """What extracting a data set's features still costs, in a line.

    Args:
        manifest: the pictures; the sizes of a hundred of them are read.
        scorer: whose encoder is timed, on a few crops of nothing.
        folder: of the feature store.
        protocol: instead of the manifest's.
        work: of a crop, in passes of the encoder.
    """
    lacking = pending_pictures(manifest, scorer, folder, protocol=protocol)
    if not lacking:
        return f"{manifest.dataset}: every feature is in the store"
    looked_at = lacking[:: max(1, len(lacking) // _LOOKED_AT)]
    protocol = feature_config(manifest, scorer, protocol=protocol).protocol
    count = len(lacking) * float(np.mean([_crops(path, protocol) for path in looked_at]))
    batch, start = torch.zeros(_BATCH, 3, *[protocol.crop] * 2), perf_counter()
    scorer.encoder.encode(batch)
    minutes = work * count * (perf_counter() - start) / _BATCH / 60
    return (
        f"{manifest.dataset}: {len(lacking):,} pictures, about {count:,.0f} crops to encode, "
        f"{minutes:.1f} minutes on this machine"
    )


def _crops(path: Path, protocol: Protocol) -> int:
    """How many crops a picture file will give; none where its size cannot be read."""
    try:
        with Image.open(path) as image:
            width, height = protocol.resize or image.size
    except OSError:
        return 0
    scale = max(1.0, protocol.crop / min(width, height))
    return len(CropGrid(round(height * scale), round(width * scale), protocol))
