"""Sentences of a notebook that are checked where they stand.

A claim holds for the backbone and data set that a notebook was written with, and there a broken one
is an error. With other parameters a reader wants to be told that it does not hold, and to read on.
"""

import html
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """A judged sentence, shown in one line.

    Attributes:
        good: whether it came out well; None where there is nothing to judge yet.
        text: the line.
    """

    good: bool | None
    text: str

    def __bool__(self) -> bool:
        """Whether it came out well."""
        return self.good is True

    def __repr__(self) -> str:
        """A mark and the line."""
        return f"{self._mark} {self.text}"

    @property
    def _mark(self) -> str:
        return {True: "✓", False: "✗", None: "…"}[self.good]

    def _repr_html_(self) -> str:
        colour = {True: "#007a55", False: "#b5361c", None: "#6b6b6b"}[self.good]
        return (
            f"<span style='color:{colour};background:white;padding:0.1em 0.4em'>"
            f"<b>{self._mark}</b> {html.escape(self.text)}</span>"
        )


@dataclass(frozen=True)
class Claims:
    """Checks sentences: an error when one is broken, or only a note.

    Attributes:
        strict: a broken claim is an error. Notebooks set it where their parameters are those they
            were written with.

    >>> claim = Claims(strict=False)
    >>> claim(2 > 1, "two is more than one")
    ✓ two is more than one
    >>> claim(1 > 2, "one is more than two")
    ✗ does not hold with these parameters: one is more than two
    """

    strict: bool = True

    def __call__(self, holds: object, sentence: str) -> Verdict:
        """The sentence with its verdict.

        Args:
            holds: whether it is true; anything with one truth value.
            sentence: what is claimed.

        Raises:
            AssertionError: it does not hold, and this is strict.
        """
        if bool(holds):
            return Verdict(True, sentence)
        if self.strict:
            raise AssertionError(f"does not hold: {sentence}")
        return Verdict(False, f"does not hold with these parameters: {sentence}")
