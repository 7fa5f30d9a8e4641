"""Which data set a notebook works on, from the two parameters that say so.

A few words are enough: the name of a set, and the folder it lies in. Without a folder a synthetic
set is made once and shared by all notebooks, as are its features.
"""

import os
from pathlib import Path
from typing import Any

from maclip_lab import datasets
from maclip_lab.files.shipped import data_path
from maclip_lab.weights.cache import cache_folder


def open_dataset(
    name: str, root: str | os.PathLike[str] | None = None, **choices: Any
) -> datasets.Manifest:
    """`datasets.open_dataset`, with one folder for what all notebooks share."""
    if root is None and name.lower() in datasets.EDITIONS:
        root = work_folder(name.lower())
    return datasets.open_dataset(name, root, **choices)


def work_folder(*parts: str) -> Path:
    """Where made data are kept: ``build/`` of a checkout, else the cache folder.

    Args:
        parts: path components below it, such as ``"features"`` for the shared feature store.
    """
    checkout = data_path().parent
    inside = (checkout / "pyproject.toml").is_file()
    return (checkout / "build" if inside else cache_folder()).joinpath("notebooks", *parts)
