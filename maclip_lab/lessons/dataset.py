"""Which data set a notebook works on, from the two parameters that say so.

A few words are enough: the name of a set, and the folder it lies in. Without a folder a synthetic
set is made once and shared by all notebooks, as are its features. Of two rated sets parts are
shipped as packs, so that people's opinion needs no pictures; and the synthetic set is too, as
``"severity"``.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from IPython.core.getipython import get_ipython

from maclip_lab import datasets
from maclip_lab.crops import canonical_name
from maclip_lab.datasets.readers import READERS
from maclip_lab.features import Extractor, Features
from maclip_lab.features.packs import SEVERITY, SHIPPED, shipped_pack
from maclip_lab.files.identity import data_path
from maclip_lab.images import find_pictures
from maclip_lab.scorer import Maclip
from maclip_lab.weights.places import cache_folder


def open_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    *,
    n_pictures: int | None = None,
    variant: str | None = None,
    **choices: Any,
) -> datasets.Manifest:
    """`datasets.open_dataset`, with one folder for what all notebooks share.

    Args:
        name: as there, or ``"name=path"``: your own list, and what it is called.
        root: as there.
        n_pictures: at most so many, drawn at random and always the same; None for all.
        variant: of one of the nine sets, as there; anything else has none, and is opened as it is.
        choices: as there.
    """
    title, is_named, path = name.partition("=")
    if is_named and not Path(name).exists():
        name, choices["annotations"] = title, path
    elif root is None and name.lower() in datasets.EDITIONS:
        root = work_folder(name.lower())
    if variant is not None and "annotations" not in choices and _is_published(name):
        choices["variant"] = variant
    manifest = datasets.open_dataset(name, root, **choices)
    if n_pictures is None or n_pictures >= len(manifest):
        return manifest
    return manifest.sample(n_pictures)


def _is_published(name: str) -> bool:
    try:
        canonical_name(name)
    except ValueError:
        return False
    return True


def open_crops_and_whole(
    dataset: str,
    scorer: Maclip,
    root: str | os.PathLike[str] | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
    **choices: Any,
) -> tuple[Features, Features]:
    """Features of a data set's crops and whole pictures, from a pack or the shared store.

    Args:
        dataset: ``"clive-part"``, ``"biq2021-part"`` or ``"severity"``, of which this package
            ships packs; the path of a pack; or whatever else `open_dataset` takes.
        scorer: whose features.
        root: see `open_dataset`.
        store: folder of the feature store; None for the one that all notebooks share.
        choices: see `open_dataset`.

    Raises:
        DatasetError: no pack of this backbone is shipped, or a file is not as it should be.
        StoreError: a pack is of another backbone.
    """
    if dataset.lower() in (*SHIPPED, SEVERITY):
        dataset = str(shipped_pack(dataset.lower(), scorer.backbone.name))
    elif root is None and store is not None and dataset.lower() in datasets.EDITIONS:
        root = Path(store) / dataset.lower()  # whoever names a folder wants nothing outside it
    return extract(open_dataset(dataset, root, **choices), scorer, store)


def extract(
    manifest: datasets.Manifest, scorer: Maclip, store: str | os.PathLike[str] | None = None
) -> tuple[Features, Features]:
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
    """Where made data are kept: ``build/`` of a checkout, else the cache folder.

    Args:
        parts: path components below it, such as ``"features"`` for the shared feature store.
    """
    checkout = data_path().parent
    inside = (checkout / "pyproject.toml").is_file()
    return (checkout / "build" if inside else cache_folder()).joinpath("notebooks", *parts)


def open_pictures(
    name: str,
    root: str | os.PathLike[str] | None = None,
    n_pictures: int | None = None,
    variant: str | None = None,
    **choices: Any,
) -> tuple[list[Path], str]:
    """Pictures to look at one by one, and the protocol they are cut by.

    Args:
        name: a folder of pictures; your own list, as for `open_dataset`; one of the nine sets with
            its root; or ``"synthetic"`` with a folder as root. A name without anything of yours
            gives the photographs that ship with the project.
        root: as for `open_dataset`.
        n_pictures: at most so many, drawn at random and always the same; None for all.
        variant: as for `open_dataset`.
        choices: as for `open_dataset`.

    Raises:
        DatasetError: files that are not as they should be.
        ValueError: no data set has that name.
    """
    folder, protocol = Path(name), "native"
    if name.lower() in ("native", *datasets.EDITIONS, *SHIPPED, SEVERITY):
        folder = Path(root or data_path("photos"))
    elif not folder.is_dir():
        if root is not None or "=" in name or folder.suffix.lower() in READERS:
            manifest = open_dataset(name, root, n_pictures=n_pictures, variant=variant, **choices)
            return manifest.paths, manifest.protocol
        folder, protocol = data_path("photos"), canonical_name(name)
    paths = find_pictures(folder)
    if n_pictures is not None and n_pictures < len(paths):
        chosen = np.random.default_rng(0).choice(len(paths), n_pictures, replace=False)
        paths = [paths[i] for i in sorted(chosen)]
    return paths, protocol
