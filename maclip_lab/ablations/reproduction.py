"""The paper, claim by claim: what it says, what is found here, and whether the two agree.

A number of the paper is reproduced where ours lies within a tolerance of it; a direction where the
interval of the very difference lies on its side. Either is asked only of the paper's backbone on
whole sets: whatever else is measured stands beside it, and is not run as far as the paper goes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from maclip_lab.ablations.evidence import Evidence
from maclip_lab.ablations.ladder import RUNGS
from maclip_lab.ablations.published import CLIP_IQA_ANSWERS, PAPER_BACKBONE, paper_means
from maclip_lab.crops import DATASETS
from maclip_lab.evaluation.estimates import Estimate, Finding, finding

TOLERANCE = 0.005
"""Of a correlation: far more than decoders and devices change, far less than the paper's gains."""
ANSWER_TOLERANCE = 0.01
"""Of a known answer, as a share of it."""

_PAPER_METHODS = ("CLIP-IQA", "MA-CLIP")
_UNKNOWN = "cannot tell: nothing published is known here"
_VERDICTS: dict[Finding, str] = {
    "yes": "reproduced",
    "no": "not reproduced",
    "cannot tell": "cannot tell",
}
COLUMNS = (
    *("where", "claim", "dataset", "backbone", "paper", "how", "ours", "raw", "lo", "hi"),
    *("tolerance", "here", "verdict", "n", "seconds"),
)
"""Of a table of claims.

``paper`` is the paper's value and ``how`` it came here, see `published_results`; ``ours`` is what
is compared. Where that is taken from fitted scores, as the authors do, ``raw`` is the signed number
beside it (SRCC of the scores themselves, PLCC after a fit of four parameters) and the interval from
``lo`` to ``hi`` is of that. ``here`` says whether a direction is seen on these pictures by this
backbone, and ``verdict`` what that means for the paper. ``seconds`` are those of the claim, or of
the whole evaluation that a correlation comes from.
"""


@dataclass(frozen=True)
class Direction:
    """A claim that holds where a number is above zero, whatever its size.

    Attributes:
        where: in the paper.
        claim: the sentence.
        ask: the number.
        needs: columns of `RatedSet.table` that must follow quality for the question to make sense.
        within: the claim holds where the number is nearer to zero than this.
        stated: whether the paper is known to say so; else the number stands alone.
    """

    where: str
    claim: str
    ask: Callable[[Evidence], Estimate]
    needs: tuple[str, ...] = ()
    within: float | None = None
    stated: bool = True


_MAIN, _PARTS, _MOTIVE = "main table", "parts of the method", "motivation"
_BASES, _LAMBDA, _FIXED = "base constants", "lambda", "adaptive weights"
_PLACES = ("known answers", _MAIN, _PARTS, _MOTIVE, _FIXED, _BASES, _LAMBDA, "contents", "cost")
STEADY = round((paper_means()[1] - paper_means()[0]) / 2, 4)
"""Half of what the paper gains over CLIP-IQA, as stated: less than this counts as no movement."""

DIRECTIONS = (
    Direction(_MAIN, "MA-CLIP follows quality better than CLIP-IQA", Evidence.gain),
    Direction(_PARTS, "crops add to the whole picture", lambda e: e.step(RUNGS[1]), stated=False),
    Direction(
        *(_PARTS, "the magnitude cue adds to the cosine cue by a plain mean"),
        lambda e: e.step(RUNGS[2]),
        stated=False,
    ),
    Direction(
        *(_MOTIVE, "the raw magnitude rises with quality"),
        lambda e: e.rated.srcc(e.rated.table["mean_magnitude"]),
    ),
    Direction(
        *(_MOTIVE, "the magnitude cue rises with quality"),
        lambda e: e.rated.srcc(e.rated.table["q_mag"]),
    ),
    Direction(
        *(_MOTIVE, "the cosine cue's lead over the magnitude cue is larger among good pictures"),
        lambda e: e.halves[1],
        needs=("q_cos", "q_mag"),
    ),
    Direction(
        *(_FIXED, "the adaptive weight is better than the cosine cue alone"),
        lambda e: e.over_fixed(1.0),
        needs=("score",),
    ),
    Direction(
        *(_FIXED, "the adaptive weight is better than the magnitude cue alone"),
        lambda e: e.over_fixed(0.0),
        needs=("score",),
    ),
    Direction(
        *(_FIXED, "the adaptive weight is better than the plain mean"),
        lambda e: e.over_fixed(0.5),
        needs=("score",),
    ),
    Direction(
        *(_FIXED, "the adaptive weight is better than the best fixed weight"),
        Evidence.over_fixed,
        needs=("score",),
    ),
    Direction(
        *(_BASES, "base constants of 1.0 and 0.6 are better than 1.0 and 1.0"),
        Evidence.over_equal_bases,
        needs=("score", "q_cos", "q_mag"),
    ),
    Direction(
        *(_BASES, "the best of their grid of 70 settings is above the paper's setting"),
        Evidence.best_of_grid,
        needs=("score",),
        stated=False,
    ),
    Direction(
        *(_LAMBDA, "from lambda 0.3 to 0.7 the score is steady"),
        Evidence.reach,
        needs=("score",),
        within=STEADY,
    ),
    Direction(
        *(_LAMBDA, "it is steady without the division by the standard deviation too"),
        lambda e: e.reach(divided=False),
        needs=("score",),
        within=STEADY,
        stated=False,
    ),
    Direction(
        *("contents", "Box-Cox moves the contents' magnitudes closer together"),
        Evidence.box_cox_change,
        needs=("q_mag",),
    ),
)
"""The claims that have a side and no number, or a number that is not known here."""


def set_rows(evidence: Evidence, published: pd.DataFrame) -> pd.DataFrame:
    """Every claim on one data set.

    Args:
        evidence: of the set.
        published: of `published_results`.

    Returns:
        `COLUMNS`, one row a claim.
    """
    numbers = [
        row
        for method in evidence.methods.itertuples()
        for row in _number_rows(evidence, method._asdict(), published)
    ]
    return _table([*numbers, *(_direction_row(evidence, one, published) for one in DIRECTIONS)])


def answer_rows(answers: Mapping[str, float], backbone: str, why_not: str = "") -> pd.DataFrame:
    """The two published scores that tell whether weights and pipeline are the real ones.

    Args:
        answers: CLIP-IQA, with one prompt pair, of those pictures of TID2013 that are here.
        backbone: by name.
        why_not: why this is no test, or why they could not be looked at; empty where it is.
    """
    rows = []
    for name, wanted in CLIP_IQA_ANSWERS.items():
        ours, near = answers.get(name, np.nan), ANSWER_TOLERANCE * wanted
        missing = "" if name in answers else f"TID2013's {name} is not here"
        rows.append(
            {
                "where": "known answers",
                "claim": f"CLIP-IQA of {name}",
                "dataset": "TID2013",
                "backbone": backbone,
                "paper": wanted,
                "how": "primary",
                "ours": ours,
                "tolerance": near,
                "verdict": _number_verdict(ours, wanted, near, why_not or missing),
                "n": 1 if name in answers else None,
            }
        )
    return _table(rows)


def cost_row(evidence: Evidence, seconds: float, n: int) -> pd.DataFrame:
    """What a picture costs on this machine, decoding included; the paper's cost is not known.

    Args:
        evidence: of the set and the backbone.
        seconds: a picture.
        n: how many were timed.
    """
    no_pictures = "" if n else "there are no pictures to time"
    why_not = "; ".join(filter(None, [evidence.why_not, no_pictures]))
    row = {
        "where": "cost",
        "claim": "seconds a picture",
        "dataset": evidence.dataset,
        "backbone": evidence.backbone,
        "ours": seconds,
        "verdict": f"not run: {why_not}" if why_not else _UNKNOWN,
        "n": n,
    }
    return _table([row])


def claims_table(
    parts: Sequence[pd.DataFrame], published: pd.DataFrame, absent: Mapping[str, str]
) -> pd.DataFrame:
    """All rows in the paper's order, with those of what could not be run.

    Args:
        parts: of `answer_rows`, `set_rows` and `cost_row`.
        published: of `published_results`.
        absent: why a data set was not run, by its name.
    """
    table = pd.concat([_table([]), *parts], ignore_index=True) if parts else _table([])
    rows = []
    for dataset, why in absent.items():
        for method in _PAPER_METHODS:
            rows.append(_number(method, "srcc", dataset, PAPER_BACKBONE, published))
            rows[-1]["verdict"] = f"not run: {why}"
    rows += [_mean_row(method, table, published) for method in _PAPER_METHODS]
    tested = table[~table["verdict"].str.startswith("not run")]["claim"]
    why = f"not run: no whole set of the paper's was run with {PAPER_BACKBONE}"
    untested = [one for one in DIRECTIONS if one.stated and one.claim not in set(tested)]
    rows += [
        {
            "where": one.where,
            "claim": one.claim,
            "backbone": PAPER_BACKBONE,
            "tolerance": one.within,
            "verdict": why,
        }
        for one in untested
    ]
    table = pd.concat([table, _table(rows)], ignore_index=True) if len(table) else _table(rows)
    order = {place: i for i, place in enumerate(_PLACES)}
    return table.sort_values(
        "where", key=lambda places: places.map(order), kind="stable"
    ).reset_index(drop=True)


def _table(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    words = ("where", "claim", "dataset", "backbone", "how", "here", "verdict")
    kinds: dict[str, object] = {name: object if name in words else float for name in COLUMNS}
    kinds["n"] = "Int64"
    return table.astype(kinds).fillna(dict.fromkeys(words, ""))


def _published(
    published: pd.DataFrame, dataset: str, method: str, metric: str
) -> tuple[float, str]:
    rows = published[
        (published["dataset"] == dataset)
        & (published["method"] == method)
        & (published["metric"] == metric)
        & (published["backbone"] == PAPER_BACKBONE)
    ]
    return (float(rows["value"].iloc[0]), str(rows["how"].iloc[0])) if len(rows) else (np.nan, "")


def _number(
    method: str, metric: str, dataset: str, backbone: str, published: pd.DataFrame
) -> dict[str, object]:
    """A row of a correlation, before anything was measured."""
    paper, how = _published(published, dataset, method, metric)
    return {
        "where": _MAIN if method in _PAPER_METHODS else _PARTS,
        "claim": f"{metric.upper()} of {method}",
        "dataset": dataset,
        "backbone": backbone,
        "paper": paper,
        "how": how,
        "tolerance": TOLERANCE if np.isfinite(paper) else np.nan,
    }


def _number_rows(
    evidence: Evidence, method: Mapping[str, object], published: pd.DataFrame
) -> list[dict[str, object]]:
    rows = []
    for metric, raw in (("srcc", "srcc"), ("plcc", "plcc_4p")):
        row = _number(str(method["method"]), metric, evidence.dataset, evidence.backbone, published)
        row |= {"ours": method[f"{metric}_official"], "raw": method[raw], "n": method["n"]}
        row |= {"lo": method[f"{raw}_lo"], "hi": method[f"{raw}_hi"]}
        row["seconds"] = evidence.seconds
        row["verdict"] = _number_verdict(row["ours"], row["paper"], TOLERANCE, evidence.why_not)
        rows.append(row)
    return rows


def _number_verdict(ours: object, paper: object, tolerance: float, why_not: str) -> str:
    if why_not:
        return f"not run: {why_not}"
    apart = abs(float(ours) - float(paper))  # type: ignore[arg-type]
    if np.isnan(float(paper)):  # type: ignore[arg-type]
        return _UNKNOWN
    return "cannot tell" if np.isnan(apart) else _VERDICTS["yes" if apart <= tolerance else "no"]


def _direction_row(
    evidence: Evidence, one: Direction, published: pd.DataFrame
) -> dict[str, object]:
    start, rated = time.perf_counter(), evidence.rated
    found = one.ask(evidence)
    here = finding(
        found, needs=[rated.srcc(rated.table[cue]) for cue in one.needs], within=one.within
    )
    verdict = _VERDICTS[here] if one.stated else _UNKNOWN
    row = {
        "where": one.where,
        "claim": one.claim,
        "dataset": evidence.dataset,
        "backbone": evidence.backbone,
        "ours": found.value,
        "lo": found.low,
        "hi": found.high,
        "tolerance": one.within,
        "here": here,
        "verdict": f"not run: {evidence.why_not}" if evidence.why_not else verdict,
        "n": int(rated.table[["score", "quality"]].notna().all(axis=1).sum()),
        "seconds": time.perf_counter() - start,
    }
    if one.ask is Evidence.gain:
        (low, _), (high, how) = (
            _published(published, evidence.dataset, method, "srcc") for method in _PAPER_METHODS
        )
        row |= {"paper": high - low, "how": how}
    return row


def _mean_row(method: str, table: pd.DataFrame, published: pd.DataFrame) -> dict[str, object]:
    """The mean over the paper's sets; its own is taken over its rows, since one is misstated."""
    sets = [
        name for name in DATASETS if np.isfinite(_published(published, name, method, "srcc")[0])
    ]
    paper = float(np.mean([_published(published, name, method, "srcc")[0] for name in sets]))
    run = table[
        (table["claim"] == f"SRCC of {method}")
        & (table["backbone"] == PAPER_BACKBONE)
        & ~table["verdict"].str.startswith("not run")
    ]
    lacking = [name for name in sets if name not in set(run["dataset"])]
    ours = float(run[run["dataset"].isin(sets)]["ours"].mean()) if not lacking else np.nan
    why = f"{', '.join(lacking)} not run whole with {PAPER_BACKBONE}" if lacking else ""
    return _number(method, "srcc", f"mean of {len(sets)} sets", PAPER_BACKBONE, published) | {
        "paper": paper,
        "how": "recomputed",
        "tolerance": TOLERANCE,
        "ours": ours,
        "verdict": _number_verdict(ours, paper, TOLERANCE, why),
    }
