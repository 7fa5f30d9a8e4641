"""Where the fusion rule works backwards: a better cue lowers the score of a crop.

The weight follows the lead d = Q_cos - Q_mag, so a cue that rises also moves the weight. Far ahead
of the other it takes weight from what is better than itself; then the score falls. With the
cosine cue's weight w the two slopes of the score are

    dQ / dQ_cos = w (1 + 2 alpha (1 - w) d),        dQ / dQ_mag = (1 - w) (1 - 2 alpha w d).
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import brentq

from maclip_lab.fusion import FusionSettings, fusion_slopes

_FAR = 50.0


class Turns(NamedTuple):
    """Leads d = Q_cos - Q_mag at which the rule turns round; infinite where it never does.

    Attributes:
        cosine: below it a better cosine cue lowers the score (a negative number).
        magnitude: above it a better magnitude cue lowers the score.
    """

    cosine: float
    magnitude: float


def turning_leads(settings: FusionSettings = FusionSettings()) -> Turns:
    """Where the score stops to rise with each cue.

    Raises:
        ValueError: alpha is negative, so that the rule trusts the cue that is behind.
    """
    if settings.alpha < 0:
        raise ValueError(f"expected an alpha of 0 or more, got {settings.alpha:g}")

    def factor(lead: float, sign: int) -> float:
        w = 1 / (1 + np.exp(-(settings.base_cos - settings.base_norm) - 2 * settings.alpha * lead))
        share = w if sign > 0 else 1 - w
        return float(1 - sign * 2 * settings.alpha * share * lead)

    def root(sign: int) -> float:
        if factor(sign * _FAR, sign) > 0:
            return sign * float("inf")
        return sign * float(brentq(lambda size: factor(sign * size, sign), 0, _FAR))

    return Turns(cosine=root(-1), magnitude=root(1))


def backward_shares(
    q_cos: np.ndarray, q_mag: np.ndarray, settings: FusionSettings = FusionSettings()
) -> Turns:
    """Share of crops for which a better cosine, and a better magnitude cue, lowers the score."""
    slopes = fusion_slopes(torch.from_numpy(q_cos), torch.from_numpy(q_mag), settings)
    return Turns(*(float((slope < 0).double().mean()) for slope in slopes))
