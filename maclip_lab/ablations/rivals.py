"""Other metrics' scores of the same pictures, as the field's toolboxes write them."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from maclip_lab.datasets.annotations import PATH_COLUMNS, STD_COLUMNS
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.manifest import COLUMNS, Manifest
from maclip_lab.datasets.readers import read_csv, read_parquet, read_text
from maclip_lab.evaluation.correlations import METHODS
from maclip_lab.files.identity import sha256_of

LOWER_IS_BETTER = frozenset({"brisque", "ilniqe", "niqe", "pi", "piqe"})
"""No-reference metrics of the field whose low values mean good quality."""

_NO_METRIC = frozenset(
    {
        *("dmos", "elo", "gt_score", "mean_opinion_score", "mos_quality", *STD_COLUMNS, *COLUMNS),
        *("q_cos", "q_mag", "w_cos", "n_crops", "width", "height", "index", "time", "unnamed"),
        *("mos_predicted", "mos_lo", "mos_hi"),
    }
)
_TAKEN = frozenset({*METHODS, *METHODS.values(), *_NO_METRIC, "quality", "status", "message"})


@dataclass(frozen=True)
class Rivals:
    """Scores of other metrics, joined to a manifest.

    Attributes:
        scores: a column a metric, a row a picture; higher is better, NaN where there is none.
        notes: what did not match and what was turned round, in words.
        facts: the files' sha256, by their names.
    """

    scores: pd.DataFrame
    notes: list[str]
    facts: dict[str, str]


def read_rivals(files: Sequence[str], manifest: Manifest) -> Rivals:
    """Other metrics' scores of a manifest's pictures, joined by path.

    Of a name's folders at least the last has to agree, unless all rows name the same one and the
    manifest's paths have none.

    Args:
        files: tables, CSV, TSV or Parquet, of which all columns of numbers are taken; or, with
            ``table.csv:niqe,-mine``, those named, ``-`` where lower is better.
        manifest: the pictures.

    Raises:
        DatasetError: a file cannot be read, names none of the pictures, or one of them twice.
    """
    found = Rivals(pd.DataFrame(index=manifest.table.index), [], {})
    for file in files:
        path, colon, chosen = file.rpartition(":")
        named = bool(colon) and not Path(file).exists()
        table = Path(path if named else file)
        rows = _rows(table)
        folded = {"_".join(name.lower().replace("-", " ").split()): name for name in rows}
        names = next((folded[name] for name in PATH_COLUMNS if name in folded), rows.columns[0])
        place, unknown = _places(rows[names].astype(str).tolist(), manifest, table)
        missed = f"; {len(unknown)} rows match none, such as {unknown[0]!r}" if unknown else ""
        of = manifest.table["path"].nunique()
        found.notes.append(f"{table.name}: {len(place)} of {of} pictures found{missed}")
        wanted = chosen.split(",") if named else []
        for column, numbers in _metrics(rows.drop(columns=names), wanted, table):
            label = column.removeprefix("-")
            label = table.stem if label.lower() in {"score", *_TAKEN} else label
            if label in {*found.scores, *_TAKEN}:
                raise DatasetError(f"two tables hold {label!r}; rename a file or a column")
            if column != label and column.startswith("-"):
                found.notes.append(f"{label}: lower is better, so it is turned round")
            by_path = pd.Series({where: numbers[row] for where, row in place.items()})
            found.scores[label] = manifest.table["path"].map(by_path)
        found.facts[table.name] = sha256_of(table)
    return found


def _rows(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return read_parquet(path)
    text = read_text(path)
    if text[:1] in (",", ";", "\t"):  # pandas leaves the title of an index out
        return pd.read_csv(io.StringIO("unnamed" + text), sep=text[0], dtype=str)
    # pyiqa writes no header
    return read_csv(path).rename(columns={"column 1": "path", "column 2": "score"})


def _places(names: list[str], manifest: Manifest, path: Path) -> tuple[dict[str, int], list[str]]:
    """Row of every picture that a table names, and the names that mean none."""
    index = FileIndex(manifest.root, tuple(dict.fromkeys(manifest.table["path"])))
    pure = [PurePosixPath(name.replace("\\", "/")) for name in names]
    one_folder = len({name.parent for name in pure}) == 1
    place: dict[str, int] = {}
    unknown = []
    for row, name in enumerate(names):
        found = index.candidates(name)
        if not found and one_folder:
            found = tuple(file for file in index.candidates(pure[row].name) if "/" not in file)
        if len(found) > 1 or (found and place.setdefault(found[0], row) != row):
            before = names[place[found[0]]] if found[0] in place else ", ".join(found[1:3])
            raise DatasetError(
                f"{str(path)!r}: {name!r} is not one picture's alone: {found[0]}, {before}; "
                "keep one row a picture, and as much of its path as tells it apart"
            )
        if not found:
            unknown.append(name)
    if not place:
        raise DatasetError(
            f"{str(path)!r} scores none of the pictures of {manifest.dataset}: it names "
            f"{', '.join(map(repr, names[:2]))}, the set {', '.join(map(repr, index.files[:2]))}"
        )
    return place, unknown


def _metrics(rows: pd.DataFrame, wanted: list[str], path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Names and numbers of a table's metrics; where lower is better negated, and so is the name."""
    numbers = rows.astype(str).apply(pd.to_numeric, errors="coerce").astype(float)
    numbers = numbers.where(np.isfinite(numbers))
    if not wanted:
        filled = [name for name in numbers if numbers[name].notna().mean() > 0.5]
        wanted = [name for name in filled if name.strip().lower() not in _NO_METRIC]
    known = {name.removeprefix("-"): name for name in map(str.strip, wanted)}
    for column, name in known.items():
        if column not in numbers or numbers[column].isna().all():
            wanted = []
            break
        turned = name != column or column.lower() in LOWER_IS_BETTER
        yield ("-" if turned else "") + column, numbers[column].to_numpy() * (-1 if turned else 1)
    if not wanted:
        raise DatasetError(f"{str(path)!r} lacks the scores asked for; it has {', '.join(rows)}")
