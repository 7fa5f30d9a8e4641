"""What the ablations ask: a rated set anything, grids of settings, the paper's claims, controls."""

from maclip_lab.ablations.rated import Rated
from maclip_lab.ablations.sweeps import AUTHORS_GRID, score_store, sweep

__all__ = ["AUTHORS_GRID", "Rated", "score_store", "sweep"]
