"""One backbone on one data set: its cues, its quality, and statistics of one kind for them all.

`Rated` is what notebooks ask; `study` is the table of the command line, beside what is published:
CLIP-IQA (the whole picture, the five prompt pairs), the magnitude cue alone, the cosine cue alone,
MA-CLIP and other metrics share one set of statistics.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import Tensor

from maclip_lab.ablations.rivals import Rivals, judge_choices
from maclip_lab.ablations.sweeps import Rule, score_store
from maclip_lab.datasets.checks import part_of_set, unlike_published
from maclip_lab.datasets.lists import fold_title
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.synthetic import EDITIONS
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation import (
    METHODS,
    Correlations,
    EvaluationSettings,
    breakdown,
    correlate,
    evaluate,
    resamples,
)
from maclip_lab.evaluation.correlations import Array, Estimate
from maclip_lab.evaluation.intervals import Indices, Resamples
from maclip_lab.evaluation.table import COLUMNS, DIFFERENCES
from maclip_lab.features import Extractor, Features, Pack
from maclip_lab.features.features import StoredCues, store_cues
from maclip_lab.files.identity import data_path
from maclip_lab.files.provenance import provenance_record
from maclip_lab.fusion import FusionSettings
from maclip_lab.score import TextAnchors
from maclip_lab.scorer import Maclip


class Rated:
    """A rated data set as one backbone sees it, for the pictures that have features and a score.

    Shapes: N pictures, M crops of them all, D dimensions.

    Args:
        features: of the crops.
        anchors: the prompts.
        wholes: features of the whole pictures, CLIP-IQA's; None where there are none.
        name: what the set is called; None for the manifest's name.
        backbone: what the backbone is called.
        statistics: resamples, seed and level of all intervals.
    """

    def __init__(
        self,
        features: Features,
        anchors: TextAnchors,
        wholes: Features | None = None,
        *,
        name: str | None = None,
        backbone: str = "",
        statistics: EvaluationSettings | None = None,
    ) -> None:
        manifest = features.manifest
        usable = (features.table["status"] == "ok") & manifest.table["mos"].notna().to_numpy()
        if wholes is not None:
            usable &= wholes.table["status"].to_numpy() == "ok"
        if not usable.all():
            manifest = manifest.subset(usable)
            features = features.subset(manifest)
            wholes = None if wholes is None else wholes.subset(manifest)
        self.is_severity = name == "severity" or manifest.dataset.lower() in EDITIONS
        self.name = name or ("severity" if self.is_severity else manifest.dataset)
        self.backbone, self.anchors, self.features = backbone, anchors, features
        self.n, self.n_dropped = len(manifest), int((~usable).sum())
        self.statistics = statistics or EvaluationSettings(n_boot=2000)
        self._wholes, self._cues = wholes, dict[float, StoredCues]()

    def __repr__(self) -> str:
        crops = self.features.offsets[-1]
        return f"{self.backbone} on {self.name}: {self.n} pictures, {crops} crops"

    @cached_property
    def quality(self) -> pd.Series:
        """The scores (N,), turned so that higher is better."""
        sign = 1 if self.features.manifest.higher_is_better else -1
        return (sign * self.features.manifest.table["mos"]).astype(float).rename("quality")

    @cached_property
    def clusters(self) -> pd.Series | None:
        """The reference of each picture; None where the set does not name them all."""
        references = self.features.manifest.table["ref_id"]
        return references if references.notna().all() else None

    @cached_property
    def crops(self) -> Tensor:
        """The features of all crops, (M, D)."""
        return self.features.stack()  # noqa: PD013 (no table)

    @cached_property
    def picture(self) -> np.ndarray:
        """The place of each crop's picture, (M,) from 0 to N - 1."""
        return np.repeat(self.features.ok, np.diff(self.features.offsets))

    @cached_property
    def whole(self) -> Tensor | None:
        """The features of the whole pictures, (N, D)."""
        return None if self._wholes is None else self._wholes.stack()  # noqa: PD013 (no table)

    def means(self, values: ArrayLike) -> Array:
        """The mean (N,) over each picture's crops of any quantity (M,)."""
        numbers = np.asarray(values, dtype=float)
        if numbers.shape != self.picture.shape:
            raise ValueError(
                f"expected one number for each of the {len(self.picture)} crops of {self.name}, "
                f"got shape {numbers.shape}"
            )
        counts = np.bincount(self.picture, minlength=self.n)
        return np.bincount(self.picture, numbers, self.n) / counts

    def cues(self, box_lam: float = 0.5) -> tuple[Array, Array]:
        """The cosine and the magnitude cue of every crop, (M,) each."""
        stored = self.stored(box_lam)
        return next(iter(stored.q_cos.values())), stored.q_mag[box_lam]

    def stored(self, box_lam: float = 0.5) -> StoredCues:
        """All that is read from the features of every crop, once for each lambda."""
        if box_lam not in self._cues:
            self._cues[box_lam] = store_cues(self.features, self.anchors, [box_lam])
        return self._cues[box_lam]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a picture: ``name, mos, quality``, the score, its cues, and lengths.

        ``clip_iqa`` is there where the whole pictures are; ``ref_id``, ``dist_type`` and
        ``dist_level`` where the set names them.
        """
        numbers = ["score", "q_cos", "q_mag", "w_cos", "mean_magnitude", "norm"]
        rows = self.features.manifest.table
        table = rows[["name", "mos"]].assign(quality=self.quality)
        table[numbers] = score_store(self.stored())[numbers]
        if self._wholes is not None:
            table["clip_iqa"] = score_store(self._wholes, self.anchors)["q_cos"]
        return table.join(rows[["ref_id", "dist_type", "dist_level"]].dropna(axis=1, how="all"))

    def score(self, settings: FusionSettings = FusionSettings(), rule: Rule = "adaptive") -> Array:
        """The score (N,) by other constants, or another rule; see `score_store`."""
        cues = self.stored(settings.box_lam)
        return score_store(cues, settings=settings, rule=rule)["score"].to_numpy()

    def srcc(self, prediction: ArrayLike) -> Estimate:
        """SRCC of a prediction (N,) with quality."""
        return self.correlate(prediction).srcc()

    def lead(self, prediction: ArrayLike, other: ArrayLike) -> Estimate:
        """By how much the SRCC of one prediction (N,) is above another's, on the same pictures."""
        return self.correlate(prediction, other).lead(0, 1)

    def estimate(self, statistic: Callable[[Indices], float]) -> Estimate:
        """Any number with its interval; ``statistic`` makes it of indices (m,), some repeated."""
        return Resamples(self.n, self.clusters, self.statistics).estimate(statistic)

    def correlate(self, *predictions: ArrayLike) -> Correlations:
        """SRCC of several predictions (N,), from the same resamples."""
        columns = np.column_stack([np.asarray(scores, dtype=float) for scores in predictions])
        return correlate(columns, self.quality, self.clusters, self.statistics)

    def evaluate(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """The table of `evaluate` for predictions, one column a method."""
        return evaluate(predictions, self.quality, clusters=self.clusters, settings=self.statistics)


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
    record = config.facts | manifest.facts | {"dtype": view.config.dtype, "statistics": statistics}
    record |= {"data": manifest.data(view.table)} | ({"also": rivals.facts} if rivals.facts else {})
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


def published_results() -> pd.DataFrame:
    """Published numbers: ``dataset, method, backbone, metric, value, source, how``.

    ``how`` a number came here is ``primary``, read off its own table; ``quoted``, from a third
    party; or ``recomputed`` from other rows. All fourteen are quoted: they are at hand only through
    a machine-written summary of the paper (en.papernotes.org), and nobody has checked them yet.

    CLIP-IQA's stated mean is not that of its rows. No PLCC, and no number of AGIQA, PIPAL, another
    backbone, lambda or the fusion is known here; such rows are absent, not guessed.
    """
    return pd.read_csv(data_path("published.csv"))
