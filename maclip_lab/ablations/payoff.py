"""When two cues together are better than the better one: the theory of a mean of two numbers.

Two cues follow quality with correlations s (the stronger) and w (the weaker), and each other with
r. Brought to one spread, their mean follows quality with (s + w) / sqrt(2 + 2 r), whatever they
are. It is better than the stronger cue alone where w / s exceeds sqrt(2 + 2 r) - 1: a weak cue pays
if it errs elsewhere. The best weights, which only the scores could tell, gain wherever w / s is not
r itself. (These are Pearson's correlations; on ranks, as here, an approximation.)
Source: Gulliksen, Theory of Mental Tests (1950), on composites of tests.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from maclip_lab.ablations.rated import RatedSet
from maclip_lab.evaluation.correlations import spearman, standardise
from maclip_lab.evaluation.estimates import Estimate


def mean_correlation(strong: float, weak: float, between: float) -> float:
    """Correlation of the mean of two cues of equal spread with quality.

    >>> round(mean_correlation(0.4, 0.3, 0.0), 3)
    0.495
    """
    return float((strong + weak) / np.sqrt(2 + 2 * between))


@dataclass(frozen=True)
class Payoff:
    """Two cues of one data set, by rank correlations.

    Attributes:
        stronger: name of the cue that follows quality better.
        strong: its SRCC.
        weak: SRCC of the other.
        between: SRCC of the cues with each other.
        predicted: gain of their mean over the stronger cue, by theory.
        measured: the same gain as found, for cues brought to one spread by their ranks.
        plain: the gain of the plain mean, in which the cue of the wider spread counts more.
        spread: standard deviation of the cosine cue over that of the magnitude cue.
    """

    stronger: str
    strong: float
    weak: float
    between: float
    predicted: float
    measured: Estimate
    plain: Estimate
    spread: float

    @property
    def place(self) -> tuple[float, float]:
        """Correlation of the cues with each other, and the weaker's SRCC over the stronger's."""
        return self.between, self.weak / self.strong


def payoff(rated: RatedSet) -> Payoff:
    """How far a data set's two cues pay together."""
    table = rated.table[["q_cos", "q_mag"]].where(rated.table["quality"].notna()).dropna()
    quality = rated.quality[table.index].to_numpy(dtype=float)
    ranks = table.apply(lambda cue: standardise(rankdata(cue)))
    follows = ranks.apply(lambda cue: spearman(cue.to_numpy(), quality))
    strong, weak = follows.max(), follows.min()
    between = spearman(*ranks.to_numpy().T)
    best, everything = rated.table[str(follows.idxmax())], rated.facts.index
    return Payoff(
        str(follows.idxmax()),
        strong,
        weak,
        between,
        predicted=mean_correlation(strong, weak, between) - strong,
        measured=rated.lead(ranks.sum(axis=1).reindex(everything), best),
        plain=rated.lead(table.sum(axis=1).reindex(everything), best),
        spread=float(table["q_cos"].std() / table["q_mag"].std()),
    )


def payoff_table(found: dict[str, Payoff]) -> pd.DataFrame:
    """Payoffs side by side, a column a data set, for reading."""
    rows = {
        name: {
            "stronger cue": one.stronger,
            "its SRCC": f"{one.strong:+.2f}",
            "SRCC of the other": f"{one.weak:+.2f}",
            "SRCC between the cues": f"{one.between:+.2f}",
            "gain at equal spread, predicted": f"{one.predicted:+.3f}",
            "gain at equal spread, found": str(one.measured),
            "the cosine spreads wider by": f"x {one.spread:.1f}",
            "gain of the plain mean, found": str(one.plain),
        }
        for name, one in found.items()
    }
    return pd.DataFrame(rows)
