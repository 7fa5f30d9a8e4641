"""One backbone on one data set: from features to a table one can trust, beside what is published.

CLIP-IQA (the whole picture, the five prompt pairs), the magnitude cue alone, the cosine cue alone,
MA-CLIP and other metrics share one set of statistics.
"""

import warnings
from dataclasses import dataclass

import pandas as pd

from maclip_lab.ablations.claims import published_results
from maclip_lab.ablations.rivals import Rivals, judge_choices
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.datasets.checks import part_of_set, unlike_published
from maclip_lab.datasets.lists import fold_title
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation import METHODS, EvaluationSettings, breakdown, evaluate, resamples
from maclip_lab.evaluation.table import COLUMNS, DIFFERENCES
from maclip_lab.features import Extractor, Features, Pack
from maclip_lab.files.identity import data_path
from maclip_lab.files.provenance import provenance_record
from maclip_lab.fusion import FusionSettings
from maclip_lab.scorer import Maclip


@dataclass(frozen=True)
class Study:
    """What evaluating one backbone on one data set gives.

    ``predictions`` has a row a picture of the manifest: what `score_store` tells, and ``clip_iqa``;
    ``table`` a row a method: all of `evaluate`, and what is published of the very same pictures;
    ``differences`` compares MA-CLIP with the others on the same resamples; ``by_type`` is the SRCC
    for every distortion type or generator, empty where there are none; ``record`` is provenance.
    """

    predictions: pd.DataFrame
    table: pd.DataFrame
    differences: pd.DataFrame
    by_type: pd.DataFrame
    record: dict[str, object]


def study(
    extractor: Extractor,
    manifest: Manifest,
    settings: FusionSettings = FusionSettings(),
    statistics: EvaluationSettings | None = None,
    *,
    clip_iqa: bool = True,
    rivals: Rivals = Rivals(),  # noqa: B008
    votes: pd.DataFrame | None = None,
) -> Study:
    """Evaluates a backbone on a data set; features come from the store where it has them.

    With ``clip_iqa`` the encoder is shown the whole pictures too, which is about half as much work
    again; ``votes``, from `read_choices`, are judged by in place of scores.
    """
    if not manifest.labelled and votes is None:
        raise ValueError(f"{manifest.dataset} has no scores to compare with; score it instead")
    anchors = extractor.scorer.anchors
    if clip_iqa:
        crops, wholes = extractor.crops_and_whole(manifest)
    else:
        crops, wholes = extractor.crops(manifest), None
    predictions = score_store(crops, anchors, settings)
    if wholes is not None:
        whole = score_store(wholes, anchors, settings)
        predictions["clip_iqa"] = whole["q_cos"]
        lost = (predictions["status"] == "ok") & (whole["status"] != "ok")
        predictions.loc[lost, "message"] = "no CLIP-IQA: " + whole["message"][lost]
    return assess(predictions, crops, extractor.scorer, settings, statistics, rivals, votes)


def assess(
    predictions: pd.DataFrame,
    view: Features,
    scorer: Maclip | Pack,
    settings: FusionSettings = FusionSettings(),
    statistics: EvaluationSettings | None = None,
    rivals: Rivals = Rivals(),  # noqa: B008
    votes: pd.DataFrame | None = None,
) -> Study:
    """The statistics of predictions that are at hand, made from these features."""
    manifest, rows = view.manifest, view.manifest.table
    config = scorer.config(view.config.protocol, settings, preset=view.config.preset)
    predictions = predictions.join(rivals.scores)
    shown = [name for name in (*METHODS, *rivals.scores) if name in predictions]
    methods = predictions[shown].rename(columns=METHODS)
    statistics = statistics or EvaluationSettings(resamples(len(methods.columns) - 1))
    record = {
        **config.facts,
        **manifest.facts,
        "dtype": view.config.dtype,
        "statistics": statistics,
        "data": manifest.data(view.table),
        **({"also": rivals.facts} if rivals.facts else {}),
    }
    differences = by_type = pd.DataFrame()
    if votes is not None:
        record["votes"] = votes.to_dict("list")
        table, predictions = judge_choices(predictions, methods, votes)
        agreement = table[["accuracy", "accuracy_hi"]] - 0.5
    else:
        up = manifest.higher_is_better
        judged = evaluate(
            methods,
            rows["mos"],
            baseline="MA-CLIP",
            higher_is_better=up,
            clusters=rows["ref_id"] if rows["ref_id"].notna().all() else None,
            settings=statistics,
        )
        differences = judged.loc[judged["other"] != "", ["method", *DIFFERENCES]]
        table = _beside_published(judged[COLUMNS], view)
        agreement = table[["srcc", "srcc_lo", "srcc_hi"]]
        if rows["dist_type"].notna().all():
            by_type = breakdown(methods, rows["mos"], rows["dist_type"], higher_is_better=up)
    falls = (agreement.iloc[:, 0] < 0) & ~(agreement.max(axis=1) >= 0)
    for name in table["method"][falls & table["method"].isin(list(rivals.scores))]:
        warnings.warn(
            f"{name} falls where quality rises; if lower is better, say so by FILE:-COLUMN, or "
            "FILE:- for all of a file",
            DatasetWarning,
            stacklevel=2,
        )
    table.insert(0, "dataset", manifest.dataset)
    table.insert(1, "backbone", config.backbone)
    return Study(predictions, table, differences, by_type, provenance_record(record))


def _beside_published(table: pd.DataFrame, view: Features) -> pd.DataFrame:
    """With the paper's SRCC by RN50 and our difference from it, and with other metrics' by name.

    Numbers are of whole sets, so they stand beside nothing else. Protocols of the other metrics,
    from Table I of MDFS, may differ from the paper's.
    """
    manifest = view.manifest
    sizes = list(zip(view.table["width"], view.table["height"], strict=True))
    reasons = unlike_published(manifest, sizes)
    if reasons:
        warnings.warn(
            f"{manifest.dataset}: {'; '.join(reasons)}. The paper's numbers are not put beside",
            DatasetWarning,
            stacklevel=3,
        )
    native = manifest.protocol == "native"  # a list may be called like one of the nine
    dataset = "" if reasons or native or part_of_set(manifest) else manifest.dataset
    paper, others = published_results(), pd.read_csv(data_path("rivals.csv"))
    paper = paper[(paper["dataset"] == dataset) & (paper["metric"] == "srcc")]
    others = others[others["dataset"] == dataset].set_index("method").rename(index=fold_title)
    beside = table["method"].map(paper.set_index("method")["value"])
    return table.assign(
        paper_rn50_srcc=beside,
        minus_paper_rn50=table["srcc_official"] - beside,
        published_srcc=table["method"].map(fold_title).map(others["srcc"]),
    )
