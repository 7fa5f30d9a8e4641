"""Which data set a notebook works on, from the two parameters that say so.

A few words are enough: the name of a set, and the folder it lies in. Without a folder a synthetic
set is made once and shared by all notebooks, as are its features. Of two rated sets parts are
shipped as packs, so that people's opinion needs no pictures.
"""

import os
from pathlib import Path
from typing import Any

from maclip_lab import datasets
from maclip_lab.features import Features, extract_crops_and_whole, extract_features
from maclip_lab.features.packs import SHIPPED, shipped_pack
from maclip_lab.files.shipped import data_path
from maclip_lab.scorer import Maclip
from maclip_lab.weights.cache import cache_folder


def open_dataset(
    name: str, root: str | os.PathLike[str] | None = None, **choices: Any
) -> datasets.Manifest:
    """`datasets.open_dataset`, with one folder for what all notebooks share."""
    if root is None and name.lower() in datasets.EDITIONS:
        root = work_folder(name.lower())
    return datasets.open_dataset(name, root, **choices)


def open_features(
    dataset: str, scorer: Maclip, root: str | os.PathLike[str] | None = None, **choices: Any
) -> Features:
    """A data set's features, from a pack where it is one, else extracted into the shared store.

    Args:
        dataset: ``"clive-part"`` or ``"biq2021-part"``, of which this package ships packs; the
            path of a pack; or whatever else `open_dataset` takes.
        scorer: whose features.
        root: see `open_dataset`.
        choices: as well.

    Raises:
        DatasetError: no pack of this backbone is shipped, or a file is not as it should be.
        StoreError: a pack is of another backbone.
    """
    manifest = _manifest(dataset, scorer, root, choices)
    return extract_features(manifest, scorer, work_folder("features"))


def open_crops_and_whole(
    dataset: str, scorer: Maclip, root: str | os.PathLike[str] | None = None, **choices: Any
) -> tuple[Features, Features]:
    """`open_features`, and those of the whole pictures for CLIP-IQA."""
    manifest = _manifest(dataset, scorer, root, choices)
    return extract_crops_and_whole(manifest, scorer, work_folder("features"))


def _manifest(
    dataset: str, scorer: Maclip, root: str | os.PathLike[str] | None, choices: dict[str, Any]
) -> datasets.Manifest:
    if dataset.lower() in SHIPPED:
        dataset = str(shipped_pack(dataset.lower(), scorer.backbone.name))
    return open_dataset(dataset, root, **choices)


def work_folder(*parts: str) -> Path:
    """Where made data are kept: ``build/`` of a checkout, else the cache folder.

    Args:
        parts: path components below it, such as ``"features"`` for the shared feature store.
    """
    checkout = data_path().parent
    inside = (checkout / "pyproject.toml").is_file()
    return (checkout / "build" if inside else cache_folder()).joinpath("notebooks", *parts)
