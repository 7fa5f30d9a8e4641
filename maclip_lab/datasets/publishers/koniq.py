"""KonIQ-10k: photographs from Flickr, in two resolutions under the same names.

``paper`` has the 5-point MOS rounded to two decimals with halves going up, in string order of the
names; ``standard`` has it exact. ``scores="zscore"`` gives the MOS of z-scores (0 to 100) that many
papers use; SRCC between the two is 0.992, so the choice shows in results.

The column ``MOS`` means the 5-point score in one of the publisher's files and the z-score in the
other. Both hold the votes, as counts or as fractions, and the 5-point score follows from those.

Source: Hosu et al., "KonIQ-10k: An Ecologically Valid Database", IEEE TIP 2020.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maclip_lab.datasets.annotated import Annotated, Facets, Request, locate
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_csv, to_numbers

RESOLUTIONS = ("1024x768", "512x384")
_SCORES = "koniq10k_scores_and_distributions.csv"
_SETS = "koniq10k_distributions_sets.csv"
_COLUMNS = ("image_name", "c1", "c2", "c3", "c4", "c5", "c_total", "MOS", "SD")
_SPLITS = {"training": "train", "validation": "val", "test": "test"}


def find(index: FileIndex) -> str | None:
    """The file that marks the set."""
    return locate(index, [_SCORES]) or locate(index, [_SETS])


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names, MOS, deviations of the 5-point votes, and the official split where its file is."""
    resolution = request.resolution or RESOLUTIONS[0]
    if resolution not in RESOLUTIONS:
        raise ValueError(f"resolution is one of {', '.join(RESOLUTIONS)}, got {resolution!r}")
    if request.variant == "paper" and (request.scores == "zscore" or resolution != RESOLUTIONS[0]):
        raise DatasetError("the paper uses the 5-point MOS at 1024x768; use variant='standard'")
    rows = read_csv(index.root / source, _COLUMNS)
    table = pd.DataFrame({"name": rows["image_name"]})
    if request.scores == "zscore":
        table["mos"] = _zscores(rows, source)
        mos_range = (0.0, 100.0)
    else:
        table["mos"] = _five_point(rows, source, rounded=request.variant == "paper")
        table["mos_std"] = to_numbers(rows["SD"], f"{source}, SD")
        mos_range = (1.0, 5.0)
    table["split"] = _splits(index, rows)
    if request.variant == "paper":
        table = table.sort_values("name", kind="stable")
    note = "MOS of z-scores, 0 to 100" if request.scores == "zscore" else ""
    if request.variant == "paper":
        note = "5-point MOS rounded to 2 decimals, halves upwards"
    return Annotated(table, source, mos_range=mos_range, folder=resolution, note=note)


def _five_point(rows: pd.DataFrame, source: str, *, rounded: bool) -> NDArray[np.float64]:
    """Mean grade from the votes, which are counts in one file and fractions in the other."""
    grades = range(1, 6)
    votes = np.column_stack([to_numbers(rows[f"c{g}"], f"{source}, c{g}") for g in grades])
    total = to_numbers(rows["c_total"], f"{source}, c_total")
    fractions = (np.abs(votes.sum(axis=1) - 1) < 1e-6) & (total > 1)
    counts = np.rint(np.where(fractions[:, None], votes * total[:, None], votes))
    wrong = (counts.sum(axis=1) != total) | (total < 1) | (counts < 0).any(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0]) + 1
        raise DatasetError(f"{source!r}: the votes of row {row} do not add up to its c_total")
    points = counts @ np.array(grades)
    if not rounded:
        return points / total
    # 48 means are exact halves of a hundredth, which binary rounding would send either way
    return (200 * points + total) // (2 * total) / 100


def _zscores(rows: pd.DataFrame, source: str) -> NDArray[np.float64]:
    if "MOS_zscore" in rows:
        return to_numbers(rows["MOS_zscore"], f"{source}, MOS_zscore")
    scores = to_numbers(rows["MOS"], f"{source}, MOS")
    if scores.max() <= 5:
        raise DatasetError(f"{source!r} has no z-scores: its MOS ends at {scores.max():g}")
    return scores


def _splits(index: FileIndex, rows: pd.DataFrame) -> "pd.Series[str] | None":
    if "set" in rows:
        return rows["set"].map(_SPLITS)
    sets = locate(index, [_SETS])
    if sets is None:
        return None
    table = read_csv(index.root / sets, ["image_name", "set"]).drop_duplicates("image_name")
    return rows["image_name"].map(table.set_index("image_name")["set"]).map(_SPLITS)


def describe(name: str) -> Facets:
    """Nothing: the names are Flickr's numbers."""
    return Facets()
