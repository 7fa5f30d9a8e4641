"""A number with its interval, and what the interval allows to say."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from maclip_lab.evaluation.correlations import Array
from maclip_lab.evaluation.intervals import percentile_interval

Finding = Literal["yes", "no", "cannot tell"]


class Estimate(NamedTuple):
    """A number and its interval; NaN ends where there is none.

    >>> print(Estimate(0.25, 0.161, 0.342))
    +0.25 [+0.16, +0.34]
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """The number and its interval, signed, to two digits, or three where two say nothing."""
        digits = 2 if max(map(abs, self)) >= 0.1 else 3
        value, low, high = (f"{round(number, digits) + 0:+.{digits}f}" for number in self)
        return f"{value} [{low}, {high}]"

    @classmethod
    def of(cls, value: float, replicates: Array, level: float = 0.95) -> "Estimate":
        """A number with the percentile interval of its bootstrap replicates (B,)."""
        return cls(float(value), *percentile_interval(replicates, level))

    @classmethod
    def beyond(cls, value: float, null: Array, level: float = 0.95) -> "Estimate":
        """How far a number lies above the draws (B,) of chance, beside the middle of those."""
        return cls.of(float(value - np.nanmean(null)), value - null, level)


def finding(
    estimate: Estimate, *, needs: Iterable[Estimate] = (), within: float | None = None
) -> Finding:
    """Whether a number is above zero, as far as its interval lets one say.

    Args:
        estimate: usually a difference.
        needs: numbers that must be surely above zero for the question to make sense, such as the
            agreement with quality of a score whose settings are compared.
        within: ask instead whether the number is surely nearer to zero than this.

    Returns:
        "yes" where the whole interval says so, "no" where the whole interval denies it, and else
        "cannot tell".
    """
    if not all(need.low > 0 for need in needs):
        return "cannot tell"
    low, high = estimate.low, estimate.high
    yes, no = (low > 0, high < 0)
    if within is not None:
        yes, no = (low > -within and high < within, low > within or high < -within)
    return "yes" if yes else "no" if no else "cannot tell"
