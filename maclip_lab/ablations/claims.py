"""The paper, claim by claim: what it says, what a rated set shows, and whether the two agree.

A number of the paper is reproduced where ours lies within a tolerance of it; a direction where the
one policy of verdicts says so of the very difference, corrected over all directions of the table.
Either is asked only of the paper's backbone on whole sets: whatever else is measured stands beside
it, and is not run as far as the paper goes.
"""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.cluster.vq import kmeans2
from scipy.stats import wasserstein_distance
from torch import Tensor
from torch.nn.functional import normalize

from maclip_lab.ablations.published import CLIP_IQA_ANSWERS, PAPER_BACKBONE, published_results
from maclip_lab.ablations.rated import Rated
from maclip_lab.ablations.sweeps import AUTHORS_GRID
from maclip_lab.crops import DATASETS
from maclip_lab.cues import box_cox, scaled_magnitude
from maclip_lab.datasets.cards import Choices, Variant
from maclip_lab.datasets.checks import check_dataset, part_of_set, unlike_published
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.opening import find_datasets, open_dataset
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation import METHODS, best_of, correlate, verdicts
from maclip_lab.evaluation.estimates import Estimate, resamples
from maclip_lab.evaluation.intervals import Correlations, Resamples
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.scorer import Maclip

TOLERANCE = 0.005
"""Of a correlation: far more than decoders and devices change, far less than the paper's gains."""
ANSWER_TOLERANCE = 0.01
"""Of a known answer, as a share of it."""
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))
"""Fixed weights of the cosine cue."""
COLUMNS = (
    *("where", "claim", "dataset", "backbone", "paper", "how", "ours", "raw", "lo", "hi"),
    *("tolerance", "here", "verdict", "n"),
)
"""Of a table of claims.

``paper`` is the paper's value and ``how`` it came here, see `published_results`; ``ours`` is what
is compared. Where that is taken from fitted scores, as the authors do, ``raw`` is the signed SRCC,
or the PLCC after a fit of four parameters, and the interval from ``lo`` to ``hi`` is of that.
``here`` says whether a direction is seen on these pictures by this backbone ("yes", "no", "cannot
tell"), and ``verdict`` what that means for the paper.
"""
VARIANT: Variant = "paper"
"""The rows of the list published with MA-CLIP."""
Row = dict[str, object]
_A_PART = ("rows", "missing")
_MOST_PAIRED = 1000
_HERE = {"above": "yes", "below": "no", "cannot tell": "cannot tell"}
_REPRODUCED = {"yes": "reproduced", "no": "not reproduced", "cannot tell": "cannot tell"}


class Evidence:
    """What one backbone shows on one data set: every number that a claim asks for.

    Args:
        rated: the set as the backbone sees it.
        tests: how many verdicts share a correction, which asks for so many resamples.

    Attributes:
        why_not: why this is no test of the paper; empty where it is.
    """

    def __init__(self, rated: Rated, tests: int = 1) -> None:
        self.rated = rated
        n_boot = max(rated.statistics.n_boot, resamples(tests))
        self.statistics = replace(rated.statistics, n_boot=n_boot)
        manifest, seen = rated.features.manifest, rated.features.table
        sizes = list(zip(seen["width"], seen["height"], strict=True))
        faults = [
            "" if rated.backbone == PAPER_BACKBONE else f"{rated.backbone} is not {PAPER_BACKBONE}",
            "" if manifest.dataset in DATASETS else f"{rated.name} is none of the paper's sets",
            part_of_set(manifest),
            f"{rated.n_dropped} pictures have no features" if rated.n_dropped else "",
            *unlike_published(manifest, sizes),
        ]
        self.why_not = "; ".join(filter(None, faults))

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """The number that each of `DIRECTIONS` asks for."""
        return {one.claim: one.estimate(self) for one in DIRECTIONS}

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """What is compared, one column a method or setting, one row a picture."""
        rated = self.rated
        columns = rated.table[[*(c for c in METHODS if c in rated.table), "mean_magnitude"]].copy()
        columns["equal bases"] = rated.score(FusionSettings(base_cos=1.0, base_norm=1.0))
        for weight in WEIGHTS:
            columns[f"fixed {weight}"] = rated.score(rule=weight)
        for lam in (0.3, 0.7):
            columns[f"lambda {lam}"] = rated.score(FusionSettings(box_lam=lam))
            columns[f"undivided {lam}"] = self._undivided(lam)
        return columns

    def srcc(self, name: str) -> Estimate:
        """SRCC of a column of `predictions`."""
        return self._correlations.srcc(self.predictions.columns.get_loc(name))

    def lead(self, name: str, other: str) -> Estimate:
        """By how much the SRCC of one column is above another's."""
        return self._correlations.lead(*map(self.predictions.columns.get_loc, (name, other)))

    def steady(self, kind: str, within: float) -> Estimate:
        """How far from ``within`` the SRCC stays while lambda goes from 0.3 to 0.7.

        Two one-sided tests in one: the nearer of both ends, so above zero only where both are.
        """
        both = [self._within(kind, within, sign) for sign in (1, -1)]
        return min(both, key=lambda end: end.value)

    def _within(self, kind: str, within: float, sign: int) -> Estimate:
        low, high = (self.predictions.columns.get_loc(f"{kind} {lam}") for lam in (0.3, 0.7))

        def rest(srcc: np.ndarray) -> np.ndarray:
            return within - sign * (srcc[..., high] - srcc[..., low])

        return self._correlations.estimate(rest)

    def best_fixed(self) -> Estimate:
        """MA-CLIP over the best fixed weight, which one half chose, on the other half."""
        columns = self.predictions[[*(f"fixed {weight}" for weight in WEIGHTS), "score"]]
        return -self._best(columns.to_numpy())

    def best_of_grid(self) -> Estimate:
        """The best of the authors' settings over the paper's; one half chose, the other judges."""
        columns = [self.rated.score(settings) for settings in AUTHORS_GRID]
        return self._best(np.column_stack([*columns, self.rated.table["score"]]))

    def halves(self) -> Estimate:
        """By how much the cosine cue's lead is larger among good than among poor pictures.

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
        cues = rated.table[["q_cos", "q_mag"]].to_numpy()[rows]
        better = quality > np.median(quality)

        def gap(drawn: np.ndarray) -> float:
            leads = []
            for inside in (drawn[better[drawn]], drawn[~better[drawn]]):
                order = np.sign(quality[inside, None] - quality[inside])
                right = [(order * np.sign(c[inside, None] - c[inside])).sum() for c in cues.T]
                leads.append((right[0] - right[1]) / max(1.0, 2 * np.abs(order).sum()))
            return float(leads[0] - leads[1])

        clusters = None if rated.clusters is None else rated.clusters.to_numpy()[rows]
        return Resamples(len(rows), clusters, self.statistics).estimate(gap)

    def contents(self) -> Estimate:
        """By how much Box-Cox moves the contents' magnitudes closer, after the division.

        In the mean Wasserstein distance between every two contents, in units of the spread over
        all, so that a change of scale is none. Contents are drawn again.
        """
        rated = self.rated
        last = rated.crops[np.flatnonzero(np.diff(rated.picture, append=-1))]  # the thumbnails
        groups, _ = pd.factorize(_contents(rated, last, self.statistics.seed))
        divided = scaled_magnitude(last)
        if groups.max() < 1 or not divided.std() > 0:
            return Estimate(np.nan, reason="all pictures show one thing, or are alike")
        closer = _distances(divided, groups) - _distances(box_cox(divided), groups)

        def mean(drawn: np.ndarray) -> float:
            pairs = closer[np.ix_(drawn, drawn)][drawn[:, None] != drawn]
            return float(pairs.mean()) if pairs.size else float("nan")

        return Resamples(len(closer), None, self.statistics).estimate(mean)

    @cached_property
    def _correlations(self) -> Correlations:
        rated = self.rated
        return correlate(self.predictions, rated.quality, rated.clusters, self.statistics)

    def _best(self, columns: np.ndarray) -> Estimate:
        """Of all columns but the last, over the last."""
        rated, last = self.rated, columns.shape[1] - 1
        given = rated.quality, rated.clusters, self.statistics
        return best_of(columns, *given, baseline=last)

    def _undivided(self, lam: float) -> np.ndarray:
        """The score (N,) from magnitudes in the unit they come in."""
        q_cos, _ = self.rated.cues()
        blocks = self.rated.features.blocks()
        bent = [
            box_cox(torch.from_numpy(block.astype(np.float32)).abs(), lam).mean(-1)
            for block in blocks
        ]
        return self.rated.means(fuse(torch.from_numpy(q_cos), torch.cat(bent))[0])


def _contents(rated: Rated, thumbnails: Tensor, seed: int) -> np.ndarray:
    """What each picture shows: its reference, else its class, else a cluster of its direction."""
    table = rated.features.manifest.table
    for column in ("ref_id", "subset"):
        if table[column].notna().all() and len(table[column].unique()) > 1:
            return table[column].to_numpy()
    directions = normalize(thumbnails, dim=-1).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a cluster is empty, or all pictures are alike
        _, labels = kmeans2(directions, min(8, len(directions)), minit="++", seed=seed)
    return labels


def _distances(values: Tensor, groups: np.ndarray) -> np.ndarray:
    """Wasserstein distance between the values (N, D) of every two groups, in their spread."""
    parts = [values[torch.from_numpy(groups == g)].flatten() for g in range(groups.max() + 1)]
    sides = [(part / values.std()).numpy() for part in parts]
    return np.array([[wasserstein_distance(a, b) for b in sides] for a in sides])


@dataclass(frozen=True)
class Direction:
    """A claim that holds where a number is above zero, whatever its size.

    Attributes:
        where: in the paper.
        claim: the sentence.
        estimate: the number.
        stated: whether the paper is known to say so; else the number stands alone.
        needs: columns that must follow quality for the question to make sense.
    """

    where: str
    claim: str
    estimate: Callable[[Evidence], Estimate]
    stated: bool = True
    needs: tuple[str, ...] = ()


_MAIN, _PARTS, _MOTIVE, _FIXED = "main table", "parts of the method", "motivation", "weights"
_BASES, _LAMBDA, _BOTH = "base constants", "lambda", ("q_cos", "q_mag")
_PLACES = ("known answers", _MAIN, _PARTS, _MOTIVE, _FIXED, _BASES, _LAMBDA, "contents", "beyond")


def half_the_gain(published: pd.DataFrame) -> float:
    """Half of what the paper gains over CLIP-IQA by its own rows: less is no movement.

    The stated mean of CLIP-IQA is not that of its rows, see `published_results`.
    """
    means = published[published["dataset"].isin(DATASETS)].groupby("method")["value"].mean()
    return float(means["MA-CLIP"] - means["CLIP-IQA"]) / 2


STEADY = half_the_gain(published_results())
DIRECTIONS = (
    Direction(_MAIN, "MA-CLIP is better than CLIP-IQA", lambda e: e.lead("score", "clip_iqa")),
    Direction(_PARTS, "crops help", lambda e: e.lead("q_cos", "clip_iqa"), stated=False),
    Direction(
        *(_PARTS, "the magnitude cue helps, by a plain mean"),
        lambda e: e.lead("fixed 0.5", "q_cos"),
        stated=False,
    ),
    Direction(_MOTIVE, "raw magnitude rises with quality", lambda e: e.srcc("mean_magnitude")),
    Direction(_MOTIVE, "the magnitude cue rises with quality", lambda e: e.srcc("q_mag")),
    Direction(
        *(_MOTIVE, "the cosine cue leads by more among good pictures"),
        Evidence.halves,
        needs=_BOTH,
    ),
    Direction(
        *(_FIXED, "the adaptive weight is better than the cosine cue alone"),
        lambda e: e.lead("score", "q_cos"),
        needs=("score",),
    ),
    Direction(
        *(_FIXED, "the adaptive weight is better than the magnitude cue alone"),
        lambda e: e.lead("score", "q_mag"),
        needs=("score",),
    ),
    Direction(
        *(_FIXED, "the adaptive weight is better than the plain mean"),
        lambda e: e.lead("score", "fixed 0.5"),
        needs=("score",),
    ),
    Direction(
        *(_FIXED, "the adaptive weight is better than the best fixed weight"),
        Evidence.best_fixed,
        needs=("score",),
    ),
    Direction(
        *(_BASES, "bases of 1.0 and 0.6 are better than 1.0 and 1.0"),
        lambda e: e.lead("score", "equal bases"),
        needs=("score", *_BOTH),
    ),
    Direction(
        *(_BASES, "the best of the authors' 70 settings is above the paper's"),
        Evidence.best_of_grid,
        stated=False,
        needs=("score",),
    ),
    Direction(
        *(_LAMBDA, "from lambda 0.3 to 0.7 the score is steady"),
        lambda e: e.steady("lambda", STEADY),
        needs=("score",),
    ),
    Direction(
        *(_LAMBDA, "it is steady without the division too"),
        lambda e: e.steady("undivided", STEADY),
        stated=False,
        needs=("score",),
    ),
    Direction("contents", "Box-Cox moves contents' magnitudes closer", Evidence.contents),
)
"""The claims that have a side and no number, or a number that is not known here."""


def gather(sets: Sequence[Rated]) -> list[Evidence]:
    """What each set shows, with resamples enough for one correction over all directions."""
    return [Evidence(rated, len(sets) * len(DIRECTIONS)) for rated in sets]


def find_sets(root: str | os.PathLike[str]) -> tuple[dict[str, Manifest], dict[str, str]]:
    """The paper's list of every data set below a folder, and why some are left out.

    A part of a set is taken; its claims say that it is one. A set that cannot be read, or whose
    scores are not what they should be, is left out.

    Raises:
        DatasetError: ``root`` is no folder.
    """
    sets, left_out = {}, {}
    for name, folder in find_datasets(root).items():
        if name not in DATASETS:
            continue
        report = check_dataset(name, folder, Choices(variant=VARIANT), decode=False)
        wrong = [one for one in report.findings if one.severity == "error"]
        reasons = [f"{one.kind}: {one.message}" for one in wrong if one.kind not in _A_PART]
        if reasons:
            left_out[name] = "; ".join(reasons)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DatasetWarning)  # a part is named as one in every row
            sets[name] = open_dataset(name, folder, variant=VARIANT)
    return sets, left_out


def known_answers(scorer: Maclip, root: str | os.PathLike[str]) -> dict[str, float]:
    """CLIP-IQA, with one prompt pair, of the two pictures whose score by RN50 is published.

    Args:
        scorer: the backbone; another than the paper's has no answers.
        root: TID2013's folder.
    """
    answers: dict[str, float] = {}
    for path in sorted(Path(root).rglob("*.[bB][mM][pP]")):
        name = path.name.lower()
        if scorer.backbone.name == PAPER_BACKBONE and name in CLIP_IQA_ANSWERS:
            answers.setdefault(name, scorer.clip_iqa(path))
    return answers


def claims_table(
    seen: Sequence[Evidence], answers: Mapping[str, float], absent: Mapping[str, str]
) -> pd.DataFrame:
    """All claims in the paper's order, with those of what could not be run.

    Args:
        seen: of `gather`.
        answers: CLIP-IQA, with one prompt pair, of those pictures of TID2013 that are here.
        absent: why a data set was not run by the paper's backbone, by its name.

    Returns:
        `COLUMNS`, one row a claim; all directions share one correction.
    """
    published = published_results()
    tested = any(not one.why_not for one in seen)
    unrun = f"no whole set of the paper's was run with {PAPER_BACKBONE}"
    rows = [
        {
            "where": "known answers", "claim": f"CLIP-IQA of {name}", "dataset": "TID2013",
            "backbone": PAPER_BACKBONE, "paper": wanted, "how": "primary",
            "tolerance": ANSWER_TOLERANCE * wanted, "ours": answers.get(name, np.nan),
            "verdict": _agrees(answers.get(name), wanted, ANSWER_TOLERANCE * wanted)
            if name in answers else f"not run: TID2013's {name} was not scored by {PAPER_BACKBONE}",
        }
        for name, wanted in CLIP_IQA_ANSWERS.items()
    ]  # fmt: skip
    rows += [row for one in seen for row in _numbers(one, published)]
    rows += _mean_rows(rows, published)
    for dataset, why in absent.items():
        for method in ("CLIP-IQA", "MA-CLIP"):
            row = _number(method, "srcc", dataset, PAPER_BACKBONE, published)
            rows.append(row | {"verdict": f"not run: {why}"})
    rows += _directions(seen)
    rows += [
        {"where": one.where, "claim": one.claim, "backbone": PAPER_BACKBONE,
         "verdict": f"not run: {unrun}"}
        for one in DIRECTIONS
        if one.stated and not tested
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    words = ["where", "claim", "dataset", "backbone", "how", "here", "verdict"]
    table[words] = table[words].astype(object).fillna("")
    order = table["where"].map({place: i for i, place in enumerate(_PLACES)})
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _directions(seen: Sequence[Evidence]) -> list[Row]:
    asked = [(one, claim, one.estimates[claim.claim]) for one in seen for claim in DIRECTIONS]
    judged = verdicts([estimate for *_, estimate in asked])["verdict"] if asked else ()
    rows = []
    for (one, claim, estimate), verdict in zip(asked, judged, strict=True):
        follows = all(one.srcc(name).low > 0 for name in claim.needs)
        here = _HERE[verdict] if follows else "cannot tell"
        known = _REPRODUCED[here] if claim.stated else "cannot tell: nothing published is known"
        rows.append(
            {
                "where": claim.where, "claim": claim.claim, "dataset": _title(one),
                "backbone": one.rated.backbone, "ours": estimate.value, "lo": estimate.low,
                "hi": estimate.high, "here": here, "n": one.rated.n,
                "verdict": f"not run: {one.why_not}" if one.why_not else known,
            }
        )  # fmt: skip
    return rows


def _title(one: Evidence) -> str:
    part = part_of_set(one.rated.features.manifest)
    return f"{one.rated.name} (part)" if part else one.rated.name


def _number(method: str, metric: str, dataset: str, backbone: str, published: pd.DataFrame) -> Row:
    """A row of a correlation, before anything was measured."""
    key = {"dataset": dataset, "method": method, "metric": metric, "backbone": PAPER_BACKBONE}
    rows = published[(published[list(key)] == pd.Series(key)).all(axis=1)]
    return {
        "where": _MAIN if method in ("CLIP-IQA", "MA-CLIP") else _PARTS,
        "claim": f"{metric.upper()} of {method}", "dataset": dataset, "backbone": backbone,
        "paper": float(rows["value"].iloc[0]) if len(rows) else np.nan,
        "how": str(rows["how"].iloc[0]) if len(rows) else "", "tolerance": TOLERANCE,
    }  # fmt: skip


def _numbers(one: Evidence, published: pd.DataFrame) -> list[Row]:
    rated = one.rated
    table = rated.evaluate(rated.table[[c for c in METHODS if c in rated.table]])
    rows = []
    for method in table.to_dict("records"):
        for metric, raw in (("srcc", "srcc"), ("plcc", "plcc_4p")):
            name = METHODS.get(method["method"], method["method"])
            row = _number(name, metric, _title(one), rated.backbone, published)
            row |= {"ours": method[f"{metric}_official"], "raw": method[raw], "n": method["n"]}
            row |= {"lo": method.get(f"{raw}_lo", np.nan), "hi": method.get(f"{raw}_hi", np.nan)}
            agrees = _agrees(row["ours"], row["paper"], TOLERANCE)
            row["verdict"] = f"not run: {one.why_not}" if one.why_not else agrees
            rows.append(row)
    return rows


def _agrees(ours: object, paper: object, tolerance: float) -> str:
    if not np.isfinite(float(paper)):  # type: ignore[arg-type]
        return "cannot tell: nothing published is known"
    apart = abs(float(ours) - float(paper))  # type: ignore[arg-type]
    return "cannot tell" if np.isnan(apart) else _REPRODUCED["yes" if apart <= tolerance else "no"]


def _mean_rows(rows: Sequence[Row], published: pd.DataFrame) -> list[Row]:
    """The mean over the paper's sets; its own is taken over its rows, since one is misstated."""
    means = []
    for method in ("CLIP-IQA", "MA-CLIP"):
        theirs = published[(published["method"] == method) & published["dataset"].isin(DATASETS)]
        ours = {
            row["dataset"]: row["ours"]
            for row in rows
            if row["claim"] == f"SRCC of {method}" and "not run" not in str(row["verdict"])
        }
        lacking = [name for name in theirs["dataset"] if name not in ours]
        why = f"not run: {', '.join(lacking)} not run whole with {PAPER_BACKBONE}"
        paper = float(theirs["value"].mean())
        mean = np.nan if lacking else float(np.mean([ours[name] for name in theirs["dataset"]]))
        row = _number(method, "srcc", f"mean of {len(theirs)} sets", PAPER_BACKBONE, published)
        verdict = why if lacking else _agrees(mean, paper, TOLERANCE)
        means.append(row | {"paper": paper, "how": "recomputed", "ours": mean, "verdict": verdict})
    return means
