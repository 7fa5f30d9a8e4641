"""The authors' package from PyPI (``Maclip`` 2.7), where it can be imported, on our weights.

It needs torchvision and a package that brings OpenAI's ``clip`` module, such as ``clip-anytorch``.
"""

import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.overrides import TorchFunctionMode

from maclip_lab.clip.model import CLIP


class Skipped(Exception):
    """The authors' package cannot be measured here; the message says why."""


def authors_scorer(clip: CLIP, image: Image.Image) -> Callable[[], float]:
    """A task: one picture file scored by the authors' package; it returns the score.

    Raises:
        Skipped: it or what it needs is not installed, or it does not take these weights.
    """
    for module, package in (
        ("torchvision", "torchvision"),
        ("clip", "clip-anytorch"),
        ("Maclip", "Maclip"),
    ):
        if find_spec(module) is None:
            raise Skipped(f"the package {package} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="maclip-authors-"))
    weights, picture = str(folder / "weights.pt"), str(folder / "picture.png")
    torch.jit.save(_archive(clip), weights)
    image.save(picture)
    try:
        scorer = import_module("Maclip.model").Maclip(backbone=weights)

        def score() -> float:
            with _CudaIs(clip.logit_scale.device):
                return float(scorer(picture, "koniq"))

        score()
    except Exception as error:  # someone else's code, outside our hands
        raise Skipped(f"it fails here: {type(error).__name__}: {error}") from error
    return score


class _CudaIs(TorchFunctionMode):
    """The package sends its tensors to CUDA whatever there is; this sends them to our device."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Calls the function with every mention of CUDA replaced."""
        if func is torch.Tensor.cuda:
            return args[0].to(self.device)
        swapped = {key: self._swap(value) for key, value in (kwargs or {}).items()}
        return func(*map(self._swap, args), **swapped)

    def _swap(self, value: object) -> object:
        named = isinstance(value, str | torch.device) and str(value) == "cuda"
        return self.device if named else value


def _archive(clip: CLIP) -> torch.jit.ScriptModule:
    """The weights as OpenAI releases them: a TorchScript archive, read for its state dict."""
    root = nn.Module()
    for name, value in clip.state_dict().items():
        *parents, last = name.split(".")
        owner = root
        for parent in parents:
            if parent not in owner._modules:
                owner.add_module(parent, nn.Module())
            owner = owner._modules[parent]
        owner.register_buffer(last, value)
    return torch.jit.script(root)
