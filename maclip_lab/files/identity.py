"""What a file is, apart from its name: the hash of its bytes, its size and its times."""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeGuard

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SYSTEM = os.name


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_sha256(path: str | os.PathLike[str]) -> str:
    """The sha256 of a regular file; empty where there is none or it cannot be read."""
    try:
        return sha256_of(Path(path)) if os.path.isfile(path) else ""
    except OSError:
        return ""


def joint_sha256(files: Iterable[tuple[str, str]]) -> str:
    """The sha256 of names and their files' sha256, in any order."""
    content = hashlib.sha256()
    for pair in sorted((str(name), str(digest)) for name, digest in files):
        content.update(json.dumps(pair).encode())
    return content.hexdigest()


def is_sha256(text: str | None) -> TypeGuard[str]:
    """Whether ``text`` is a sha256 in lower-case hexadecimal."""
    return text is not None and _SHA256.fullmatch(text) is not None


def file_times(path: Path) -> tuple[int, int, int]:
    """Size, and times in nanoseconds; that of a file's last change of any kind cannot be set back.

    Returns:
        Bytes, the time of the last edit, and of the last change, 0 on Windows, which tells when a
        file was made instead; ``(-1, 0, 0)`` without a file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return -1, 0, 0
    changed = 0 if _SYSTEM == "nt" else status.st_ctime_ns
    return status.st_size, status.st_mtime_ns, changed
