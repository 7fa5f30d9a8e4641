"""Grids of settings over stored features: every ablation of the paper in seconds.

Results are tidy: a row a setting; a correlation is positive where better pictures score higher.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata

from maclip_lab.ablations.rivals import equals_opinions
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation.correlations import METHODS, pearson
from maclip_lab.features import Features
from maclip_lab.features.features import Anchors, StoredCues, set_name, store_cues
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.prompts import MACLIP_PROMPTS, PROMPT_SETS, PromptPairs
from maclip_lab.score import NONFINITE, TextAnchors

Rule = str | float

PAPER = FusionSettings()
RULES = ("adaptive", "mean", "product", "cosine", "magnitude")
"""Fusion rules by name; a number is a fixed weight of the cosine cue."""

LAMBDA_GRID = tuple(FusionSettings(box_lam=round(0.1 * step, 1)) for step in range(21))
AUTHORS_GRID = tuple(
    FusionSettings(base_cos=base_cos, base_norm=base_norm, alpha=alpha)
    for base_cos in (0.6, 1.0)
    for base_norm in (-2.0, -0.2, 0.2, 0.4, 0.6, 1.0, 1.4)
    for alpha in (0.2, 0.5, 1.0, 1.5, 2.0)
)
"""The 70 settings of the authors' sweep of the fusion's constants."""
RULE_GRID: tuple[Rule, ...] = (*RULES, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9)
CROP_GRID = ("all", "windows", "thumbnail", "stride-256")
_FIXED = {"mean": 0.5, "cosine": 1.0, "magnitude": 0.0}
_GRIDS: Mapping[str, Mapping[str, Any]] = {
    "lambda": {"settings": LAMBDA_GRID, "rules": ("adaptive", "magnitude")},
    "bases": {"settings": AUTHORS_GRID},
    "crops": {"crops": CROP_GRID},
    "rules": {"rules": RULE_GRID},
}


def score_store(
    source: Features | StoredCues,
    anchors: TextAnchors | None = None,
    settings: FusionSettings = PAPER,
    rule: Rule = "adaptive",
) -> pd.DataFrame:
    """Score and cues of every picture of a store, means over its crops.

    Arguments are as in `sweep`, one of each. A row a picture, in the manifest's order: ``name,
    path, mos, score, q_cos, q_mag, w_cos, mean_magnitude, norm, n_crops, status, flags, message``;
    NaN where the status is not ``"ok"``.
    """
    cues = _cues(source, anchors, [settings.box_lam])
    if len(cues.q_cos) != 1:
        raise ValueError(f"expected cues of one prompt set, got {', '.join(cues.q_cos)}")
    (q_cos,), q_mag = cues.q_cos.values(), cues.q_mag[settings.box_lam]
    score, w_cos = _fuse(q_cos, q_mag, settings, rule)
    columns = {"score": score, "q_cos": q_cos, "q_mag": q_mag, "w_cos": w_cos}
    columns |= {"mean_magnitude": cues.mean_magnitude, "norm": cues.norm}
    every_crop = cues.select()
    means = {name: cues.means(values, every_crop) for name, values in columns.items()}
    table = cues.pictures[["name", "path", "mos"]].assign(**means, n_crops=0)
    table.loc[cues.features.ok, "n_crops"] = np.diff(cues.features.offsets)
    table[["status", "flags", "message"]] = cues.pictures[["status", "flags", "message"]]
    lost = (table["status"] == "ok") & ~np.isfinite(table["score"])
    table.loc[lost, ["score", "q_cos", "q_mag", "w_cos"]] = np.nan
    table.loc[lost, ["status", "message"]] = "nonfinite", NONFINITE
    ours = [name for name in METHODS if name in table]
    same = [METHODS[name] for name in ours if equals_opinions(table["mos"], table[name])]
    if same:
        warnings.warn(
            f"the opinions equal the scores of {' and of '.join(same)}: this is a method compared "
            "with itself, unless people happened to agree with it to the last picture",
            DatasetWarning,
            stacklevel=2,
        )
    return table


def sweep(
    source: Features | StoredCues,
    anchors: Anchors | None = None,
    settings: Sequence[FusionSettings] = (PAPER,),
    *,
    rules: Sequence[Rule] = ("adaptive",),
    crops: Sequence[str] = ("all",),
) -> pd.DataFrame:
    """How well every combination of settings, prompts, rules and crops follows the MOS.

    Args:
        source: the features, or cues read from them before.
        anchors: a prompt set, or several by name; not needed where ``source`` holds cues.
        settings: the fusion's constants, any number of them.
        rules: of `RULES`, or fixed weights of the cosine cue in [0, 1].
        crops: subsets of the crops, see `StoredCues.select`.

    Returns:
        One row a combination: ``prompts, crops, rule, box_lam, base_cos, base_norm, alpha, srcc,
        plcc_raw, n, n_dropped``, of raw scores; those that are not finite are dropped, and counted.

    Raises:
        ValueError: the manifest has no scores, or there is no such rule, subset or box_lam.
    """
    cues = _cues(source, anchors, [constants.box_lam for constants in settings])
    sign = 1 if cues.features.manifest.higher_is_better else -1
    mos = sign * cues.pictures["mos"].to_numpy(dtype=float)
    if not np.isfinite(mos).any():
        raise ValueError("the pictures have no scores to compare with")
    rows, ranks = [], dict[bytes, np.ndarray]()
    for subset in crops:
        chosen = cues.select(subset)
        q_cos = {name: values[chosen] for name, values in cues.q_cos.items()}
        q_mag = {lam: values[chosen] for lam, values in cues.q_mag.items()}
        for prompts, constants, rule in product(q_cos, settings, rules):
            fused, *_ = _fuse(q_cos[prompts], q_mag[constants.box_lam], constants, rule)
            scores = cues.means(fused, chosen)
            kept = np.isfinite(scores) & np.isfinite(mos)
            if kept.tobytes() not in ranks:
                ranks[kept.tobytes()] = rankdata(mos[kept])
            row = {"prompts": prompts, "crops": subset, "rule": rule, **vars(constants)}
            if not isinstance(rule, str):
                row["rule"] = f"fixed {float(rule):g}"
            row["srcc"] = pearson(rankdata(scores[kept]), ranks[kept.tobytes()])
            row["plcc_raw"] = pearson(scores[kept], mos[kept])
            rows.append(row | {"n": int(kept.sum()), "n_dropped": int((~kept).sum())})
    return pd.DataFrame(rows)


def named_sweep(
    grid: str, source: Features, text_anchors: Callable[[str | PromptPairs], TextAnchors]
) -> pd.DataFrame:
    """The table of `sweep` for one of the ablations, each other choice as in the paper.

    A grid is ``"lambda"``, ``"bases"``, ``"crops"``, ``"rules"`` or ``"prompts"``: the named sets,
    and every pair of MA-CLIP's alone. ``text_anchors`` encodes prompts, as `Maclip.text_anchors`.
    """
    if grid == "prompts":
        singles = [(pair,) for pair in MACLIP_PROMPTS]
        encoded = map(text_anchors, [*PROMPT_SETS.values(), *singles])
        return sweep(source, {set_name(anchors): anchors for anchors in encoded})
    return sweep(source, text_anchors("maclip"), **_GRIDS[grid])


def _cues(
    source: Features | StoredCues, anchors: Anchors | None, lams: Sequence[float]
) -> StoredCues:
    if isinstance(source, StoredCues) and anchors is None:
        cues = source
    elif isinstance(source, Features) and anchors is not None:
        cues = store_cues(source, anchors, lams)
    else:
        raise ValueError("features need anchors, the text features of a prompt set; cues have them")
    unread = sorted(set(lams) - set(cues.q_mag))
    if unread:
        read = ", ".join(map(str, cues.q_mag))
        raise ValueError(f"the cues were read for box_lam {read}, not for {unread[0]}")
    return cues


def _fuse(
    q_cos: np.ndarray, q_mag: np.ndarray, settings: FusionSettings, rule: Rule
) -> tuple[np.ndarray, np.ndarray]:
    """Score of every crop, and the weight of its cosine cue."""
    if rule == "adaptive":
        score, w_cos, _ = fuse(torch.from_numpy(q_cos), torch.from_numpy(q_mag), settings)
        return score.numpy(), w_cos.numpy()
    if rule == "product":
        return q_cos * q_mag, np.full(len(q_cos), np.nan)
    weight = _FIXED.get(rule) if isinstance(rule, str) else float(rule)
    if weight is None or not 0 <= weight <= 1:
        raise ValueError(
            f"a rule is one of {', '.join(RULES)} or a weight of the cosine cue in [0, 1], "
            f"got {rule!r}"
        )
    return weight * q_cos + (1 - weight) * q_mag, np.full(len(q_cos), weight)
