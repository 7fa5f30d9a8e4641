"""How near to a normal distribution the magnitudes of features come under a Box-Cox exponent."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import shapiro, skew
from torch import Tensor

from maclip_lab.cues import box_cox, scaled_magnitude


def magnitude_normality(features: Tensor, box_lams: Sequence[float]) -> pd.DataFrame:
    """Skewness and Shapiro-Wilk's W of each feature's transformed magnitudes.

    Args:
        features: raw image features ``(P, D)``, with D from 3 to 5000.
        box_lams: exponents of the Box-Cox transform.

    Returns:
        One row an exponent: the median over the features of ``skewness`` (0 if symmetric) and of
        ``shapiro_w`` (1 if normal), and their quartiles, ``skewness_lo``, ``skewness_hi`` and so
        on.
    """
    scaled = scaled_magnitude(features)
    rows = {}
    for lam in box_lams:
        values = box_cox(scaled, lam).double().numpy()
        found = {
            "skewness": skew(values, axis=1),
            "shapiro_w": np.array([shapiro(one).statistic for one in values]),
        }
        rows[lam] = {
            f"{name}{end}": np.quantile(numbers, share)
            for name, numbers in found.items()
            for end, share in (("", 0.5), ("_lo", 0.25), ("_hi", 0.75))
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("box_lam")
