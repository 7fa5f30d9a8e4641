"""Which files there are, and what a file is apart from its name: its hash, size and times."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeGuard

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SYSTEM = os.name
_PACKAGE = Path(__file__).resolve().parents[1]
_JUNK = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}
_JUNK |= {"thumbs.db", "desktop.ini"}


def data_path(*parts: str) -> Path:
    """Path of a file or folder the project ships, such as ``data_path("photos")``.

    In a checkout they lie beside the package, in a wheel inside it.
    """
    inside = _PACKAGE / "data"
    root = inside if inside.is_dir() else _PACKAGE.parent / "data"
    return root.joinpath(*parts)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
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
    """A file's bytes, and nanoseconds of its last edit and last change; ``(-1, 0, 0)`` without one.

    The last cannot be set back; it is 0 on Windows, which tells when a file was made instead.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return -1, 0, 0
    changed = 0 if _SYSTEM == "nt" else status.st_ctime_ns
    return status.st_size, status.st_mtime_ns, changed


def files_below(root: str, unreadable: list[str]) -> Iterator[tuple[str, bool]]:
    """What is no folder: its POSIX path relative to ``root``, and whether it is a regular file.

    Linked folders are entered, each folder once and by its own name where it has one here; hidden
    files, and systems' litter, are skipped. ``unreadable`` takes the folders that cannot be listed.
    """
    waiting, linked, seen = [""], list[str](), set()
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop(0)
        try:
            status = os.stat(os.path.join(root, folder))
            if status.st_ino and (status.st_dev, status.st_ino) in seen:
                continue  # without numbers, as on a Windows share, there are no links either
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(os.path.join(root, folder)), key=lambda e: e.name)
        except OSError:
            unreadable.append(folder)
            continue
        folders = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _JUNK:
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif entry.is_symlink() and os.path.isdir(entry.path):
                linked.append(path)
            else:
                yield path, entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path)
        waiting.extend(reversed(folders))
