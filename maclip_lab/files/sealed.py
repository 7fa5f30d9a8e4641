"""A safetensors file that tells whether its bytes are those that were written.

The format has no checksum of its own, so the header carries the sha256 of the whole file, with that
digest's digits taken as zeros.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from maclip_lab.errors import MaclipError

_NUMPY = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16}
_CODES = {np.dtype(kind): code for code, kind in _NUMPY.items()}
_NO_DIGEST = "0" * 64
_DIGEST = "file_sha256"
_BLOCK = 2**24  # bytes


class SealError(MaclipError):
    """A file's bytes are not those that were written."""


@dataclass(frozen=True)
class Pieces:
    """A tensor that is written a piece at a time; ``pieces`` begins anew at every call."""

    dtype: np.dtype
    shape: tuple[int, ...]
    pieces: Callable[[], Iterable[np.ndarray]]


def write_sealed(
    file: BinaryIO, tensors: Mapping[str, np.ndarray | Pieces], metadata: Mapping[str, str]
) -> None:
    """Write a sealed file, whose header has the metadata, into an open one a piece at a time."""
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, object] = {"__metadata__": {**metadata, _DIGEST: _NO_DIGEST}}
    end = 0
    for name in names:
        dtype, shape = tensors[name].dtype, tensors[name].shape
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _CODES[dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    content = hashlib.sha256(head)
    file.write(head)
    for name in names:
        tensor = tensors[name]
        for piece in [tensor] if isinstance(tensor, np.ndarray) else tensor.pieces():
            data = np.ascontiguousarray(piece, dtype=tensor.dtype).tobytes()
            content.update(data)
            file.write(data)
    file.seek(0)
    file.write(head.replace(_entry(_NO_DIGEST), _entry(content.hexdigest()), 1))


def read_seal(path: Path, what: str, *, verify: bool = True) -> dict[str, str]:
    """The header's metadata, the digest as ``file_sha256`` among them.

    Every byte is checked, or, without ``verify``, only that none is lacking. For the message,
    ``what`` is what it should be, such as ``"a pack"``.

    Raises:
        SealError: a byte differs from what was written, or the file is no sealed one.
    """
    try:
        head, header = _head(path)
        metadata = header.pop("__metadata__")
        ends = [entry["data_offsets"][1] for entry in header.values()]
        end = len(head) + max(ends, default=0)
        if not isinstance(digest := metadata[_DIGEST], str):
            raise TypeError(f"{_DIGEST} is {digest!r}")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise SealError(f"{path.name} is not {what}: {error!r}") from error
    size = os.path.getsize(path)
    if size != end:
        raise SealError(f"{path.name} is damaged: it has {size:,} bytes where {end:,} were written")
    if verify:
        content = hashlib.sha256(head.replace(_entry(digest), _entry(_NO_DIGEST), 1))
        with path.open("rb") as file:
            file.seek(len(head))
            while block := file.read(_BLOCK):
                content.update(block)
        if content.hexdigest() != digest:
            raise SealError(f"{path.name} is damaged: its sha256 is not {digest}, as was written")
    return metadata


def map_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a sealed file, mapped without reading it; writes stay in memory."""
    head, header = _head(path)
    del header["__metadata__"]
    size = os.path.getsize(path) - len(head)
    block = np.memmap(path, dtype=np.uint8, mode="c", offset=len(head), shape=(size,))
    return {
        name: block[slice(*entry["data_offsets"])]
        .view(_NUMPY[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in header.items()
    }


def _head(path: Path) -> tuple[bytes, dict[str, Any]]:
    """What stands before the tensors, and what it says."""
    with path.open("rb") as file:
        start = file.read(8)
        head = start + file.read(min(int.from_bytes(start, "little"), os.path.getsize(path)))
    return head, json.loads(head[8:])


def _entry(digest: str) -> bytes:
    """The digest's place in the header, which no other entry can imitate."""
    return f'"{_DIGEST}":"{digest}"'.encode()
