"""The authors' package from PyPI (``Maclip`` 2.7), where it can be imported, on our weights."""

import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image

from maclip_lab.clip.model import CLIP


class Skipped(Exception):
    """The authors' package cannot be measured here; the message says why."""


def authors_scorer(clip: CLIP, image: Image.Image) -> Callable[[], object]:
    """A task: one picture scored by the authors' package, by the interface of its README.

    Raises:
        Skipped: it or torchvision is not installed, or it does not take these weights.
    """
    if find_spec("torchvision") is None:
        raise Skipped("torchvision is not installed")
    names = [
        name
        for name, distributions in packages_distributions().items()
        if any(distribution.lower() == "maclip" for distribution in distributions)
    ]
    if not names:
        raise Skipped("the package Maclip is not installed")
    folder = Path(tempfile.mkdtemp(prefix="maclip-authors-"))
    torch.save(clip.state_dict(), folder / "weights.pt")
    image.save(folder / "picture.png")
    try:
        scorer = import_module(names[0]).Maclip(str(folder / "weights.pt"))
        scorer(str(folder / "picture.png"), "koniq")
    except Exception as error:  # someone else's code, outside our hands
        raise Skipped(f"it fails here: {type(error).__name__}: {error}") from error
    return lambda: scorer(str(folder / "picture.png"), "koniq")
