"""The crop protocol: which 224 x 224 views of a picture the encoder sees.

Every window at stride 128 that fits wholly inside, row by row from the top left, and last a
thumbnail of the whole picture (arXiv:2511.09948; the resizes are those of the authors' release).
"""

import ctypes
import os
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from maclip_lab.clip.model import CLIP_MEAN, CLIP_STD
from maclip_lab.files.identity import data_path
from maclip_lab.images import Picture, Preset, Source, load_picture

SETS: dict[str, dict[str, Any]] = tomllib.loads(data_path("datasets.toml").read_text("utf-8"))
"""The facts of every data set by its name, as data/datasets.toml has them."""

DATASETS = tuple(name for name, facts in SETS.items() if facts.get("paper"))
"""The nine data sets of the paper, by the names the authors' README gives them."""


@dataclass(frozen=True)
class Protocol:
    """How a picture becomes crops. The defaults are those of seven of the nine data sets.

    Every picture is first resized to ``resize``, ``(width, height)``, bicubically and without
    keeping its aspect; None keeps the native size.
    """

    name: str = "native"
    resize: tuple[int, int] | None = None
    crop: int = 224  #: side of the square windows, in pixels
    stride: int = 128  #: step between windows, in pixels
    thumbnail: bool = True  #: append the whole picture, resized bilinearly to one window
    windows: bool = True  #: take the windows at all
    whole: bool = False  #: show the encoder the whole picture at its size, as CLIP-IQA does
    small: str = "upscale"  #: a picture with a side below ``crop``, or treat it as an ``"error"``

    def __post_init__(self) -> None:
        if self.crop < 1 or self.stride < 1:
            raise ValueError(f"crop and stride are pixels, got {self.crop} and {self.stride}")
        if self.small not in ("upscale", "error"):
            raise ValueError(f'small is "upscale" or "error", got {self.small!r}')
        if not (self.thumbnail or self.windows or self.whole):
            raise ValueError("a protocol needs windows, a thumbnail or the whole picture")


NATIVE = Protocol()
WHOLE = Protocol(name="whole", thumbnail=False, windows=False, whole=True)
"""CLIP-IQA's protocol: the whole picture at native size (Wang et al., AAAI 2023)."""

WHOLE_PIXELS = 4096 * 3072  # at most, as memory grows with a whole picture: a phone's 12 megapixels

_MINIMUM_WHOLE = 32  # the ResNets' total stride, and no less than a ViT's patch
_MOST_UPSCALED = 2**22  # pixels, 145 windows: a thin strip would else take minutes
_LARGE = 12_000_000  # pixels; what decoding a larger picture took is not kept for the next
_STRIP = 512  # rows


def canonical_name(dataset: str) -> str:
    """The authors' spelling of a data set's name: ``"koniq"`` for ``"KonIQ-10k"``."""
    for name, facts in SETS.items():
        if dataset.lower() in (name.lower(), *facts.get("aliases", ())):
            return name
    raise ValueError(f"no data set is called {dataset!r}; known are {', '.join(SETS)}")


def is_published(dataset: str) -> bool:
    """Whether a name means one of the nine data sets, and not a protocol or a set of one's own."""
    try:
        return canonical_name(dataset) in DATASETS
    except ValueError:
        return False


def protocol_for(dataset: str | Protocol) -> Protocol:
    """The crop protocol of a data set; ``"native"`` and ``"whole"`` are protocols as well."""
    if isinstance(dataset, Protocol):
        return dataset
    protocols = {"native": NATIVE, "synthetic": NATIVE, "whole": WHOLE}
    if dataset.lower() in protocols:
        return protocols[dataset.lower()]
    name = canonical_name(dataset)
    resize = SETS[name].get("resize")
    return replace(NATIVE, name=name, resize=tuple(resize) if resize else None)


def fitted(protocol: Protocol, side: int | None) -> Protocol:
    """The protocol for a backbone of one picture size; its windows overlap as before."""
    if protocol.whole and side is not None:
        size = f"this backbone sees pictures of {side} x {side}, not whole ones at their size"
        raise ValueError(f"{size} as CLIP-IQA does; leave CLIP-IQA out (clip_iqa=False)")
    if side in (None, protocol.crop):
        return protocol
    return replace(protocol, crop=side, stride=round(protocol.stride * side / protocol.crop))


@dataclass(frozen=True)
class CropGrid:
    """Where the crops of one picture lie, prepared so many pixels high and wide."""

    height: int
    width: int
    protocol: Protocol = NATIVE

    @property
    def rows(self) -> int:
        """Windows that fit from top to bottom."""
        return len(self._places(self.height))

    @property
    def cols(self) -> int:
        """Windows that fit from left to right."""
        return len(self._places(self.width))

    def _places(self, size: int) -> range:
        protocol = self.protocol
        return range(0, size - protocol.crop + 1 if protocol.windows else 0, protocol.stride)

    def __len__(self) -> int:
        """Number of crops P, thumbnail included."""
        return self.rows * self.cols + self.protocol.thumbnail + self.protocol.whole

    def corners(self) -> list[tuple[int, int]]:
        """``(top, left)`` of every window, in the order of the crops."""
        return list(product(self._places(self.height), self._places(self.width)))


def prepare(image: Image.Image, protocol: Protocol = NATIVE) -> tuple[np.ndarray, bool]:
    """RGB pixels ``(H, W, 3)`` uint8 at the size the protocol cuts from, and if it was scaled up.

    A picture that is too small for the protocol, or too thin a strip, is a ValueError.
    """
    if protocol.resize is not None:
        image = image.resize(protocol.resize, Image.Resampling.BICUBIC)
    short, side = min(image.size), _MINIMUM_WHOLE if protocol.whole else protocol.crop
    too_small = short < side
    if too_small:
        size = f"the picture is {image.width} x {image.height}"
        if protocol.small == "error":
            advice = 'use small="upscale" to scale it up first'
            raise ValueError(f"{size}, a crop takes {side} x {side}; {advice}")
        width, height = (max(side, round(length * side / short)) for length in image.size)
        if width * height > _MOST_UPSCALED:
            advice = "a strip so thin is not scored, cut or pad it"
            raise ValueError(f"{size}; scaled up until a crop fits to {width} x {height}, {advice}")
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for top in range(0, image.height, _STRIP):  # at once Pillow makes two more copies of it
        bottom = min(top + _STRIP, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels, too_small


def thumbnail(pixels: np.ndarray | Tensor, side: int = 224) -> Tensor:
    """A picture ``(H, W, 3)`` resized bilinearly, without antialiasing, to ``(3, side, side)``.

    Equals ``interpolate(picture, (side, side), mode="bilinear", align_corners=False)``, but reads
    the four neighbours of every output pixel alone, so that a large picture costs no memory.
    """
    source = pixels if isinstance(pixels, Tensor) else _tensor(pixels)
    (top, bottom, down), (left, right, across) = (
        _neighbours(size, side, source.device) for size in source.shape[:2]
    )
    upper = _mix(source[top][:, left], source[top][:, right], across[:, None])
    lower = _mix(source[bottom][:, left], source[bottom][:, right], across[:, None])
    return _mix(upper, lower, down[:, None, None]).permute(2, 0, 1)


def _neighbours(size: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Lower and upper source index of every output position, and the upper one's weight."""
    scale = float(np.float32(size) / np.float32(side))
    position = (torch.arange(side, device=device, dtype=torch.float32) + 0.5) * scale - 0.5
    position = position.clamp(min=0)
    lower = position.long()
    return lower, (lower + 1).clamp(max=size - 1), position - lower


def _mix(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    return a * (1 - weight) + b * weight


def crop_batches(
    pixels: np.ndarray,
    protocol: Protocol = NATIVE,
    batch: int = 16,
    device: torch.device | str = "cpu",
) -> Iterator[Tensor]:
    """The normalised crops of a prepared picture, at most ``batch`` at a time.

    Memory follows ``batch``, not the picture, and only the picture's bytes travel to the device.

    Yields:
        ``(batch, 3, crop, crop)`` float32, channels last; the thumbnail is the last crop of all.
        Under a ``whole`` protocol one tensor ``(1, 3, H, W)``.
    """
    source, (height, width) = _tensor(pixels), pixels.shape[:2]
    if torch.device(device).type == "cuda":
        source = source.pin_memory()
    source = source.to(device, non_blocking=True)
    if protocol.whole:
        yield normalise(source.float()[None])
        return
    side = protocol.crop
    grid = CropGrid(height, width, protocol)
    corners = grid.corners()
    for start in range(0, len(grid), batch):
        count = min(batch, len(grid) - start)
        crops = torch.empty((count, side, side, 3), dtype=torch.float32, device=device)
        for crop, (top, left) in zip(crops, corners[start : start + batch], strict=False):
            crop.copy_(source[top : top + side, left : left + side])
        if start + len(crops) > len(corners):
            crops[-1] = thumbnail(source, side).permute(1, 2, 0)
        yield normalise(crops)


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"]))


def normalise(crops: Tensor) -> Tensor:
    """CLIP's input scale, ``(values / 255 - mean) / std``, of float crops ``(P, H, W, 3)``.

    In place; returns a view ``(P, 3, H, W)``.
    """
    # A row at a time: with three numbers innermost the arithmetic would not vectorise.
    rows, width = crops.flatten(2), crops.shape[2]
    mean = torch.tensor(CLIP_MEAN, device=crops.device).repeat(width)
    std = torch.tensor(CLIP_STD, device=crops.device).repeat(width)
    rows.div_(255).sub_(mean).div_(std)
    return crops.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class PreparedPicture:
    """A picture on its way to a score: what reading it gave, without the image.

    ``pixels`` are RGB ``(H, W, 3)`` uint8 at the size the protocol cuts from, until they are
    encoded, ``grid`` says where the crops lie; both are None where ``picture`` says why.
    ``features`` are the raw ones ``(P, D)`` float32 of the crops, from which every score follows.
    """

    source: str
    picture: Picture
    pixels: np.ndarray | None = None
    grid: CropGrid | None = None
    features: Tensor | None = None


def prepare_picture(
    source: "Source | Picture", protocol: Protocol, preset: Preset = "default"
) -> PreparedPicture:
    """A picture as its crops are cut from it; what cannot be used is a status, never an error."""
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else type(source).__name__
    picture = source if isinstance(source, Picture) else load_picture(source, preset=preset)
    if picture.image is None:
        return PreparedPicture(name, picture)
    image, picture = picture.image, replace(picture, image=None)
    try:
        pixels, upscaled = prepare(image, protocol)
    except (ValueError, MemoryError) as error:
        status = "too_small" if isinstance(error, ValueError) else "too_large"
        return PreparedPicture(name, replace(picture, status=status, message=str(error)))
    height, width = pixels.shape[:2]
    if height * width > _LARGE:
        del image
        with suppress(OSError, AttributeError, TypeError):  # what is freed glibc keeps, others not
            ctypes.CDLL(None).malloc_trim(0)
    if protocol.whole and height * width > WHOLE_PIXELS:
        size = f"{width} x {height} = {width * height:,} pixels at once, more than the "
        seen = f"{WHOLE_PIXELS:,} that a whole-picture protocol sees; scale the picture down, or "
        message = f"{size}{seen}score it by its crops, which have no limit"
        return PreparedPicture(name, replace(picture, status="too_large", message=message))
    if upscaled:
        picture = replace(picture, flags=(*picture.flags, "upscaled"))
    return PreparedPicture(name, picture, pixels, CropGrid(height, width, protocol))
