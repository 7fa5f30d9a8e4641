"""Which pictures a notebook works on, from the two parameters that say so, and their features.

Without a folder a synthetic set is made once and shared by all notebooks, as are its features.
"""

import os
import sys
from pathlib import Path
from typing import Any

from IPython.core.getipython import get_ipython

from maclip_lab.crops import is_published
from maclip_lab.datasets import EDITIONS, Manifest, open_dataset
from maclip_lab.features import Extractor, Features
from maclip_lab.files.identity import data_path
from maclip_lab.scorer import Maclip
from maclip_lab.weights.places import cache_folder

Folder = str | os.PathLike[str] | None


def open_set(
    name: str,
    root: Folder = None,
    store: Folder = None,
    n_pictures: int | None = None,
    variant: str | None = None,
    **choices: Any,
) -> Manifest:
    """`open_dataset`, as a notebook's parameters say it.

    ``"name=path"`` is your own list, and what it is called. A synthetic set without a root is made
    in the store. At most so many pictures are drawn; a variant is of the nine sets alone.
    """
    title, is_named, path = name.partition("=")
    if is_named and not Path(name).exists():
        name, choices["annotations"] = title, path
    elif root is None and name.lower() in EDITIONS:
        root = Path(store or work_folder()) / name.lower()
    if variant is not None and "annotations" not in choices and is_published(name):
        choices["variant"] = variant
    manifest = open_dataset(name, root, **choices)
    if n_pictures is None or n_pictures >= len(manifest):
        return manifest
    return manifest.sample(n_pictures)


def extract(manifest: Manifest, scorer: Maclip, store: Folder = None) -> tuple[Features, Features]:
    """Features of a manifest's crops and whole pictures.

    Where somebody watches, it is said first what extraction will cost, and a bar shows how far it
    has come; nothing of that where a program runs it, so that outputs do not depend on the machine.
    """
    shell, watched = get_ipython(), sys.stderr.isatty()
    if shell is not None and hasattr(shell, "get_parent"):  # what front ends tell a kernel
        watched = "cellId" in shell.get_parent().get("metadata", {})
    watched = watched and manifest.has_pictures
    extractor = Extractor(scorer, store or work_folder("features"), progress=watched)
    if watched:
        print(extractor.estimate(manifest))
    return extractor.crops_and_whole(manifest)


def work_folder(*parts: str) -> Path:
    """Where made data are kept: ``build/`` of a checkout, else the cache folder."""
    checkout = data_path().parent
    inside = (checkout / "pyproject.toml").is_file()
    return (checkout / "build" if inside else cache_folder()).joinpath("notebooks", *parts)
