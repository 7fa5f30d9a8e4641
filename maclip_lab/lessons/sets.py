"""Which pictures a notebook works on, from the two parameters that say so, and their features.

Without a folder a synthetic set is made once and shared by all notebooks, as are its features.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from IPython.core.getipython import get_ipython

from maclip_lab.crops import canonical_name, is_published
from maclip_lab.datasets import EDITIONS, Manifest, open_dataset
from maclip_lab.datasets.readers import READERS
from maclip_lab.features import Extractor, Features
from maclip_lab.features.packs import SEVERITY, SHIPPED
from maclip_lab.files.identity import data_path
from maclip_lab.images import find_pictures
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


def open_pictures(
    name: str, root: Folder = None, n_pictures: int | None = None, **choices: Any
) -> list[Path]:
    """Pictures to look at one by one: of a folder, or a set or list as for `open_set`.

    A name without anything of yours gives the photographs that ship with the project, or those of
    the root.
    """
    folder = Path(name)
    if name.lower() in ("native", *EDITIONS, *SHIPPED, SEVERITY):
        folder = Path(root or data_path("photos"))
    elif not folder.is_dir():
        if root is not None or "=" in name or folder.suffix.lower() in READERS:
            return open_set(name, root, n_pictures=n_pictures, **choices).paths
        canonical_name(name)  # or there is no such set
        folder = data_path("photos")
    paths = find_pictures(folder)
    if n_pictures is not None and n_pictures < len(paths):
        drawn = np.random.default_rng(0).choice(len(paths), n_pictures, replace=False)
        paths = [paths[i] for i in sorted(drawn)]
    return paths


def extract(manifest: Manifest, scorer: Maclip, store: Folder = None) -> tuple[Features, Features]:
    """Features of a manifest's crops and whole pictures.

    Where somebody watches, it is said first what extraction will cost, and a bar shows how far it
    has come; nothing of that where a program runs it, so that outputs do not depend on the machine.
    """
    watched = manifest.has_pictures and is_watched()
    extractor = Extractor(scorer, store or work_folder("features"), progress=watched)
    if watched:
        print(extractor.estimate(manifest, whole=True))
    return extractor.crops_and_whole(manifest)


def is_watched() -> bool:
    """Whether a person runs this, at a terminal or in a notebook, and not a program."""
    shell = get_ipython()
    if shell is None or not hasattr(shell, "get_parent"):
        return sys.stderr.isatty()
    return "cellId" in shell.get_parent().get("metadata", {})  # what front ends tell a kernel


def work_folder(*parts: str) -> Path:
    """Where made data are kept: ``build/`` of a checkout, else the cache folder."""
    checkout = data_path().parent
    inside = (checkout / "pyproject.toml").is_file()
    return (checkout / "build" if inside else cache_folder()).joinpath("notebooks", *parts)
