"""Curves from predictions to the MOS scale: logistics, the authors' variant, and a calibration.

The four-parameter curve is monotone by construction; the five-parameter one of Sheikh, Sabir
and Bovik (IEEE TIP 2006) adds a straight line and can bend back, which is reported. A fit
that fails gives NaN and says so: nothing is put in its place.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import OptimizeWarning, curve_fit, isotonic_regression, least_squares
from scipy.special import expit

from maclip_lab.evaluation.correlations import (
    Array,
    Labels,
    align,
    aligned_labels,
    is_constant,
    pearson,
    spearman,
    standardise,
)
from maclip_lab.evaluation.intervals import MIN_CLUSTERS

_SLOPES = (0.3, 1.0, 3.0, 10.0, 30.0)
_CENTRES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
_FLATTEST, _STEEPEST = 0.05, 100.0
_REFINED = 4
_MAX_EVALUATIONS = 400
_TOLERANCE = 1e-13
_NO_POWER = 1e-24
_NO_STEP = 1e-9
MIN_CALIBRATION = 20
_FOLDS, _KNOTS = 10, 257
_SETTINGS = ("prompts", "pos_embedding", "box_lam", "base_cos", "base_norm", "alpha")


@dataclass(frozen=True)
class LogisticFit:
    """A curve from predictions to the MOS scale.

    ``status`` is "ok", "nonmonotone" (only five parameters can be), "failed" (no start converged)
    or "degenerate" (too few pictures, or a constant vector), and ``reason`` says why; ``fitted``
    (N,) is NaN where there is no curve; ``direction`` is the curve's sign, 0 for none.
    """

    status: str
    fitted: Array
    direction: int
    reason: str = ""


def fit_logistic(predictions: Array, mos: Array, *, line: bool = False) -> LogisticFit:
    """Least-squares logistic from predictions to MOS, both finite (N,), of any scale and direction.

    The curve is ``b1 + b2*s(b3*(x - b4))``, with ``s`` the standard logistic; a ``line`` adds
    ``b5*x``. For any slope and centre the others follow by linear least squares, so only these two
    are searched, first on a grid, then from its best points on. The slope is kept between an almost
    straight line and a step, since a steeper one only follows single pictures.
    """
    nothing, n_parameters, reason = np.full(mos.shape, np.nan), 5 if line else 4, ""
    if mos.size <= n_parameters:
        reason = f"{mos.size} pictures are too few for {n_parameters} parameters"
    elif is_constant(predictions) or is_constant(mos):
        reason = f"constant {'predictions' if is_constant(predictions) else 'MOS'}"
    if reason:
        return LogisticFit("degenerate", nothing, 0, reason)
    x, y = standardise(predictions), standardise(mos)
    shape = _best_shape(x, y, line)
    if shape is None:
        reason = f"the {n_parameters}-parameter fit did not converge from any start"
        return LogisticFit("failed", nothing, 0, reason)
    curve = y - _residual(shape, x, y, line)
    direction = int(np.sign(np.nan_to_num(spearman(x, curve))))
    fitted = mos.mean() + np.std(mos) * curve
    steps = np.diff(curve[np.argsort(x)])
    if line and steps.max() > _NO_STEP and steps.min() < -_NO_STEP:
        return LogisticFit("nonmonotone", fitted, direction, "the 5-parameter curve bends back")
    return LogisticFit("ok", fitted, direction)


def _residual(shape: Array, x: Array, y: Array, line: bool) -> Array:
    """What the best curve of this shape leaves of ``y``; x and y are standardised."""
    log_slope, centre = shape
    step = expit(np.exp(log_slope) * (x - centre))
    step -= step.mean()
    if line:
        step -= np.mean(step * x) * x
        y = y - np.mean(y * x) * x
    power = np.mean(step**2)
    return y - np.mean(step * y) / power * step if power > _NO_POWER else y


def _best_shape(x: Array, y: Array, line: bool) -> Array | None:
    """Logarithm of the slope and centre of the curve with the smallest squared error."""
    low, high, reach = x.min(), x.max(), 3 * np.ptp(x)
    bounds = ([np.log(_FLATTEST), low - reach], [np.log(_STEEPEST), high + reach])
    centres = np.quantile(x, _CENTRES)
    starts = [np.array([np.log(slope), centre]) for slope, centre in product(_SLOPES, centres)]
    residual = partial(_residual, x=x, y=y, line=line)
    starts = sorted(starts, key=lambda shape: float(np.sum(residual(shape) ** 2)))[:_REFINED]
    without_line = _best_shape(x, y, False) if line else None
    if without_line is not None:
        starts.append(without_line)
    refine = partial(least_squares, residual, bounds=bounds, max_nfev=_MAX_EVALUATIONS)
    results = [result for result in map(refine, starts) if result.status > 0]
    if not results:
        return None
    best = min(results, key=lambda result: result.cost)
    # The last digits; where the error is flat this may end early, and is no worse for it.
    polished = refine(best.x, ftol=_TOLERANCE, xtol=_TOLERANCE, gtol=_TOLERANCE)
    return np.asarray(min(polished, best, key=lambda result: result.cost).x)


def official_evaluation(predictions: Array, mos: Array) -> tuple[float, float, str]:
    """The authors' SRCC and PLCC of *fitted* predictions, whose sign is lost, to match their table.

    One start, no scaling, and the start values where the fit fails, which the third item says;
    scores (N,) as they are. Source: Liao et al., AAAI 2026; curve of Sheikh et al., TIP 2006.
    """
    if is_constant(mos) or is_constant(predictions):
        return float("nan"), float("nan"), ""
    best, problem = np.array([mos.max(), mos.min(), predictions.mean(), 0.1, 0.1]), ""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        try:
            best, _ = curve_fit(_official_curve, predictions, mos, p0=best)
        except (RuntimeError, TypeError):  # no optimum, or fewer pictures than parameters
            problem = "the authors' fit failed, and its start values stood in"
        fitted = _official_curve(predictions, *best)
    return spearman(mos, fitted), pearson(mos, fitted), problem


def _official_curve(x: Array, b1: float, b2: float, b3: float, b4: float, b5: float) -> Array:
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5


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
    should hold, and ``facts``, what made the scores. It is cross-conformal (Barber et al., Ann.
    Stat. 49, 2021): the errors' quantile, corrected for finite samples, of curves fitted without
    the picture's fold, which holds whole clusters, for new contents.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1 such as 0.95, got {level}")
    table, quality = align({"score": scores}, mos, higher_is_better)
    labels = aligned_labels(clusters, mos, "clusters")
    kept = np.isfinite([table["score"], quality]).all(axis=0)
    x, y = table["score"].to_numpy()[kept], quality[kept]
    codes, contents = pd.factorize((table.index if labels is None else labels)[kept])
    needed, rank = max(MIN_CALIBRATION, level / (1 - level)), int(np.ceil((x.size + 1) * level))
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
    curve = tuple(knots[kept].tolist()), tuple(values[kept].tolist())
    return Calibration(*curve, float(np.sort(errors)[rank - 1]), x.size, dict(facts or {}))


def _curve(x: Array, quality: Array) -> tuple[Array, Array]:
    """Distinct scores, ascending, and their quality by the logistic; isotonic where none fits."""
    fit = fit_logistic(x, quality)
    knots, first, place = np.unique(x, return_index=True, return_inverse=True)
    if fit.direction > 0:
        return knots, np.maximum.accumulate(fit.fitted[first])
    counts = np.bincount(place)
    return knots, isotonic_regression(np.bincount(place, quality) / counts, weights=counts).x


def _comparable(facts: Mapping[str, object]) -> dict[str, object]:
    """What two sets of scores must share; a protocol's name, reading and precision need not be."""
    plain = json.loads(json.dumps(facts, default=str))
    cut = {name: v for name, v in (plain.get("protocol") or {}).items() if name != "name"}
    named = {"backbone": plain.get("weights_sha256"), "protocol": cut}
    return named | {name: plain.get(name) for name in _SETTINGS}
