"""One backbone on one data set: from the feature store to a table one can trust.

The methods of the comparison share one set of statistics: CLIP-IQA (the whole picture, the
five prompt pairs), the magnitude cue alone, the cosine cue alone, and MA-CLIP.
"""

import os
import warnings
from dataclasses import dataclass

import pandas as pd

from maclip_lab.ablations.choices import judge_choices
from maclip_lab.ablations.published import with_published
from maclip_lab.ablations.rivals import Rivals
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.datasets.checks import part_of_set, unlike_published
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation import METHODS, EvaluationSettings, breakdown, evaluate, resamples
from maclip_lab.evaluation.table import COLUMNS, DIFFERENCES
from maclip_lab.features import Extractor, Features, Pack
from maclip_lab.files.provenance import provenance_record
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Preset
from maclip_lab.scorer import Maclip


@dataclass(frozen=True)
class Study:
    """What evaluating one backbone on one data set gives.

    Attributes:
        predictions: one row a picture of the manifest: ``name, mos, clip_iqa, q_cos, q_mag, score``
            and what else `score_store` tells, ``status`` first of all.
        table: one row a method: all of `evaluate`, and where the rows are a whole set of the
            paper's, its number and the difference from it.
        differences: MA-CLIP against the other methods, on the same resamples, see `evaluate`.
        by_type: SRCC of every method for every distortion type or generator; empty where the
            data set has none.
        record: provenance of it all.
    """

    predictions: pd.DataFrame
    table: pd.DataFrame
    differences: pd.DataFrame
    by_type: pd.DataFrame
    record: dict[str, object]


def study(
    manifest: Manifest,
    scorer: Maclip | Pack,
    store_folder: str | os.PathLike[str],
    *,
    settings: FusionSettings = FusionSettings(),
    statistics: EvaluationSettings | None = None,
    preset: Preset | None = None,
    dtype: str = "fp32",
    clip_iqa: bool = True,
    rivals: Rivals | None = None,
    votes: pd.DataFrame | None = None,
    progress: bool = False,
) -> Study:
    """Evaluates a backbone on a data set; features come from the store where it has them.

    Args:
        manifest: the data set; its pictures must have scores.
        scorer: the backbone; for a pack's manifest the pack itself will do.
        store_folder: of the feature store; made where absent, left alone for a pack.
        settings: the fusion's constants.
        statistics: of the bootstrap.
        preset: how files are read; None for the manifest's.
        dtype: how features are stored.
        clip_iqa: show the encoder the whole pictures as well, for CLIP-IQA's row; that is about
            half as much work again.
        rivals: other metrics' scores, judged beside ours.
        votes: people's choices, from `read_choices`, to judge by in place of scores.
        progress: show progress bars.

    Raises:
        ValueError: the manifest has no scores.
    """
    if not manifest.labelled and votes is None:
        raise ValueError(f"{manifest.dataset} has no scores to compare with; score it instead")
    extractor = Extractor(scorer, store_folder, dtype, progress, preset)
    if not clip_iqa:
        crops = extractor.crops(manifest)
    else:
        crops, wholes = extractor.crops_and_whole(manifest)
    predictions = score_store(crops, scorer.anchors, settings)
    if clip_iqa:
        whole = score_store(wholes, scorer.anchors, settings)
        predictions["clip_iqa"] = whole["q_cos"]
        lost = (predictions["status"] == "ok") & (whole["status"] != "ok")
        predictions.loc[lost, "message"] = "no CLIP-IQA: " + whole["message"][lost]
    return assess(predictions, crops, scorer, settings, statistics, rivals, votes)


def assess(
    predictions: pd.DataFrame,
    view: Features,
    scorer: Maclip | Pack,
    settings: FusionSettings = FusionSettings(),
    statistics: EvaluationSettings | None = None,
    rivals: Rivals | None = None,
    votes: pd.DataFrame | None = None,
) -> Study:
    """The statistics of predictions that are at hand, made from these features."""
    manifest = view.manifest
    facts = manifest.table
    config = scorer.config(view.config.protocol, settings, preset=view.config.preset)
    methods = predictions[[name for name in METHODS if name in predictions]].rename(columns=METHODS)
    others = len(methods.columns) - 1 + (0 if rivals is None else len(rivals.scores.columns))
    statistics = statistics or EvaluationSettings(resamples(others))
    record = {
        **config.facts,
        **manifest.facts,
        "dtype": view.config.dtype,
        "statistics": statistics,
        "data": manifest.data(view.table),
    }
    if rivals is not None and rivals.facts:
        record["also"] = rivals.facts
        scores = rivals.scores.set_axis(predictions.index)
        methods, predictions = (pd.concat([one, scores], axis=1) for one in (methods, predictions))
    named = {"dataset": manifest.dataset, "backbone": config.backbone}
    if votes is not None:
        record["votes"], none = votes.to_dict("list"), pd.DataFrame()
        table, predictions = judge_choices(predictions, methods, votes)
        table = table.assign(**named)[[*named, *table]]
        _warn_of_falling(table["method"], table[["accuracy", "accuracy_hi"]] - 0.5, rivals)
        return Study(predictions, table, none, none, provenance_record(record))
    clusters = facts["ref_id"] if facts["ref_id"].notna().all() else None
    judged = evaluate(
        methods,
        facts["mos"],
        baseline="MA-CLIP",
        higher_is_better=manifest.higher_is_better,
        clusters=clusters,
        settings=statistics,
    )
    table = judged[COLUMNS].assign(**named)
    table = table[[*named, *COLUMNS]]
    _warn_of_falling(table["method"], table[["srcc", "srcc_lo", "srcc_hi"]], rivals)
    differences = judged.loc[judged["other"] != "", ["method", *DIFFERENCES]]
    by_type = pd.DataFrame()
    if facts["dist_type"].notna().all():
        by_type = breakdown(
            methods,
            facts["mos"],
            facts["dist_type"],
            higher_is_better=manifest.higher_is_better,
        )
    table = with_published(table)
    sizes = list(zip(view.table["width"], view.table["height"], strict=True))
    reasons = unlike_published(manifest, sizes)
    if reasons:
        warnings.warn(
            f"{manifest.dataset}: {'; '.join(reasons)}. The paper's numbers are not put beside",
            DatasetWarning,
            stacklevel=2,
        )
    native = manifest.protocol == "native"  # a list may be called like one of the nine
    if reasons or native or part_of_set(manifest):
        table[["paper_rn50_srcc", "minus_paper_rn50", "published_srcc"]] = float("nan")
    return Study(predictions, table, differences, by_type, provenance_record(record))


def _warn_of_falling(methods: pd.Series, agreement: pd.DataFrame, rivals: Rivals | None) -> None:
    """Names the other metrics that agree with quality by less than nothing."""
    falling = (agreement.iloc[:, 0] < 0) & ~(agreement.max(axis=1) >= 0)
    for name in methods[falling & methods.isin([] if rivals is None else list(rivals.scores))]:
        warnings.warn(
            f"{name} falls where quality rises; if lower is better, say so by FILE:-COLUMN, or "
            "FILE:- for all of a file",
            DatasetWarning,
            stacklevel=3,
        )
