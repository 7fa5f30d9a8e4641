"""Magnitude-Aware CLIP, understood, measured and trusted.

Data flow one way: images, crops, encoder, features, cues, fusion, score, evaluation, plots. In all
docstrings N counts images, P crops, D dimensions of the embedding and K prompt pairs.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maclip_lab import crops as crops
    from maclip_lab import cues as cues
    from maclip_lab import fusion as fusion
    from maclip_lab import plots as plots
    from maclip_lab.ablations import claims as claims
    from maclip_lab.ablations import controls as controls
    from maclip_lab.ablations.rated import Rated as Rated
    from maclip_lab.ablations.sweeps import sweep as sweep
    from maclip_lab.crops import Protocol as Protocol
    from maclip_lab.datasets.degradations import degrade as degrade
    from maclip_lab.evaluation import evaluate as evaluate
    from maclip_lab.files.identity import data_path as data_path
    from maclip_lab.fusion import FusionSettings as FusionSettings
    from maclip_lab.images import load_picture as load_picture
    from maclip_lab.lessons.lesson import Lesson as Lesson
    from maclip_lab.score import Score as Score
    from maclip_lab.scorer import Maclip as Maclip
    from maclip_lab.scorer import score_folder as score_folder

    __version__: str

_HOMES = {
    **{"claims": "ablations.claims", "controls": "ablations.controls", "plots": "plots"},
    **{"crops": "crops", "cues": "cues", "fusion": "fusion"},
    "FusionSettings": "fusion",
    "Lesson": "lessons.lesson",
    "Maclip": "scorer",
    "Protocol": "crops",
    "Rated": "ablations.rated",
    "Score": "score",
    "data_path": "files.identity",
    "degrade": "datasets.degradations",
    "evaluate": "evaluation",
    "load_picture": "images",
    "score_folder": "scorer",
    "sweep": "ablations.sweeps",
}
"""Where the public names stand; those of a module's own name are the module."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Imports a public name on first use, so that ``import maclip_lab`` stays light."""
    if name == "__version__":
        try:
            return version("maclip-lab")
        except PackageNotFoundError:  # a checkout that is not installed
            return "0+not.installed"
    if name not in _HOMES:
        raise AttributeError(f"module 'maclip_lab' has no attribute {name!r}")
    home = import_module(f"maclip_lab.{_HOMES[name]}")
    return home if _HOMES[name].endswith(name) else getattr(home, name)


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__version__"]
