"""What ``make course`` builds: students find no answer, and whatever is handed in is graded."""

import ast
import csv
import os
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser

import nbformat
import pytest
from sheets import GRADED, NOTEBOOKS, exercises, lessons, sources
from traitlets.config import PyFileConfigLoader

from maclip_lab.lessons.lesson import judges
from tests.conftest import needs_chromium
from tests.course.conftest import PATH, ROOT
from tests.notebooks.reading import LESSONS, links, markdown, read

SHEET = "06_prompts_and_crops"  # the shortest
REVEALED = re.compile(r"\.reveal\(\s*[\"']")


def texts(folder):
    """Everything in a folder that can be read as text, by its file."""
    return {
        path: path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.suffix in (".ipynb", ".md", ".html", ".svg", ".toml", ".py", ".txt")
    }


def plain(text):
    """A text without escapes and blanks, so that a line is found however it is written."""
    return re.sub(r"\\n|\\|\s", "", text)


@pytest.fixture(scope="module")
def student(course):
    return {path: plain(text) for path, text in texts(course / "student").items()}


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


def test_no_line_of_a_solution_or_of_a_judge_is_in_the_students_edition(student):
    known = plain("".join(text for path in LESSONS for text in sources(path).values()))
    lines = [
        line for path in lessons() for one in exercises(path) for line in one.solution.splitlines()
    ]
    lines += (NOTEBOOKS / "solutions" / "judges.py").read_text(encoding="utf-8").splitlines()
    own = {line for line in map(plain, lines) if len(line) > 20 and line not in known}
    own -= {plain(line) for line in lines if line.startswith(("import ", "from "))}
    assert len(own) > 300
    found = [(path.name, line) for path, text in student.items() for line in own if line in text]
    assert not found


def test_no_judge_hidden_test_or_link_to_a_solution_is_in_the_students_edition(student):
    names = {judge.__name__ for judge in judges().values()}
    for path, text in student.items():
        for word in (
            *names,
            "HIDDENTESTS",
            "BEGINSOLUTION",
            "judges.py",
            "solutions/",
            "is_fooled",
        ):
            assert word not in text, (path.name, word)


def test_no_answer_to_a_question_is_in_a_lesson_of_the_students_edition(course):
    for path in LESSONS:
        given = nbformat.read(course / "student" / "notebooks" / path.name, as_version=4)
        assert not any(cell.get("outputs") for cell in given.cells)
        assert not any("alt" in cell.metadata for cell in given.cells)
        prose = "".join(cell.source for cell in given.cells if cell.cell_type == "markdown")
        for told in ("You will see", "What we saw", "<span", "data-student"):
            assert told not in prose
        titles = [cell for cell in read(path).cells if cell.cell_type == "code"]
        asked = next(i for i, cell in enumerate(titles) if ".predict(" in cell.source)
        shown = next(i for i, cell in enumerate(titles) if ".reveal(" in cell.source)
        whole = "".join(cell.source for cell in given.cells)
        codes = [cell.source for cell in given.cells if cell.cell_type == "code"]
        assert "lab.check(" not in "".join(codes[asked : shown + 1])
        for cell in titles[asked : shown + 1]:
            for title in re.findall(r'(?:title\(|title = |title=)"([^"{]+)"', cell.source):
                assert title not in whole


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_an_answer_is_computed_where_it_is_revealed_and_written_nowhere(path):
    told = [cell.source for cell in read(path).cells if ".reveal(" in cell.source]
    assert len(told) == 1
    assert not REVEALED.search(told[0]) or " if " in told[0]


def test_code_of_the_students_edition_can_be_run(course):
    for path in sorted((course / "student").rglob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "%pip" not in cell.source:
                ast.parse(cell.source)


def test_links_of_the_students_and_the_instructors_edition_lead_somewhere(course):
    pages = [*(course / "student").rglob("*.ipynb"), *(course / "student").rglob("*.md")]
    for path in [*pages, course / "instructor" / "README.md"]:
        lesson = path.suffix == ".ipynb"
        for target in links(markdown(read(path)) if lesson else path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), (path.name, target)


def test_an_exercise_without_its_judge_says_who_judges_it(monkeypatch):
    from maclip_lab.lessons import lesson

    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(lesson, "judges", gone)
    said = lesson.Lesson("02").exercise("02.1", 1)
    assert repr(said) == "… this exercise is judged by your instructor, not here"


def test_the_rubric_names_every_exercise_its_points_and_every_wrong_answer(course):
    class Text(HTMLParser):
        said = ""

        def handle_data(self, data):
            self.said += data

    page = Text()
    page.feed((course / "instructor" / "rubric.html").read_text(encoding="utf-8"))
    for number, graded in GRADED.items():
        assert f"{number}, " in page.said
        for _, say in graded["wrong"].values():
            assert say in page.said


def hand_in(folder, student, change, *, solved=True, name=SHEET, file=""):
    """Puts a sheet as a student hands it in where nbgrader collects it."""
    given = nbformat.read(folder / "release" / name / f"{name}.ipynb", as_version=4)
    known = {
        cell.id: cell for cell in nbformat.read(folder / "source" / name / f"{name}.ipynb", 4).cells
    }
    for cell in given.cells if solved else []:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = known[cell.id].source
    change({cell.id: cell for cell in given.cells}, given)
    archive = folder / "downloaded" / name / "archive"
    archive.mkdir(parents=True, exist_ok=True)
    nbformat.write(given, archive / (file.format(name) or f"{student}_{name}.ipynb"))


def as_it_is(cells, notebook):
    pass


def warns(cells, notebook):
    cells["exercise-2"].source = cells["exercise-2"].source.replace(
        "return", "__import__('warnings').warn('loud')\n    return"
    )


def ends(cells, notebook):
    cells["exercise-1"].source = "import os\ndef direction(texts):\n    os._exit(1)"


def never_ends(cells, notebook):
    loop = "while True:\n        try: pass\n        except BaseException: pass"
    cells["exercise-1"].source = f"def direction(texts):\n    {loop}"


def gone_and_renamed(cells, notebook):
    notebook.cells = [cell for cell in notebook.cells if not cell.id.startswith("exercise-1")]
    cells["exercise-2"].source = cells["exercise-2"].source.replace("share", "part")


def exits(cells, notebook):
    cells["exercise-1"].source = "exit()"


def puts_a_half_in_place(cells, notebook):
    cells["setup"].source = cells["setup"].source.replace("[backbone, name]", "['tiny-rn', name]")
    cells["own"].source = "import types\nrated = types.SimpleNamespace(value=0.5)\n"
    cells["own"].source += "rated.srcc, number = lambda score: rated, 0.5"


def runs_nothing(cells, notebook):
    cells["own"].source = "get_ipython().input_transformers_cleanup.append(lambda lines: [])"


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


def test_nbgrader_grades_a_solution_an_empty_sheet_a_crash_and_lost_cells(course, tmp_path):
    folder = shutil.copytree(course / "instructor", tmp_path / "instructor")
    hand_in(folder, "ada", warns)
    hand_in(folder, "bob", as_it_is, solved=False)
    hand_in(folder, "eve", ends)
    hand_in(folder, "kim", gone_and_renamed)
    hand_in(folder, "max", runs_nothing)
    hand_in(folder, "Zoë O'Hara", exits, file="Zoë O'Hara_{} (1).ipynb")
    hand_in(folder, "4711", puts_a_half_in_place, file="Moodle 12_file_4711_{}.ipynb")
    points, reasons = graded(folder)
    earned = {"ada": 7, "bob": 0, "eve": 3, "kim": 1, "max": 0, "Zoë O'Hara": 3, "4711": 6}
    assert points == earned
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
def test_an_answer_that_never_ends_is_stopped_and_the_rest_is_graded(course, tmp_path):
    folder = shutil.copytree(course / "instructor", tmp_path / "instructor")
    hand_in(folder, "eve", never_ends)
    points, reasons = graded(folder)
    assert points == {"eve": 3}
    assert "30 seconds" in reasons["eve", "exercise-1-test"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.stem for path in lessons() if path.stem != SHEET])
def test_nbgrader_gives_a_solution_all_points_and_an_empty_sheet_none(course, tmp_path, name):
    folder = shutil.copytree(course / "instructor", tmp_path / "instructor")
    hand_in(folder, "ada", as_it_is, name=name)
    hand_in(folder, "bob", as_it_is, solved=False, name=name)
    path = next(path for path in lessons() if path.stem == name)
    whole = 1 + sum(one.points for one in exercises(path))
    assert graded(folder, name)[0] == {"ada": whole, "bob": 0}


def test_without_a_network_one_sentence_says_why_there_are_no_slides(tmp_path):
    pytest.importorskip("latex2mathml", reason="needs the extra: pip install -e '.[course]'")
    asked = "from pathlib import Path; from slides import write_slides as write"
    asked += f"; print(write(Path({str(tmp_path)!r}), Path({str(tmp_path)!r})))"
    environment = os.environ | {"PIP_NO_INDEX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT / "course", env=environment, capture_output=True
    )
    assert done.stdout.startswith(b"no slides: reveal.js cannot be fetched without a network")
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
