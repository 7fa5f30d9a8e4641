"""Notebooks as the tests read them."""

import ast
import re
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
SOLUTIONS = sorted(FOLDER.glob("solutions/*.ipynb"))


@cache
def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode, tag: str | None = None) -> list[NotebookNode]:
    """Code cells that are run, or those with a tag."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if tag is None:
        return [cell for cell in cells if "nbval-skip" not in tags(cell)]
    return [cell for cell in cells if tag in tags(cell)]


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def markdown(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def shown(cell: NotebookNode) -> str:
    """Everything a cell displays as text."""
    texts = []
    for output in cell.outputs:
        texts.append(output.get("text", ""))
        texts += [v for k, v in output.get("data", {}).items() if k.startswith("text/")]
        texts += output.get("traceback", [])
    return "\n".join("".join(text) for text in texts)


def figures(notebook: NotebookNode) -> int:
    return sum(
        any(kind.startswith("image/") for kind in output.get("data", {}))
        for cell in code_cells(notebook)
        for output in cell.outputs
    )


def links(text: str) -> list[str]:
    """Targets of a Markdown text's links to other files, without their fragments."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [
        t.split("#")[0] for t in targets if not t.startswith(("#", "http:", "https:", "mailto:"))
    ]


def names_of_ours(notebook: NotebookNode) -> set[str]:
    """What a notebook uses of the package: attributes of ``ml`` and of ``lab``."""
    nodes = (node for cell in code_cells(notebook) for node in ast.walk(ast.parse(cell.source)))
    wholes = (ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute))
    return {".".join(w.split(".")[:2]) for w in wholes if re.fullmatch(r"(ml|lab)(\.\w+)+", w)}
