"""A rated data set as the ablations ask it: its cues, its quality, and statistics of one kind."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import Tensor

from maclip_lab.ablations.sweeps import Rule, score_store
from maclip_lab.datasets.synthetic import EDITIONS
from maclip_lab.evaluation import Correlations, EvaluationSettings, correlate, evaluate
from maclip_lab.evaluation.correlations import Array
from maclip_lab.evaluation.estimates import Estimate
from maclip_lab.evaluation.intervals import Indices, Resamples
from maclip_lab.features import Features
from maclip_lab.features.cues import StoredCues, store_cues
from maclip_lab.fusion import FusionSettings
from maclip_lab.score import TextAnchors


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

    @property
    def picture(self) -> np.ndarray:
        """The place of each crop's picture, (M,) from 0 to N - 1."""
        return self.features.segments

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
