"""Other metrics' scores of the same pictures, to stand in one table with ours.

Tables are read as the field's toolboxes write them: any of the lists that `load_annotations`
reads, a column a metric, or pyiqa's ``name<TAB>score`` without a header.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from maclip_lab.datasets.annotations import PATH_COLUMNS, READERS, STD_COLUMNS
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.manifest import COLUMNS, Manifest
from maclip_lab.datasets.readers import read_csv, read_text
from maclip_lab.evaluation.ratings import METHODS
from maclip_lab.files.identity import sha256_of

LOWER_IS_BETTER = frozenset({"brisque", "ilniqe", "niqe", "pi", "piqe"})
"""No-reference metrics of the field whose low values mean good quality."""

_UNNAMED = frozenset({"score", "scores", "quality", "value", "pred", "prediction", "result"})
_NO_METRIC = frozenset(
    {
        *("dmos", "elo", "gt_score", "mean_opinion_score", "mos_quality", *STD_COLUMNS, *COLUMNS),
        *("q_cos", "q_mag", "w_cos", "n_crops", "width", "height", "index", "time"),
        *("mos_predicted", "mos_lo", "mos_hi", "unnamed"),
    }
)
_TAKEN = frozenset({*METHODS, *METHODS.values(), "status", "flags", "message", *_NO_METRIC})


@dataclass(frozen=True)
class Rivals:
    """Scores of other metrics, joined to a manifest.

    Attributes:
        scores: one column a metric, one row a picture of the manifest; higher means better
            quality, NaN where the file has no number.
        notes: what did not match and what was turned round, in words.
        facts: the files' sha256, by their names.
    """

    scores: pd.DataFrame
    notes: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def read_rivals(files: Sequence[str], manifest: Manifest) -> Rivals:
    """Other metrics' scores of a manifest's pictures.

    A row means the picture whose name it bears; of its folders at least the last has to agree,
    unless all rows name the same one and the manifest's paths have none.

    Args:
        files: paths of tables; ``table.csv:niqe,-mine`` names the columns to take, else all that
            hold numbers are. ``-`` says that lower is better; of `LOWER_IS_BETTER` it is known.
        manifest: the pictures.

    Raises:
        DatasetError: a file cannot be read, names none of the pictures, or one of them twice.
    """
    scores = pd.DataFrame(index=manifest.table.index)
    notes: list[str] = []
    facts: dict[str, str] = {}
    for file in files:
        path, chosen = _parted(file)
        rows = _rows(path)
        names = _path_column(rows)
        place, unknown = _places([str(name) for name in rows[names]], manifest, path)
        found = f"{path.name}: {len(place)} of {len(set(manifest.table['path']))} pictures found"
        notes.append(
            found + (f"; {len(unknown)} rows match none ({unknown[0]})" if unknown else "")
        )
        for column, numbers, turned in _metrics(rows.drop(columns=names), chosen, path):
            label = path.stem if column.lower() in _UNNAMED else column
            label = f"{path.stem} {column}" if label in {*scores, *_TAKEN} else label
            if label in {*scores, *_TAKEN}:
                raise DatasetError(f"two tables hold {label!r}; rename one of the files")
            by_path = pd.Series({where: numbers[row] for where, row in place.items()})
            scores[label] = manifest.table["path"].map(by_path) * (-1 if turned else 1)
            if turned:
                notes.append(f"{label}: lower is better, so it is turned round")
        facts[path.name] = sha256_of(path)
    return Rivals(scores, tuple(notes), facts)


def _parted(file: str) -> tuple[Path, list[str]]:
    """The path, and the columns named after its last colon."""
    path, colon, columns = file.rpartition(":")
    return (
        (Path(file), []) if not colon or Path(file).exists() else (Path(path), columns.split(","))
    )


def _rows(path: Path) -> pd.DataFrame:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"expected a table in {', '.join(READERS)}, got {str(path)!r}")
    text = read_text(path) if reader is read_csv else ""
    if text[:1] in (",", ";", "\t"):  # pandas leaves the title of an index out
        rows = pd.read_csv(
            io.StringIO("unnamed" + text), sep=text[0], dtype=str, keep_default_na=False
        )
    else:
        rows = reader(path)
    titles = [str(title) for title in rows]
    if len(titles) > 1 and not any(math.isnan(_number(title)) for title in titles[1:]):
        first = pd.DataFrame([titles], columns=rows.columns)  # pyiqa writes no header
        rows = pd.concat([first, rows], ignore_index=True)
        titles = ["path", path.stem, *(f"{path.stem} {i}" for i in range(2, len(titles)))]
    return rows.set_axis(titles, axis=1)


def _path_column(rows: pd.DataFrame) -> str:
    folded = {
        "_".join(title.lower().replace("-", " ").split()): title for title in reversed(list(rows))
    }
    return next((folded[name] for name in PATH_COLUMNS if name in folded), str(rows.columns[0]))


def _places(names: list[str], manifest: Manifest, path: Path) -> tuple[dict[str, int], list[str]]:
    """Row of every picture that a table names, and the names that mean none."""
    index = FileIndex(manifest.root, tuple(dict.fromkeys(manifest.table["path"])))
    posix = [PurePosixPath(name.replace("\\", "/")) for name in names]
    one_folder = len({name.parent for name in posix}) == 1
    place: dict[str, int] = {}
    unknown = []
    for row, (name, pure) in enumerate(zip(names, posix, strict=True)):
        found = index.candidates(name)
        if not found and one_folder:
            found = tuple(file for file in index.candidates(pure.name) if "/" not in file)
        if len(found) > 1:
            raise DatasetError(f"{str(path)!r}: {name!r} means {', '.join(found[:3])}; say which")
        if not found:
            unknown.append(name)
        elif place.setdefault(found[0], row) != row:
            raise DatasetError(
                f"{str(path)!r} has two scores of {found[0]!r}, "
                f"as {names[place[found[0]]]!r} and {name!r}; keep one"
            )
    if not place:
        raise DatasetError(
            f"{str(path)!r} scores none of the pictures of {manifest.dataset}: it names "
            f"{', '.join(map(repr, names[:2])) or 'nothing'}, the set "
            f"{', '.join(map(repr, index.files[:2]))}"
        )
    return place, unknown


def _metrics(
    rows: pd.DataFrame, chosen: list[str], path: Path
) -> list[tuple[str, np.ndarray, bool]]:
    """Name, numbers and whether lower is better of every metric in a table."""
    numbers = {str(name): np.array([_number(v) for v in rows[name]]) for name in rows}
    wanted = [name.strip() for name in chosen]
    if not wanted:
        known = [name for name, values in numbers.items() if np.isfinite(values).mean() > 0.5]
        wanted = [name for name in known if name.strip().lower() not in _NO_METRIC]
    if not wanted:
        raise DatasetError(f"{str(path)!r} has no column of scores, only {', '.join(numbers)}")
    found = []
    for name in wanted:
        column = name if name in numbers else name.removeprefix("-")
        if column not in numbers or not np.isfinite(numbers[column]).any():
            raise DatasetError(f"{str(path)!r} has no numbers {column!r}; has {', '.join(numbers)}")
        turned = column != name or column.strip().lower() in LOWER_IS_BETTER
        found.append((column, numbers[column], turned))
    return found


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan
