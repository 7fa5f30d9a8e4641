"""Builds the course from the notebooks, their solutions and their judges.

    python course/build.py [FOLDER]     FOLDER is build/course

``student`` holds lessons without answers, and sheets; ``instructor`` is nbgrader's folder, with
solutions, rubric and points; ``slides`` open in a browser. Each is zipped.
"""

import ast
import os
import re
import shutil
import sys
from html import escape
from pathlib import Path

import nbformat
from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from nbgrader.apps import NbGraderAPI
from sheets import GRADED, HERE, NOTEBOOKS, exercises, lessons, read, sheet
from slides import as_mathml, write_slides
from traitlets.config import Config, PyFileConfigLoader

DOCS = HERE.parent / "docs"
GIVEN = ("glossary.md", "references.md")  # what the lessons look up
ASK = '"What do you see?"'
SAW = "## What did you see?\n\nSay it in three sentences, before you discuss it.\n\n"
ALL_OR_NOTHING = "The tests give all or nothing; half is for a person to give, in Formgrader."
PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Rubric</title><style>
body { font: 16px/1.5 sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em }
pre { white-space: pre-wrap; font-size: 13px }
.anchor-link { display: none }
td { vertical-align: top; width: 40%; border-top: 1px solid #ccc; padding: 0.3em }
td:first-child { width: 8em } </style>"""
TITLES = {"title", "set_title", "suptitle"}


def without_answers(text: str) -> str:
    """Markdown of a lesson without what its question asks, its conclusions, and its solutions."""
    told = r'<span class="answer"(?: data-student="([^"]*)")?>.*?</span>'
    text = re.sub(told, r"\1", text, flags=re.S)
    text = re.sub(r"\*\*You will see\*\*.*?(?=\*\*You will be able)", "", text, flags=re.S)
    text = re.sub(r"(?:Hints and s|S)olutions are[^[]*\[solutions/[^)]*\)\.", "", text)
    return re.sub(r"## What we saw\n.*?(?=^## |\Z)", SAW, text, flags=re.S | re.M)


def without_titles(source: str) -> str:
    """Code between a question and its answer, with no title that tells it, and unchecked."""
    told = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in TITLES:
            told += [(title, ASK) for title in node.args[:1]]
        if isinstance(node, ast.Call):
            told += [(one.value, ASK) for one in node.keywords if one.arg == "title"]
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "title":
            told.append((node.value, ASK))
        if isinstance(node, ast.Expr) and "lab.check(" in ast.unparse(node):
            told.append((node, ""))
    lines = source.encode().split(b"\n")
    for node, said in sorted(told, key=lambda one: (-one[0].lineno, -one[0].col_offset)):
        if isinstance(node, ast.Constant | ast.Expr):
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            begin, end = lines[first][: node.col_offset], lines[last - 1][node.end_col_offset :]
            lines[first:last] = [begin + said.encode() + end]
    return b"\n".join(line for line in lines if line.strip() != b"# fmt: skip").decode()


def linked(text: str, folder: Path) -> str:
    """Markdown of a file in ``folder``, whose links to what is not there are words."""

    def link(match: re.Match[str]) -> str:
        target = match[2].partition("#")[0]
        return match[0] if "://" in target or (folder / target).exists() else match[1]

    return re.sub(r"(?<!!)\[([^]]+)\]\(([^)\s]+)\)", link, text)


def student_lesson(path: Path, folder: Path) -> NotebookNode:
    """A lesson without outputs, answers, solutions, or titles that tell what is asked."""
    notebook, is_asked = read(path), False
    for cell in notebook.cells:
        cell.metadata.pop("alt", None)
        if cell.cell_type == "markdown":
            cell.source = linked(without_answers(cell.source), folder)
            continue
        cell.outputs, cell.execution_count = [], None
        is_asked |= ".predict(" in cell.source
        if is_asked:
            cell.source = without_titles(cell.source)
        is_asked &= ".reveal(" not in cell.source
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    return notebook


def release(instructor: Path) -> None:
    """Writes nbgrader's folder: sheets with solutions, and by its own step those without."""
    shutil.copy(HERE / "nbgrader_config.py", instructor)
    for path in lessons():
        folder = instructor / "source" / path.stem
        folder.mkdir(parents=True)
        nbformat.write(sheet(path), folder / path.name)
    config: Config = PyFileConfigLoader("nbgrader_config.py", str(instructor)).load_config()
    config.NbGrader.log_level = "ERROR"
    config.CourseDirectory.root = str(instructor.resolve())
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    api = NbGraderAPI(config=config)
    for path in lessons():
        made = api.generate_assignment(path.stem)
        if not made["success"]:
            raise SystemExit(made.get("error") or made["log"])


def write_student(student: Path, instructor: Path) -> None:
    """Writes what students get: lessons, what they look up, sheets, handouts."""
    folder, others = student / "notebooks", shutil.ignore_patterns("*.py", "*.png", "__pycache__")
    shutil.copytree(NOTEBOOKS / "figures", folder / "figures", ignore=others)
    (student / "docs").mkdir()
    names = [path.name for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    for name in names:
        (folder / name).touch()  # so that links between lessons lead somewhere
    for name in GIVEN:
        shutil.copy(DOCS / name, student / "docs")
    for path in (student / "docs").iterdir():
        path.write_text(linked(path.read_text("utf-8"), student / "docs"), "utf-8")
    for name in names:
        nbformat.write(student_lesson(NOTEBOOKS / name, folder), folder / name)
    shutil.copytree(instructor / "release", student / "sheets")
    shutil.copy(HERE / "student.md", student / "README.md")
    if (HERE / "handout").is_dir():
        shutil.copytree(HERE / "handout", student, dirs_exist_ok=True)


def rubric() -> str:
    """Questions, points, what the judges ask, and what to say to each wrong answer, as HTML."""
    total = sum(1 + sum(one.points for one in exercises(path)) for path in lessons())
    parts = [f"# Rubric\n\n{total} points in all. {ALL_OR_NOTHING}"]
    for path in lessons():
        few = list(exercises(path))
        points = 1 + sum(one.points for one in few)
        parts += [f"## {path.stem}: {points} points", "1 of them for the number of one's own half."]
        for one in few:
            graded = GRADED[one.number]
            parts += [f"### {one.number}, {one.points} points: `{one.answer}`", one.question]
            parts += [f"```python\n{one.solution}\n```", f"**Full points.** {graded['asks']}"]
            parts += [f"**Half by hand.** {graded['half']}", "**No points, and what to say:**"]
            rows = "".join(
                f"<tr><td>{kind}<td><pre>{escape(code)}</pre><td>{escape(say)}"
                for kind, (code, say) in graded["wrong"].items()
            )
            parts.append(f"<table>{rows}</table>")
            excused = graded.get("instead", {}).items()
            parts += [f"There is no attempt of the kind {kind}: {why}." for kind, why in excused]
    body = markdown2html(as_mathml("\n\n".join(parts)))
    return f"{PAGE}{body}"


def build(out: Path) -> None:
    """Builds all editions into ``out`` anew."""
    shutil.rmtree(out, ignore_errors=True)
    student, instructor, slides = (out / name for name in ("student", "instructor", "slides"))
    for folder in (student, instructor, slides):
        folder.mkdir(parents=True)
    release(instructor)
    write_student(student, instructor)
    (instructor / "rubric.html").write_text(rubric(), "utf-8")
    shutil.copy(HERE / "instructor.md", instructor / "README.md")
    shutil.copytree(
        NOTEBOOKS / "solutions",
        instructor / "solutions",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    if problem := write_slides(slides, HERE.parent / "build" / "reveal"):
        print(problem)
    for folder in (student, instructor, slides):
        shutil.make_archive(str(folder), "zip", out, folder.name)  # which unpacks to that folder
        print(f"{folder}.zip")


if __name__ == "__main__":
    build(Path(sys.argv[1] if sys.argv[1:] else "build/course"))
