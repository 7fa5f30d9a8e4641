"""Correlations and errors between predictions and mean opinion scores, without surprises.

Every function takes two vectors (N,) of finite numbers, keeps the sign, and gives NaN, never
a warning, where the quantity does not exist.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

MIN_PICTURES = 5
_ROUNDING = 1e-13


def is_constant(x: Array) -> bool:
    """Whether all of ``x`` (N,) is one value, up to float64 rounding noise."""
    if x.size == 0:
        return True
    return bool(np.ptp(x) <= _ROUNDING * np.abs(x).max())


def standardise(x: Array) -> Array:
    """``x`` (N,) shifted and scaled to mean 0 and standard deviation 1; x must vary."""
    centred = x - x.mean()
    centred = centred / np.abs(centred).max()
    centred -= centred.mean()
    return centred / np.sqrt(np.mean(centred**2))


def pearson(x: Array, y: Array) -> float:
    """Pearson's linear correlation (PLCC) in [-1, 1]; NaN if either vector is constant."""
    if x.size < 2 or is_constant(x) or is_constant(y):
        return float("nan")
    return float(np.clip(np.mean(standardise(x) * standardise(y)), -1.0, 1.0))


def spearman(x: Array, y: Array) -> float:
    """Spearman's rank correlation (SRCC) in [-1, 1], ties sharing their mean rank.

    >>> round(spearman(np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])), 4)
    0.6325
    """
    if x.size < 2 or is_constant(x) or is_constant(y):
        return float("nan")
    return pearson(stats.rankdata(x), stats.rankdata(y))


def kendall(x: Array, y: Array) -> float:
    """Kendall's tau-b (KRCC) in [-1, 1]; NaN if either vector is constant."""
    if x.size < 2 or is_constant(x) or is_constant(y):
        return float("nan")
    return float(stats.kendalltau(x, y, variant="b").statistic)


def rmse(predicted: Array, mos: Array) -> float:
    """Root mean squared error, in the units of the MOS."""
    return float(np.sqrt(np.mean((predicted - mos) ** 2))) if mos.size else float("nan")


def mae(predicted: Array, mos: Array) -> float:
    """Mean absolute error, in the units of the MOS."""
    return float(np.mean(np.abs(predicted - mos))) if mos.size else float("nan")


def outlier_ratio(predicted: Array, mos: Array, mos_std: Array) -> float:
    """Share of pictures missed by more than two standard deviations of their opinions.

    Args:
        predicted: predictions (N,) in the units of the MOS.
        mos: mean opinion scores (N,).
        mos_std: standard deviation of each picture's opinions (N,); pictures where it is
            NaN are left out, and with none left the ratio is NaN.

    Source: VQEG FR-TV Phase I, section 6.3; ITU-T P.1401.
    """
    known = np.isfinite(mos_std)
    if not known.any():
        return float("nan")
    return float(np.mean(np.abs(predicted - mos)[known] > 2 * mos_std[known]))
