"""Which data set a notebook works on, from the two parameters that say so.

A few words are enough: the name of a set, and the folder it lies in. Without a folder it is the
synthetic set in a small edition, made once and shared by all notebooks, as are its features.
"""

import os
from pathlib import Path

from maclip_lab.crops import canonical_name
from maclip_lab.datasets.annotations import load_annotations
from maclip_lab.datasets.catalog import load_dataset
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.synthetic import make_synthetic
from maclip_lab.files.shipped import data_path
from maclip_lab.weights.cache import cache_folder

NOTEBOOK_TYPES = ("gaussian_blur", "motion_blur", "jpeg", "white_noise", "pixelate", "darken")
"""Degradations of the small edition; the embedded backbones never saw motion blur in training."""

NOTEBOOK_LEVELS = (1, 3, 5)
"""Levels of the small edition, beside the pristine photographs."""

NOTEBOOK_SIZE = (384, 300)
"""Width and height of its centre crops in pixels: two windows and the thumbnail."""

_LISTS = (".csv", ".json", ".parquet")


def open_dataset(name: str, root: str | os.PathLike[str] | None = None) -> Manifest:
    """The manifest of a data set by name.

    Args:
        name: ``"synthetic"``, one of the nine sets such as ``"koniq"`` or ``"CLIVE"``, or the path
            of your own list of pictures and scores (.csv, .json or .parquet).
        root: the folder that holds the set. For ``"synthetic"`` the folder to make it in, or None
            for the one that all notebooks share; for your own list the folder its paths start
            from, or None for the list's.

    Raises:
        DatasetError: one of the nine sets without a root, or files that are not as they should be.
        ValueError: no data set has that name.
    """
    if name.lower() == "synthetic":
        folder = work_folder("synthetic") if root is None else Path(root)
        return make_synthetic(
            folder, types=NOTEBOOK_TYPES, levels=NOTEBOOK_LEVELS, size=NOTEBOOK_SIZE
        )
    if Path(name).suffix.lower() in _LISTS:
        return load_annotations(name, dataset=Path(name).stem, root=root)
    dataset = canonical_name(name)
    if root is None:
        raise DatasetError(f"say where {dataset} lies: ROOT is its folder, or any folder above it")
    return load_dataset(dataset, root)


def work_folder(*parts: str) -> Path:
    """Where made data are kept: ``build/`` of a checkout, else the cache folder.

    Args:
        parts: path components below it, such as ``"features"`` for the shared feature store.
    """
    checkout = data_path().parent
    inside = (checkout / "pyproject.toml").is_file()
    return (checkout / "build" if inside else cache_folder()).joinpath("notebooks", *parts)
