"""Executes notebooks from top to bottom and stores their outputs, small and free of timings.

    python notebooks/refresh.py             all of them, the solutions too
    python notebooks/refresh.py 03 08       those whose names begin so, and their solutions

A notebook that fails, or grows too large, stays as it was, and the exit status is 1.
"""

import argparse
import base64
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).parent
MAX_BYTES = 400_000
CELL_TIMEOUT = 300
SMALL_PICTURE = 8_000
PIXELS_A_COLOUR = 100  # at least so many in a drawing; photographs have fewer
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def find_notebooks(prefixes: Sequence[str], *folders: Path) -> list[Path]:
    """Notebooks in ``folders``, in order, whose names begin with one of ``prefixes``; all if there is none.

    Raises:
        SystemExit: a prefix fits no notebook.
    """
    every = [path for folder in folders for path in sorted(folder.glob("*.ipynb"))]
    prefixes = [Path(prefix).name for prefix in prefixes]
    lost = [prefix for prefix in prefixes if not any(p.name.startswith(prefix) for p in every)]
    if lost:
        raise SystemExit(f"no notebook's name begins with {lost[0]!r}")
    return [p for p in every if not prefixes or p.name.startswith(tuple(prefixes))]


def prepare_kernels() -> None:
    """Lets kernels import this checkout, and draw into their notebook."""
    os.environ.pop("MPLBACKEND", None)
    paths = filter(None, [os.environ.get("PYTHONPATH"), str(HERE.parent)])
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def execute(path: Path) -> NotebookNode:
    """The notebook at ``path`` with fresh outputs.

    Raises:
        CellExecutionError: a cell fails that is not marked to fail.
    """
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=KERNEL["name"],
        resources=folder,
    )
    client.execute()
    return notebook


def trim(notebook: NotebookNode) -> None:
    """Drops timings, widgets and their state, and versions, and shrinks pictures, in place.

    A cell's metadata ``alt`` goes with the pictures that it shows.
    """
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        kept = {
            key: cell.metadata[key] for key in ("tags", "jupyter", "alt") if key in cell.metadata
        }
        cell.metadata = nbformat.from_dict(kept)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:  # which stands in for a widget where there is no kernel
                data.pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in data:
                data |= shrink(data.pop("image/png"))
            if "metadata" in output:
                output.metadata = nbformat.from_dict(described(data, kept.get("alt")))


def described(data: NotebookNode, alt: str | None) -> dict[str, dict[str, str]]:
    """What an output's metadata say of its picture to whoever cannot see it."""
    return {kind: {"alt": alt} for kind in data if alt and kind.startswith("image/")}


def shrink(encoded: str) -> dict[str, str]:
    """A base64 PNG in fewer bytes: by a palette, or as a JPEG where it shows photographs.

    A palette gives clean photographs specks of foreign colours, which a course on the quality of
    pictures must not.
    """
    raw = base64.b64decode(encoded)
    if len(raw) <= SMALL_PICTURE:
        return {"image/png": encoded}
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(raw)) as picture:
        image = picture.convert("RGB")
    if image.getcolors(image.width * image.height // PIXELS_A_COLOUR) is None:
        image.save(buffer, "JPEG", quality=90, subsampling=0, optimize=True)
        return {"image/jpeg": base64.b64encode(buffer.getvalue()).decode("ascii") + "\n"}
    small = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(buffer, "PNG", optimize=True)
    shrunk = min(raw, buffer.getvalue(), key=len)
    return {"image/png": base64.b64encode(shrunk).decode("ascii") + "\n"}


def refresh(path: Path) -> str:
    """Executes one notebook and stores it; returns what is wrong, or nothing."""
    try:
        notebook = execute(path)
    except CellExecutionError as error:
        return f"a cell fails\n{error}"
    except TimeoutError as error:
        return f"a cell takes more than {CELL_TIMEOUT} s: {error}"
    trim(notebook)
    text = nbformat.writes(notebook) + "\n"
    if len(text.encode()) > MAX_BYTES:
        size = len(text.encode()) // 1000
        return f"{size} kB, more than {MAX_BYTES // 1000}: fewer or smaller figures"
    nbformat.validate(notebook)
    path.write_text(text, encoding="utf-8")
    return ""


def main(prefixes: Sequence[str]) -> int:
    """Refreshes what was named and says how each went; returns the exit status."""
    prepare_kernels()
    problems = {}
    for path in find_notebooks(prefixes, HERE, HERE / "solutions"):
        problems[path] = refresh(path)
        size = f"{path.stat().st_size // 1000} kB"
        print(f"{path.relative_to(HERE)}: {problems[path] or size}", flush=True)
    return int(any(problems.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", help="names or their beginnings, such as 03")
    sys.exit(main(parser.parse_args().notebooks))
