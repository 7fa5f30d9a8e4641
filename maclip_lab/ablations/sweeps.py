"""Grids of settings over a feature store: every ablation of the paper in seconds.

Nothing here touches a picture or a backbone. Results are tidy: one row a setting, correlations
signed so that positive means that higher scores go with better quality.
"""

import warnings
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import Tensor

from maclip_lab.ablations.rivals import equals_opinions
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation.correlations import METHODS, kendall, pearson
from maclip_lab.features import Features
from maclip_lab.features.cues import Anchors, StoredCues, set_name, store_cues
from maclip_lab.fusion import FusionSettings, fixed_fusion, fuse, product_fusion
from maclip_lab.prompts import MACLIP_PROMPTS, PROMPT_SETS, PromptPairs
from maclip_lab.score import NONFINITE, TextAnchors

Rule = str | float

PAPER = FusionSettings()
RULES = ("adaptive", "mean", "product", "cosine", "magnitude")
"""Fusion rules by name; a number is a fixed weight of the cosine cue."""

LAMBDA_GRID = tuple(FusionSettings(box_lam=round(0.1 * step, 1)) for step in range(21))
"""box_lam from the logarithm to the square."""

AUTHORS_GRID = tuple(
    FusionSettings(base_cos=base_cos, base_norm=base_norm, alpha=alpha)
    for base_cos in (0.6, 1.0)
    for base_norm in (-2.0, -0.2, 0.2, 0.4, 0.6, 1.0, 1.4)
    for alpha in (0.2, 0.5, 1.0, 1.5, 2.0)
)
"""The 70 settings of the authors' sweep of the fusion's constants."""

RULE_GRID: tuple[Rule, ...] = (*RULES, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9)
"""The rules by name, and fixed weights of the cosine cue; 0.5 is the mean."""

CROP_GRID = ("all", "windows", "thumbnail", "stride-256")
"""Subsets of the crops that every data set's protocol has."""

_FIXED = {"mean": 0.5, "cosine": 1.0, "magnitude": 0.0}


def score_store(
    source: Features | StoredCues,
    anchors: TextAnchors | None = None,
    settings: FusionSettings = PAPER,
    *,
    rule: Rule = "adaptive",
    crops: str = "all",
) -> pd.DataFrame:
    """Score and cues of every picture of a store.

    Args:
        source: the features, or cues read from them before.
        anchors: the prompt set; not needed where ``source`` holds cues of one.
        settings: the fusion's constants.
        rule: one of `RULES`, or a fixed weight of the cosine cue in [0, 1].
        crops: subset of the crops, see `StoredCues.select`.

    Returns:
        One row a picture, in the manifest's order: ``name, path, mos, score, q_cos, q_mag, w_cos,
        mean_magnitude, norm, n_crops, status, flags, message``. Means over the chosen crops; NaN
        where the status is not ``"ok"``.

    Raises:
        ValueError: no such rule or subset, or ``source`` lacks these prompts or this box_lam.
    """
    cues = _cues(source, anchors, [settings.box_lam])
    if len(cues.q_cos) != 1 or settings.box_lam not in cues.q_mag:
        raise ValueError(
            f"expected cues of one prompt set and box_lam {settings.box_lam}, got "
            f"{', '.join(cues.q_cos)} and {', '.join(map(str, cues.q_mag))}"
        )
    chosen = cues.select(crops)
    q_cos, q_mag = next(iter(cues.q_cos.values()))[chosen], cues.q_mag[settings.box_lam][chosen]
    score, w_cos = _fuse(q_cos, q_mag, settings, rule)
    columns = {
        "score": score,
        "q_cos": q_cos,
        "q_mag": q_mag,
        "w_cos": w_cos,
        "mean_magnitude": cues.mean_magnitude[chosen],
        "norm": cues.norm[chosen],
    }
    table = cues.pictures[["name", "path", "mos"]].copy()
    for name, values in columns.items():
        table[name] = cues.means(values, chosen)
    table["n_crops"] = 0
    table.loc[cues.features.ok, "n_crops"] = np.diff(np.searchsorted(chosen, cues.features.offsets))
    table[["status", "flags", "message"]] = cues.pictures[["status", "flags", "message"]]
    lost = (table["status"] == "ok") & ~np.isfinite(table["score"])
    table.loc[lost, ["score", "q_cos", "q_mag", "w_cos"]] = np.nan
    table.loc[lost, "status"] = "nonfinite"
    table.loc[lost, "message"] = NONFINITE
    _warn_of_own_scores(table)
    return table


def _warn_of_own_scores(table: pd.DataFrame) -> None:
    """Says that opinions are a method's scores, or order the pictures just as they do."""
    same = [
        title
        for name, title in METHODS.items()
        if name in table and equals_opinions(table["mos"], table[name])
    ]
    if same:
        warnings.warn(
            f"the opinions equal the scores of {' and of '.join(same)}: this is a method compared "
            "with itself, unless people happened to agree with it to the last picture",
            DatasetWarning,
            stacklevel=3,
        )


def sweep(
    source: Features | StoredCues,
    anchors: Anchors | None = None,
    settings: Sequence[FusionSettings] = (PAPER,),
    *,
    rules: Sequence[Rule] = ("adaptive",),
    crops: Sequence[str] = ("all",),
    krcc: bool = False,
) -> pd.DataFrame:
    """How well every combination of settings, prompts, rules and crops follows the MOS.

    Args:
        source: the features, or cues read from them before.
        anchors: a prompt set, or several by name; not needed where ``source`` holds cues.
        settings: the fusion's constants, any number of them.
        rules: of `RULES`, or fixed weights of the cosine cue in [0, 1].
        crops: subsets of the crops, see `StoredCues.select`.
        krcc: add Kendall's tau-b, which takes longer than all else.

    Returns:
        One row a combination: ``prompts, crops, rule, box_lam, base_cos, base_norm, alpha, srcc,
        plcc_raw, n, n_dropped`` (and ``krcc``), of the raw scores. A picture without a finite
        score is dropped and counted.

    Raises:
        ValueError: the manifest has no scores, or there is no such rule, subset or box_lam.
    """
    cues = _cues(source, anchors, [one.box_lam for one in settings])
    target = _Target(
        cues.pictures["mos"].to_numpy(dtype=float), cues.features.manifest.higher_is_better
    )
    rows = []
    for subset in crops:
        chosen = cues.select(subset)
        for prompts, one, rule in product(cues.q_cos, settings, rules):
            score, _ = _fuse(
                cues.q_cos[prompts][chosen], _magnitude(cues, one.box_lam)[chosen], one, rule
            )
            row = {"prompts": prompts, "crops": subset, "rule": _rule_name(rule), **vars(one)}
            rows.append(row | target.follow(cues.means(score, chosen), krcc=krcc))
    return pd.DataFrame(rows)


def named_sweep(
    grid: str,
    source: Features,
    text_anchors: Callable[[str | PromptPairs], TextAnchors],
    *,
    krcc: bool = False,
) -> pd.DataFrame:
    """One of the ablations by name, each other choice as in the paper.

    Args:
        grid: ``"lambda"``, ``"bases"`` (`AUTHORS_GRID`), ``"prompts"`` (the named sets, and every
            pair of MA-CLIP's alone), ``"crops"`` (`CROP_GRID`) or ``"rules"`` (`RULE_GRID`).
        source: the features.
        text_anchors: encodes prompts by the backbone of the features, `Maclip.text_anchors`.
        krcc: as in `sweep`.

    Returns:
        The table of `sweep`.

    Raises:
        ValueError: there is no such grid.
    """
    if grid == "prompts":
        singles = [(pair,) for pair in MACLIP_PROMPTS]
        encoded = map(text_anchors, [*PROMPT_SETS.values(), *singles])
        return sweep(source, {set_name(anchors): anchors for anchors in encoded}, krcc=krcc)
    anchors = text_anchors("maclip")
    if grid == "lambda":
        return sweep(source, anchors, LAMBDA_GRID, rules=("adaptive", "magnitude"), krcc=krcc)
    if grid == "bases":
        return sweep(source, anchors, AUTHORS_GRID, krcc=krcc)
    if grid == "crops":
        return sweep(source, anchors, crops=CROP_GRID, krcc=krcc)
    if grid == "rules":
        return sweep(source, anchors, rules=RULE_GRID, krcc=krcc)
    raise ValueError(f"a grid is lambda, bases, prompts, crops or rules, got {grid!r}")


class _Target:
    """The MOS that scores are compared with, ranked once."""

    def __init__(self, mos: np.ndarray, higher_is_better: bool) -> None:
        if not np.isfinite(mos).any():
            raise ValueError("the pictures have no scores to compare with")
        self._mos = mos if higher_is_better else -mos
        self._kept = np.zeros(0, dtype=bool)
        self._ranks = self._kept

    def follow(self, scores: np.ndarray, *, krcc: bool) -> dict[str, float]:
        kept = np.isfinite(scores) & np.isfinite(self._mos)
        if not np.array_equal(kept, self._kept):
            self._kept, self._ranks = kept, rankdata(self._mos[kept])
        scores, mos = scores[kept], self._mos[kept]
        found = {"srcc": pearson(rankdata(scores), self._ranks), "plcc_raw": pearson(scores, mos)}
        if krcc:
            found["krcc"] = kendall(scores, mos)
        return found | {"n": int(kept.sum()), "n_dropped": int((~kept).sum())}


def _cues(
    source: Features | StoredCues, anchors: Anchors | None, lams: Sequence[float]
) -> StoredCues:
    if isinstance(source, StoredCues):
        if anchors is not None:
            raise ValueError("cues carry their prompts; give anchors with a feature store only")
        return source
    if anchors is None:
        raise ValueError("a feature store needs anchors, the text features of a prompt set")
    return store_cues(source, anchors, lams)


def _magnitude(cues: StoredCues, box_lam: float) -> np.ndarray:
    if box_lam not in cues.q_mag:
        known = ", ".join(map(str, cues.q_mag))
        raise ValueError(f"the cues were read for box_lam {known}, not for {box_lam}")
    return cues.q_mag[box_lam]


def _fuse(
    q_cos: np.ndarray, q_mag: np.ndarray, settings: FusionSettings, rule: Rule
) -> tuple[np.ndarray, np.ndarray]:
    """Score of every crop, and the weight of its cosine cue."""
    cos, mag = torch.from_numpy(q_cos), torch.from_numpy(q_mag)
    if rule == "adaptive":
        score, w_cos, _ = fuse(cos, mag, settings)
        return score.numpy(), w_cos.numpy()
    if rule == "product":
        return product_fusion(cos, mag).numpy(), np.full(len(q_cos), np.nan)
    weight = _FIXED.get(rule) if isinstance(rule, str) else float(rule)
    if weight is None or not 0 <= weight <= 1:
        raise ValueError(
            f"a rule is one of {', '.join(RULES)} or a weight of the cosine cue in [0, 1], "
            f"got {rule!r}"
        )
    fused: Tensor = fixed_fusion(cos, mag, weight)
    return fused.numpy(), np.full(len(q_cos), weight)


def _rule_name(rule: Rule) -> str:
    return rule if isinstance(rule, str) else f"fixed {float(rule):g}"
