"""The image tower ready for inference: where it runs, how precisely, how many crops at once.

A picture gives between one crop and hundreds. A GPU wants batches of one size, so there crops are
laid end to end in the order of the pictures and cut into batches wherever they fall.
"""

import copy
import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from maclip_lab.clip.foreign import ForeignClip
from maclip_lab.clip.inference import inference_tower
from maclip_lab.clip.model import CLIP
from maclip_lab.crops import NATIVE, CropGrid, Protocol, crop_batches
from maclip_lab.readahead import map_ahead

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_LOGGER = logging.getLogger(__name__)
Shares = list[tuple[int, int]]
"""What a batch holds: (number of the picture, count of its crops), in order."""
_MICRO_BATCH = {"cpu": 10, "cuda": 128, "mps": 16}


def choose_device(device: str = "auto") -> torch.device:
    """The device asked for; ``"auto"`` is CUDA, else Apple's MPS, else the CPU."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f'device {device!r} cannot be used here ({error}); "auto" picks one that can'
        ) from error
    return chosen


class ImageEncoder:
    """Raw image features of crops, in float32 whatever the encoder's precision.

    Args:
        clip: the model; its image tower is copied and stays as published, its text tower moves
            to the device. A `ForeignClip` is used as it is, its positions too.
        device: where to run.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``, of the encoder alone.
        micro_batch: crops encoded at once; the default keeps activations in a CPU's cache and
            fills a GPU. It is halved, with a warning in the log, when a GPU runs out of memory.
        pack: fill batches with crops of several pictures in `encode_pictures`; by default on
            CUDA alone, where a batch's size does not matter to the time it takes.
    """

    def __init__(
        self,
        clip: CLIP | ForeignClip,
        *,
        device: torch.device,
        precision: str = "fp32",
        micro_batch: int | None = None,
        pack: bool | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"a micro-batch holds at least one crop, got {micro_batch}")
        self.device = device
        self.precision = precision
        self.micro_batch = micro_batch or _MICRO_BATCH.get(device.type, 16)
        self.pack = device.type == "cuda" if pack is None else pack
        self.embed_dim = clip.embed_dim
        self._dtype = PRECISIONS[precision]
        clip.to(device)
        if isinstance(clip, CLIP):
            self._tower = inference_tower(clip.visual, device=device, dtype=self._dtype)
        else:
            exact = self._dtype == torch.float32
            self._tower = clip if exact else copy.deepcopy(clip).to(self._dtype)

    @torch.inference_mode()
    def encode(self, crops: Tensor, pos_embedding: bool = False) -> Tensor:
        """Features ``(P, D)`` float32 on the CPU, of normalised crops ``(P, 3, H, W)``."""
        return self._encode(crops, pos_embedding).cpu()

    def encode_picture(
        self, pixels: np.ndarray, protocol: Protocol = NATIVE, pos_embedding: bool = False
    ) -> Tensor:
        """Features ``(P, D)`` of all crops of a prepared picture ``(H, W, 3)``, in their order."""
        height, width = pixels.shape[:2]
        count = len(CropGrid(height, width, protocol))
        same = count == 2 and height == width == protocol.crop
        if same:  # the one window is the whole picture, and so is its thumbnail
            protocol, count = replace(protocol, thumbnail=False), 1
        size = math.ceil(count / math.ceil(count / self.micro_batch))
        batches = crop_batches(pixels, protocol, size, self.device)
        features = torch.cat([self.encode(batch, pos_embedding) for batch in batches])
        return features.repeat(2, 1) if same else features

    def encode_pictures(
        self,
        pictures: Iterable[np.ndarray],
        protocol: Protocol = NATIVE,
        pos_embedding: bool = False,
        *,
        workers: int = 1,
    ) -> Iterator[Tensor]:
        """Features ``(P, D)`` of many pictures of any sizes, in their order.

        On a CPU pictures go one by one, and their features are those of `encode_picture` to
        the bit. On a GPU their crops fill common batches, of which one is computed while the next
        is cut; features then agree to rounding. ``workers`` are pictures that a CPU encodes at
        once, each in a thread of its own.
        """
        if not self.pack or protocol.whole:
            alone = partial(self.encode_picture, protocol=protocol, pos_embedding=pos_embedding)
            if workers > 1 and self.device.type == "cpu" and not protocol.whole:
                return map_ahead(alone, pictures, _pixels, workers=workers)
            # A generator would hold on to a picture while the next one is decoded; map does not.
            return map(alone, pictures)
        size = self.micro_batch
        crops = (crop_batches(pixels, protocol, size, self.device) for pixels in pictures)
        return unpack(self._in_flight(pack(crops, size), pos_embedding))

    def _in_flight(
        self, batches: Iterable[tuple[Tensor, Shares]], pos_embedding: bool
    ) -> Iterator[tuple[Tensor, Shares]]:
        """Features of batches, each awaited only once the next has been started."""
        started: deque[tuple[_Arrival, Shares]] = deque()
        for batch, shares in batches:
            with torch.inference_mode():
                started.append((_Arrival(self._encode(batch, pos_embedding)), shares))
            if len(started) > 1:
                arrival, before = started.popleft()
                yield arrival.wait(), before
        for arrival, before in started:
            yield arrival.wait(), before

    def _encode(self, crops: Tensor, pos_embedding: bool) -> Tensor:
        """Float32 features on the device, in micro-batches as large as its memory allows."""
        crops = crops.to(self.device, self._dtype, memory_format=torch.channels_last)
        while True:
            try:
                parts = [self._tower(part, pos_embedding) for part in crops.split(self.micro_batch)]
                return torch.cat(parts).float()
            except torch.OutOfMemoryError:
                size = min(self.micro_batch, len(crops))
                if size == 1:
                    raise
                words = "%s is out of memory: from now on it encodes %d crops at once, not %d"
                _LOGGER.warning(words, self.device, size // 2, self.micro_batch)
                self.micro_batch = size // 2


def _pixels(picture: np.ndarray) -> int:
    return picture.shape[0] * picture.shape[1]


class _Arrival:
    """Features on their way to the CPU."""

    def __init__(self, features: Tensor) -> None:
        self._features = features.to("cpu", non_blocking=True)
        self._event = None
        if features.device.type == "cuda":
            self._event = torch.cuda.Event()
            self._event.record()

    def wait(self) -> Tensor:
        """The features, arrived."""
        if self._event is not None:
            self._event.synchronize()
        return self._features


def pack(pictures: Iterable[Iterable[Tensor]], size: int) -> Iterator[tuple[Tensor, Shares]]:
    """Batches of ``size`` crops, the last may be smaller, and what each holds.

    Pictures are pieces ``(P, ...)`` of their crops, of which none is kept beyond its batch.
    """
    if size < 1:
        raise ValueError(f"a batch holds at least one crop, got {size}")
    pieces: list[Tensor] = []
    shares: Shares = []
    room = size
    for number, picture in enumerate(pictures):
        for piece in picture:
            while len(piece):
                taken, piece = piece[:room], piece[room:]
                pieces.append(taken)
                shares.append((number, len(taken)))
                room -= len(taken)
                if room == 0:
                    yield torch.cat(pieces), shares
                    pieces, shares, room = [], [], size
    if pieces:
        yield torch.cat(pieces), shares


def unpack(batches: Iterable[tuple[Tensor, Shares]]) -> Iterator[Tensor]:
    """The features ``(P, D)`` of each picture, in order.

    A picture is handed out once the first crop of the next one, or the end, is seen.
    """
    current = -1
    parts: list[Tensor] = []
    for features, shares in batches:
        split = features.split([count for _, count in shares])
        for (number, _), part in zip(shares, split, strict=True):
            if parts and number != current:
                yield torch.cat(parts)
                parts = []
            current = number
            parts.append(part)
    if parts:
        yield torch.cat(parts)
