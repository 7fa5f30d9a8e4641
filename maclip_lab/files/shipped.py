"""Where the project's own data lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def data_path(*parts: str) -> Path:
    """Path of a file or folder the project ships, such as ``data_path("photos")``."""
    inside = _PACKAGE / "data"
    root = inside if inside.is_dir() else _PACKAGE.parent / "data"
    return root.joinpath(*parts)
