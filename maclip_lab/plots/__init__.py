"""Every figure the notebooks and the demonstration show, one function each.

A function takes data, draws on the axes it is given or on new ones, and returns them; the finding
is the caller's to put in ``title``. Colours are Okabe and Ito's, safe for colour-blind readers, and
each cue keeps its colour and marker throughout. Backgrounds are white, so dark pages show them too.
"""

from maclip_lab.plots.pictures import contact_sheet, crop_grid, quality_map, ranking
from maclip_lab.plots.steps import (
    box_cox_curves,
    feature_profiles,
    fusion_weight,
    prompt_pairs,
    severity_curves,
)
from maclip_lab.plots.style import CUE_COLOURS, CUE_LABELS, CUE_MARKERS, SERIES, SERIES_MARKERS

__all__ = [
    "CUE_COLOURS",
    "CUE_LABELS",
    "CUE_MARKERS",
    "SERIES",
    "SERIES_MARKERS",
    "box_cox_curves",
    "contact_sheet",
    "crop_grid",
    "feature_profiles",
    "fusion_weight",
    "prompt_pairs",
    "quality_map",
    "ranking",
    "severity_curves",
]
