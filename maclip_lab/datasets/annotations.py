"""Lists of one's own: the authors' JSON, or any table of paths and scores."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from maclip_lab.crops import canonical_name
from maclip_lab.datasets.annotated import Annotated, Facets
from maclip_lab.datasets.build import (
    Missing,
    OnCollision,
    OnDuplicate,
    build_manifest,
    warn_of_gaps,
)
from maclip_lab.datasets.cards import card_for
from maclip_lab.datasets.catalog import ADAPTERS
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.publishers import koniq
from maclip_lab.datasets.readers import (
    is_number,
    read_csv,
    read_json_list,
    read_parquet,
    read_sheet,
    to_numbers,
)
from maclip_lab.files.provenance import record_path

PATH_COLUMNS = (
    *("img_path", "image_path", "path", "file_path", "filepath", "image_name", "img_name"),
    *("image_file", "image_key", "image_id", "image", "img", "filename", "file", "photo"),
    *("picture", "dist_name", "dist_img", "dist_path", "distorted_image", "distorted_path"),
    *("distorted", "images", "stimulus", "key", "name"),
)
"""Columns taken for the picture, in order of preference; only letters and digits count, and
nothing in brackets."""

SCORE_COLUMNS = (
    *("gt_score", "mos", "mos_quality", "quality_mos", "mean_opinion_score", "mean_mos"),
    *("score", "quality", "quality_score", "mean_score", "average_score", "quality_score_mean"),
    *("rating", "mean_rating", "average_rating", "opinion_score", "mos_zscore", "zmos", "elo"),
    *("mean", "dmos"),
)
"""Columns taken for the score, likewise."""

STD_COLUMNS = (
    *("mos_std", "std", "sd", "std_quality", "mos_sd", "score_std", "rating_std", "dmos_std"),
    *("std_dev", "standard_deviation"),
)
"""Columns taken for its deviation, likewise."""

CLASS_COLUMNS = ("class", "category", "content", "scene", "semantic_class")
"""Columns taken for what a picture shows, its ``subset``, likewise."""

_OURS = frozenset({"q_cos", "q_mag", "w_cos"})

_SURROGATE = re.compile("[\ud800-\udfff]")
READERS = {
    ".json": read_json_list,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".xlsx": read_sheet,
    ".parquet": read_parquet,
    ".pq": read_parquet,
}
"""How a list is read, by the suffix of its name."""


def load_annotations(
    file: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    score_column: str | None = None,
    higher_is_better: bool | None = None,
    mos_range: tuple[float, float] | None = None,
    missing: Missing = "drop",
    on_duplicate: OnDuplicate = "error",
    on_collision: OnCollision = "error",
) -> Manifest:
    """A manifest from a list of pictures and scores.

    Args:
        file: JSON in the authors' form (``[{"img_path": ..., "gt_score": ...}]``, the score a
            number or its spelling), CSV, TSV, text parted by blanks, a workbook's first sheet, or
            Parquet. A picture's name is a path, from ``root`` or the list's folder, or its end.
        dataset: one of the nine by any name, which settles direction, range and crop protocol and
            reads references and distortions from the names; or a name of your own; None for the
            file's.
        root: folder of the pictures, at any depth below it; None for the file's folder.
        path_column: column of the pictures; None to look for a usual name.
        score_column: column of the scores; None to look for a usual name.
        higher_is_better: direction; None for that of ``dataset``, and upwards for others.
        mos_range: lowest and highest possible score; None for that of ``dataset`` where the
            scores fit it, else the lowest and highest that occur.
        missing: rows without picture are dropped with a warning, kept, or an error.
        on_duplicate: a picture in several rows is an ``"error"``, or they are kept (``"keep"``),
            or each is one person's rating, of which the ``"mean"`` and deviation are taken.
        on_collision: a name borne by several files is an ``"error"`` or means the ``"first"``.

    Returns:
        The manifest; its ``note`` says which columns were taken, and what was searched for.

    Raises:
        DatasetError: the file, its columns or its values are not as expected.
    """
    path = Path(file).expanduser()
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"expected a file in {', '.join(READERS)}, got {str(path)!r}")
    rows = reader(path)
    _refuse_our_own(rows, score_column, path)
    guesses = _without_header(rows)
    names = _column(rows, path_column or guesses[0], PATH_COLUMNS, "picture", path)
    scores = _column(rows, score_column or guesses[1], SCORE_COLUMNS, "score", path)
    known = _known(dataset)
    if known is None and higher_is_better is None and "dmos" in _fold(scores):
        raise DatasetError(
            f"{str(path)!r}: a DMOS may mean either direction; say higher_is_better=True "
            "or higher_is_better=False"
        )
    table = pd.DataFrame(
        {
            "name": [_name(value, path) for value in rows[names]],
            "mos": to_numbers(rows[scores], f"{path.name}, {scores}"),
        }
    )
    spread = next(iter(_usual(rows, STD_COLUMNS)), None)
    if spread is not None:
        table["mos_std"] = to_numbers(rows[spread], f"{path.name}, {spread}", optional=True)
    shows = next(iter(_usual(rows, CLASS_COLUMNS)), None)
    if shows is not None:
        table["subset"] = rows[shows].astype("string")
    if higher_is_better is None:
        higher_is_better = card_for(known).higher_is_better if known else True
    others = [column for column in _usual(rows, SCORE_COLUMNS) if column != scores]
    note = (
        f"from {path.name}: pictures by column {names!r}, scores by {scores!r}"
        + f" (not {', '.join(map(repr, others))})" * bool(others)
        + (f", deviations by {spread!r}" if spread is not None else "")
        + (f", classes by {shows!r}" if shows is not None else "")
        + f", {'higher' if higher_is_better else 'lower'} is better"
    )
    if on_duplicate == "mean":
        table, note = _means(table), f"{note}; means of {len(table)} ratings"
    index = FileIndex.scan(root if root is not None else _root_of(table["name"], path))
    manifest = build_manifest(
        Annotated(table, source="", folder=_folder(known, index), note=note),
        index,
        ADAPTERS[known].describe if known else lambda name: Facets(),
        dataset=known or dataset or path.stem,
        higher_is_better=higher_is_better,
        mos_range=mos_range or _range(known, table["mos"].to_numpy()),
        protocol=known or "native",
        variant="file",
        missing=missing,
        on_duplicate="error" if on_duplicate == "mean" else on_duplicate,
        on_collision=on_collision,
        aliases=getattr(ADAPTERS[known], "ALIASES", None) if known else None,
        beside=Path(os.path.abspath(path)).parent,
    )
    warn_of_gaps(manifest, missing)
    return manifest


def _refuse_our_own(rows: pd.DataFrame, score_column: str | None, path: Path) -> None:
    """A result of this package compared with itself would agree to the last digit."""
    ours = sorted(_OURS.intersection(map(str, rows)))
    recorded = record_path(path).exists()
    opinions = score_column is not None and score_column not in {*_OURS, "score", "clip_iqa"}
    if opinions or not (ours or recorded):
        return
    sign = f"columns {', '.join(ours)}" if ours else f"{record_path(path).name} lies beside it"
    raise DatasetError(
        f"{str(path)!r} is a result of maclip-lab ({sign}), not what people thought of pictures; "
        "give the list of their scores, or name the column that holds them with score_column="
    )


def _known(dataset: str | None) -> str | None:
    try:
        return canonical_name(dataset) if dataset is not None else None
    except ValueError:
        return None


def _column(
    rows: pd.DataFrame, named: str | None, usual: Sequence[str], what: str, path: Path
) -> str:
    if named is not None and named not in rows:
        raise DatasetError(f"{str(path)!r} has no column {named!r}; it has {_titles(rows)}")
    column = named if named is not None else next(iter(_usual(rows, usual)), None)
    if column is None:
        raise DatasetError(
            f"{str(path)!r}: which column holds the {what}? It has {_titles(rows)}; "
            f"pass {'path' if what == 'picture' else what}_column="
        )
    return column


def _usual(rows: pd.DataFrame, usual: Sequence[str]) -> list[str]:
    """The columns that have usual names, in the order of those."""
    folded = {_fold(column): column for column in reversed(list(rows))}
    return [folded[name] for name in dict.fromkeys(map(_fold, usual)) if name in folded]


def _fold(column: object) -> str:
    return re.sub(r"[\W_]", "", re.sub(r"[(\[].*", "", str(column)).lower())


def _without_header(rows: pd.DataFrame) -> tuple[str | None, str | None]:
    """Picture and score of a list of two columns and no header, whichever holds the numbers."""
    if list(rows) != ["column 1", "column 2"]:
        return None, None
    return ("column 2", "column 1") if is_number(rows.iloc[0, 0]) else ("column 1", "column 2")


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and deviation of each picture's ratings, in the order of the first."""
    ratings = table.groupby("name", sort=False)["mos"]
    return ratings.agg(mos="mean", mos_std="std").reset_index()


def _titles(rows: pd.DataFrame) -> str:
    return ", ".join(str(column) for column in rows)


def _name(value: object, path: Path) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, (str, int, np.integer)) or isinstance(value, bool) or value == "":
        raise DatasetError(f"{str(path)!r}: expected the name of a picture, got {value!r}")
    if not str(value).isascii() and _SURROGATE.search(str(value)):
        raise DatasetError(f"{str(path)!r}: the name {value!r} is not Unicode")
    return str(value)


def _root_of(names: "pd.Series[str]", file: Path) -> Path:
    """The folder that absolute paths share, else the list's own."""
    if all(os.path.isabs(name) for name in names):
        shared = Path(os.path.commonpath([os.path.dirname(name) for name in names]))
        if shared.is_dir() and shared != Path(shared.anchor):
            return shared
    return file.parent


def _folder(known: str | None, index: FileIndex) -> str | None:
    """KonIQ-10k has the same names in two folders, of which the paper's is meant."""
    if known != "koniq" or index.root.name.lower() in koniq.RESOLUTIONS:
        return None
    return koniq.RESOLUTIONS[0]


def _range(known: str | None, scores: np.ndarray) -> tuple[float, float]:
    low, high = float(scores.min()), float(scores.max())
    if known is not None:
        stated = card_for(known).mos_range
        if stated[0] <= low and high <= stated[1]:
            return stated
    return (low, high) if low < high else (low - 0.5, high + 0.5)
