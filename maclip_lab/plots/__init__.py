"""The house style for seaborn, and the drawings of the method that seaborn has not.

Colours are Okabe and Ito's, safe for colour-blind readers; one colour has one meaning throughout.
Backgrounds are white, so dark pages show them too.
"""

from maclip_lab.plots.figures import PALETTE, backbone_label, palette, quality_map, ranking

__all__ = ["PALETTE", "backbone_label", "palette", "quality_map", "ranking"]
