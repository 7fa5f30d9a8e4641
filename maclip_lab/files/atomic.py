"""Files that appear whole or not at all, and tell whether their bytes are those that were written.

Bytes go to a temporary file in the same folder, reach the disk, and are renamed into place, so a
kill, a full disk or an exception leaves the old file or none. A sealed file is of safetensors,
which have no checksum: its header carries the sha256 of the file with zeros in that digest's place.
"""

import errno
import hashlib
import json
import math
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from maclip_lab.errors import MaclipError, StorageFullError

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_IN_USE = (5, 32)  # Windows' numbers: access denied, sharing violation
_PATIENCE = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds, one after the other
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.tmp")
_ABANDONED = 24 * 3600.0  # seconds; whoever still writes has touched the file since

Content = bytes | Callable[[BufferedRandom], object]  # or what writes it into the open file


def write_bytes(path: Path, data: Content, *, durable: bool = True) -> None:
    """Put ``data`` under ``path``; a reader sees the old file or the new one, never a part.

    Missing folders are made. What is not durable outlives this process and may be lost or torn
    when the power goes: for what a seal tells whole from torn, and is made anew. Where the disk,
    the quota or the process's file size limit is exhausted it is a StorageFullError.
    """
    write_together({path: data}, durable=durable)


def write_together(files: Mapping[Path, Content], *, durable: bool = True) -> None:
    """As `write_bytes`, files that belong together, in order, once all of them are on the disk."""
    staged: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = temporary_beside(path)
            _write(staged[path], path.name, data, durable)
        for path, temporary in staged.items():
            _replace(temporary, path)
            if durable:
                _sync(path.parent)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def put(file: BufferedRandom, data: Content) -> None:
    """Write bytes into an open file, or have them written."""
    if isinstance(data, bytes):
        file.write(data)
    else:
        data(file)


def try_to_write(path: Path) -> None:
    """OSError before a long run where `write_bytes` could not put a file under ``path``."""
    path.exists()  # a name may be too long
    temporary = temporary_beside(path)
    temporary.touch(exist_ok=False)
    temporary.unlink()


def sweep(folder: Path) -> list[Path]:
    """Delete the temporary files in a folder that nobody has written to for a day; which."""
    swept = []
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):  # it went meanwhile, or lies in a folder that may only be read
            old = time.time() - path.stat().st_mtime > _ABANDONED
            if _TEMPORARY.fullmatch(path.name) and old:
                path.unlink()
                swept.append(path)
    return swept


def temporary_beside(path: Path) -> Path:
    """A name in the same folder for what will be called ``path``; `sweep` knows it."""
    start = os.fsencode(path.name)[:60].decode(errors="ignore")  # a name has room for 255 bytes
    return path.with_name(f".{start}.{uuid.uuid4().hex[:8]}.tmp")


def _write(temporary: Path, name: str, data: Content, durable: bool) -> None:
    try:
        with temporary.open("x+b") as file:
            put(file, data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _FULL:
            raise
        message = f"no room for the bytes of {name} ({os.strerror(error.errno)}); nothing was "
        message += "replaced: free space and run again, what is finished is kept"
        raise StorageFullError(error.errno, message, str(temporary.with_name(name))) from error


def _replace(temporary: Path, path: Path) -> None:
    """Renames; Windows refuses for as long as another process reads the file that is there."""
    for wait in (*_PATIENCE, None):
        try:
            os.replace(temporary, path)
            return
        except PermissionError as error:
            if wait is None or getattr(error, "winerror", None) not in _IN_USE:
                raise
            time.sleep(wait)


def _sync(folder: Path) -> None:
    """A rename is durable only once its folder is; some systems cannot sync folders."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
