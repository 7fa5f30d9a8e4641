"""Is a weights file the one it should be? Asked before it is opened, every time."""

from pathlib import Path

from maclip_lab.errors import IntegrityError
from maclip_lab.files.identity import is_sha256, sha256_of
from maclip_lab.weights.backbones import OPENAI_SHA256


def recorded_sha256(path: Path) -> str | None:
    """The sha256 written beside a file, in ``sha256sum``'s format."""
    try:
        digest = _record_of(path).read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return None
    return digest if is_sha256(digest) else None


def record_sha256(path: Path, digest: str) -> None:
    """Write a file's sha256 beside it; ``sha256sum -c`` reads it."""
    _record_of(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8", newline="\n")


def verified_sha256(
    path: Path, expected: str | None, *, fate: str = "It was left where it is; replace it"
) -> str:
    """The file's sha256, if it is the expected one.

    Where none is expected, any will do; ``fate`` says what became of a wrong file, and what to
    do.

    Raises:
        IntegrityError: it is another; the message shows both and the file's first bytes.
    """
    actual = sha256_of(path)
    if expected in (None, actual):
        return actual
    with path.open("rb") as stream:
        start = stream.read(40)  # an error page betrays itself here
    whose = f", that of {OPENAI_SHA256[actual]}," if actual in OPENAI_SHA256 else ","
    raise IntegrityError(
        f"{path} is damaged or another file: its {path.stat().st_size:,} bytes have the sha256 "
        f"{actual}{whose} expected {expected}; it begins with {start!r}. {fate}"
    )


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
