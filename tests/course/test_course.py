"""What ``make course`` builds: students find no answer, and whatever is handed in is graded."""

import ast
import csv
import html
import os
import re
import shutil
import subprocess
import sys
import zipfile
from unittest.mock import Mock

import nbformat
import pytest
from sheets import GRADED, NOTEBOOKS, exercises, lessons, sources
from traitlets.config import PyFileConfigLoader

from maclip_lab.lessons import lesson
from tests.conftest import needs_chromium
from tests.course.conftest import PATH, ROOT
from tests.notebooks.reading import LESSONS, code_cells, links, markdown, read

SHEET = "06_prompts_and_crops"  # the shortest
TEXTS = (".ipynb", ".md", ".html", ".svg", ".toml", ".py", ".txt")


def plain(text):
    """A text without escapes and blanks, so that a line is found however it is written."""
    return re.sub(r"\\n|\\|\s", "", text)


@pytest.fixture
def instructor(course, tmp_path):
    """nbgrader's folder, a copy of one's own."""
    return shutil.copytree(course / "instructor", tmp_path / "instructor")


def test_each_edition_is_there_with_its_zip(course):
    for name in ("student", "instructor", "slides"):
        with zipfile.ZipFile(course / f"{name}.zip") as packed:
            files = {one for one in packed.namelist() if not one.endswith("/")}
        there = (path for path in (course / name).rglob("*") if path.is_file())
        assert files == {path.relative_to(course).as_posix() for path in there}
    names = sorted(path.name for path in (course / "student" / "notebooks").glob("*.ipynb"))
    assert names == [path.name for path in LESSONS]
    sheets = sorted(path.stem for path in (course / "student" / "sheets").rglob("*.ipynb"))
    assert sheets == [path.stem for path in lessons()]


def test_no_solution_judge_or_hidden_test_is_in_the_students_edition(course):
    known = plain("".join(text for path in LESSONS for text in sources(path).values()))
    lines = [
        line for path in lessons() for one in exercises(path) for line in one.solution.splitlines()
    ]
    lines += (NOTEBOOKS / "solutions" / "judges.py").read_text(encoding="utf-8").splitlines()
    own = {line for line in map(plain, lines) if len(line) > 20 and line not in known}
    own -= {plain(line) for line in lines if line.startswith(("import ", "from "))}
    assert len(own) > 300
    own |= {judge.__name__ for judge in lesson.judges().values()}
    own |= {"HIDDENTESTS", "BEGINSOLUTION", "judges.py", "solutions/", "is_fooled"}
    for path in (course / "student").rglob("*"):
        text = plain(path.read_text(encoding="utf-8")) if path.suffix in TEXTS else ""
        assert not [line for line in own if line in text], path.name


def test_no_answer_to_a_question_is_in_a_lesson_of_the_students_edition(course):
    for path in LESSONS:
        given = nbformat.read(course / "student" / "notebooks" / path.name, as_version=4)
        assert not any(cell.get("outputs") or "alt" in cell.metadata for cell in given.cells)
        prose = markdown(given)
        for told in ("You will see", "What we saw", "<span", "data-student"):
            assert told not in prose
        cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
        asked = next(i for i, cell in enumerate(cells) if ".predict(" in cell.source)
        shown = next(i for i, cell in enumerate(cells) if ".reveal(" in cell.source) + 1
        codes = [cell.source for cell in given.cells if cell.cell_type == "code"]
        assert "lab.check(" not in "".join(codes[asked:shown])
        for cell in cells[asked:shown]:
            for title in re.findall(r'(?:title\(|title = |title=)"([^"{]+)"', cell.source):
                assert title not in prose + "".join(codes)


def test_code_of_the_students_edition_is_whole_and_links_lead_somewhere(course):
    for path in (course / "student").rglob("*.ipynb"):
        for cell in code_cells(read(path)):
            ast.parse(cell.source)
        for target in links(markdown(read(path))):
            assert (path.parent / target).exists(), (path.name, target)
    for path in [*(course / "student").rglob("*.md"), course / "instructor" / "README.md"]:
        for target in links(path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), (path.name, target)


def test_an_exercise_without_its_judge_says_who_judges_it(monkeypatch):
    monkeypatch.setattr(lesson, "judges", Mock(side_effect=FileNotFoundError))
    said = lesson.Lesson("02").exercise("02.1", 1)
    assert repr(said) == "… this exercise is judged by your instructor, not here"


def test_the_rubric_names_every_exercise_its_points_and_every_wrong_answer(course):
    page = (course / "instructor" / "rubric.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    for number, graded in GRADED.items():
        assert f"{number}, " in text
        for _, say in graded["wrong"].values():
            assert say in text


def hand_in(folder, student, changes=(), *, solved=True, name=SHEET, file="{}_{}.ipynb"):
    """Puts a sheet as a student hands it in where nbgrader collects it.

    ``changes`` gives, by a cell's name, its source, or what is replaced in it, or None: it goes.
    """
    given = nbformat.read(folder / "release" / name / f"{name}.ipynb", as_version=4)
    solution = nbformat.read(folder / "source" / name / f"{name}.ipynb", as_version=4)
    known = {cell.id: cell.source for cell in solution.cells}
    changes = dict(changes)
    for cell in given.cells:
        if solved and cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = known[cell.id]
        new = changes.get(cell.id, cell.source)
        cell.source = cell.source.replace(*new) if isinstance(new, tuple) else new
    given.cells = [cell for cell in given.cells if cell.source is not None]
    archive = folder / "downloaded" / name / "archive"
    archive.mkdir(parents=True, exist_ok=True)
    nbformat.write(given, archive / file.format(student, name))


WARNS = {"exercise-2": ("return", "__import__('warnings').warn('loud')\n    return")}
ENDS = {"exercise-1": "import os\ndef direction(texts):\n    os._exit(1)"}
NEVER_ENDS = {
    "exercise-1": """def direction(texts):
    while True:
        try: pass
        except BaseException: pass"""
}
LOSES_ONE_AND_EXITS = {
    **dict.fromkeys(f"exercise-1{end}" for end in ("", "-text", "-look", "-test")),
    "exercise-2": "exit()",
}
PUTS_A_HALF_IN_PLACE = {
    "setup": ("[backbone, name]", "['tiny-rn', name]"),
    "own": """import types
rated = types.SimpleNamespace(value=0.5)
rated.srcc, number = lambda score: rated, 0.5""",
}
RUNS_NOTHING = {"own": "get_ipython().input_transformers_cleanup.append(lambda lines: [])"}


def graded(folder, name=SHEET):
    """Points by student, and why a test gave none, after nbgrader's own steps."""
    environment = os.environ | {"PATH": PATH, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("MPLBACKEND", None)
    for step in (["zip_collect", name], ["autograde", name], ["export"]):
        command = [sys.executable, "-m", "nbgrader", *step]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    with (folder / "grades.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["assignment"] == name]
    reasons = {}
    for path in (folder / "autograded").rglob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.metadata.get("nbgrader", {}).get("grade"):
                problem = [o.evalue for o in cell.outputs if o.output_type == "error"]
                reasons[path.parts[-3], cell.metadata.nbgrader.grade_id] = "".join(problem)
    return {row["student_id"]: float(row["score"]) for row in rows}, reasons


def test_nbgrader_grades_a_solution_an_empty_sheet_a_crash_and_lost_cells(instructor):
    hand_in(instructor, "Zoë O'Hara", WARNS, file="{}_{} (1).ipynb")
    hand_in(instructor, "bob", solved=False)
    hand_in(instructor, "eve", ENDS)
    hand_in(instructor, "kim", LOSES_ONE_AND_EXITS)
    hand_in(instructor, "max", RUNS_NOTHING)
    hand_in(instructor, "4711", PUTS_A_HALF_IN_PLACE, file="Moodle 12_file_{}_{}.ipynb")
    points, reasons = graded(instructor)
    assert points == {"Zoë O'Hara": 7, "bob": 0, "eve": 3, "kim": 1, "max": 0, "4711": 6}
    assert "not the number of your half" in reasons["4711", "own-test"]
    assert "left out" in reasons["eve", "exercise-1-test"]
    assert "'direction' is not defined" in reasons["kim", "exercise-1-test"]
    assert "'share' is not defined" in reasons["kim", "exercise-2-test"]
    assert reasons["max", "own-test"] == "this test did not run"


def test_hidden_tests_are_kept_in_no_history_that_the_next_sheet_could_read():
    pytest.importorskip("nbgrader", reason="needs the extra: pip install -e '.[course]'")
    config = PyFileConfigLoader("nbgrader_config.py", str(ROOT / "course")).load_config()
    assert "--HistoryManager.hist_file=:memory:" in config.Run.extra_arguments


@pytest.mark.slow
def test_an_answer_that_never_ends_is_stopped_and_the_rest_is_graded(instructor):
    hand_in(instructor, "eve", NEVER_ENDS)
    points, reasons = graded(instructor)
    assert points == {"eve": 3}
    assert "30 seconds" in reasons["eve", "exercise-1-test"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [p.stem for p in lessons() if p.stem != SHEET])
def test_nbgrader_gives_a_solution_all_points_and_an_empty_sheet_none(instructor, name):
    hand_in(instructor, "ada", name=name)
    hand_in(instructor, "bob", name=name, solved=False)
    whole = 1 + sum(one.points for one in exercises(NOTEBOOKS / f"{name}.ipynb"))
    assert graded(instructor, name)[0] == {"ada": whole, "bob": 0}


def test_without_a_network_one_sentence_says_why_there_are_no_slides(tmp_path, monkeypatch):
    pytest.importorskip("latex2mathml", reason="needs the extra: pip install -e '.[course]'")
    from slides import write_slides

    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said = write_slides(tmp_path, tmp_path)
    assert said.startswith("no slides: reveal.js cannot be fetched without a network")
    assert not list(tmp_path.iterdir())


CUT_OFF = """() => Reveal.getSlides().flatMap(slide => {
    const at = Reveal.getIndices(slide);
    Reveal.slide(at.h, at.v);
    return [...slide.querySelectorAll('h1, h2, p, li, img, math, table')]
        .filter(node => !node.closest('aside') && node.getClientRects().length)
        .map(node => [node, node.getBoundingClientRect()])
        .filter(([_, box]) => box.right > 1280 || box.bottom > 720 || box.left < 0 || box.top < 0)
        .map(([node, box]) => `${at.h}/${at.v} ${node.tagName} ${node.textContent.slice(0, 40)} `
            + [box.left, box.top, box.right, box.bottom].map(Math.round));
})"""


@needs_chromium
def test_no_slide_is_cut_off_at_1280_pixels_and_none_asks_a_network(course, browser):
    pages = sorted((course / "slides").glob("*.html"))
    if not pages:
        pytest.skip("reveal.js was never fetched here, by `make course`")
    assert [page.stem for page in pages] == [path.stem for path in LESSONS]
    page, asked, problems = browser.new_page(viewport={"width": 1280, "height": 720}), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    for path in pages:
        page.goto(path.as_uri())
        page.wait_for_function("window.Reveal && Reveal.isReady()")
        count = page.evaluate("Reveal.getTotalSlides()")
        pictures = page.evaluate("document.querySelectorAll('section img').length")
        assert count > 8, path.name
        assert pictures, path.name
        problems += [f"{path.stem} {one}" for one in page.evaluate(CUT_OFF)]
    page.close()
    assert not problems
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
