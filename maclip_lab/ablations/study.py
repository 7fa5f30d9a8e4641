"""One backbone on one data set: from the feature store to a table one can trust.

The methods of the comparison share one set of statistics: CLIP-IQA (the whole picture, the
five prompt pairs), the magnitude cue alone, the cosine cue alone, and MA-CLIP.
"""

import os
from dataclasses import dataclass

import pandas as pd

from maclip_lab.ablations.choices import judge_choices
from maclip_lab.ablations.published import with_published
from maclip_lab.ablations.rivals import Rivals
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.crops import protocol_for
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.evaluation import METHODS, EvaluationSettings, breakdown, compare, evaluate
from maclip_lab.features import extract_crops_and_whole, extract_features
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
        table: one row a method: all of `evaluate`, the paper's number and the difference from it.
        differences: MA-CLIP against the other methods, from `compare`.
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
    scorer: Maclip,
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
        scorer: the backbone.
        store_folder: of the feature store; made where absent.
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
    if not clip_iqa:
        crops = extract_features(
            manifest, scorer, store_folder, preset=preset, dtype=dtype, progress=progress
        )
    else:
        crops, wholes = extract_crops_and_whole(
            manifest, scorer, store_folder, preset=preset, dtype=dtype, progress=progress
        )
    predictions = score_store(crops, scorer.anchors, settings)
    if clip_iqa:
        whole = score_store(wholes, scorer.anchors, settings)
        predictions["clip_iqa"] = whole["q_cos"]
        lost = (predictions["status"] == "ok") & (whole["status"] != "ok")
        predictions.loc[lost, "message"] = "no CLIP-IQA: " + whole["message"][lost]
    return assess(predictions, manifest, scorer, settings, statistics, preset, rivals, votes)


def assess(
    predictions: pd.DataFrame,
    manifest: Manifest,
    scorer: Maclip,
    settings: FusionSettings = FusionSettings(),
    statistics: EvaluationSettings | None = None,
    preset: Preset | None = None,
    rivals: Rivals | None = None,
    votes: pd.DataFrame | None = None,
) -> Study:
    """The statistics of predictions that are at hand; arguments as in `study`."""
    facts = manifest.table
    methods = predictions[[name for name in METHODS if name in predictions]].rename(columns=METHODS)
    protocol = protocol_for(manifest.protocol)
    config = scorer.config(protocol, settings, preset=preset or manifest.preset)
    record = {**config.facts, **manifest.facts, "statistics": statistics or EvaluationSettings()}
    if rivals is not None and rivals.facts:
        record["also"] = rivals.facts
        scores = rivals.scores.set_axis(predictions.index)
        methods, predictions = (pd.concat([one, scores], axis=1) for one in (methods, predictions))
    named = {"dataset": manifest.dataset, "backbone": scorer.backbone.name}
    if votes is not None:
        record["votes"], none = votes.to_dict("list"), pd.DataFrame()
        table, predictions = judge_choices(predictions, methods, votes)
        table = table.assign(**named)[[*named, *table]]
        return Study(predictions, table, none, none, provenance_record(record))
    clusters = facts["ref_id"] if facts["ref_id"].notna().all() else None
    oriented = {"higher_is_better": manifest.higher_is_better}
    table = evaluate(
        methods,
        facts["mos"],
        mos_std=facts["mos_std"],
        clusters=clusters,
        settings=statistics,
        **oriented,
    )
    table = table.assign(**named)[[*named, *table]]
    differences = compare(
        methods,
        facts["mos"],
        baseline="MA-CLIP",
        clusters=clusters,
        settings=statistics,
        **oriented,
    )
    by_type = pd.DataFrame()
    if facts["dist_type"].notna().all():
        by_type = breakdown(methods, facts["mos"], facts["dist_type"], **oriented)
    found = with_published(table), differences, by_type
    return Study(predictions, *found, provenance_record(record))
