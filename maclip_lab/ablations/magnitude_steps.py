"""The two steps inside the magnitude cue, each on and off, and what the features' unit does.

The cue divides ``|f|`` by its standard deviation over the dimensions and bends it by Box-Cox. All
numbers are means over all crops of a picture, as the method takes them.
"""

from collections.abc import Sequence

import pandas as pd
from torch import Tensor

from maclip_lab.ablations.rated import RatedSet, Statistic
from maclip_lab.cues import box_cox, cosine_cue, magnitude_cue, mean_magnitude, scaled_magnitude
from maclip_lab.fusion import fuse

STEPS: dict[str, Statistic] = {
    "mean |f|: neither step": mean_magnitude,
    "Box-Cox alone": lambda f: box_cox(f.abs()).mean(-1),
    "standard deviation alone": lambda f: scaled_magnitude(f).mean(-1),
    "both: the magnitude cue": magnitude_cue,
}
"""The magnitude cue with each of its steps on or off."""


def unit_table(
    rated: RatedSet,
    units: Sequence[float] = (0.01, 1, 100),
    divisions: Sequence[str] = ("on", "off"),
) -> pd.DataFrame:
    """The fused score with and without the division, for features stored in another unit.

    Args:
        rated: the data set.
        units: factors on the features.
        divisions: "on", "off", or both.

    Returns:
        Index ``division`` ("on", "off") and ``unit``; columns ``q_mag`` and ``w_cos``, means over
        the pictures, and ``srcc`` of the fused score.
    """
    rows = {}
    for division in divisions:
        for unit in units:
            q_mag, w_cos, score = _fused(rated, unit, divide=division == "on")
            rows[division, unit] = (q_mag.mean(), w_cos.mean(), rated.srcc(score).value)
    table = pd.DataFrame(rows, index=["q_mag", "w_cos", "srcc"]).T
    return table.rename_axis(["division", "unit"])


def _fused(rated: RatedSet, unit: float, *, divide: bool) -> tuple[pd.Series, pd.Series, pd.Series]:
    anchors = rated.anchors

    def magnitude(f: Tensor) -> Tensor:
        return box_cox(scaled_magnitude(unit * f) if divide else (unit * f).abs()).mean(-1)

    def fused(f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return fuse(cosine_cue(f, anchors.features, anchors.logit_scale).mean(-1), magnitude(f))

    found = rated.means(
        {"q_mag": magnitude, "w_cos": lambda f: fused(f)[1], "score": lambda f: fused(f)[0]}
    )
    return found["q_mag"], found["w_cos"], found["score"]
