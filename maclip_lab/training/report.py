"""The page beside the embedded backbones: every run, every figure, each with its interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.stats import rankdata, spearmanr

from maclip_lab.training.evaluation import CUES, within_srcc

RESAMPLES = 1000
SETS = {"photos": "data/photos", "further": "further BSDS500"}
RATED = ("CLIVE", "BIQ2021")


def interval(values: Sequence[float] | NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """Bootstrap 95 % interval of a mean."""
    array = np.asarray(values, float)
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.quantile(array[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def srcc_interval(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> tuple[float, float, float]:
    """SRCC of two columns and its bootstrap 95 % interval.

    Args:
        x: one score a row.
        y: the other.
        groups: rows of one group are drawn together, such as those of one photograph.
        seed: of the resampling.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    labels = np.arange(len(x)) if groups is None else groups
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    drawn = []
    for _ in range(RESAMPLES):
        chosen = generator.integers(0, len(members), len(members))
        rows = np.concatenate([members[i] for i in chosen])
        drawn.append(np.corrcoef(rankdata(x[rows]), rankdata(y[rows]))[0, 1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(spearmanr(x, y).statistic), float(low), float(high)


def severity_figures(table: pd.DataFrame, unseen: Sequence[str]) -> pd.DataFrame:
    """Agreement of each cue with severity, on seen, unseen and all types.

    Args:
        table: from `degraded_scores`.
        unseen: types kept out of training.

    Returns:
        Columns types, cue, within, within_low, within_high, overall, overall_low, overall_high.
    """
    hidden = table["type"].isin(list(unseen))
    pristine = table["type"] == ""
    parts = {"seen": ~hidden, "unseen": hidden | pristine, "all": hidden | ~hidden}
    rows = []
    for name, chosen in parts.items():
        part = table[chosen]
        groups = pd.factorize(part["photograph"])[0]
        for cue in CUES:
            within = within_srcc(part, cue)
            low, high = interval(within.to_numpy())
            overall = srcc_interval(part[cue].to_numpy(), -part["severity"].to_numpy(), groups)
            rows.append((name, cue, float(within.mean()), low, high, *overall))
    columns = ["types", "cue", "within", "within_low", "within_high"]
    return pd.DataFrame(rows, columns=[*columns, "overall", "overall_low", "overall_high"])


def within_figures(table: pd.DataFrame) -> pd.DataFrame:
    """Mean within-photograph SRCC of every cue: columns cue, within, low, high."""
    rows = []
    for cue in CUES:
        within = within_srcc(table, cue)
        rows.append((cue, within.mean(), *interval(within.to_numpy())))
    return pd.DataFrame(rows, columns=["cue", "within", "low", "high"])


def type_figures(table: pd.DataFrame) -> pd.DataFrame:
    """Mean within-photograph SRCC of every cue for each type, the pristine picture included."""
    pristine = table[table["type"] == ""]
    rows = {}
    for name in table["type"].unique():
        if name:
            part = pd.concat([pristine, table[table["type"] == name]])
            counts = part.groupby("photograph")["severity"].transform("size")
            rows[name] = {cue: within_srcc(part[counts > 1], cue).mean() for cue in CUES}
    return pd.DataFrame(rows).T


def opinion_figures(rated: pd.DataFrame) -> pd.DataFrame:
    """SRCC of each cue with human MOS: columns cue, srcc, low, high, n."""
    mos = rated["mos"].to_numpy()
    rows = [(cue, *srcc_interval(rated[cue].to_numpy(), mos), len(rated)) for cue in CUES]
    return pd.DataFrame(rows, columns=["cue", "srcc", "low", "high", "n"])


def figures(tables: Mapping[str, pd.DataFrame], unseen: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The figures of one run from its measured tables, whichever there are.

    Args:
        tables: validation and, where measured, photos and further from `degraded_scores`, CLIVE
            and BIQ2021 with a column mos.
        unseen: types kept out of training.
    """
    found = {name: severity_figures(tables[name], unseen) for name in SETS if name in tables}
    found |= {name: opinion_figures(tables[name]) for name in RATED if name in tables}
    found["validation"] = within_figures(tables["validation"])
    if "photos" in tables:
        found["types"] = type_figures(tables["photos"])
    return found


def clive_pictures(root: Path) -> list[tuple[Path, float]]:
    """Picture files and MOS of the part of CLIVE found below a folder."""
    names = loadmat(next(root.rglob("AllImages_release.mat")))["AllImages_release"].ravel()
    mos = loadmat(next(root.rglob("AllMOS_release.mat")))["AllMOS_release"].ravel()
    files = {path.name.lower(): path for path in root.rglob("*") if path.is_file()}
    pairs = zip((str(np.asarray(name).item()).lower() for name in names), mos, strict=True)
    return [(files[name], float(value)) for name, value in pairs if name in files]


def biq_pictures(root: Path) -> list[tuple[Path, float]]:
    """Picture files and MOS of the part of BIQ2021 found below a folder."""
    table = pd.read_csv(next(root.rglob("*.csv")))
    name, mos = table.columns[0], next(c for c in table.columns if "mos" in c.lower())
    files = {path.name: path for path in root.rglob("*.jpg")}
    pairs = zip(table[name].astype(str), table[mos].astype(float), strict=True)
    return [(files[picture], value) for picture, value in pairs if picture in files]


def page(
    runs: Mapping[str, Mapping[str, pd.DataFrame]],
    chosen: Mapping[str, str],
) -> str:
    """The figures as Markdown tables.

    Args:
        runs: run name (such as ``rn0``) to its `figures`.
        chosen: shipped backbone to the run it is.
    """
    shipped = {run: name for name, run in chosen.items()}
    parts = [f"{label}, {kind}" for label in SETS.values() for kind in ("seen", "unseen")]
    heads = [f"{part}: Q_cos | Q_mag | score" for part in (*parts, *RATED)]
    lines = ["## Every run", "", "| run | validation | " + " | ".join(heads) + " |"]
    lines.append("|" + " --- |" * (2 + 3 * len(heads)))
    for run, tables in runs.items():
        mark = f"**{run}** ({shipped[run]})" if run in shipped else run
        values = " | ".join(f"{value:.3f}" for value in _summary(tables))
        lines.append(f"| {mark} | {values} |".replace("nan", "not measured"))
    for run, tables in runs.items():
        lines += ["", f"## {run}, shipped as `{shipped[run]}`" if run in shipped else f"## {run}"]
        lines += ["", "Severity within the ten validation photographs, seen types:", ""]
        lines += ["| cue | within a photograph | 95 % |", "|" + " --- |" * 3]
        lines += [
            f"| {row.cue} | {row.within:.3f} | {row.low:.3f} to {row.high:.3f} |"
            for row in tables["validation"].itertuples()
        ]
        for name, label in SETS.items():
            if name in tables:
                lines += ["", f"Severity, {label}:", "", *_severity_table(tables[name])]
        lines += ["", *_opinion_table(tables)]
        if run in shipped and "types" in tables:
            lines += ["", "By type, data/photos, within a photograph:", ""]
            lines += _type_table(tables["types"])
    return "\n".join(lines) + "\n"


def _summary(tables: Mapping[str, pd.DataFrame]) -> list[float]:
    values = [float(tables["validation"]["within"].iloc[0])]
    for name in SETS:
        for kind in ("seen", "unseen"):
            if name in tables:
                values += list(tables[name].loc[tables[name]["types"] == kind, "within"])
            else:
                values += _BLANK
    for name in RATED:
        values += list(tables[name]["srcc"] if name in tables else _BLANK)
    return values


_BLANK = (float("nan"),) * len(CUES)


def _severity_table(table: pd.DataFrame) -> list[str]:
    lines = ["| types | cue | within a photograph | 95 % | overall | 95 % |", "|" + " --- |" * 6]
    for row in table.itertuples():
        lines.append(
            f"| {row.types} | {row.cue} | {row.within:.3f} | {row.within_low:.3f} to "
            f"{row.within_high:.3f} | {row.overall:.3f} | {row.overall_low:.3f} to "
            f"{row.overall_high:.3f} |"
        )
    return lines


def _opinion_table(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    lines = ["| human opinion | cue | SRCC | 95 % | pictures |", "|" + " --- |" * 5]
    for name in RATED:
        for row in tables[name].itertuples() if name in tables else ():
            lines.append(
                f"| {name} | {row.cue} | {row.srcc:.3f} | {row.low:.3f} to {row.high:.3f} "
                f"| {row.n} |"
            )
    return lines


def _type_table(table: pd.DataFrame) -> list[str]:
    lines = ["| type | Q_cos | Q_mag | score |", "|" + " --- |" * 4]
    lines += [
        f"| {name} | " + " | ".join(f"{row[cue]:.2f}" for cue in CUES) + " |"
        for name, row in table.iterrows()
    ]
    return lines
