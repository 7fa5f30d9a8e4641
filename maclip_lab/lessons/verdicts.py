"""What a notebook says back: a judged sentence, and a question asked before a figure."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as widgets

_COLOURS = {"✓": "#007a55", "=": "#007a55", "✗": "#b5361c", "…": "#6b6b6b"}


@dataclass(frozen=True)
class Verdict:
    """A judged sentence, shown in one line.

    Attributes:
        good: whether it came out well; None where there is nothing to judge yet, or no telling.
        text: the line.
        identity: whether it could not have come out otherwise.
    """

    good: bool | None
    text: str
    identity: bool = False

    def __bool__(self) -> bool:
        """Whether it came out well."""
        return self.good is True

    def __repr__(self) -> str:
        """A mark and the line."""
        return f"{self._mark} {self.text}"

    @property
    def _mark(self) -> str:
        return "=" if self.identity else {True: "✓", False: "✗", None: "…"}[self.good]

    def _repr_html_(self) -> str:
        return (
            f"<span style='color:{_COLOURS[self._mark]};background:white;padding:0.1em 0.4em'>"
            f"<b>{self._mark}</b> {html.escape(self.text)}</span>"
        )


class Prediction:
    """A question to answer before the figure is seen; the last value of its cell.

    With a kernel it has radio buttons; where a notebook is only read, it is text.

    Args:
        question: what to predict.
        choices: the possible answers, in words.
    """

    def __init__(self, question: str, choices: Sequence[str]) -> None:
        self._question, self._choices = question, tuple(choices)
        self._radio = widgets.RadioButtons(
            options=self._choices, value=None, layout={"width": "max-content"}
        )
        self._panel = widgets.VBox([widgets.HTML(f"<b>{html.escape(question)}</b>"), self._radio])

    def reveal(self, answer: str) -> Verdict:
        """What the data say, beside what was predicted.

        Raises:
            ValueError: the answer is none of the choices.
        """
        if answer not in self._choices:
            raise ValueError(f"the choices are {', '.join(self._choices)}; {answer!r} is none")
        said = self._radio.value
        if said is None:
            return Verdict(True, f"these data say: {answer}")
        if said == answer:
            return Verdict(True, f"well predicted, these data say: {answer}")
        return Verdict(False, f"you predicted: {said}; these data say: {answer}")

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        shown: dict[str, object] = dict(self._panel._repr_mimebundle_() or {})
        listed = "".join(f"<li>{html.escape(choice)}</li>" for choice in self._choices)
        shown["text/plain"] = "\n".join([self._question, *(f"- {c}" for c in self._choices)])
        shown["text/html"] = f"<b>Predict: {html.escape(self._question)}</b><ul>{listed}</ul>"
        return shown
