"""From scores to a data set's own scale: a logistic, and how far a new picture may lie off.

Where no logistic converges, isotonic regression takes its place. The interval is cross-conformal:
the errors' quantile, corrected for finite samples, of curves fitted without the picture's fold.
Source: Barber et al., "Predictive inference with the jackknife+", Ann. Stat. 49 (2021).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import isotonic_regression

from maclip_lab.evaluation.correlations import Array, Labels, align, aligned_labels, spearman
from maclip_lab.evaluation.fits import fit_logistic
from maclip_lab.evaluation.intervals import MIN_CLUSTERS

MIN_PICTURES = 20
_FOLDS, _KNOTS = 10, 257
_SETTINGS = ("prompts", "pos_embedding", "box_lam", "base_cos", "base_norm", "alpha")


@dataclass(frozen=True)
class Calibration:
    """A monotone curve from scores to MOS; straight between its knots, level beyond them.

    ``margin`` is half the width of the prediction interval, in units of the MOS; ``n`` counts the
    pictures of the fit, and ``facts`` are what made the scores, as results record it.
    """

    scores: tuple[float, ...]
    mos: tuple[float, ...]
    margin: float
    n: int
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        x, y = np.diff(self.scores), np.diff(self.mos)
        monotone = x.shape == y.shape and (x > 0).all() and ((y >= 0).all() or (y <= 0).all())
        if not (monotone and np.isfinite([*self.scores, *self.mos]).all() and self.margin >= 0):
            raise ValueError("expected a monotone curve of finite numbers, and a margin")

    def apply(self, scores: ArrayLike) -> pd.DataFrame:
        """``mos_predicted, mos_lo, mos_hi`` of scores (N,); NaN where a score is not finite."""
        x = np.asarray(scores, dtype=float)
        y = np.where(np.isfinite(x), np.interp(x, self.scores, self.mos), np.nan)
        columns = {"mos_predicted": y, "mos_lo": y - self.margin, "mos_hi": y + self.margin}
        return pd.DataFrame(columns, index=scores.index if isinstance(scores, pd.Series) else None)

    def require(self, facts: Mapping[str, object]) -> None:
        """Raises ValueError for scores of another backbone, protocol, prompt set or constants."""
        ours, theirs = _comparable(self.facts), _comparable(facts)
        other = [f"{n}, {ours[n]}, not {theirs[n]}" for n in ours if ours[n] != theirs[n]]
        if other:
            said = f"the calibration was made with another {'; another '.join(other)}"
            raise ValueError(f"{said}; make one with the settings that score")

    def to_json(self) -> str:
        """The calibration as JSON."""
        return json.dumps(vars(self), indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Calibration":
        """What `to_json` wrote; ValueError for anything else."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"no calibration: {error}") from error


def calibrate(
    scores: ArrayLike,
    mos: ArrayLike,
    *,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
    level: float = 0.95,
    facts: Mapping[str, object] | None = None,
) -> Calibration:
    """A calibration from rated pictures; those without a score or an opinion are left out.

    Arguments are as in `evaluate`, with ``level``, the share of new pictures that the interval
    should hold, and ``facts``, what made the scores. Whole clusters are held out, for new contents.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1 such as 0.95, got {level}")
    table, quality = align({"score": scores}, mos, higher_is_better)
    labels = aligned_labels(clusters, mos, "clusters")
    table = table.assign(quality=quality, label=table.index if labels is None else labels)
    table = table[np.isfinite(table[["score", "quality"]]).all(axis=1)]
    x, y = table["score"].to_numpy(), table["quality"].to_numpy()
    codes, contents = pd.factorize(table["label"])
    needed, rank = max(MIN_PICTURES, level / (1 - level)), int(np.ceil((x.size + 1) * level))
    if x.size < max(needed, rank) or len(contents) < MIN_CLUSTERS:
        raise ValueError(
            f"{x.size} rated pictures of {len(contents)} contents are too few for a {level:.0%} "
            f"interval, which takes {needed:.0f} of {MIN_CLUSTERS}"
        )
    srcc = spearman(x, y)
    if not srcc * np.sqrt(x.size - 1) > stats.norm.ppf(0.95):
        raise ValueError(
            f"the scores do not rise with quality beyond chance, SRCC {srcc:.3f} of {x.size} "
            "pictures; check the direction of the opinions, and that neither is constant"
        )
    fold = np.random.default_rng(0).permutation(len(contents))[codes] % _FOLDS
    errors = np.full(x.size, np.nan)
    for held in (fold == number for number in np.unique(fold)):
        errors[held] = np.abs(y[held] - np.interp(x[held], *_curve(x[~held], y[~held])))
    knots, values = _curve(x, y)
    kept = np.unique(np.linspace(0, knots.size - 1, _KNOTS).round().astype(int))
    values = values if higher_is_better else -values
    at, told = tuple(knots[kept].tolist()), tuple(values[kept].tolist())
    return Calibration(at, told, float(np.sort(errors)[rank - 1]), x.size, dict(facts or {}))


def _curve(x: Array, quality: Array) -> tuple[Array, Array]:
    """Distinct scores, ascending, and their quality by the logistic; by steps where none fits."""
    fit = fit_logistic(x, quality)
    knots, first, place = np.unique(x, return_index=True, return_inverse=True)
    if fit.converged and fit.direction > 0:
        return knots, np.maximum.accumulate(fit.fitted[first])
    counts = np.bincount(place)
    return knots, isotonic_regression(np.bincount(place, quality) / counts, weights=counts).x


def _comparable(facts: Mapping[str, object]) -> dict[str, object]:
    """What two sets of scores must share; a protocol's name, reading and precision need not be."""
    plain = json.loads(json.dumps(facts, default=str))
    cut = {name: v for name, v in (plain.get("protocol") or {}).items() if name != "name"}
    named = {"backbone": plain.get("weights_sha256"), "protocol": cut}
    return named | {name: plain.get(name) for name in _SETTINGS}
