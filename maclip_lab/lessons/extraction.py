"""Extraction before somebody's eyes: what it will cost, and how far it has come.

Nothing of that is said where no one watches, so that the outputs of a notebook run by a program do
not depend on the machine or on what its store holds.
"""

import os
import sys

from IPython.core.getipython import get_ipython

from maclip_lab.crops import Protocol
from maclip_lab.datasets import Manifest
from maclip_lab.features import Extractor, Features
from maclip_lab.scorer import Maclip


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
    """`Extractor.crops` with an estimate first and a bar, where somebody watches."""
    return _extractor(manifest, scorer, folder, protocol).crops(manifest, protocol)


def extract_both(
    manifest: Manifest, scorer: Maclip, folder: str | os.PathLike[str]
) -> tuple[Features, Features]:
    """`Extractor.crops_and_whole`, likewise."""
    return _extractor(manifest, scorer, folder, None, whole=True).crops_and_whole(manifest)


def encoding_estimate(
    manifest: Manifest,
    scorer: Maclip,
    folder: str | os.PathLike[str],
    *,
    protocol: Protocol | None = None,
) -> str:
    """What extracting a data set's features still costs, in a line."""
    return Extractor(scorer, folder).estimate(manifest, protocol)


def _extractor(
    manifest: Manifest,
    scorer: Maclip,
    folder: str | os.PathLike[str],
    protocol: Protocol | None,
    *,
    whole: bool = False,
) -> Extractor:
    watched = manifest.has_pictures and is_watched()
    extractor = Extractor(scorer, folder, progress=watched)
    if watched:
        print(extractor.estimate(manifest, protocol, whole=whole))
    return extractor
