"""Notebooks as the tests read them."""

import ast
import re
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
PLANNED = (
    "00_quickstart",
    "01_the_method",
    "02_statistics_by_hand",
    "03_magnitude_and_why",
    "04_box_cox",
    "05_fusion",
    "06_prompts_and_crops",
    "07_backbone_comparison",
    "08_full_evaluation",
    "09_training_a_tiny_clip",
    "10_reproduce",
)
LESSONS = sorted(FOLDER.glob("*.ipynb"))
SOLUTIONS = sorted(FOLDER.glob("solutions/*.ipynb"))
COMPLETE = {path.stem for path in LESSONS} >= set(PLANNED)


@cache
def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def is_laboratory(path: Path) -> bool:
    """Whether a notebook is of the kind that shows its work, by one import of ours."""
    return any("import maclip_lab as ml" in cell.source for cell in code_cells(read(path)))


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
    found = set()
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            whole = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if re.fullmatch(r"(ml|lab)(\.\w+)+", whole):
                found.add(".".join(whole.split(".")[:2]))
    return found
