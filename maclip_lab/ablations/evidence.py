"""What one backbone shows on one data set: the tables and numbers that the claims ask for."""

import os
import time
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from maclip_lab.ablations.constants import grid_agreement
from maclip_lab.ablations.contents import distance_change, mean_distance, stage_distances
from maclip_lab.ablations.ladder import ladder
from maclip_lab.ablations.lambdas import (
    CURVE,
    lambda_agreement,
    lambda_scores,
    steadiness,
    undivided_scores,
)
from maclip_lab.ablations.published import PAPER_BACKBONE
from maclip_lab.ablations.rated import STATISTICS, RatedSet
from maclip_lab.ablations.study import study
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.crops import DATASETS
from maclip_lab.datasets.cards import Choices, Variant
from maclip_lab.datasets.checks import check_dataset, part_of_set, unlike_published
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.opening import find_datasets, open_dataset
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.evaluation.estimates import Estimate
from maclip_lab.features import Extractor, Pack
from maclip_lab.fusion import FusionSettings
from maclip_lab.scorer import Maclip

VARIANT: Variant = "paper"
"""The rows of the list published with MA-CLIP."""
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))
_A_PART = ("rows", "missing")
_NOTHING = Estimate(float("nan"), float("nan"), float("nan"))


def find_sets(root: str | os.PathLike[str]) -> tuple[dict[str, Manifest], dict[str, str]]:
    """The paper's list of every data set below a folder, and why some are left out.

    A part of a set is taken, as `gather` will say of it. One that cannot be read, or whose scores
    are not what they should be, is left out.

    Raises:
        DatasetError: ``root`` is no folder.
    """
    found, left_out = {}, {}
    for name, folder in find_datasets(root).items():
        if name not in DATASETS:
            continue  # the paper says nothing of it
        report = check_dataset(name, folder, Choices(variant=VARIANT), decode=False)
        wrong = [one for one in report.findings if one.severity == "error"]
        reasons = [f"{one.kind}: {one.message}" for one in wrong if one.kind not in _A_PART]
        if reasons:
            left_out[name] = "; ".join(reasons)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DatasetWarning)  # a part is named as one in every row
            found[name] = open_dataset(name, folder, variant=VARIANT)
    return found, left_out


def gather(
    manifest: Manifest,
    scorer: Maclip | Pack,
    store_folder: str | os.PathLike[str],
    *,
    statistics: EvaluationSettings = STATISTICS,
    dtype: str = "fp32",
    progress: bool = False,
) -> "Evidence":
    """What a backbone shows on a data set; features come from the store where it has them.

    Args:
        manifest: the data set.
        scorer: the backbone; for a pack's manifest the pack itself will do.
        store_folder: of the feature store.
        statistics: of all intervals.
        dtype: how features are stored.
        progress: show progress bars.
    """
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DatasetWarning)  # said among the faults
        found = study(
            manifest, scorer, store_folder, statistics=statistics, dtype=dtype, progress=progress
        )
    crops, wholes = Extractor(scorer, store_folder, dtype).crops_and_whole(manifest)
    part = part_of_set(manifest)
    faults = [part] if part else []
    if manifest.protocol not in DATASETS:
        faults.append(f"{manifest.dataset} is none of the paper's sets")
    unread = int((crops.table["status"] != "ok").sum())
    if unread:
        faults.append(f"{unread} of {len(manifest)} pictures cannot be read")
    sizes = list(zip(crops.table["width"], crops.table["height"], strict=True))
    return Evidence(
        RatedSet(crops, scorer.anchors, statistics, wholes),
        str(found.table["backbone"].iloc[0]),
        f"{manifest.dataset} (part)" if part else manifest.dataset,
        found.table,
        found.record,
        (*faults, *unlike_published(manifest, sizes)),
        time.perf_counter() - start,
    )


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one backbone shows on one data set, each table made when it is asked for.

    Attributes:
        rated: the set, with its whole pictures.
        backbone: by name.
        dataset: what the set is called, and whether it is a part.
        methods: rows of `study`, one a method.
        record: provenance of those.
        faults: why these pictures are no test of the paper; none where they are.
        seconds: that it took to gather.
    """

    rated: RatedSet
    backbone: str
    dataset: str
    methods: pd.DataFrame
    record: dict[str, object]
    faults: tuple[str, ...] = ()
    seconds: float = float("nan")

    @property
    def why_not(self) -> str:
        """Why this is no test of the paper; empty where it is."""
        other = f"{self.backbone} is not the paper's {PAPER_BACKBONE}"
        return "; ".join([*[other] * (self.backbone != PAPER_BACKBONE), *self.faults])

    @cached_property
    def cues(self) -> pd.DataFrame:
        """SRCC of lengths and cues."""
        return self.rated.agreement(self.rated.table[["norm", "mean_magnitude", "q_mag", "q_cos"]])

    @cached_property
    def ladder(self) -> pd.DataFrame:
        """From CLIP-IQA to MA-CLIP, see `ladder`."""
        return ladder(self.rated)

    @cached_property
    def halves(self) -> tuple[pd.DataFrame, Estimate]:
        """Both cues among good and among poor pictures."""
        return self.rated.halves()

    @cached_property
    def curve(self) -> pd.DataFrame:
        """SRCC by lambda."""
        return lambda_agreement(self.rated, self._by_lambda)

    @cached_property
    def undivided_curve(self) -> pd.DataFrame:
        """The same without the division by the standard deviation."""
        return lambda_agreement(self.rated, self._undivided)

    @cached_property
    def fixed(self) -> pd.DataFrame:
        """SRCC of fixed weights ``w_cos`` of the cosine cue, and each one's lead over adaptive."""
        scores = pd.DataFrame({str(weight): self.rated.scores(rule=weight) for weight in WEIGHTS})
        table = self.rated.agreement(
            scores.assign(adaptive=self.rated.table["score"]), baseline="adaptive"
        )
        return table.assign(w_cos=[*WEIGHTS, np.nan])

    @cached_property
    def grid(self) -> pd.DataFrame:
        """The authors' 70 settings, 50 of which differ."""
        return grid_agreement(self.rated)

    @cached_property
    def distances(self) -> dict[str, pd.DataFrame]:
        """Wasserstein distances between contents, see `stage_distances`; none without contents."""
        try:
            return stage_distances(self.rated.features, seed=self.rated.statistics.seed)
        except ValueError:  # all pictures show one thing, or all features are alike
            return {}

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Everything above, by what a file of it is called."""
        means = {stage: mean_distance(table) for stage, table in self.distances.items()}
        return {
            "cues": self.cues,
            "ladder": self.ladder,
            "halves": self.halves[0],
            "lambda": self.curve,
            "lambda_undivided": self.undivided_curve,
            "fixed_weights": self.fixed,
            "grid": self.grid,
            "distances": pd.DataFrame(list(means.items()), columns=["stage", "mean distance"]),
        }

    @cached_property
    def _by_lambda(self) -> dict[float, pd.DataFrame]:
        return lambda_scores(self.rated, CURVE)

    @cached_property
    def _undivided(self) -> dict[float, pd.DataFrame]:
        return undivided_scores(self.rated, CURVE)

    def gain(self) -> Estimate:
        """MA-CLIP over CLIP-IQA."""
        assert self.rated.wholes is not None
        whole = score_store(self.rated.wholes, self.rated.anchors)["q_cos"]
        return self.rated.lead(self.rated.table["score"], whole)

    def step(self, rung: str) -> Estimate:
        """What a rung of the ladder adds."""
        row = self.ladder.set_index("rung").loc[rung]
        return Estimate(row["step"], row["step_lo"], row["step_hi"])

    def over_fixed(self, weight: float | None = None) -> Estimate:
        """MA-CLIP over a fixed weight; None for the best of all, found by looking at the scores."""
        rows = self.fixed.dropna(subset=["w_cos"])
        row = rows.loc[_highest(rows)] if weight is None else rows.set_index("w_cos").loc[weight]
        return Estimate(-row["lead"], -row["lead_hi"], -row["lead_lo"])

    def best_of_grid(self) -> Estimate:
        """The best of the authors' settings over the paper's."""
        row = self.grid.loc[_highest(self.grid)]
        return Estimate(row["lead"], row["lead_lo"], row["lead_hi"])

    def over_equal_bases(self) -> Estimate:
        """MA-CLIP over the same with base constants of 1.0 and 1.0."""
        equal = self.rated.scores(FusionSettings(base_cos=1.0, base_norm=1.0))
        return self.rated.lead(self.rated.table["score"], equal)

    def reach(self, *, divided: bool = True) -> Estimate:
        """How far the score's SRCC moves where the paper finds it steady."""
        return steadiness(self.rated, self._by_lambda if divided else self._undivided)

    def box_cox_change(self) -> Estimate:
        """By how much Box-Cox moves contents closer."""
        if not self.distances:
            return _NOTHING
        _, divided, bent = self.distances.values()
        return distance_change(divided, bent, self.rated.statistics)


def _highest(table: pd.DataFrame) -> int:
    return int(table["srcc"].fillna(-np.inf).idxmax())
