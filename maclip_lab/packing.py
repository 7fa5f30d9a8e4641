"""Full batches from pictures of any sizes, and their features handed back picture by picture.

A picture gives between one crop and hundreds. A GPU wants batches of one size, so crops are laid
end to end in the order of the pictures and cut into batches wherever they fall.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

Shares = list[tuple[int, int]]
"""What a batch holds: (number of the picture, count of its crops), in order."""


def pack(pictures: Iterable[Iterable[Tensor]], size: int) -> Iterator[tuple[Tensor, Shares]]:
    """Batches of exactly ``size`` crops, the last one alone may be smaller.

    Args:
        pictures: each as pieces ``(P, ...)`` of its crops; none are kept beyond their batch.
        size: crops in a batch, at least 1.

    Yields:
        A batch ``(size, ...)`` and what it holds.
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

    Args:
        batches: features ``(size, D)`` of the batches of `pack`, with what they hold.
    """
    current = -1
    parts: list[Tensor] = []
    for features, shares in batches:
        for (number, _), part in zip(
            shares, features.split([count for _, count in shares]), strict=True
        ):
            if parts and number != current:
                yield torch.cat(parts)
                parts = []
            current = number
            parts.append(part)
    if parts:
        yield torch.cat(parts)
