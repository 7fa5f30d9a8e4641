"""How well predictions follow mean opinion scores: statistics that hide nothing.

Pure functions on arrays and tables; no files, models or devices.
"""

from maclip_lab.evaluation.calibration import Calibration, calibrate
from maclip_lab.evaluation.comparison import compare
from maclip_lab.evaluation.correlations import kendall, outlier_ratio, pearson, spearman
from maclip_lab.evaluation.estimates import Chance, Estimate, finding, resamples, verdicts
from maclip_lab.evaluation.fits import (
    LogisticFit,
    OfficialResult,
    fit_logistic,
    official_evaluation,
)
from maclip_lab.evaluation.intervals import (
    Best,
    Correlations,
    EvaluationSettings,
    Resamples,
    best_of,
    correlate,
)
from maclip_lab.evaluation.pairs import pair_agreement
from maclip_lab.evaluation.preferences import (
    bradley_terry,
    count_votes,
    evaluate_pairs,
    pairs_from_mos,
)
from maclip_lab.evaluation.ratings import METHODS
from maclip_lab.evaluation.significance import chance_p, holm, williams
from maclip_lab.evaluation.summaries import average_over_datasets, breakdown, macro_mean
from maclip_lab.evaluation.table import evaluate

__all__ = [
    "METHODS",
    "Best",
    "Calibration",
    "Chance",
    "Correlations",
    "Estimate",
    "EvaluationSettings",
    "LogisticFit",
    "OfficialResult",
    "Resamples",
    "average_over_datasets",
    "best_of",
    "bradley_terry",
    "breakdown",
    "calibrate",
    "chance_p",
    "compare",
    "correlate",
    "count_votes",
    "evaluate",
    "evaluate_pairs",
    "finding",
    "fit_logistic",
    "holm",
    "kendall",
    "macro_mean",
    "official_evaluation",
    "outlier_ratio",
    "pair_agreement",
    "pairs_from_mos",
    "pearson",
    "resamples",
    "spearman",
    "verdicts",
    "williams",
]
