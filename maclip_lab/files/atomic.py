"""Files that appear whole or not at all, and the remains of processes that died writing them.

Bytes go to a temporary file in the same folder, reach the disk, and are renamed into place, so a
kill, a full disk or an exception leaves the old file or none. A temporary file carries its owner's
host and process id, so that the next start can sweep what a dead process left and nothing else.
"""

import errno
import os
import re
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

RECORD_SUFFIX = ".provenance.json"
"""What a result's record is called, after the name of the result."""

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_PROCESS = uuid.uuid4().hex[:8]
_TEMPORARY = re.compile(r"\.(?P<host>[\w-]+)\.(?P<pid>\d+)\.(?P<process>\w{8})\.\w{8}\.tmp$")


class StorageFullError(OSError):
    """There is no room for a file; whatever stood under its name before still stands."""


def write_bytes(path: Path, data: bytes) -> None:
    """Put ``data`` under ``path``; a reader sees the old file or the new one, never a part.

    Args:
        path: of the file; missing folders are made.
        data: its content.

    Raises:
        StorageFullError: the disk, the quota or the process's file size limit is exhausted.
    """
    write_together({path: data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Put files that belong together in place, in order, once all of them are on the disk.

    Args:
        files: the content of each; missing folders are made.

    Raises:
        StorageFullError: the disk, the quota or the process's file size limit is exhausted.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = _temporary_beside(path)
            _write_through(staged[path], path, data)
        for path, temporary in staged.items():
            os.replace(temporary, path)
            _sync_folder(path.parent)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def try_to_write(path: Path) -> None:
    """Find out before a long run whether `write_bytes` could put a file under ``path``.

    Raises:
        OSError: it could not.
    """
    path.exists()  # a name may be too long
    temporary = _temporary_beside(path)
    temporary.touch(exist_ok=False)
    temporary.unlink()


def sweep(folder: Path) -> list[Path]:
    """Delete the temporary files that dead processes of this host left in a folder.

    Returns:
        What was deleted. Files of living processes and of other hosts stay.
    """
    swept = []
    for path in folder.glob(".*.tmp") if os.name == "posix" else ():
        owner = _TEMPORARY.search(path.name)
        if owner and owner["host"] == _host() and not _alive(int(owner["pid"]), owner["process"]):
            try:
                path.unlink(missing_ok=True)
            except OSError:  # a folder that may only be read keeps what is in it
                continue
            swept.append(path)
    return swept


def _temporary_beside(path: Path) -> Path:
    owner = f"{_host()}.{os.getpid()}.{_PROCESS}.{uuid.uuid4().hex[:8]}"
    start = os.fsencode(path.name)[:60].decode(errors="ignore")  # a name has room for 255 bytes
    return path.with_name(f".{start}.{owner}.tmp")


def _write_through(temporary: Path, path: Path, data: bytes) -> None:
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _FULL:
            raise
        message = (
            f"no room for the {len(data):,} bytes of {path.name} ({os.strerror(error.errno)}); "
            "nothing was replaced: free space and run again, what is finished is kept"
        )
        raise StorageFullError(error.errno, message, str(path)) from error


def _host() -> str:
    """This host and, since containers may share a name, its process id namespace."""
    try:
        namespace = re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    except OSError:
        namespace = "0"
    return f"{re.sub(r'[^a-zA-Z0-9]', '-', socket.gethostname())}-{namespace}"


def _alive(pid: int, process: str) -> bool:
    if pid == os.getpid():
        return process == _PROCESS
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """A rename is durable only once its folder is; some systems cannot sync folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
