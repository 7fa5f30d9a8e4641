"""How well predictions follow mean opinion scores: statistics that hide nothing.

Pure functions on arrays and tables; no files, models or devices.
"""

from maclip_lab.evaluation.correlations import (
    METHODS,
    Estimate,
    holm,
    resamples,
    spearman,
    verdicts,
)
from maclip_lab.evaluation.fits import Calibration, calibrate, fit_logistic
from maclip_lab.evaluation.intervals import Correlations, EvaluationSettings, correlate
from maclip_lab.evaluation.preferences import count_votes, evaluate_pairs, pairs_from_mos
from maclip_lab.evaluation.table import breakdown, evaluate

__all__ = ["METHODS", "Calibration", "Correlations", "Estimate", "EvaluationSettings", "breakdown"]
__all__ += ["calibrate", "correlate", "count_votes", "evaluate", "evaluate_pairs", "fit_logistic"]
__all__ += ["holm", "pairs_from_mos", "resamples", "spearman", "verdicts"]
