"""The paper's claims, and what a rated set shows of them; notebook 10 judges and prints them."""

import os
import warnings
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from scipy.cluster.vq import kmeans2
from scipy.stats import wasserstein_distance
from torch.nn.functional import normalize

from maclip_lab.ablations.rated import Rated, published_results
from maclip_lab.ablations.sweeps import AUTHORS_GRID
from maclip_lab.crops import DATASETS
from maclip_lab.cues import box_cox, scaled_magnitude
from maclip_lab.datasets.cards import Choices, Variant
from maclip_lab.datasets.checks import check_dataset, part_of_set, unlike_published
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.opening import find_datasets, open_dataset
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation import METHODS, EvaluationSettings, correlate
from maclip_lab.evaluation.correlations import Estimate, resamples
from maclip_lab.evaluation.intervals import Correlations, Resamples
from maclip_lab.files.identity import data_path
from maclip_lab.fusion import FusionSettings, fuse

PAPER_BACKBONE = "RN50"
CLIP_IQA_ANSWERS = {"i01.bmp": 0.8916, "i01_01_5.bmp": 0.4590}
"""CLIP-IQA (one pair, RN50) of two TID2013 pictures, published with the metric, to 1 %."""
VARIANT: Variant = "paper"
"""The rows of the list published with MA-CLIP."""
DIRECTIONS = pd.read_csv(data_path("claims.csv"), keep_default_na=False)
"""The claims that have a side and no number, or a number that is not known here.

Each holds where a ``number`` of `Evidence`, ``of`` one of its `predictions` or ``than`` another, is
above zero; is ``stated`` where the paper is known to say so; ``needs`` predictions that work.
"""
_MOST_PAIRED = 1000

_BY_ROWS = published_results().query("dataset in @DATASETS").groupby("method")["value"].mean()
STEADY = float(_BY_ROWS["MA-CLIP"] - _BY_ROWS["CLIP-IQA"]) / 2
"""Half of what the paper gains over CLIP-IQA by its own rows: less is no movement."""


class Evidence:
    """What one backbone shows on one data set: every number that a claim asks for.

    So many ``tests`` share a correction, which asks for so many resamples. ``why_not`` is why this
    is no test of the paper, empty where it is; ``title`` says where the set is a part.
    """

    def __init__(self, rated: Rated, tests: int = 1) -> None:
        n_boot = max(rated.statistics.n_boot, resamples(tests))
        self.rated = rated
        self.statistics = replace(rated.statistics, n_boot=n_boot)
        manifest, seen = rated.features.manifest, rated.features.table
        faults = [
            "" if rated.backbone == PAPER_BACKBONE else f"{rated.backbone} is not {PAPER_BACKBONE}",
            "" if manifest.dataset in DATASETS else f"{rated.name} is none of the paper's sets",
            part_of_set(manifest),
            f"{rated.n_dropped} pictures have no features" if rated.n_dropped else "",
            *unlike_published(manifest, list(zip(seen["width"], seen["height"], strict=True))),
        ]
        self.why_not = "; ".join(filter(None, faults))
        self.title = f"{rated.name} (part)" if part_of_set(manifest) else rated.name

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """The number that each of `DIRECTIONS` asks for."""
        return {
            row.claim: getattr(self, row.number)(*filter(None, (row.of, row.than)))
            for row in DIRECTIONS.itertuples()
        }

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """What is compared, one column a method or setting, one row a picture."""
        rated = self.rated
        columns = rated.table[[*(c for c in METHODS if c in rated.table), "mean_magnitude"]].copy()
        columns["equal bases"] = rated.score(FusionSettings(base_cos=1.0, base_norm=1.0))
        columns["plain mean"] = rated.score(rule="mean")
        for lam in (0.3, 0.7):
            columns[f"lambda {lam}"] = rated.score(FusionSettings(box_lam=lam))
            columns[f"undivided {lam}"] = self._undivided(lam)
        return columns

    def srcc(self, of: str) -> Estimate:
        """SRCC of a column of `predictions`."""
        return self._correlations.srcc(self.predictions.columns.get_loc(of))

    def lead(self, of: str, than: str) -> Estimate:
        """By how much the SRCC of one column is above another's."""
        one, other = self.predictions.columns.get_indexer([of, than])
        return self._correlations.lead(one, other)

    def steady(self, of: str, than: str) -> Estimate:
        """How far inside `STEADY` the lead of one column over another stays, on the nearer side."""
        columns = self.predictions.columns.get_indexer([of, than])
        low, high = sorted(columns, key=self._correlations.observed.__getitem__)
        return self._correlations.estimate(lambda srcc: STEADY - (srcc[..., high] - srcc[..., low]))

    def best_fixed(self) -> Estimate:
        """MA-CLIP over the best fixed weight, which one half chose, on the other half."""
        return -self._held_out([self.rated.score(rule=step / 10) for step in range(11)])

    def best_of_grid(self) -> Estimate:
        """The best of the authors' settings over the paper's; one half chose, the other judges."""
        return self._held_out([self.rated.score(settings) for settings in AUTHORS_GRID])

    def halves(self, of: str, than: str) -> Estimate:
        """By how much the lead of one cue over another is larger among good than poor pictures.

        In shares of the pairs of pictures of different quality that a cue orders rightly, since
        ties would bound an SRCC differently in each half. Levels of harm have no such halves: pairs
        of the better one are a level apart, and of the worse one two.
        """
        rated = self.rated
        if rated.is_severity:
            return Estimate(np.nan, reason="levels: each half has pairs of its own kind")
        rows = np.arange(rated.n)
        if rated.n > _MOST_PAIRED:
            rng = np.random.default_rng(self.statistics.seed)
            rows = np.sort(rng.choice(rated.n, _MOST_PAIRED, replace=False))
        quality = rated.quality.to_numpy()[rows]
        cues = rated.table[[of, than]].to_numpy()[rows]
        better = quality > np.median(quality)

        def lead(inside: np.ndarray) -> float:
            order = np.sign(quality[inside, None] - quality[inside])
            right = [(order * np.sign(c[inside, None] - c[inside])).sum() for c in cues.T]
            return float((right[0] - right[1]) / max(1.0, 2 * np.abs(order).sum()))

        def gap(drawn: np.ndarray) -> float:
            return lead(drawn[better[drawn]]) - lead(drawn[~better[drawn]])

        clusters = None if rated.clusters is None else rated.clusters.to_numpy()[rows]
        return Resamples(len(rows), clusters, self.statistics).estimate(gap)

    def contents(self) -> Estimate:
        """By how much Box-Cox moves the contents' magnitudes closer, after the division.

        In the mean Wasserstein distance between every two contents, in units of the spread over
        all, so that a change of scale is none. Contents are drawn again.
        """
        rated = self.rated
        thumbnails = rated.crops[np.flatnonzero(np.diff(rated.picture, append=-1))]
        groups = self._contents(normalize(thumbnails, dim=-1).numpy())
        divided = scaled_magnitude(thumbnails)
        if groups.max() < 1 or not divided.std() > 0:
            return Estimate(np.nan, reason="all pictures show one thing, or are alike")
        distances = []
        for values in (divided, box_cox(divided)):
            spread = (values / values.std()).numpy()
            parts = [spread[groups == group].ravel() for group in range(groups.max() + 1)]
            pairs = [[wasserstein_distance(a, b) for b in parts] for a in parts]
            distances.append(np.array(pairs))
        closer = distances[0] - distances[1]

        def mean(drawn: np.ndarray) -> float:
            pairs = closer[np.ix_(drawn, drawn)][drawn[:, None] != drawn]
            return float(pairs.mean()) if pairs.size else float("nan")

        return Resamples(len(closer), None, self.statistics).estimate(mean)

    @cached_property
    def _correlations(self) -> Correlations:
        rated = self.rated
        return correlate(self.predictions, rated.quality, rated.clusters, self.statistics)

    def _held_out(self, scores: list[np.ndarray]) -> Estimate:
        """The best of several scores over MA-CLIP's, on the half that did not choose it."""
        rated = self.rated
        columns = np.column_stack([*scores, rated.table["score"]])
        contents = np.arange(rated.n) if rated.clusters is None else rated.clusters
        codes, names = pd.factorize(contents)
        half = np.random.default_rng(self.statistics.seed).permuted(np.arange(len(names)) % 2)
        judges = half[codes] == 1
        seen = correlate(columns, rated.quality.mask(judges), settings=EvaluationSettings(0))
        best = int(np.nan_to_num(seen.observed, nan=-1).argmax())
        held_out = rated.quality.where(judges)
        return correlate(columns, held_out, rated.clusters, self.statistics).lead(best, len(scores))

    def _undivided(self, lam: float) -> np.ndarray:
        """The score (N,) from magnitudes in the unit they come in."""
        q_cos, _ = self.rated.cues()
        q_mag = torch.cat(
            [box_cox(crops.abs(), lam).mean(-1) for crops in self.rated.crops.split(4096)]
        )
        return self.rated.means(fuse(torch.from_numpy(q_cos), q_mag)[0])

    def _contents(self, directions: np.ndarray) -> np.ndarray:
        """What each picture shows: its reference, else its class, else a cluster of directions."""
        table = self.rated.features.manifest.table
        for column in ("ref_id", "subset"):
            if table[column].notna().all() and len(table[column].unique()) > 1:
                return pd.factorize(table[column])[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a cluster is empty, or all pictures are alike
            seed, most = self.statistics.seed, min(8, len(directions))
            return pd.factorize(kmeans2(directions, most, minit="++", seed=seed)[1])[0]


def find_sets(root: str | os.PathLike[str]) -> tuple[dict[str, Manifest], dict[str, str]]:
    """The paper's list of every data set below a folder, and why some are left out.

    A part of a set is taken; its claims say that it is one. A set that cannot be read, or whose
    scores are not what they should be, is left out.

    Raises:
        DatasetError: ``root`` is no folder.
    """
    sets, left_out = {}, {}
    folders = {name: folder for name, folder in find_datasets(root).items() if name in DATASETS}
    for name, folder in folders.items():
        report = check_dataset(name, folder, Choices(variant=VARIANT), decode=False)
        reasons = [
            f"{finding.kind}: {finding.message}"
            for finding in report.findings
            if finding.severity == "error" and finding.kind not in ("rows", "missing")
        ]
        if reasons:
            left_out[name] = "; ".join(reasons)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DatasetWarning)  # a part is named as one in every row
            sets[name] = open_dataset(name, folder, variant=VARIANT)
    return sets, left_out
