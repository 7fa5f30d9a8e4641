"""A notebook's claims as one coloured table: a row a claim, a column a backbone and a data set."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from maclip_lab.evaluation import Estimate, verdicts

Cell = tuple[str, str]
Direction = Literal["+", "-"]

_PLAIN = {"above": "yes", "below": "no", "cannot tell": "cannot tell"}
_PAPER = {
    "above": "in the paper's direction",
    "below": "against it",
    "cannot tell": "cannot tell",
}
_GOOD = {"yes": True, "no": False, "in the paper's direction": True, "against it": False}
_MARKS = {True: "✓", False: "✗", None: "…"}
_COLOURS = {True: "#cdeadd", False: "#f7d5c8", None: "#f2f2f2"}


@dataclass(frozen=True)
class Claim:
    """A sentence that is true where a number is above zero, asked of several cells.

    Attributes:
        statement: the sentence.
        estimates: the number in each cell.
        paper: the sign that the paper reports; None where it says nothing.
        note: what a reader should know of this row.
    """

    statement: str
    estimates: Mapping[Cell, Estimate]
    paper: Direction | None = None
    note: str = ""

    def word(self, verdict: str) -> str:
        """The verdict on a cell in words."""
        if self.paper is None:
            return _PLAIN[verdict]
        turned = {"above": "below", "below": "above"} if self.paper == "-" else {}
        return _PAPER[turned.get(verdict, verdict)]


class Matrix:
    """Claims against cells, each judged by one correction over them all.

    Args:
        claims: the rows.

    Attributes:
        table: one row a claim and cell: the statement, the estimate and the verdict.

    Raises:
        ValueError: there is no claim.
    """

    def __init__(self, claims: Sequence[Claim]) -> None:
        if not claims:
            raise ValueError("there is no claim to judge yet")
        self._claims = tuple(claims)
        asked = [(claim, cell, one) for claim in claims for cell, one in claim.estimates.items()]
        judged = verdicts([one for _, _, one in asked])
        rows = [
            {
                "claim": claim.statement, "backbone": cell[0], "set": cell[1],
                "verdict": claim.word(row.verdict), "value": one.value, "low": one.low,
                "high": one.high, "p": one.p, "n": one.n, "clusters": one.clusters,
                "method": one.method, "detectable": row.detectable, "reason": row.reason,
                "shown": repr(one),
            }
            for (claim, cell, one), row in zip(asked, judged.itertuples(), strict=True)
        ]  # fmt: skip
        self.table = pd.DataFrame(rows)

    @property
    def caption(self) -> str:
        """What the verdicts rest on."""
        tested = int(self.table["p"].notna().sum())
        return (
            f"Verdicts by Holm's correction over the {tested} tests of this table, 5 %; "
            "intervals are 95 %, each by itself."
        )

    def __repr__(self) -> str:
        """One line a claim and cell."""
        lines = [
            f"{_MARKS[_GOOD.get(row.verdict)]} {row.claim}, {row.backbone} on {row.set}: "
            f"{row.shown}, {_verdict(row)}"
            for row in self.table.itertuples()
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = list(dict.fromkeys(cell for claim in self._claims for cell in claim.estimates))
        head = "".join(
            f"<th style='text-align:center'>{html.escape(backbone)}<br>{html.escape(name)}</th>"
            for backbone, name in cells
        )
        body = "".join(self._row(claim, cells) for claim in self._claims)
        return (
            "<table style='color:black;background:white;font-size:0.85em'>"
            f"<caption style='caption-side:bottom;text-align:left;color:black;background:white'>"
            f"{html.escape(self.caption)}</caption>"
            f"<thead><tr><th style='text-align:left'>The claim</th>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )

    def _row(self, claim: Claim, cells: Sequence[Cell]) -> str:
        rows = self.table[self.table["claim"] == claim.statement]
        known = {(row.backbone, row.set): row for row in rows.itertuples()}
        note = f"<br><small>{html.escape(claim.note)}</small>" if claim.note else ""
        shown = [f"<td style='text-align:left'>{html.escape(claim.statement)}{note}</td>"]
        for cell in cells:
            if cell not in known:
                shown.append("<td></td>")
                continue
            row = known[cell]
            colour = _COLOURS[_GOOD.get(row.verdict)]
            shown.append(
                f"<td style='text-align:center;color:black;background:{colour}'>"
                f"<b>{html.escape(row.shown)}</b><br>{html.escape(_verdict(row))}</td>"
            )
        return f"<tr>{''.join(shown)}</tr>"


def _verdict(row: object) -> str:
    """A verdict, and where it is none, what could have been shown, or why there is no number."""
    verdict, reason = str(row.verdict), str(row.reason)  # type: ignore[attr-defined]
    return f"{verdict}, {reason}" if verdict == "cannot tell" else verdict
