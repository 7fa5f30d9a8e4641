"""Is a weights file the one it should be? Asked before it is opened, every time."""

import hashlib
import os
import re
from pathlib import Path

from maclip_lab.errors import IntegrityError
from maclip_lab.weights.backbones import OPENAI_SHA256

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str | None) -> bool:
    """Whether ``text`` is a sha256 in lower-case hexadecimal."""
    return text is not None and _SHA256.fullmatch(text) is not None


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def recorded_sha256(path: Path) -> str | None:
    """The sha256 written beside a file when it was fetched, in ``sha256sum``'s format."""
    try:
        digest = _record_of(path).read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return None
    return digest if is_sha256(digest) else None


def record_sha256(path: Path, digest: str) -> None:
    """Write a file's sha256 beside it; ``sha256sum -c`` reads it."""
    _record_of(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def verified_sha256(path: Path, expected: str | None, *, set_aside: bool) -> str:
    """The file's sha256, if it is the expected one.

    Args:
        path: the file.
        expected: its published or recorded sha256; None accepts any.
        set_aside: rename a wrong file to ``*.corrupt``: for files of our own cache only.

    Raises:
        IntegrityError: it is another; the message shows both and the file's first bytes.
    """
    actual = sha256_of(path)
    if expected in (None, actual):
        return actual
    start = first_bytes(path)
    fate = "It was left where it is; replace it"
    if set_aside:
        corrupt = path.with_name(f"{path.name}.corrupt")
        os.replace(path, corrupt)
        fate = f"It was renamed {corrupt.name} and not loaded; the next run fetches a fresh copy"
    whose = f", that of {OPENAI_SHA256[actual]}," if actual in OPENAI_SHA256 else ","
    raise IntegrityError(
        f"{path} is damaged or another file: its sha256 is {actual}{whose} expected {expected}; "
        f"it begins with {start!r}. {fate}"
    )


def first_bytes(path: Path) -> bytes:
    """What a file begins with: an error page betrays itself here."""
    with path.open("rb") as stream:
        return stream.read(40)


def move_into_place(temporary: Path, path: Path, digest: str) -> None:
    """Give a complete, verified file its final name in one step, its sha256 beside it."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    record_sha256(path, digest)
    os.replace(temporary, path)


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
