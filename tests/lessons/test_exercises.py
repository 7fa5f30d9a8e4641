import re

import numpy as np
import pandas as pd
import pytest
import torch

from maclip_lab.lessons.answers import ANSWERS
from maclip_lab.lessons.exercises import check
from tests.notebooks.reading import LESSONS, code_cells, read


@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_is_no_error(nothing):
    verdict = check(nothing, 4)
    assert verdict.good is None
    assert verdict.text == "your turn"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (4, 4.0),
        (0.50004, 0.5),
        (torch.tensor([1.0, 2.0]), np.array([1, 2])),
        ([1.0, 2.0], torch.tensor([1.0, 2.0], requires_grad=True)),
        ("blur", "blur"),
        (True, True),
        (pd.Series([1.0, 2.0]), [1, 2]),
        (3, lambda n: n > 2),
    ],
)
def test_a_right_answer_is_correct(answer, expected):
    assert check(answer, expected).text == "correct"


@pytest.mark.parametrize(
    ("answer", "expected", "text"),
    [
        (5, 4, "5 is not it"),
        (0.51234567, 0.5, "0.5123 is not it"),
        ([1.0, 2.0], [1.0, 2.5], "off by up to 0.5"),
        ([1.0, 2.0], [1.0], r"the shape is (2,), not (1,)"),
        ("noise", "blur", "'noise' is not it"),
        ("4", 4, "'4' is not it"),
        (float("nan"), 4, "nan is not it"),
        (1, lambda n: n > 2, "1 is not it"),
        ("x", lambda n: n > 2, "'x' cannot be judged"),
        ([[1], [2, 3]], 4, "[[1], [2, 3]] is not it"),
    ],
)
def test_a_wrong_answer_says_what_is_wrong(answer, expected, text):
    verdict = check(answer, expected)
    assert verdict.good is False
    assert text in verdict.text
    assert verdict.text.startswith("not yet: ")


def test_the_hint_stands_beside_a_wrong_answer_only():
    assert check(5, 4, hint="count again").text.endswith("; count again")
    assert "count" not in check(4, 4, hint="count again").text


def test_the_tolerance_is_the_callers():
    assert check(0.52, 0.5, atol=0.05)
    assert not check(0.52, 0.5, atol=0.01)


def test_a_long_answer_is_shortened():
    assert len(check("x" * 500, "y").text) < 100


def test_every_exercise_of_the_notebooks_has_its_answer_and_the_other_way_round():
    asked = {
        number
        for path in LESSONS
        for cell in code_cells(read(path), "exercise")
        for number in re.findall(r'check\(\s*"(\d\d\.\d)"', cell.source)
    }
    assert set(ANSWERS) == asked
