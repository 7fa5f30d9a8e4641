"""Pages made from what the package and the notebooks say themselves, before each build."""

import base64
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
from sphinx.application import Sphinx
from typer.cli import get_docs_for_click
from typer.main import get_command

import maclip_lab
from maclip_lab.cli import app as command_line
from maclip_lab.crops import protocol_for
from maclip_lab.datasets.cards import CARDS, Card

ROOT = Path(__file__).parents[1]
GENERATED = ROOT / "docs" / "generated"
BEST_FIGURES = {
    "00": "map-figure",
    "01": "pairs-figure",
    "02": "power",
    "03": "mean-figure",
    "04": "lambda-figure",
    "05": "ladder-figure",
    "06": "words-figure",
    "07": "twins-figure",
    "08": "panels-figure",
    "09": "curves-figure",
    "10": "here-figure",
}
"""Cell whose figure stands for a notebook in the gallery; without one, the first that has any."""


def write_pages(app: Sphinx) -> None:
    """Writes them below ``docs/generated``."""
    GENERATED.mkdir(exist_ok=True)
    lessons = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    _write("gallery.md", _gallery(lessons))
    order = _contents("In order", [f"/notebooks/{path.name}" for path in lessons])
    _write("lessons.md", order + _beside(ROOT / "notebooks"))
    _write("cards.md", "\n".join(map(_card, CARDS.values())))
    context = get_command(command_line).make_context("maclip-lab", [], resilient_parsing=True)
    _write("commands.md", _commands(context))
    rooms = list(_rooms())
    for room, modules in rooms:
        _write(f"{room}.rst", _room(room, modules))
    _write("api.md", _contents("Python reference", [room for room, _ in rooms]))


def _write(name: str, text: str) -> None:
    """Leaves a page that has not changed alone, so that it is not read again."""
    path = GENERATED / name
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _contents(title: str, pages: list[str]) -> str:
    return "\n".join([f"# {title}", "", "```{toctree}", *pages, "```", ""])


def _beside(folder: Path) -> str:
    """What lies beside the notebooks: programs to read."""
    parts = []
    for program in sorted(folder.glob("maclip_*.py")):
        parts += ["", f"## {program.name}", "", f"```{{literalinclude}} /notebooks/{program.name}"]
        parts += [":language: python", "```", ""]
    return "\n".join(parts)


def _gallery(lessons: list[Path]) -> str:
    cards = []
    for path in lessons:
        notebook = nbformat.read(path, as_version=4)
        title = notebook.cells[0].source.splitlines()[0].strip("# ")
        figure = GENERATED / f"{path.stem}.png"
        figure.write_bytes(_figure(notebook, BEST_FIGURES.get(path.stem[:2], "")))
        link = f"/notebooks/{path.name}"
        cards += ["", f"[![{title}](/docs/generated/{figure.name})]({link})", f"[{title}]({link})"]
    return "\n".join(["::::{container} gallery", *cards, "::::", ""])


def _figure(notebook: nbformat.NotebookNode, best: str) -> bytes:
    """The picture that a cell shows; without such a cell, the first of the notebook."""
    shown = {
        cell.id: output.data["image/png"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    }
    return base64.b64decode(shown.get(best) or next(iter(shown.values())))


def _card(card: Card) -> str:
    resize = protocol_for(card.name).resize
    facts = {
        "Where": f"<{card.url}>",
        "Licence": card.licence,
        "Paper": card.citation,
        "Files": f"`{card.layout}`",
        "Scores": f"`{card.annotations}`",
        "Pictures": f"{card.rows:,}, in the paper's list {card.paper_rows:,}",
        "Range": "{:g} to {:g}".format(*card.mos_range),
        "Better": "higher" if card.higher_is_better else "lower",
        "Size": "{} x {}".format(*card.size) if card.size else "various",
        "Resized for scoring": "{} x {}".format(*resize) if resize else "no",
        "Mind": card.note or "-",
    }
    rows = [f"| {fact} | {value} |" for fact, value in facts.items()]
    return "\n".join(
        ["", f"### {card.title}", "", f"| `{card.name}` | |", "| --- | --- |", *rows, ""]
    )


def _commands(context: object) -> str:
    return get_docs_for_click(obj=context.command, ctx=context, name="maclip-lab")


def _rooms() -> Iterator[tuple[str, list[str]]]:
    """Each folder of the package with its modules, from the root on."""
    found: dict[str, list[str]] = {"maclip_lab": []}
    for module in pkgutil.walk_packages(maclip_lab.__path__, "maclip_lab."):
        if module.ispkg:
            found[module.name] = []
        elif not module.name.rpartition(".")[2].startswith("_"):
            found[module.name.rpartition(".")[0]].append(module.name)
    yield from found.items()


def _room(room: str, modules: list[str]) -> str:
    lines = [room, "=" * len(room), "", f".. automodule:: {room}"]
    package = importlib.import_module(room)
    exported = [_home(package, name) for name in getattr(package, "__all__", ())]
    if exported:  # described where they are defined
        lines += ["   :no-members:", "", "Import from here: " + ", ".join(exported) + "."]
    lines.append("")
    for module in modules:
        lines += [module, "-" * len(module), "", f".. automodule:: {module}", ""]
    return "\n".join(lines)


def _home(package: object, name: str) -> str:
    value = getattr(package, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return f":py:obj:`{name} <{value.__module__}.{value.__qualname__}>`"
    return f"``{name}``"
