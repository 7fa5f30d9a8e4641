"""Every figure of every run in one tidy table, ``runs.csv``: the source of page and notebook.

A row is one number: a ``run``, a ``set`` of pictures, the ``types`` of harm in it, the ``cue``
looked at, the ``metric``, its ``value``, a 95 % bootstrap interval from ``lo`` to ``hi`` (blank
where there is none), and ``n``, the number of pictures or photographs resampled.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maclip_lab.evaluation.correlations import spearman
from maclip_lab.evaluation.intervals import (
    EvaluationSettings,
    bootstrap,
    percentile_interval,
    resample_counts,
)
from maclip_lab.evaluation.significance import chance_p
from maclip_lab.training.bank import UNSEEN_TYPES
from maclip_lab.training.measuring import CUES

COLUMNS = ("run", "set", "types", "cue", "metric", "value", "lo", "hi", "n")
CHOOSING, CHOOSING_CAPTIONS = "choosing", "choosing captions"
"""The validation sets, which choose between seeds and show nothing else."""
SETS = {
    CHOOSING: "validation photographs",
    CHOOSING_CAPTIONS: "validation captions",
    "retrieval": "held-out captions",
    "photos": "data/photos",
    "further": "ten further BSDS500",
}
"""What the sets are called; others go by their names."""
CUE_NAMES = {"q_cos": "Q_cos", "q_mag": "Q_mag", "mean": "plain mean", "score": "MA-CLIP"}
SETTINGS = EvaluationSettings()
Array = NDArray[np.float64]
Row = tuple[str, str, str, float, float, float, int]


def within_srcc(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of every cue with ``-severity`` inside every photograph.

    The table is that of `degraded_scores`.
    """
    rows = {
        photograph: [
            -spearman(group[cue].to_numpy(float), group["severity"].to_numpy(float)) for cue in CUES
        ]
        for photograph, group in table.groupby("photograph")
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(CUES))


def severity_rows(table: pd.DataFrame) -> list[Row]:
    """Mean within-photograph agreement with severity, on seen and unseen types and on each.

    The table is that of `degraded_scores`.
    """
    pristine, hidden = table["type"] == "", table["type"].isin(UNSEEN_TYPES)
    parts = {"seen": ~hidden, "unseen": hidden | pristine}
    parts |= {name: (table["type"] == name) | pristine for name in table["type"].unique() if name}
    rows: list[Row] = []
    for types, chosen in parts.items():
        part = table[chosen]
        part = part[part.groupby("photograph")["severity"].transform("max") > 0]
        if part.empty:
            continue
        within = within_srcc(part)
        within["difference"] = within["score"] - within["q_cos"]
        for cue, value, low, high, n in _means(within):
            if cue == "difference":
                rows.append((types, "score", "within minus cosine", value, low, high, n))
            else:
                rows.append((types, cue, "within", value, low, high, n))
    return rows


def retrieval_rows(ranks: Array) -> list[Row]:
    """Recall of an image's sentence at 1 and 5, from `caption_ranks`."""
    hits = pd.DataFrame({f"recall@{k}": (ranks < k).astype(float) for k in (1, 5)})
    return [("", "", *row) for row in _means(hits)]


def opinion_rows(table: pd.DataFrame) -> list[Row]:
    """Agreement with people, MA-CLIP less its cosine, and the magnitude cue against rotated axes.

    The table is that of `rated_scores`.
    """
    cues, mos = table[list(CUES)].to_numpy(float), table["mos"].to_numpy(float)
    values = [spearman(column, mos) for column in cues.T]
    drawn = bootstrap(cues, cues, mos, settings=SETTINGS).srcc
    metrics = [(cue, "srcc", values[i], drawn[:, i]) for i, cue in enumerate(CUES)]
    score, cosine = CUES.index("score"), CUES.index("q_cos")
    change = drawn[:, score] - drawn[:, cosine]
    metrics.append(("score", "srcc minus cosine", values[score] - values[cosine], change))
    rows: list[Row] = [
        ("", cue, metric, value, *percentile_interval(replicates, SETTINGS.level), len(mos))
        for cue, metric, value, replicates in metrics
    ]
    turned = [c for c in table if str(c).startswith("rotated_")]
    if turned:
        null = np.array([spearman(table[name].to_numpy(float), mos) for name in turned])
        low, high = percentile_interval(null, SETTINGS.level)
        rows.append(("", "q_mag", "srcc, axes rotated", float(null.mean()), low, high, len(mos)))
        p = chance_p(null, values[CUES.index("q_mag")])
        rows.append(("", "q_mag", "rotation p", p, np.nan, np.nan, len(null)))
    return rows


def run_rows(run: str, rows: Mapping[str, Sequence[Row]]) -> pd.DataFrame:
    """The tidy table of one run, from the rows of each of its sets."""
    flat = [(run, name, *row) for name, each in rows.items() for row in each]
    return pd.DataFrame(flat, columns=list(COLUMNS))


def write_runs(runs: pd.DataFrame, path: Path) -> None:
    """``runs.csv``, with numbers to four digits."""
    runs[list(COLUMNS)].to_csv(path, index=False, float_format="%.4f", lineterminator="\n")


def read_runs(path: Path) -> pd.DataFrame:
    """The table `write_runs` wrote.

    Raises:
        ValueError: the file has other columns.
    """
    runs = pd.read_csv(path, keep_default_na=False, na_values={c: [""] for c in ("lo", "hi")})
    if tuple(runs.columns) != COLUMNS:
        raise ValueError(f"{path} has columns {', '.join(runs.columns)}, not {', '.join(COLUMNS)}")
    return runs


def agreement(runs: pd.DataFrame) -> pd.DataFrame:
    """SRCC of every cue with severity or opinion in every run, on each set that did not choose.

    Returns:
        Index "cue: set" or "cue: set, types", cue by cue; one column a run, NaN where nothing was
        measured.
    """
    told = runs["metric"].isin(["within", "srcc"]) & (runs["set"] != CHOOSING)
    rows = runs[told & runs["types"].isin(["", "seen", "unseen"])]
    types = rows["types"].map(lambda types: f", {types}" if types else "")
    where = rows["set"].map(lambda name: SETS.get(name, name)) + types
    figures = rows.assign(figure=rows["cue"].map(CUE_NAMES) + ": " + where)
    wide = figures.pivot(index="figure", columns="run", values="value")
    order = [f"{cue}: {place}" for cue in CUE_NAMES.values() for place in where.unique()]
    return wide.reindex([figure for figure in order if figure in wide.index])


def validation_scores(runs: pd.DataFrame) -> pd.Series:
    """What chooses between seeds, by run: recall at 5 plus the cosine cue's within-SRCC.

    Both on validation photographs: the first on their sentences, the second on seen types.
    """
    recall = runs[(runs["set"] == CHOOSING_CAPTIONS) & (runs["metric"] == "recall@5")]
    seen = (runs["set"] == CHOOSING) & (runs["types"] == "seen") & (runs["metric"] == "within")
    cosine = runs[seen & (runs["cue"] == "q_cos")]
    both = pd.concat([recall, cosine]).groupby("run")["value"]
    return both.sum().rename("validation")


def choose(runs: pd.DataFrame) -> dict[str, str]:
    """The run with the best `validation_scores` of each architecture: ``tiny-rn`` to ``rn1``."""
    scores = validation_scores(runs)
    architecture = scores.index.str.rstrip("0123456789")
    best = scores.groupby(architecture).idxmax()
    return {f"tiny-{name}": str(run) for name, run in best.items()}


def _means(table: pd.DataFrame) -> list[tuple[str, float, float, float, int]]:
    """Name, mean, interval and number of rows of every column; rows are resampled together."""
    values = table.to_numpy(float)
    counts = np.concatenate(list(resample_counts(len(values), None, SETTINGS)), axis=1)
    drawn = (values.T @ counts).T / len(values)
    return [
        (str(name), float(values[:, i].mean()),
         *percentile_interval(drawn[:, i], SETTINGS.level), len(values))
        for i, name in enumerate(table)
    ]  # fmt: skip
