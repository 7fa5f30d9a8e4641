"""Logistic curves that map predictions onto the MOS scale, and the authors' own variant.

The four-parameter curve is monotone by construction; the five-parameter one of Sheikh, Sabir
and Bovik (IEEE TIP 2006) adds a straight line and can bend back, which is reported. A fit
that fails gives NaN and says so: nothing is put in its place.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit, least_squares
from scipy.special import expit

from maclip_lab.evaluation.correlations import Array, is_constant, pearson, spearman, standardise

_SLOPES = (0.3, 1.0, 3.0, 10.0, 30.0)
_CENTRES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
_FLATTEST, _STEEPEST = 0.05, 100.0
_REFINED = 4
_MAX_EVALUATIONS = 400
_TOLERANCE = 1e-13
_NO_POWER = 1e-24
_NO_STEP = 1e-9


@dataclass(frozen=True)
class LogisticFit:
    """A curve from predictions to the MOS scale.

    ``status`` is "ok", "nonmonotone" (only five parameters can be), "failed" (no start converged)
    or "degenerate" (too few pictures, or a constant vector), and ``reason`` says why; ``fitted``
    (N,) is NaN unless it converged; ``direction`` is the curve's sign, 0 for none.
    """

    status: str
    fitted: Array
    direction: int
    reason: str = ""

    @property
    def converged(self) -> bool:
        """Whether there is a curve at all, monotone or not."""
        return self.status in ("ok", "nonmonotone")

    @property
    def signed(self) -> Array:
        """The fitted predictions (N,), negated where the curve turns a prediction round."""
        return self.direction * self.fitted


def fit_logistic(predictions: Array, mos: Array, *, line: bool = False) -> LogisticFit:
    """Least-squares logistic from predictions to MOS, from many starts that know the scale.

    Both are finite (N,), of any scale and direction. The curve is ``b1 + b2*s(b3*(x - b4))``, with
    ``s`` the standard logistic; a ``line`` adds a fifth parameter, ``b5*x``. For any slope and
    centre the others follow by linear least squares, so only these two are searched: first on a
    grid, then from its best points on. The slope is kept between an almost straight line and a
    step, since a steeper one only follows single pictures, and the centre within three ranges.
    """
    nothing, n_parameters = np.full(mos.shape, np.nan), 5 if line else 4
    if mos.size <= n_parameters:
        reason = f"{mos.size} pictures are too few for {n_parameters} parameters"
        return LogisticFit("degenerate", nothing, 0, reason)
    for name, values in (("predictions", predictions), ("MOS", mos)):
        if is_constant(values):
            return LogisticFit("degenerate", nothing, 0, f"constant {name}")
    x, y = standardise(predictions), standardise(mos)
    shape = _best_shape(x.tobytes(), y.tobytes(), line)
    if shape is None:
        reason = f"the {n_parameters}-parameter fit did not converge from any start"
        return LogisticFit("failed", nothing, 0, reason)
    curve = y - _residual(shape, x, y, line)
    trend = spearman(x, curve)
    direction = 0 if np.isnan(trend) else int(np.sign(trend))
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


# The five-parameter fit starts at the four-parameter one, which an evaluation wants as well.
@lru_cache(maxsize=16)
def _best_shape(x_bytes: bytes, y_bytes: bytes, line: bool) -> Array | None:
    """Logarithm of the slope and centre of the curve with the smallest squared error."""
    x, y = np.frombuffer(x_bytes), np.frombuffer(y_bytes)
    low, high, reach = x.min(), x.max(), 3 * np.ptp(x)
    bounds = ([np.log(_FLATTEST), low - reach], [np.log(_STEEPEST), high + reach])
    centres = np.quantile(x, _CENTRES)
    starts = [np.array([np.log(slope), centre]) for slope, centre in product(_SLOPES, centres)]
    residual = partial(_residual, x=x, y=y, line=line)
    starts = sorted(starts, key=lambda shape: float(np.sum(residual(shape) ** 2)))[:_REFINED]
    without_line = _best_shape(x_bytes, y_bytes, False) if line else None
    if without_line is not None:
        starts.append(without_line)
    refine = partial(least_squares, residual, bounds=bounds, max_nfev=_MAX_EVALUATIONS)
    results = [result for result in map(refine, starts) if result.status > 0]
    if not results:
        return None
    best = min(results, key=lambda result: result.cost)
    # The last digits; where the error is flat this may end early, and is no worse for it.
    polished = refine(best.x, ftol=_TOLERANCE, xtol=_TOLERANCE, gtol=_TOLERANCE)
    shape: Array = polished.x if polished.cost <= best.cost else best.x
    shape.flags.writeable = False  # it is kept
    return shape


class OfficialResult(NamedTuple):
    """The authors' numbers of *fitted* predictions, kept only to match their table; no signs.

    Where it ``fell_back`` the fit failed and, as in their variant, the start values stood in.
    """

    srcc: float
    plcc: float
    fell_back: bool


def official_evaluation(predictions: Array, mos: Array) -> OfficialResult:
    """The authors' variant: one start, no scaling, and the start values where the fit fails.

    Both are finite (N,); scores are in the data set's own units and direction, never flipped.

    Source: Liao et al., AAAI 2026; curve of Sheikh et al., IEEE TIP 2006.
    """
    if mos.size < 2 or is_constant(mos) or is_constant(predictions):
        return OfficialResult(float("nan"), float("nan"), False)
    start = np.array([mos.max(), mos.min(), predictions.mean(), 0.1, 0.1])
    best, fell_back = start, mos.size < start.size
    if not fell_back:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", OptimizeWarning)
                best = curve_fit(_official_curve, predictions, mos, p0=start)[0]
        except RuntimeError:
            fell_back = True
    with np.errstate(over="ignore"):
        fitted = _official_curve(predictions, *best)
    return OfficialResult(spearman(mos, fitted), pearson(mos, fitted), fell_back)


def _official_curve(x: Array, b1: float, b2: float, b3: float, b4: float, b5: float) -> Array:
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5
