"""The house style for seaborn, and the drawings of the method that seaborn has not.

Colours are Okabe and Ito's, safe for colour-blind readers; one colour has one meaning throughout.
Backgrounds are white, so dark pages show them too.
"""

from maclip_lab.plots.pictures import quality_map, ranking
from maclip_lab.plots.style import PALETTE, backbone_label, palette

__all__ = [
    "PALETTE",
    "backbone_label",
    "palette",
    "quality_map",
    "ranking",
]
