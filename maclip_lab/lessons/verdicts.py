"""What a notebook says back: judged sentences, a question before a figure, a table of claims."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ipywidgets as widgets
import pandas as pd

from maclip_lab.evaluation import Estimate, verdicts

Cell = tuple[str, str]
Direction = Literal["+", "-"]

_COLOURS = {"✓": "#007a55", "=": "#007a55", "✗": "#b5361c", "…": "#6b6b6b"}
_SHADES = {"✓": "#cdeadd", "✗": "#f7d5c8", "…": "#f2f2f2"}
_WORDS = {
    None: {"above": "yes", "below": "no"},
    "+": {"above": "in the paper's direction", "below": "against it"},
    "-": {"above": "against it", "below": "in the paper's direction"},
}
_OF_SIGNS = {"in the paper's direction": "the paper's sign", "against it": "the other sign"}
_MARKS = {
    **dict.fromkeys(["yes", "in the paper's direction", "the paper's sign"], "✓"),
    **dict.fromkeys(["no", "against it", "the other sign"], "✗"),
}


@dataclass(frozen=True)
class Verdict:
    """A judged sentence, shown in one line behind a mark.

    The mark is "✓" or "✗", "=" where it could only come out so, or "…": nothing to judge yet.
    """

    mark: Literal["✓", "✗", "=", "…"]
    text: str

    def __bool__(self) -> bool:
        """Whether it came out well."""
        return self.mark in "✓="

    def __repr__(self) -> str:
        """The mark and the line."""
        return f"{self.mark} {self.text}"

    def _repr_html_(self) -> str:
        return (
            f"<span style='color:{_COLOURS[self.mark]};background:white;padding:0.1em 0.4em'>"
            f"<b>{self.mark}</b> {html.escape(self.text)}</span>"
        )


class Prediction:
    """A question, and possible answers, before a figure is seen; the last value of its cell.

    With a kernel it has radio buttons; where a notebook is only read, it is text.
    """

    def __init__(self, question: str, choices: Sequence[str]) -> None:
        self._question, self._choices = question, tuple(choices)
        self._radio = widgets.RadioButtons(
            options=self._choices, value=None, layout={"width": "max-content"}
        )
        self._panel = widgets.VBox([widgets.HTML(f"<b>{html.escape(question)}</b>"), self._radio])

    def reveal(self, answer: str) -> Verdict:
        """What the data say, one of the choices, beside what was predicted."""
        if answer not in self._choices:
            raise ValueError(f"the choices are {', '.join(self._choices)}; {answer!r} is none")
        guess = self._radio.value
        if guess in (None, answer):
            praise = "" if guess is None else "well predicted, "
            return Verdict("✓", f"{praise}these data say: {answer}")
        return Verdict("✗", f"you predicted: {guess}; these data say: {answer}")

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        bundle: dict[str, object] = dict(self._panel._repr_mimebundle_() or {})
        listed = "".join(f"<li>{html.escape(choice)}</li>" for choice in self._choices)
        bundle["text/plain"] = "\n".join([self._question, *(f"- {c}" for c in self._choices)])
        bundle["text/html"] = f"<b>Predict: {html.escape(self._question)}</b><ul>{listed}</ul>"
        return bundle


@dataclass(frozen=True)
class Claim:
    """A sentence that is true where a number is above zero, asked of several cells.

    The number is usually a lead of one SRCC over another; ``paper`` is the sign that the paper
    reports, None where it says nothing; ``note`` is what a reader should know of this row.
    """

    statement: str
    estimates: Mapping[Cell, Estimate]
    paper: Direction | None = None
    note: str = ""


class Matrix:
    """Claims against cells, each judged by one correction over them all.

    ``table`` has a row a claim and cell: the statement, the estimate and the verdict. Severity is
    no opinion: there a verdict is on the sign alone.
    """

    def __init__(self, claims: Sequence[Claim]) -> None:
        if not claims:
            raise ValueError("there is no claim to judge yet")
        self._claims = claims
        asked = [(claim, cell) for claim in claims for cell in claim.estimates]
        estimates = [claim.estimates[cell] for claim, cell in asked]
        judged, rows = verdicts(estimates).itertuples(), []
        for (claim, (backbone, name)), number, row in zip(asked, estimates, judged, strict=True):
            verdict = _WORDS[claim.paper].get(row.verdict, row.verdict)
            if name == "severity":
                verdict = _OF_SIGNS.get(verdict, verdict)
            rows.append(
                {
                    "claim": claim.statement, "backbone": backbone, "set": name,
                    "verdict": verdict, "value": row.value, "low": row.low, "high": row.high,
                    "p": row.p, "n": number.n, "clusters": number.clusters, "method": number.method,
                    "detectable": row.detectable, "reason": row.reason, "shown": repr(number),
                }
            )  # fmt: skip
        self.table = pd.DataFrame(rows)

    def _cells(self) -> Iterator[tuple[Any, str, str]]:
        """Rows of the table, each with its mark, and its verdict with what stands behind it."""
        for row in self.table.itertuples():
            mark = _MARKS.get(row.verdict, "…")
            yield row, mark, f"{row.verdict}, {row.reason}" if mark == "…" else row.verdict

    def __repr__(self) -> str:
        """One line a claim and cell."""
        return "\n".join(
            f"{mark} {row.claim}, {row.backbone} on {row.set}: {row.shown}, {verdict}"
            for row, mark, verdict in self._cells()
        )

    def _repr_html_(self) -> str:
        head = dict.fromkeys(zip(self.table["backbone"], self.table["set"], strict=True))
        titles = "".join(
            f"<th style='text-align:center'>{html.escape(backbone)}<br>{html.escape(name)}</th>"
            for backbone, name in head
        )
        cells = {
            (row.claim, row.backbone, row.set): (
                f"<td style='text-align:center;color:black;background:{_SHADES[mark]}'>"
                f"<b>{html.escape(row.shown)}</b><br>{html.escape(verdict)}</td>"
            )
            for row, mark, verdict in self._cells()
        }
        body = ""
        for claim in self._claims:
            note = f"<br><small>{html.escape(claim.note)}</small>" if claim.note else ""
            body += f"<tr><td style='text-align:left'>{html.escape(claim.statement)}{note}</td>"
            body += "".join(cells.get((claim.statement, *cell), "<td></td>") for cell in head)
            body += "</tr>"
        caption = (
            f"Verdicts by Holm's correction over the {self.table['p'].count()} tests of this "
            "table, 5 %; intervals are 95 %, each by itself."
        )
        return (
            "<table style='color:black;background:white;font-size:0.85em'>"
            f"<caption style='caption-side:bottom;text-align:left;color:black;background:white'>"
            f"{html.escape(caption)}</caption>"
            f"<thead><tr><th style='text-align:left'>The claim</th>{titles}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )
