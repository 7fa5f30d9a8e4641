"""Graded sheets: one a lesson, from its notebook, its solutions and its judges."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"
GRADED = tomllib.loads((HERE / "exercises.toml").read_text("utf-8"))
CELLS = {k: v.strip() for k, v in tomllib.loads((HERE / "sheet.toml").read_text("utf-8")).items()}
POINTS_A_STAR = 2


@dataclass(frozen=True)
class Exercise:
    """An exercise of a lesson, as its notebooks have it."""

    number: str
    question: str
    answer: str
    solution: str
    points: int


def read(path: Path) -> NotebookNode:
    """The notebook at ``path``."""
    return nbformat.read(path, as_version=4)


def sources(path: Path) -> dict[str, str]:
    """The code of a notebook by its cells' names, the cell that installs the package left out."""
    return {c.id: c.source for c in read(path).cells if c.cell_type == "code" and c.id != "install"}


def lessons() -> list[Path]:
    """The notebooks that have graded exercises."""
    numbers = sorted({number[:2] for number in GRADED})
    return [next(NOTEBOOKS.glob(f"{number}_*.ipynb")) for number in numbers]


def binds(node: ast.AST) -> set[str]:
    """The names that a statement of a module binds."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def needed(source: str, *names: str) -> str:
    """The statements of a module that some of its names need, in order."""
    body, wanted, kept = ast.parse(source).body, set(names), set[int]()
    while found := {i for i, node in enumerate(body) if binds(node) & wanted} - kept:
        kept |= found
        wanted |= {n.id for i in found for n in ast.walk(body[i]) if isinstance(n, ast.Name)}
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [n for n in node.names if binds(ast.Import([n])) & wanted]
    return "\n\n".join(ast.unparse(body[i]) for i in sorted(kept))


def exercises(path: Path) -> Iterator[Exercise]:
    """The graded exercises of the lesson at ``path``."""
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    asked = re.findall(r"(?ms)^\*\*(\d)\.\*\* (.+?)(?=^\*\*|\Z)", text.partition("## Exercises")[2])
    solved = sources(NOTEBOOKS / "solutions" / path.name)
    known = [node for source in solved.values() for node in ast.parse(source).body]
    imports = [ast.unparse(n) for n in known if isinstance(n, ast.Import | ast.ImportFrom)]
    for place, question in asked:
        number = f"{path.name[:2]}.{place}"
        if number in GRADED:
            code, _, call = solved[f"exercise-{place}"].rpartition("lab.exercise(")
            answer = call.rstrip(")\n").split(", ")[1]
            solution = needed("\n".join([*imports, code]), answer)
            points = POINTS_A_STAR * question.count("★")
            yield Exercise(number, question.strip(), answer, solution, points)


def hidden(exercise: Exercise) -> str:
    """The hidden test of an exercise: its judge, and what that needs, in one cell."""
    source = (NOTEBOOKS / "solutions" / "judges.py").read_text("utf-8")
    name = re.search(rf'"{exercise.number}": (\w+),', source)[1]
    judge = needed(source, name) + "\n\nfrom maclip_lab.lessons.lesson import Lesson"
    graded = GRADED[exercise.number]
    told = {"wrong": graded["wrong"]["constant"][0], "answer": exercise.answer, "name": name}
    told |= {"asks": graded["asks"], "lesson": exercise.number[:2], "judge": indent(judge, "    ")}
    return CELLS["hidden"].format(**told)


def known_cell(source: str, name: str, points: int = 0, *, answer: bool = False) -> NotebookNode:
    """A cell as nbgrader knows it: an answer, or what is put back when a student changed it."""
    told = {"grade_id": name, "grade": bool(points), "solution": answer, "locked": not answer}
    told |= {"schema_version": 3, "task": False} | ({"points": points} if points else {})
    return new_code_cell(source, id=name, metadata={"nbgrader": told})


def pair(name: str, solution: str, look: str, test: str, points: int) -> list[NotebookNode]:
    """An answer, what a student may see of it, and its hidden test."""
    answer = f"### BEGIN SOLUTION\n{solution}\n### END SOLUTION"
    judged = f"### BEGIN HIDDEN TESTS\n{test}\n### END HIDDEN TESTS"
    told = f"# worth {points}, by a test that you do not see\n{judged}"
    seen = [new_code_cell(look, id=f"{name}-look")] if look else []
    return [known_cell(answer, name, answer=True), *seen, known_cell(told, f"{name}-test", points)]


def sheet(path: Path) -> NotebookNode:
    """The graded sheet of the lesson at ``path``, with solutions and hidden tests in it."""
    notebook = read(path)
    title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
    tools = ast.parse(sources(NOTEBOOKS / "solutions" / path.name).get("tools", "")).body
    given = "\n\n\n".join(ast.unparse(node) for node in tools if isinstance(node, ast.FunctionDef))
    setup = CELLS["setup"].format(number=path.name[:2])
    cells = [
        new_markdown_cell(CELLS["how"].format(number=path.name[:2], title=title), id="title"),
        new_code_cell(CELLS["who"], id="student"),
        known_cell(f"{sources(path)['imports']}\n\n\n{given}".strip(), "imports"),
        known_cell(setup, "setup"),
        new_markdown_cell(CELLS["own"], id="own-text"),
        *pair("own", CELLS["own_answer"], "", f"{setup}\n{CELLS['own_test']}", 1),
    ]
    for one in exercises(path):
        place, graded = one.number[-1], GRADED[one.number]
        asked = CELLS["asked"].format(place=place, **vars(one))
        look = CELLS["look"].format(look=graded["look"], form=graded["form"])
        cells.append(new_markdown_cell(asked, id=f"exercise-{place}-text"))
        cells += pair(f"exercise-{place}", one.solution, look, hidden(one), one.points)
    metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
    return new_notebook(cells=cells, metadata=metadata)
