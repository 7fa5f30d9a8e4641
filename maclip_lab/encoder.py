"""The image tower ready for inference: where it runs, how precisely, how many crops at once.

A GPU wants batches of one size, so there the crops of all pictures are laid end to end and cut
into batches wherever they fall. What the encoder is fed with is made in threads ahead of it.
"""

import copy
import logging
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from maclip_lab.clip.foreign import ForeignClip
from maclip_lab.clip.inference import inference_tower
from maclip_lab.clip.model import CLIP
from maclip_lab.crops import NATIVE, CropGrid, Protocol, crop_batches

Item = TypeVar("Item")
Result = TypeVar("Result")

PIXELS_AHEAD = 48_000_000
"""Pixels that may be decoded and not yet scored: some sixty pictures of a data set, or one large
photograph, about half a gigabyte either way while Pillow decodes."""

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_LOGGER = logging.getLogger(__name__)
_MICRO_BATCH = {"cpu": 10, "cuda": 128, "mps": 16}


def choose_device(device: str = "auto") -> torch.device:
    """The device asked for; ``"auto"`` is CUDA, else Apple's MPS, else the CPU."""
    if device == "auto":
        other = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else other)
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = f'cannot be used here ({error}); "auto" picks one that can'
        raise ValueError(f"device {device!r} {reason}") from error
    return torch.device(device)


class ImageEncoder:
    """Raw image features of crops, in float32 whatever the encoder's precision.

    A model's image tower is copied and stays as published, its text tower moves to the device; a
    `ForeignClip` is used as it is, its positions too. ``micro_batch`` crops are encoded at once:
    what keeps activations in a CPU's cache and fills a GPU, halved, with a warning in the log,
    when a GPU runs out of memory. ``pack`` is whether crops of several pictures share a batch.
    """

    def __init__(
        self, clip: CLIP | ForeignClip, *, device: torch.device, precision: str = "fp32"
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
        self.device = device
        self.precision = precision
        self.micro_batch = _MICRO_BATCH.get(device.type, 16)
        self.pack = device.type == "cuda"
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

        On a CPU those of `encode_picture` to the bit, ``workers`` pictures at once. On a GPU, where
        one batch is computed while the next is cut, features agree to rounding.
        """
        if self.pack and not protocol.whole:
            return self._packed(pictures, protocol, pos_embedding)
        alone = partial(self.encode_picture, protocol=protocol, pos_embedding=pos_embedding)
        if workers > 1 and self.device.type == "cpu" and not protocol.whole:
            return map_ahead(alone, pictures, lambda pixels: pixels.size // 3, workers=workers)
        # A generator would hold on to a picture while the next one is decoded; map does not.
        return map(alone, pictures)

    def _packed(
        self, pictures: Iterable[np.ndarray], protocol: Protocol, pos_embedding: bool
    ) -> Iterator[Tensor]:
        """The features of pictures whose crops are laid end to end and cut into batches."""
        crops = (
            (number, crop)
            for number, pixels in enumerate(pictures)
            for batch in crop_batches(pixels, protocol, self.micro_batch, self.device)
            for crop in batch
        )
        rows = self._rows_in_flight(crops, pos_embedding)
        for _, picture in groupby(rows, key=itemgetter(0)):
            yield torch.stack([features for _, features in picture])

    def _rows_in_flight(
        self, crops: Iterator[tuple[int, Tensor]], pos_embedding: bool
    ) -> Iterator[tuple[int, Tensor]]:
        """The feature of every crop, each batch awaited only once the next has been started."""
        started: deque[tuple[list[int], Callable[[], Tensor]]] = deque()
        while batch := list(islice(crops, self.micro_batch)):
            with torch.inference_mode():
                features = self._encode(torch.stack([crop for _, crop in batch]), pos_embedding)
            started.append(([number for number, _ in batch], _on_the_way(features)))
            del batch, features
            if len(started) > 1:
                numbers, arrived = started.popleft()
                yield from zip(numbers, arrived(), strict=True)
        for numbers, arrived in started:
            yield from zip(numbers, arrived(), strict=True)

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


def _on_the_way(features: Tensor) -> Callable[[], Tensor]:
    """Starts a copy to the CPU; called, gives it once it has arrived."""
    copy = features.to("cpu", non_blocking=True)
    if features.device.type != "cuda":
        return lambda: copy
    event = torch.cuda.Event()
    event.record()

    def arrived() -> Tensor:
        event.synchronize()
        return copy

    return arrived


def map_ahead(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    cost: Callable[[Item], int] | None = None,
    *,
    budget: int = PIXELS_AHEAD,
    workers: int | None = None,
) -> Iterator[Result]:
    """Results in the order of the items, computed in threads ahead of the consumer.

    Items are read from the calling thread, as late as may be. Those under way, the consumer's
    included, ``cost`` no more than ``budget`` together, unless one does alone, and are at most
    twice as many as ``workers``: by default one a core, at most 16.
    """
    workers = workers or min(16, os.cpu_count() or 1)
    waiting: deque[tuple[Future[Result], int]] = deque()
    spent = 0
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for item in items:
            price = cost(item) if cost else 0
            while waiting and (len(waiting) == 2 * workers or spent + price > budget):
                yield waiting[0][0].result()
                spent -= waiting.popleft()[1]
            waiting.append((pool.submit(work, item), price))
            spent += price
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)
