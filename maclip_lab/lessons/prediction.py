"""Predict before you look: a question in front of a figure, and what the data say behind it."""

import html
from collections.abc import Sequence

import ipywidgets as widgets

from maclip_lab.lessons.claims import Verdict


class Prediction:
    """A question to answer before the figure is seen; the last value of its cell.

    With a kernel it has radio buttons. Where a notebook is only read, it is text with the answer
    folded away.

    Args:
        question: what to predict.
        choices: the possible answers, in words.
        answer: that of them which the data support.

    Raises:
        ValueError: the answer is none of the choices.
    """

    def __init__(self, question: str, choices: Sequence[str], answer: str | None = None) -> None:
        if answer is not None and answer not in choices:
            raise ValueError(f"the choices are {', '.join(choices)}; the answer {answer!r} is none")
        self._question, self._choices, self._answer = question, tuple(choices), answer or ""
        self._radio = widgets.RadioButtons(
            options=self._choices, value=None, layout={"width": "max-content"}
        )
        self._panel = widgets.VBox([widgets.HTML(f"<b>{html.escape(question)}</b>"), self._radio])

    def reveal(self, answer: str | None = None) -> Verdict:
        """What the data say, beside what was predicted.

        Raises:
            ValueError: the answer is none of the choices.
        """
        answer, said = answer or self._answer, self._radio.value
        if answer not in self._choices:
            raise ValueError(f"the choices are {', '.join(self._choices)}; {answer!r} is none")
        if said is None:
            return Verdict(True, f"these data say: {answer}")
        if said == answer:
            return Verdict(True, f"well predicted, these data say: {answer}")
        return Verdict(False, f"you predicted: {said}; these data say: {answer}")

    @property
    def _folded(self) -> str:
        """The answer for whoever only reads, where it is known before the figure."""
        if not self._answer:
            return ""
        return f"<details><summary>What the data say</summary>{html.escape(self._answer)}</details>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        shown: dict[str, object] = dict(self._panel._repr_mimebundle_() or {})
        listed = "".join(f"<li>{html.escape(choice)}</li>" for choice in self._choices)
        shown["text/plain"] = "\n".join([self._question, *(f"- {c}" for c in self._choices)])
        shown["text/html"] = (
            f"<b>Predict: {html.escape(self._question)}</b><ul>{listed}</ul>{self._folded}"
        )
        return shown


def predict(question: str, choices: Sequence[str], answer: str) -> Prediction:
    """A question with radio buttons; see `Prediction`.

    >>> guess = predict("Which is larger?", ["one", "two"], max("one", "two", key=len))
    >>> guess.reveal()
    ✓ these data say: one
    """
    return Prediction(question, choices, answer)
