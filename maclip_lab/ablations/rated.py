"""A rated data set as the ablations ask it: its cues, its quality, and statistics of one kind."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from maclip_lab.ablations.sweeps import Rule, score_store
from maclip_lab.datasets.synthetic import EDITIONS
from maclip_lab.evaluation import Correlations, EvaluationSettings, correlate, evaluate
from maclip_lab.evaluation.correlations import MIN_PICTURES, Array, spearman
from maclip_lab.evaluation.estimates import Estimate
from maclip_lab.evaluation.intervals import MIN_CLUSTERS, Indices, Resamples, srcc_replicates
from maclip_lab.evaluation.pairs import pair_agreement, pair_agreement_replicates
from maclip_lab.features import Features
from maclip_lab.features.cues import StoredCues, store_cues
from maclip_lab.fusion import FusionSettings
from maclip_lab.score import TextAnchors

Statistic = Callable[[Tensor], Tensor]

STATISTICS = EvaluationSettings(n_boot=300)
MOST_PAIRED = 4000


@dataclass(frozen=True, eq=False)
class RatedSet:
    """A data set seen by one backbone, and how well anything follows its quality.

    Every interval comes from one bootstrap, which draws whole references where the set names them,
    since versions of one photograph are no independent witnesses.

    Attributes:
        features: of the set.
        anchors: the prompts.
        statistics: resamples, seed and level of all intervals.
        wholes: features of the whole pictures, CLIP-IQA's; None where nothing asks for them.
    """

    features: Features
    anchors: TextAnchors
    statistics: EvaluationSettings = STATISTICS
    wholes: Features | None = None

    @property
    def is_severity(self) -> bool:
        """Whether its scores are levels of harm done here, and no person's opinion."""
        return self.features.manifest.dataset.lower() in EDITIONS

    @property
    def name(self) -> str:
        """What it is called: ``severity`` or ``opinion``, and the set."""
        kind = "severity" if self.is_severity else "opinion"
        return f"{kind} ({self.features.manifest.dataset})"

    @property
    def quality_label(self) -> str:
        """What its quality is, for an axis."""
        if self.is_severity:
            return "pseudo-MOS, 5 minus the level"
        direction = "" if self.features.manifest.higher_is_better else ", turned round"
        return f"MOS{direction}, higher is better"

    @property
    def facts(self) -> pd.DataFrame:
        """The manifest's table, one row a picture."""
        return self.features.manifest.table

    @cached_property
    def quality(self) -> pd.Series:
        """The scores, turned so that higher is better."""
        sign = 1 if self.features.manifest.higher_is_better else -1
        return (sign * self.facts["mos"]).rename("quality")

    @cached_property
    def clusters(self) -> pd.Series | None:
        """The reference of each picture; None where the set does not name them all."""
        references = self.facts["ref_id"]
        return references if references.notna().all() else None

    def cues(self, box_lams: Sequence[float] = (0.5,)) -> StoredCues:
        """The cues of every crop, see `store_cues`."""
        return store_cues(self.features, self.anchors, box_lams)

    @cached_property
    def stored(self) -> StoredCues:
        """The cues of every crop at the paper's lambda."""
        return self.cues()

    @cached_property
    def table(self) -> pd.DataFrame:
        """Score, cues and lengths of every picture by the paper's settings, and ``quality``."""
        return score_store(self.stored).assign(quality=self.quality)

    def scores(self, settings: FusionSettings = FusionSettings(), rule: Rule = "adaptive") -> Array:
        """Score of every picture (N,) by other constants or another rule, at the paper's lambda."""
        return score_store(self.stored, settings=settings, rule=rule)["score"].to_numpy()

    def means(self, statistics: Mapping[str, Statistic]) -> pd.DataFrame:
        """Any statistic of a crop's feature, as the mean over the crops of every picture.

        Args:
            statistics: what it is called to what takes features ``(P, D)`` to numbers ``(P,)``.
        """
        found = crop_statistics(self.features, statistics)
        everything = self.stored.select()
        means = {name: self.stored.means(values, everything) for name, values in found.items()}
        return pd.DataFrame(means, index=self.facts.index)

    def agreement(
        self, predictions: pd.DataFrame, baseline: Hashable | None = None
    ) -> pd.DataFrame:
        """SRCC with quality of several predictions, on the pictures that have all of them.

        Args:
            predictions: one column a method, one row a picture.
            baseline: a column; adds by how much each method is above it.

        Returns:
            One row a method: ``method, srcc, srcc_lo, srcc_hi``, and with a baseline ``lead,
            lead_lo, lead_hi``, differences on the same resamples.
        """
        values, drawn = self._correlations(predictions)
        columns = ["method", "srcc", "srcc_lo", "srcc_hi"]
        names = list(predictions)
        base = None if baseline is None else names.index(baseline)
        if base is not None:
            columns += ["lead", "lead_lo", "lead_hi"]
        rows = []
        for i, name in enumerate(names):
            row = [name, *self._estimate(values[i], drawn[:, i])]
            if base is not None:
                row += self._estimate(values[i] - values[base], drawn[:, i] - drawn[:, base])
            rows.append(row)
        return pd.DataFrame(rows, columns=columns)

    def srcc(self, prediction: ArrayLike) -> Estimate:
        """SRCC of one prediction (N,) with quality."""
        values, drawn = self._correlations(pd.DataFrame({"it": np.asarray(prediction)}))
        return self._estimate(values[0], drawn[:, 0])

    def lead(self, prediction: ArrayLike, other: ArrayLike) -> Estimate:
        """By how much the SRCC of one prediction (N,) is above that of another."""
        both = {"it": np.asarray(prediction), "other": np.asarray(other)}
        values, drawn = self._correlations(pd.DataFrame(both))
        return self._estimate(values[0] - values[1], drawn[:, 0] - drawn[:, 1])

    def reach(self, predictions: pd.DataFrame) -> Estimate:
        """How far the SRCC of several predictions lie apart, the highest less the lowest."""
        values, drawn = self._correlations(predictions)
        return self._estimate(np.ptp(values), np.ptp(drawn, axis=1))

    def halves(self, cues: Sequence[str] = ("q_cos", "q_mag")) -> tuple[pd.DataFrame, Estimate]:
        """How well two cues order the pairs inside the better and inside the worse half.

        Of a set of more than `MOST_PAIRED` pictures so many are drawn, since pairs are many.

        Returns:
            One row a half and cue, ``half, method, agreement, agreement_lo, agreement_hi, n``, and
            by how much the first cue's lead over the second is larger in the better half.
        """
        kept, quality = self._usable(self.table[list(cues)])
        if len(quality) > MOST_PAIRED:
            rng = np.random.default_rng(self.statistics.seed)
            drawn_rows = rng.choice(np.flatnonzero(kept), MOST_PAIRED, replace=False)
            kept = np.isin(np.arange(len(kept)), drawn_rows)
            quality = self.quality.to_numpy(dtype=float)[kept]
        predictions = self.table.loc[kept, list(cues)].to_numpy()
        better = quality > np.median(quality)
        rows, leads = [], []
        for half, inside in {"better half": better, "worse half": ~better}.items():
            drawn = pair_agreement_replicates(
                predictions, quality, inside, clusters=self._codes(kept), settings=self.statistics
            )
            values = [pair_agreement(column[inside], quality[inside]) for column in predictions.T]
            for cue, value, column in zip(cues, values, drawn.T, strict=True):
                rows.append((half, cue, *self._estimate(value, column), int(inside.sum())))
            leads.append((values[0] - values[1], drawn[:, 0] - drawn[:, 1]))
        columns = ["half", "method", "agreement", "agreement_lo", "agreement_hi", "n"]
        change = self._estimate(leads[0][0] - leads[1][0], leads[0][1] - leads[1][1])
        return pd.DataFrame(rows, columns=columns), change

    def _usable(self, predictions: pd.DataFrame) -> tuple[np.ndarray, Array]:
        """Rows in which all these are finite, and the quality there."""
        quality = self.quality.to_numpy(dtype=float)
        kept = np.isfinite(predictions.to_numpy(dtype=float)).all(axis=1) & np.isfinite(quality)
        return kept, quality[kept]

    def _codes(self, kept: np.ndarray) -> Indices | None:
        return None if self.clusters is None else pd.factorize(self.clusters[kept])[0]

    def _correlations(self, predictions: pd.DataFrame) -> tuple[Array, Array]:
        """SRCC of every column ``(M,)``, and in every resample ``(B, M)``; no B if too few."""
        kept, quality = self._usable(predictions)
        columns = predictions.to_numpy(dtype=float)[kept]
        values = np.array([spearman(column, quality) for column in columns.T])
        codes = self._codes(kept)
        if len(quality) < MIN_PICTURES or (codes is not None and codes.max() + 1 < MIN_CLUSTERS):
            return values, np.empty((0, len(values)))
        return values, srcc_replicates(columns, quality, codes, self.statistics)

    def _estimate(self, value: float, replicates: Array) -> Estimate:
        return Estimate.of(value, replicates, self.statistics.level)


@torch.inference_mode()
def crop_statistics(
    features: Features, statistics: Mapping[str, Statistic]
) -> dict[str, np.ndarray]:
    """Any statistic of every crop's feature ``(M,)``, read a piece at a time.

    Args:
        features: of a set.
        statistics: what it is called to what takes features ``(P, D)`` to numbers ``(P,)``.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    for block in features.blocks():
        crops = torch.from_numpy(block.astype(np.float32))
        for name, statistic in statistics.items():
            found[name].append(statistic(crops).numpy())
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


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
        return (
            f"{self.backbone} on {self.name}: {self.n} pictures, {self.features.offsets[-1]} crops"
        )

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
        shown = ["score", "q_cos", "q_mag", "w_cos", "mean_magnitude", "norm"]
        facts = self.features.manifest.table
        table = facts[["name", "mos"]].assign(quality=self.quality)
        table[shown] = score_store(self.stored())[shown]
        if self._wholes is not None:
            table["clip_iqa"] = score_store(self._wholes, self.anchors)["q_cos"]
        told = [name for name in ("ref_id", "dist_type", "dist_level") if facts[name].notna().any()]
        return table.assign(**{name: facts[name] for name in told})

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
        """Any number of some pictures, with its interval; pictures are drawn as for an SRCC.

        Args:
            statistic: from indices of pictures (m,), some of them repeated, to the number.
        """
        return Resamples.of(self.n, self.clusters, self.statistics).estimate(statistic)

    def correlate(self, *predictions: ArrayLike) -> Correlations:
        """SRCC of several predictions (N,), from the same resamples."""
        columns = np.column_stack([np.asarray(one, dtype=float) for one in predictions])
        return correlate(columns, self.quality, self.clusters, self.statistics)

    def evaluate(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """The table of `evaluate` for predictions, one column a method."""
        return evaluate(predictions, self.quality, clusters=self.clusters, settings=self.statistics)
