"""Graded sheets: every answer and wrong attempt, by the very tests that are hidden in them."""

import io
import re
import warnings
from contextlib import redirect_stdout

import matplotlib as mpl
import nbformat
import pytest
from sheets import GRADED, NOTEBOOKS, exercises, hidden, lessons, sheet, sources

from maclip_lab.lessons.lesson import judges

KINDS = {"constant", "noise", "page", "unpaired", "sign_blind", "leaking"}
STUDENTS = ("ada", "Grace H.", "4711", "Émilie", "名前", "zoe")
ALIKE = {"02_statistics_by_hand": {"exercise-4-look"}}  # yes or no
SHEETS = pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def style():
    """The house style, which a sheet sets, ends with its test."""
    with mpl.rc_context():
        yield


def begun(path, student, monkeypatch):
    """The names that a sheet knows when its student begins, and what it printed."""
    monkeypatch.setenv("STUDENT", student)
    known, printed = {}, io.StringIO()
    with redirect_stdout(printed):
        for cell in sheet(path).cells:
            if cell.id in ("student", "imports", "setup"):
                exec(cell.source, known)
    return known, printed.getvalue()


def earns(test, known):
    """Whether a hidden test is passed."""
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()) as said:
            exec(test, known)
    except Exception:  # whatever a wrong answer ends with
        return False
    return said.getvalue().endswith("judged\n")


def test_all_exercises_of_eight_lessons_are_graded_but_one():
    asked = {number for number in judges() if "02" <= number[:2] <= "09"}
    assert asked - set(GRADED) == {"06.3"}
    assert [one.number for path in lessons() for one in exercises(path)] == list(GRADED)
    assert len(GRADED) == 24


@pytest.mark.parametrize("number", GRADED)
def test_six_wrong_attempts_stand_with_what_to_say_and_each_that_has_no_sense_is_excused(number):
    graded = GRADED[number]
    wrong = graded["wrong"]
    assert len(wrong) == len(KINDS)
    assert set(graded.get("instead", {})) == KINDS - set(wrong)
    assert all(len(say) > 15 for _, say in wrong.values())


@SHEETS
def test_every_solution_earns_its_points_whoever_the_student_is(path, monkeypatch):
    printed, seen = set(), {}
    for student in STUDENTS:
        known, said = begun(path, student, monkeypatch)
        printed.add(said.partition(": ")[2])
        for cell in sheet(path).cells if student in STUDENTS[:3] else []:
            told = cell.metadata.get("nbgrader", {})
            if told.get("solution") or cell.id.endswith("-look"):
                exec(cell.source, known)
            if cell.id.endswith("-look"):
                seen.setdefault(cell.id, set()).add(repr(known["yours"]))
            if told.get("grade") and (student == STUDENTS[0] or cell.id == "own-test"):
                assert earns(cell.source, known), cell.id
    assert len(printed) == len(STUDENTS)
    alike = {name for name, results in seen.items() if len(results) < 2}
    assert alike <= ALIKE.get(path.stem, set())


@SHEETS
def test_no_wrong_attempt_earns_a_point(path, monkeypatch):
    known, _ = begun(path, STUDENTS[1], monkeypatch)
    for one in exercises(path):
        for kind, (code, _) in GRADED[one.number]["wrong"].items():
            tried = dict(known)
            exec(code, tried)
            assert one.answer in tried, (one.number, kind)
            assert not earns(hidden(one), tried), (one.number, kind)


def test_the_half_is_the_same_each_time_and_ones_number_is_not_a_neighbours(monkeypatch):
    path = lessons()[0]
    first, said = begun(path, "Ada ", monkeypatch)
    assert begun(path, "ada", monkeypatch)[1] == said
    test = next(cell.source for cell in sheet(path).cells if cell.id == "own-test")
    number = round(first["rated"].srcc(first["score"]).value, 3)
    assert earns(test, first | {"number": number})
    other, _ = begun(path, "bob", monkeypatch)
    assert not earns(test, other | {"number": number})
    assert not earns(test, first | {"number": number})  # the answer put a neighbour's half in place


@pytest.mark.parametrize("name", ["", " ", "anna_maria"])
def test_a_name_that_cannot_be_told_from_the_files_is_refused(name, monkeypatch):
    with pytest.raises(ValueError, match="write your name or number, without _"):
        begun(lessons()[0], name, monkeypatch)


def test_a_judge_whose_tools_were_changed_passes_nobody(monkeypatch):
    path = lessons()[0]
    known, _ = begun(path, "ada", monkeypatch)
    one = next(iter(exercises(path)))
    monkeypatch.setattr("numpy.allclose", lambda *given, **more: True)
    assert not earns(hidden(one), known | {"interval": lambda x, q, rng: (0, 1)})
    monkeypatch.undo()
    assert not earns(hidden(one), known | {"interval": lambda x, q, rng: (0, 1), "bool": callable})


def test_sheets_are_valid_and_ask_for_the_functions_of_the_solutions():
    for path in lessons():
        nbformat.validate(sheet(path))
        solved = "\n".join(sources(NOTEBOOKS / "solutions" / path.name).values())
        for one in exercises(path):
            assert f'lab.exercise("{one.number}", {one.answer})' in solved
            assert one.points in (2, 4, 6)
            called = re.findall(r"`(\w+)\(", one.question)
            assert called[:1] in ([], [one.answer]), one.number
