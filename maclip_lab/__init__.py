"""Magnitude-Aware CLIP, understood, measured and trusted.

Data flow one way: images, crops, encoder, features, cues, fusion, score, evaluation, plots. In all
docstrings N counts images, P crops, D dimensions of the embedding and K prompt pairs.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maclip_lab.evaluation import evaluate as evaluate
    from maclip_lab.fusion import FusionSettings as FusionSettings
    from maclip_lab.score import Score as Score
    from maclip_lab.scorer import Maclip as Maclip
    from maclip_lab.scorer import score_folder as score_folder

    __version__: str

_HOMES = {
    "FusionSettings": "fusion",
    "Maclip": "scorer",
    "Score": "score",
    "evaluate": "evaluation",
    "score_folder": "scorer",
}
__all__ = ["FusionSettings", "Maclip", "Score", "evaluate", "score_folder"]


def __getattr__(name: str) -> object:
    """Imports a public name on first use, so that ``import maclip_lab`` stays light."""
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'maclip_lab' has no attribute {name!r}")
    return getattr(import_module(f"maclip_lab.{_HOMES[name]}"), name)


def _version() -> str:
    """The installed version; a checkout that is not installed has none."""
    try:
        return version("maclip-lab")
    except PackageNotFoundError:
        return "0+not.installed"


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__version__"]
