"""Exercises that turn green: an answer is compared with what the package computes."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from maclip_lab.lessons.answers import ANSWERS
from maclip_lab.lessons.claims import Verdict


def check(
    exercise: object, answer: object, *material: object, atol: float = 1e-4, hint: str = ""
) -> Verdict:
    """Whether an exercise's answer is right; never an error, so that a reader can go on.

    What is expected stands in `answers`, out of sight. Numbers, arrays and tensors are compared by
    value, anything else by equality. An older form gives the answer, and then what is expected.

    Args:
        exercise: its number, such as ``"01.1"``.
        answer: the reader's; None, or ``...``, while there is none.
        material: what the answer is computed from.
        atol: how far a number may be off.
        hint: said beside a wrong answer.

    >>> check("01.1", None)
    … your turn
    >>> check("01.1", 35)
    ✗ not yet: 35 is not it; the solutions fold a hint away
    """
    if isinstance(exercise, str) and exercise in ANSWERS:
        expected = partial(ANSWERS[exercise], *material)
        hint = hint or "the solutions fold a hint away"
    else:
        expected, answer = partial(_same, answer), exercise
    if answer is None or answer is ...:
        return Verdict(None, "your turn")
    problem = _problem(answer, expected(), atol)
    if problem is None:
        return Verdict(True, "correct")
    return Verdict(False, f"not yet: {problem}" + (f"; {hint}" if hint else ""))


def _same(value: object) -> object:
    return value


def _problem(
    answer: object, expected: object | Callable[[object], bool], atol: float
) -> str | None:
    """What is wrong with an answer; None if nothing is."""
    if callable(expected):
        try:
            right = bool(expected(answer))
        except Exception as error:  # the answer may be of any kind, and the judge may trip over it
            return f"{_short(answer)} cannot be judged ({error})"
        return None if right else f"{_short(answer)} is not it"
    given, wanted = _numbers(answer), _numbers(expected)
    if wanted is None or given is None:
        return None if answer == expected else f"{_short(answer)} is not it"
    if given.shape != wanted.shape:
        return f"the shape is {given.shape}, not {wanted.shape}"
    off = np.abs(given - wanted)
    if not (off <= atol).all():
        return f"{_short(answer)} is not it" if not off.shape else f"off by up to {off.max():.2g}"
    return None


def _numbers(value: object) -> np.ndarray | None:
    """A value as float64, or None where it is not made of numbers."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return array.astype(np.float64) if array.dtype.kind in "biuf" else None


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
