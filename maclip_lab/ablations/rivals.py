"""Other metrics' scores of the same pictures, as the field's toolboxes write them.

Their tables are read as lists of opinions are (`maclip_lab.datasets.lists`), and their columns are
told by the same rules: what counts, numbers or repeats the opinions is no metric.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from maclip_lab.datasets.finding import FileIndex
from maclip_lab.datasets.lists import (
    STD_COLUMNS,
    fold_title,
    lower_is_better,
    named_column,
    picture_columns,
    titles_of,
    words_of,
)
from maclip_lab.datasets.manifest import COLUMNS, Manifest
from maclip_lab.datasets.readers import is_number, read_table
from maclip_lab.errors import DatasetError
from maclip_lab.evaluation.correlations import METHODS
from maclip_lab.files.identity import sha256_of

_OPINION_WORDS = frozenset(
    {"mos", "dmos", "zmos", "rating", "ratings", "opinion", "opinions", "elo", "gt"}
    | {"std", "stdev", "sem", "ci", "variance"}
)
_COUNT_WORDS = frozenset(
    {
        *("seed", "seeds", "vote", "votes", "rater", "raters", "count", "counts", "num", "n", "no"),
        *("index", "idx", "id", "fold", "epoch", "time", "seconds", "width", "height"),
        *("total", "row", "ratings", "level", "label", "class", "group", "session", "worker"),
        *("participants", "observers", "subjects", "size", "bytes"),
    }
)
_NO_METRIC = frozenset(
    {
        *map(fold_title, (*STD_COLUMNS, *COLUMNS, "q_cos", "q_mag", "w_cos", "status", "flags")),
        *map(fold_title, ("mos_predicted", "mos_lo", "mos_hi", "Unnamed: 0")),
    }
)
_GENERIC = frozenset({"score", "scores", "quality", "qualityscore", "value", "prediction"})
_OURS = ("quality", "status", "message", "flags", "w_cos", "n_crops", "width", "height")
_TAKEN = frozenset({*METHODS, *METHODS.values(), *COLUMNS, *_OURS})
_FEWEST_TO_TELL = 10


@dataclass(frozen=True)
class Rivals:
    """Scores of other metrics, joined to a manifest.

    Attributes:
        scores: a column a metric, a row a picture; higher is better, NaN where there is none.
        notes: which columns were taken, what did not match and what was turned round, in words.
        facts: the files' sha256, by their names.
    """

    scores: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Request:
    """``table.csv:niqe,-mine``: a table and the columns wanted of it, ``-`` where lower is better.

    Without names all columns of numbers are wanted; ``table.csv:-`` says so, and that lower is
    better.
    """

    path: Path
    wanted: list[str]
    turned: list[str]
    all_turned: bool

    @classmethod
    def of(cls, text: str) -> "_Request":
        path, colon, chosen = text.rpartition(":")
        if not colon or Path(text).exists():
            return cls(Path(text), [], [], all_turned=False)
        names = [name.strip() for name in chosen.split(",")]
        turned = [name.removeprefix("-") for name in names if name.startswith("-")]
        wanted = [name.removeprefix("-") for name in names if name != "-"]
        return cls(Path(path), wanted, turned, all_turned="" in turned)


def read_rivals(files: Sequence[str], manifest: Manifest, path_column: str | None = None) -> Rivals:
    """Other metrics' scores of a manifest's pictures, joined by path.

    Of a name's folders at least the last has to agree, unless all rows name the same one and the
    manifest's paths have none.

    Args:
        files: tables, in any form a list may have, of which all metrics are taken; or, with
            ``table.csv:niqe,-mine``, those named, ``-`` where lower is better; ``table.csv:-`` is
            all, and lower is better.
        manifest: the pictures.
        path_column: column of the pictures; None for the likeliest.

    Raises:
        DatasetError: a file cannot be read, names none of the pictures, or one of them twice.
    """
    rivals = Rivals(pd.DataFrame(index=manifest.table.index))
    for text in files:
        request = _Request.of(text)
        table = request.path
        rows = read_table(table)
        candidates = picture_columns(rows)
        names = named_column(rows, path_column, table) if path_column else ""
        names = names or (candidates[0] if candidates else str(rows.columns[0]))
        place, unknown = _places([str(name) for name in rows[names]], manifest, table)
        missed = f"; {len(unknown)} rows match none, such as {unknown[0]!r}" if unknown else ""
        of = manifest.table["path"].nunique()
        others = [column for column in candidates if column != names]
        over = f" (not {', '.join(map(repr, others))})" if others else ""
        rivals.notes.append(
            f"{table.name}: {len(place)} of {of} pictures found by column {names!r}{over}{missed}"
        )
        rows = rows.reset_index(drop=True)
        for column, numbers in _metrics(rows.drop(columns=names), request, rivals.notes):
            label = column
            if fold_title(column) in _GENERIC or column in _TAKEN or column.startswith("column "):
                label = table.stem
            if label in {*rivals.scores, *_TAKEN}:
                raise DatasetError(f"two tables hold {label!r}; rename a file or a column")
            turned = request.all_turned or column in request.turned
            by_word = not turned and (lower_is_better(label) or lower_is_better(column))
            by_path = pd.Series({where: numbers[row] for where, row in place.items()})
            scores = manifest.table["path"].map(by_path)
            if column not in request.wanted and equals_opinions(manifest.table["mos"], scores):
                rivals.notes.append(f"{column!r} of {table.name} repeats the opinions: left out")
                continue
            if turned or by_word:
                scores = -scores
            if by_word:
                rivals.notes.append(f"{label}: lower is better, so it is turned round")
            taken = f" from column {column!r}" if label != column else ""
            rivals.notes.append(f"{table.name}: metric {label!r}{taken}")
            rivals.scores[label] = scores
        rivals.facts[table.name] = sha256_of(table)
    return rivals


def equals_opinions(opinions: "pd.Series[float]", scores: "pd.Series[float]") -> bool:
    """Whether scores are the opinions themselves, or order more than ten pictures just as they do.

    >>> ratings = pd.Series(range(12), dtype=float)
    >>> equals_opinions(ratings, -2 * ratings), equals_opinions(ratings, ratings % 5)
    (True, False)
    """
    both = pd.DataFrame({"mos": opinions, "score": scores}).dropna()
    if len(both) < 2:
        return False
    if np.allclose(both["mos"], both["score"], rtol=1e-6, atol=1e-9):
        return True
    ranks, others = rankdata(both["mos"]), rankdata(both["score"])
    same = np.array_equal(ranks, others) or np.array_equal(ranks, len(both) + 1 - others)
    return bool(same and len(both) > _FEWEST_TO_TELL and np.ptp(ranks) > 0)


def _places(names: list[str], manifest: Manifest, path: Path) -> tuple[dict[str, int], list[str]]:
    """Row of every picture that a table names, and the names that mean none."""
    index = FileIndex(manifest.root, tuple(dict.fromkeys(manifest.table["path"])))
    pure = [PurePosixPath(name.replace("\\", "/")) for name in names]
    one_folder = len({name.parent for name in pure}) == 1
    place: dict[str, int] = {}
    unknown = []
    for row, name in enumerate(names):
        files = index.candidates(name)
        if not files and one_folder:
            files = tuple(file for file in index.candidates(pure[row].name) if "/" not in file)
        if len(files) > 1 or (files and place.setdefault(files[0], row) != row):
            before = names[place[files[0]]] if files[0] in place else ", ".join(files[1:3])
            raise DatasetError(
                f"{str(path)!r}: {name!r} is not one picture's alone: {files[0]}, {before}; "
                "keep one row a picture, and as much of its path as tells it apart"
            )
        if not files:
            unknown.append(name)
    if not place:
        raise DatasetError(
            f"{str(path)!r} scores none of the pictures of {manifest.dataset}: it names "
            f"{', '.join(map(repr, names[:2]))}, the set {', '.join(map(repr, index.files[:2]))}"
        )
    return place, unknown


def _metrics(
    rows: pd.DataFrame, request: _Request, notes: list[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Titles and numbers of a table's metrics; what is none of them is noted."""
    numbers = rows.astype(str).apply(pd.to_numeric, errors="coerce").astype(float)
    numbers = numbers.where(np.isfinite(numbers))
    wanted = [name for name in request.wanted if name]
    if not wanted:
        filled = [name for name in numbers if numbers[name].notna().mean() > 0.5]
        titled = any(not name.startswith("column ") for name in rows)
        wanted = [
            name
            for name in filled
            if _is_metric(name, numbers[name], index=titled and name.startswith("column "))
        ]
        left = [name for name in filled if name not in wanted and not name.startswith("column ")]
        if left:
            notes.append(f"{request.path.name}: no metrics are {', '.join(map(repr, left))}")
    absent = [name for name in wanted if name not in numbers]
    if absent or not wanted:
        why = "" if absent else f": {rows.columns[0]!r} holds {rows.iloc[0, 0]!r}"
        raise DatasetError(
            f"{str(request.path)!r} lacks the scores asked for; it has {titles_of(rows)}{why}"
        )
    for name in wanted:
        if numbers[name].isna().all():
            value = next((v for v in rows[name] if not is_number(v)), "")
            raise DatasetError(
                f"{str(request.path)!r} lacks the scores asked for: {name!r} holds no numbers, but "
                f"{value!r}"
            )
        yield name, numbers[name].to_numpy()


def _is_metric(title: str, numbers: "pd.Series[float]", *, index: bool) -> bool:
    """Whether a column may be a metric's; ``index``, whether it may be the index of the others."""
    words, values = set(words_of(title)), numbers.dropna()
    whole = bool((values % 1 == 0).all())
    counts = whole and not _COUNT_WORDS.isdisjoint(words)
    running = whole and sorted(values) in (
        list(range(len(values))),
        list(range(1, len(values) + 1)),
    )
    opinions = not _OPINION_WORDS.isdisjoint(words) or fold_title(title) in _NO_METRIC
    return not (opinions or counts or (running and index))
