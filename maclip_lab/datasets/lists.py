"""Lists of one's own: the authors' JSON, or any table of pictures and scores.

A column is what its values are, as far as they say, and else what data/columns.toml says of its
title, as in other metrics' tables and people's choices (`maclip_lab.ablations`). What was taken
and what was passed over stands in the manifest's note.
"""

import math
import os
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from maclip_lab.datasets.cards import Card, Choices
from maclip_lab.datasets.finding import Annotated, FileIndex, build_manifest
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.readers import is_blank, is_number, read_table, to_numbers
from maclip_lab.errors import DatasetError
from maclip_lab.files.identity import data_path
from maclip_lab.files.provenance import record_path
from maclip_lab.formats import EXTENSIONS

TITLES: dict[str, Any] = tomllib.loads(data_path("columns.toml").read_text("utf-8"))
"""Usual titles of columns by what these hold, as data/columns.toml has them."""

_OURS = frozenset({"q_cos", "q_mag", "w_cos", "n_crops"})


def fold_title(title: object) -> str:
    """A column's title without case, signs and what stands in brackets.

    >>> fold_title("Image_Name (file)")
    'imagename'
    """
    return re.sub(r"[\W_]", "", re.sub(r"[(\[].*", "", str(title)).lower())


def words_of(title: object) -> list[str]:
    """The words of a title in lower case.

    >>> words_of("NIQE score"), words_of("meanRating_v2")
    (['niqe', 'score'], ['mean', 'rating', 'v2'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", str(title))
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]


def lower_is_better(label: object) -> bool:
    """Whether a word of a label names, or begins with, a measure whose low values are good."""
    return any(
        word == measure or (len(measure) > 3 and word.startswith(measure))
        for word in words_of(label)
        for measure in TITLES["lower_is_better"]
    )


def usual(rows: pd.DataFrame, titles: Sequence[str]) -> list[str]:
    """The columns that have usual titles, in the order of those."""
    folded = {fold_title(column): column for column in reversed(list(rows))}
    return [folded[name] for name in dict.fromkeys(map(fold_title, titles)) if name in folded]


def picture_columns(rows: pd.DataFrame) -> list[str]:
    """Columns that may name the pictures: files, other texts, numbers, what counts the rows."""
    titled, references = usual(rows, TITLES["picture"]), usual(rows, TITLES["reference"])
    ranks = {column: _rank(rows[column]) for column in rows if column not in references}
    likely = [*titled, *(c for c, rank in ranks.items() if rank == 0 and c not in titled)]
    return sorted(likely, key=lambda column: ranks[column])


def _rank(values: "pd.Series[str]") -> int:
    files = sum(PurePosixPath(text).suffix.lower() in EXTENSIONS or "/" in text for text in values)
    if files > len(values) / 2:
        return 0
    if not all(is_number(text) and float(text).is_integer() for text in values):
        return 1
    numbers = np.sort(values.astype(float))
    return 3 if numbers[0] in (0, 1) and (np.diff(numbers) == 1).all() else 2


def named_column(rows: pd.DataFrame, title: str, path: Path) -> str:
    """The column of that title, or a `DatasetError`."""
    if title not in rows:
        raise DatasetError(f"{str(path)!r} has no column {title!r}; it has {titles_of(rows)}")
    return title


def titles_of(rows: pd.DataFrame) -> str:
    """The titles of a table in a message."""
    return ", ".join(map(str, rows))


def open_list(
    path: Path,
    root: str | os.PathLike[str] | None,
    choices: Choices,
    called: str,
    card: Card | None,
) -> Manifest:
    """The manifest of a list; ``called`` is its name, ``card`` that of the set it is a list of."""
    rows = read_table(path)
    _refuse_our_own(rows, choices.score_column, path)
    table, note, score = _columns(rows, choices, path)
    unknown = Card(name=called, title=called, rows=len(rows), mos_range=(math.nan, math.nan))
    facts, higher = card or unknown, choices.higher_is_better
    if higher is None and card is None and "dmos" in fold_title(score):
        raise DatasetError(
            f"{str(path)!r}: a DMOS may mean either direction; say higher_is_better=True "
            "(--higher-is-better) or higher_is_better=False (--lower-is-better)"
        )
    higher = facts.higher_is_better if higher is None else higher
    note += f", {'higher' if higher else 'lower'} is better"
    if choices.on_duplicate == "mean":
        note += f"; means of {len(table)} ratings"
        groups = table.groupby("name", sort=False)
        first = groups.first().drop(columns=["mos", "mos_std"], errors="ignore")
        table = groups["mos"].agg(mos="mean", mos_std="std").join(first).reset_index()
    if "ref_id" not in table and card is None:
        note += _versions(table["name"].map(_stem))
    index = FileIndex.scan(_root_of(table["name"], path) if root is None else root)
    low, high = float(table["mos"].min()), float(table["mos"].max())
    fits = facts.mos_range[0] <= low and high <= facts.mos_range[1]
    seen = (low, high) if low < high else (low - 0.5, high + 0.5)
    folder = next(iter(facts.resolutions), None)  # the paper's, of several with the same names
    if index.root.name.lower() in facts.resolutions:
        folder = None
    mos_range = choices.mos_range or (facts.mos_range if fits else seen)
    return build_manifest(
        Annotated(table, folder=folder, note=note),
        index,
        choices,
        replace(facts, higher_is_better=higher, mos_range=mos_range),
        "file",
        protocol=None if card else "native",
        beside=Path(os.path.abspath(path)).parent,
    )


def _columns(rows: pd.DataFrame, choices: Choices, path: Path) -> tuple[pd.DataFrame, str, str]:
    """A manifest's columns, which ones they are in words, and that of the scores."""
    pictures, scores = picture_columns(rows), usual(rows, TITLES["score"])
    if list(rows) == ["column 1", "column 2"]:  # no header: whichever holds no numbers
        pictures, scores = ["column 1"], ["column 2"]
        if is_number(rows.iloc[0, 0]):
            pictures, scores = scores, pictures
    picture, by_picture = chosen_column(rows, choices.path_column, pictures, "path", path)
    score, by_score = chosen_column(rows, choices.score_column, scores, "score", path)

    def other(kind: str, fits: Callable[["pd.Series[str]"], bool] = lambda _: True) -> str | None:
        columns = (c for c in usual(rows, TITLES[kind]) if c not in (picture, score))
        return next((column for column in columns if fits(rows[column])), None)

    table = pd.DataFrame({"name": rows[picture]})
    table["mos"] = to_numbers(rows[score], f"{path.name}, {score}")
    said = [f"from {path.name}: pictures by column {by_picture}", f"scores by {by_score}"]
    if (spread := other("deviation")) is not None:
        table["mos_std"] = to_numbers(rows[spread], f"{path.name}, {spread}", optional=True)
        said.append(f"deviations by {spread!r}")
    if (split := other("part", _names_parts)) is not None:
        table["split"] = rows[split].str.lower().replace(TITLES["parts"])
        said.append(f"parts by {split!r}")
    if (shows := other("class")) is not None:
        table["subset"] = rows[shows]
        said.append(f"classes by {shows!r}")
    reference = other("reference", lambda values: 1 < values.nunique() < len(values))
    if choices.reference_column is not None:
        reference = named_column(rows, choices.reference_column, path)
    if reference is not None:
        table["ref_id"] = [None if is_blank(text) else _stem(text) for text in rows[reference]]
        said.append(f"{table['ref_id'].nunique()} contents by {reference!r}")
    return table, ", ".join(said), score


def chosen_column(
    rows: pd.DataFrame, named: str | None, candidates: list[str], what: str, path: Path
) -> tuple[str, str]:
    """A column, and in words which one it is and which were passed over."""
    if named is None and not candidates:
        held = "picture" if what == "path" else what
        raise DatasetError(
            f"{str(path)!r}: which column holds the {held}? It has {titles_of(rows)}; "
            f"pass {what}_column= (--{what}-column)"
        )
    column = candidates[0] if named is None else named_column(rows, named, path)
    others = [repr(other) for other in candidates if other != column]
    return column, f"{column!r} (not {', '.join(others)})" if others else repr(column)


def _names_parts(values: "pd.Series[str]") -> bool:
    """Whether a column is called split, or holds usual names of parts alone."""
    return fold_title(values.name) == "split" or set(values.str.lower()) <= set(TITLES["parts"])


def _refuse_our_own(rows: pd.DataFrame, score_column: str | None, path: Path) -> None:
    """A result of this package compared with itself would agree to the last digit."""
    ours = sorted(_OURS & set(rows))
    if not ours and {"status", "flags"} <= set(rows):
        ours = ["status", "flags"]
    is_result = ours or record_path(path).exists()
    if not is_result or score_column not in {None, *_OURS, "score", "clip_iqa"}:
        return
    sign = f"columns {', '.join(ours)}" if ours else f"{record_path(path).name} lies beside it"
    raise DatasetError(
        f"{str(path)!r} is a result of maclip-lab ({sign}), not what people thought of pictures; "
        "give the list of their scores, or name the column that holds them with score_column= "
        "(--score-column)"
    )


def _stem(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in EXTENSIONS else name.strip()


def _versions(stems: "pd.Series[str]") -> str:
    """Where names look like versions of a few contents, that nothing says so."""
    for rest in (r"$", r"[\W_].*", r"[\W_][^\W_]*$"):
        counts = stems.str.replace(rest, "", regex=True).value_counts(sort=False)
        usually = int(counts.mode()[0])
        contents = int((counts == usually).sum())
        if usually > 1 and contents > 2 and usually * contents >= 0.8 * len(stems):
            return (
                f"; names look like {usually} versions each of {len(counts)} contents, such as "
                f"{counts.index[0]!r}, and no column says so: name one with reference_column= "
                "(--reference-column), or intervals take versions for strangers"
            )
    return ""


def _root_of(names: "pd.Series[str]", file: Path) -> Path:
    """The folder that absolute paths share, else the list's own."""
    if all(os.path.isabs(name) for name in names):
        shared = Path(os.path.commonpath([os.path.dirname(name) for name in names]))
        if shared.is_dir() and shared != Path(shared.anchor):
            return shared
    return file.parent
