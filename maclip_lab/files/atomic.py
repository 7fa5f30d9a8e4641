"""Files that appear whole or not at all, and the remains of processes that died writing them.

Bytes go to a temporary file in the same folder, reach the disk, and are renamed into place, so a
kill, a full disk or an exception leaves the old file or none.
"""

import errno
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BufferedRandom
from pathlib import Path

from maclip_lab.errors import StorageFullError

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
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
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
