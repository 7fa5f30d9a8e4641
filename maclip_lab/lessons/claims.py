"""Sentences of a notebook that are checked where they stand, and what it found, made of them.

Three kinds. An identity follows from the method and holds for every backbone: where it fails there
is a fault. A claim holds for the backbone and data set that a notebook was written with, and there
a broken one is an error; with other parameters a reader wants to be told, and to read on. A
measured sentence has three outcomes: an interval may allow neither to affirm nor to deny it.
"""

import html
from collections.abc import Iterable
from dataclasses import dataclass, field

from maclip_lab.evaluation.estimates import Estimate, Finding, finding

_MEASURED: dict[Finding, tuple[bool | None, str]] = {
    "yes": (True, ""),
    "no": (False, "not so: "),
    "cannot tell": (None, "cannot tell: "),
}
_PAPER: dict[Finding, tuple[bool | None, str]] = {
    "yes": (True, "as in the paper: "),
    "no": (False, "unlike the paper, it is not so that "),
    "cannot tell": (None, "cannot tell whether, with the paper, "),
}
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


@dataclass(frozen=True)
class Summary:
    """What a notebook saw: its sentences, each with its mark."""

    verdicts: tuple[Verdict, ...]

    def __repr__(self) -> str:
        """One line a sentence."""
        return "\n".join(map(repr, self.verdicts))

    def _repr_html_(self) -> str:
        return "<br>".join(verdict._repr_html_() for verdict in self.verdicts)


@dataclass(frozen=True)
class Claims:
    """Checks sentences, and remembers them for `summary`.

    Attributes:
        strict: a broken claim is an error. Notebooks set it where their parameters are those they
            were written with.

    >>> claim = Claims(strict=False)
    >>> claim(2 > 1, "two is more than one")
    ✓ two is more than one
    >>> claim(1 > 2, "one is more than two")
    ✗ does not hold with these parameters: one is more than two
    >>> claim.paper("two cues beat one", Estimate(0.02, -0.01, 0.05))
    … cannot tell whether, with the paper, two cues beat one: +0.020 [-0.010, +0.050]
    """

    strict: bool = True
    _said: dict[str, Verdict] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, holds: object, sentence: str) -> Verdict:
        """The sentence with its verdict.

        Args:
            holds: whether it is true; anything with one truth value.
            sentence: what is claimed.

        Raises:
            AssertionError: it does not hold, and this is strict.
        """
        if bool(holds):
            return self._keep(sentence, Verdict(True, sentence))
        if self.strict:
            raise AssertionError(f"does not hold: {sentence}")
        return self._keep(
            sentence, Verdict(False, f"does not hold with these parameters: {sentence}")
        )

    def identity(self, holds: object, sentence: str) -> Verdict:
        """A sentence that follows from the method, whatever the backbone.

        Raises:
            AssertionError: it does not hold, so there is a fault, strict or not.
        """
        if not bool(holds):
            raise AssertionError(f"holds by construction, and does not: {sentence}")
        return self._keep(sentence, Verdict(True, sentence, identity=True))

    def measured(
        self,
        sentence: str,
        estimate: Estimate,
        *,
        needs: Iterable[Estimate] = (),
        within: float | None = None,
    ) -> Verdict:
        """A sentence that an interval affirms, denies, or leaves open.

        Args:
            sentence: true where the number is above zero.
            estimate: the number, usually a difference of two on the same pictures.
            needs: numbers that must be surely above zero for the question to make sense.
            within: the sentence is true where the number is nearer to zero than this.
        """
        return self._judge(_MEASURED, sentence, estimate, needs, within)

    def paper(
        self,
        sentence: str,
        estimate: Estimate,
        *,
        needs: Iterable[Estimate] = (),
        within: float | None = None,
    ) -> Verdict:
        """As `measured`, for a sentence of the paper: whether what is seen here agrees."""
        return self._judge(_PAPER, sentence, estimate, needs, within)

    def summary(self) -> Summary:
        """All sentences so far, in order, each once and as it came out last."""
        return Summary(tuple(self._said.values()))

    def _judge(
        self,
        words: dict[Finding, tuple[bool | None, str]],
        sentence: str,
        estimate: Estimate,
        needs: Iterable[Estimate],
        within: float | None,
    ) -> Verdict:
        needed = list(needs)
        good, word = words[finding(estimate, needs=needed, within=within)]
        text = f"{word}{sentence}: {estimate}"
        if not all(need.low > 0 for need in needed):
            text += ", and what is compared here does not surely follow quality"
        return self._keep(sentence, Verdict(good, text))

    def _keep(self, sentence: str, verdict: Verdict) -> Verdict:
        self._said[sentence] = verdict
        return verdict
