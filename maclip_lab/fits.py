"""Logistic curves that map predictions onto the MOS scale, and the authors' own variant.

The four-parameter curve is monotone by construction; the five-parameter one of Sheikh, Sabir
and Bovik (IEEE TIP 2006) adds a straight line and can bend back, which is reported. A fit
that fails gives NaN and says so: nothing is put in its place.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit, least_squares
from scipy.special import expit

from maclip_lab.correlations import (
    Array,
    is_constant,
    pearson,
    rmse,
    spearman,
    standardise,
)

_SLOPES = (0.5, 1.0, 2.0, 4.0, 8.0)
_CENTRES = (-1.5, -0.75, 0.0, 0.75, 1.5)
_MAX_EVALUATIONS = 4000


@dataclass(frozen=True)
class LogisticFit:
    """A curve from predictions to the MOS scale.

    Attributes:
        status: "ok", "nonmonotone" (only five parameters can be), "failed" (no start
            converged) or "degenerate" (too few pictures, or a constant vector).
        fitted: the predictions on the MOS scale (N,); NaN unless the fit converged.
        direction: +1 where the curve rises with the prediction, -1 where it falls, else 0.
        reason: why there is no fit; empty if there is one.
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
    def monotone(self) -> bool:
        """Whether there is a curve and it keeps the order of the predictions."""
        return self.status == "ok"

    @property
    def signed(self) -> Array:
        """The fitted predictions (N,), negated where the curve falls.

        A curve can turn a prediction round; its Pearson correlation would hide that.
        """
        return self.direction * self.fitted


def fit_logistic(predictions: Array, mos: Array, *, n_parameters: int = 4) -> LogisticFit:
    """Least-squares logistic from predictions to MOS, from many starts that know the scale.

    Both vectors are standardised; for a grid of slopes and centres the other parameters are
    solved linearly; the best start of each slope is refined and the smallest squared error
    wins. The slope starts with the sign of Spearman's correlation.

    Args:
        predictions: finite predictions (N,), any scale.
        mos: finite mean opinion scores (N,), any scale and direction.
        n_parameters: 4 for ``b1 + b2*s(b3*(x - b4))``, 5 for that plus ``b5*x``, with ``s``
            the standard logistic.

    Raises:
        ValueError: if ``n_parameters`` is neither 4 nor 5.
    """
    if n_parameters not in (4, 5):
        raise ValueError(f"expected n_parameters 4 or 5, got {n_parameters}")
    reason = _why_degenerate(predictions, mos, n_parameters)
    if reason:
        return LogisticFit("degenerate", np.full(mos.shape, np.nan), 0, reason)
    x, y = standardise(predictions), standardise(mos)
    parameters = _best_parameters(x, y, n_parameters)
    if parameters is None:
        reason = f"the {n_parameters}-parameter fit did not converge from any start"
        return LogisticFit("failed", np.full(mos.shape, np.nan), 0, reason)
    curve = _curve(parameters, x)
    trend = spearman(x, curve)
    status = "ok" if _is_monotone(parameters, x) else "nonmonotone"
    direction = 0 if np.isnan(trend) else int(np.sign(trend))
    return LogisticFit(status, mos.mean() + np.std(mos) * curve, direction)


def _why_degenerate(predictions: Array, mos: Array, n_parameters: int) -> str:
    if mos.size <= n_parameters:
        return f"{mos.size} pictures are too few for {n_parameters} parameters"
    if is_constant(predictions):
        return "constant predictions"
    return "constant MOS" if is_constant(mos) else ""


def _curve(parameters: Array, x: Array) -> Array:
    offset, height, slope, centre = parameters[:4]
    curve = offset + height * expit(slope * (x - centre))
    return curve + parameters[4] * x if parameters.size == 5 else curve


def _jacobian(parameters: Array, x: Array) -> Array:
    _, height, slope, centre = parameters[:4]
    step = expit(slope * (x - centre))
    steepness = height * step * (1 - step)
    columns = [np.ones_like(x), step, steepness * (x - centre), -steepness * slope]
    return np.column_stack([*columns, x] if parameters.size == 5 else columns)


def _is_monotone(parameters: Array, x: Array) -> bool:
    if parameters.size == 4:
        return True
    _, height, slope, centre, line = parameters
    # The derivative has one bump, at the centre: its extremes over the data are at these.
    places = np.array([x.min(), x.max(), np.clip(centre, x.min(), x.max())])
    step = expit(slope * (places - centre))
    derivative = height * slope * step * (1 - step) + line
    return bool((derivative >= 0).all() or (derivative <= 0).all())


def _best_parameters(x: Array, y: Array, n_parameters: int) -> Array | None:
    best, smallest = None, np.inf
    for start in _starts(x, y, n_parameters):
        result = least_squares(
            lambda p: _curve(p, x) - y,
            start,
            jac=lambda p: _jacobian(p, x),
            method="lm",
            max_nfev=_MAX_EVALUATIONS,
        )
        if result.status > 0 and np.isfinite(result.x).all() and result.cost < smallest:
            best, smallest = result.x, result.cost
    return best


def _starts(x: Array, y: Array, n_parameters: int) -> list[Array]:
    sign = -1.0 if spearman(x, y) < 0 else 1.0
    starts = []
    for slope in _SLOPES:
        candidates = [_linear_solution(x, y, sign * slope, c, n_parameters) for c in _CENTRES]
        errors = [np.sum((_curve(c, x) - y) ** 2) for c in candidates]
        starts.append(candidates[int(np.argmin(errors))])
    return starts


def _linear_solution(x: Array, y: Array, slope: float, centre: float, n_parameters: int) -> Array:
    columns = [np.ones_like(x), expit(slope * (x - centre))]
    design = np.column_stack([*columns, x] if n_parameters == 5 else columns)
    linear = np.linalg.lstsq(design.T @ design, design.T @ y, rcond=None)[0]
    return np.array([*linear[:2], slope, centre, *linear[2:]])


@dataclass(frozen=True)
class OfficialResult:
    """The numbers the authors' evaluation gives, kept only to match their table.

    Attributes:
        srcc: Spearman between MOS and the *fitted* predictions; its sign is lost.
        plcc: Pearson between MOS and the fitted predictions.
        rmse: root mean squared error of the fitted predictions, in MOS units.
        fell_back: the fit failed and, as in their variant, the start values stood in for it.
    """

    srcc: float
    plcc: float
    rmse: float
    fell_back: bool


def official_evaluation(predictions: Array, mos: Array) -> OfficialResult:
    """The authors' variant: one start, no scaling, and the start values where the fit fails.

    Args:
        predictions: finite predictions (N,).
        mos: finite scores (N,) in the data set's own units and direction, never flipped.

    Source: Liao et al., AAAI 2026; curve of Sheikh et al., IEEE TIP 2006.
    """
    if mos.size < 2 or is_constant(mos) or is_constant(predictions):
        return OfficialResult(float("nan"), float("nan"), float("nan"), False)
    start = np.array([mos.max(), mos.min(), predictions.mean(), 0.1, 0.1])
    parameters, fell_back = _official_parameters(predictions, mos, start)
    with np.errstate(over="ignore"):
        fitted = _official_curve(predictions, *parameters)
    return OfficialResult(spearman(mos, fitted), pearson(mos, fitted), rmse(fitted, mos), fell_back)


def _official_curve(x: Array, b1: float, b2: float, b3: float, b4: float, b5: float) -> Array:
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5


def _official_parameters(x: Array, y: Array, start: Array) -> tuple[Array, bool]:
    if y.size < start.size:
        return start, True
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            return curve_fit(_official_curve, x, y, p0=start)[0], False
    except RuntimeError:
        return start, True
