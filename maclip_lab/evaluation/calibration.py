"""From scores to a data set's own scale: a monotone curve, and how far a new picture may lie off.

The interval is that of split-conformal prediction with folds in place of a split: each picture's
error is that of a curve fitted without its fold, and the margin is the errors' quantile with its
correction for finite samples. It asks for nothing but new pictures of the same kind.

Source: Vovk, "Cross-conformal predictors", Ann. Math. Artif. Intell. 74 (2015); Barber et al.,
"Predictive inference with the jackknife+", Ann. Stat. 49 (2021).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import isotonic_regression

from maclip_lab.evaluation.correlations import Array
from maclip_lab.evaluation.fits import fit_logistic
from maclip_lab.evaluation.intervals import MIN_CLUSTERS
from maclip_lab.evaluation.ratings import align, aligned_labels

Shape = Literal["logistic", "isotonic"]
MIN_PICTURES = 20
_FOLDS = 10
_KNOTS = 257
_BY_CHANCE = 0.05
_SETTINGS = ("prompts", "pos_embedding", "box_lam", "base_cos", "base_norm", "alpha")


@dataclass(frozen=True)
class Calibration:
    """A monotone curve from scores to MOS.

    Attributes:
        scores: knots, ascending; between them the curve is straight, beyond them level.
        mos: the curve at the knots, in the data set's own units and direction.
        margin: half the width of the prediction interval, in units of the MOS.
        level: share of new pictures whose MOS the interval should hold.
        n: pictures it was fitted on.
        srcc: of scores and MOS on them, positive where both mean better.
        facts: what made the scores, as results record it; may be empty.
    """

    scores: tuple[float, ...]
    mos: tuple[float, ...]
    margin: float
    level: float
    n: int
    srcc: float
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        x, y = np.array(self.scores, dtype=float), np.array(self.mos, dtype=float)
        good = x.ndim == 1 and x.shape == y.shape and x.size > 1 and bool((np.diff(x) > 0).all())
        good = good and bool(np.isfinite([*x, *y, self.margin]).all()) and self.margin >= 0
        if not (good and ((np.diff(y) >= 0).all() or (np.diff(y) <= 0).all())):
            raise ValueError("a calibration is a monotone curve with a margin, of finite numbers")

    def apply(self, scores: ArrayLike) -> pd.DataFrame:
        """``mos_predicted, mos_lo, mos_hi`` of scores (N,); NaN where a score is not finite."""
        x = np.asarray(scores, dtype=float)
        y = np.where(np.isfinite(x), np.interp(x, self.scores, self.mos), np.nan)
        columns = {"mos_predicted": y, "mos_lo": y - self.margin, "mos_hi": y + self.margin}
        return pd.DataFrame(columns, index=getattr(scores, "index", None))

    def require(self, facts: Mapping[str, object]) -> None:
        """Refuses scores that were made otherwise than those it was fitted on.

        Args:
            facts: what made the scores, as results record it.

        Raises:
            ValueError: another backbone, protocol or prompt set, or other constants.
        """
        ours, theirs = _comparable(self.facts), _comparable(facts)
        other = [name for name in ours if ours[name] != theirs[name]]
        if other:
            raise ValueError(
                "the calibration was made with another "
                + "; another ".join(f"{n}, {ours[n]}, not {theirs[n]}" for n in other)
                + "; make one with the settings that score (maclip-lab calibrate)"
            )

    def to_json(self) -> str:
        """The calibration as JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Calibration":
        """The calibration that `to_json` wrote.

        Raises:
            ValueError: the text is none.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"this is no calibration: {error}") from error


def calibrate(
    scores: ArrayLike,
    mos: ArrayLike,
    *,
    higher_is_better: bool = True,
    clusters: Sequence[object] | None = None,
    shape: Shape = "logistic",
    level: float = 0.95,
    facts: Mapping[str, object] | None = None,
) -> Calibration:
    """A calibration from rated pictures; those without a score or an opinion are left out.

    Args:
        scores: (N,), higher means better quality.
        mos: mean opinion scores (N,) in the data set's own units and direction.
        higher_is_better: direction of ``mos``; False for DMOS.
        clusters: label of each picture's reference (N,); whole references are held out, so that
            the interval is one for pictures of new contents.
        shape: ``"logistic"``, four parameters, or ``"isotonic"``, any that does not fall.
        level: share of new pictures whose MOS the interval should hold.
        facts: what made the scores, as results record it.

    Raises:
        ValueError: too few pictures or references, constant numbers, or scores that do not rise
            with quality beyond chance.
    """
    if shape not in ("logistic", "isotonic"):
        raise ValueError(f'shape is "logistic" or "isotonic", got {shape!r}')
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1 such as 0.95, got {level}")
    ratings = align({"score": scores}, mos, higher_is_better=higher_is_better)
    usable = ratings.usable(0)
    x, quality = ratings.predictions[usable, 0], ratings.quality[usable]
    rank = math.ceil((x.size + 1) * level)
    if x.size < max(MIN_PICTURES, rank):
        needed = max(MIN_PICTURES, math.ceil(level / (1 - level) - 1e-9))
        raise ValueError(
            f"{x.size} pictures with a score and an opinion are too few to calibrate on; "
            f"a {level:.0%} interval needs at least {needed}"
        )
    for name, values in (("scores", x), ("opinions", quality)):
        if np.ptp(values) == 0:
            raise ValueError(f"all {values.size} {name} are {values[0]:g}: nothing to calibrate")
    order = stats.spearmanr(x, quality, alternative="greater")
    if not order.pvalue < _BY_CHANCE:
        raise ValueError(
            f"the scores do not rise with quality (SRCC {order.statistic:.3f} of {x.size} "
            "pictures, no more than chance); check the direction of the opinions"
        )
    labels = aligned_labels(clusters, mos, "clusters")
    codes = np.arange(x.size) if labels is None else pd.factorize(labels[usable])[0]
    if codes.max() + 1 < MIN_CLUSTERS:
        raise ValueError(
            f"pictures of {codes.max() + 1} references are too few to hold some of them out; "
            f"at least {MIN_CLUSTERS} are needed"
        )
    fold = np.random.default_rng(0).permutation(codes.max() + 1)[codes] % _FOLDS
    errors = np.full(x.size, np.nan)
    for held in (fold == number for number in np.unique(fold)):
        errors[held] = np.abs(
            quality[held] - np.interp(x[held], *_curve(x[~held], quality[~held], shape))
        )
    knots, values = _curve(x, quality, shape)
    kept = np.unique(np.linspace(0, knots.size - 1, _KNOTS).round().astype(int))
    direction = 1 if higher_is_better else -1
    return Calibration(
        tuple(knots[kept].tolist()),
        tuple((direction * values[kept]).tolist()),
        margin=float(np.sort(errors)[rank - 1]),
        level=level,
        n=x.size,
        srcc=float(order.statistic),
        facts=dict(facts or {}),
    )


def _curve(x: Array, quality: Array, shape: Shape) -> tuple[Array, Array]:
    """Distinct scores, ascending, and the quality that the curve gives them."""
    knots, first, group, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True
    )
    if shape == "isotonic":
        means = np.bincount(group, quality) / counts
        return knots, isotonic_regression(means, weights=counts).x
    fit = fit_logistic(x, quality)
    if not fit.converged or fit.direction < 1:
        raise ValueError(
            f"no rising logistic fits these scores {fit.reason and f'({fit.reason})'}; "
            'shape="isotonic" asks for less'
        )
    return knots, np.maximum.accumulate(fit.fitted[first])


def _comparable(facts: Mapping[str, object]) -> dict[str, object]:
    """What two sets of scores must share to be on one scale.

    The name of a protocol is left out: KonIQ's pictures are cut as one's own are. So are how files
    are read and the encoder's precision, which move a score by less than pictures differ.
    """
    plain = json.loads(json.dumps(facts, default=str))
    protocol = plain.get("protocol")
    cut = {name: value for name, value in protocol.items() if name != "name"} if protocol else None
    named = {"backbone": plain.get("weights_sha256"), "protocol": cut}
    return named | {name: plain.get(name) for name in _SETTINGS}
