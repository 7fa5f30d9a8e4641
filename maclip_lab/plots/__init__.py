"""Every figure the notebooks and the demonstration show, one function each.

A function takes data, draws on the axes it is given or on new ones, and returns them; the finding
is the caller's to put in ``title``. Colours are Okabe and Ito's, safe for colour-blind readers, and
each cue keeps its colour and marker throughout. Backgrounds are white, so dark pages show them too.
"""

from maclip_lab.plots.agreement import (
    DIVERGING,
    beside_paper,
)
from maclip_lab.plots.curves import (
    cue_scatter,
    distance_matrices,
    group_dots,
    lambda_curves,
)
from maclip_lab.plots.fusion import (
    fusion_plane,
    ladder_steps,
    setting_grid,
    weight_curves,
)
from maclip_lab.plots.pictures import (
    crop_grid,
    quality_map,
    ranking,
)
from maclip_lab.plots.style import (
    CUE_COLOURS,
    CUE_LABELS,
    CUE_MARKERS,
    PALETTE,
    SERIES,
    SERIES_MARKERS,
    backbone_label,
    palette,
)

__all__ = [
    "CUE_COLOURS",
    "CUE_LABELS",
    "CUE_MARKERS",
    "DIVERGING",
    "PALETTE",
    "SERIES",
    "SERIES_MARKERS",
    "backbone_label",
    "beside_paper",
    "crop_grid",
    "cue_scatter",
    "distance_matrices",
    "fusion_plane",
    "group_dots",
    "ladder_steps",
    "lambda_curves",
    "palette",
    "quality_map",
    "ranking",
    "setting_grid",
    "weight_curves",
]
