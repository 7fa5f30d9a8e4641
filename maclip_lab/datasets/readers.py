"""Reading the files that scores come in; whatever is wrong becomes a ``DatasetError``.

All values come back as text, so that numbers are parsed in one place and names such as ``00001``
stay names. A table's index says where a row stands in the file.
"""

import csv
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maclip_lab.errors import DatasetError

# In a process of its own: a damaged file can take SciPy's reader, and all around it, down.
_LOAD_MAT = """
import json, sys
from scipy.io import loadmat
values = next(v for name, v in loadmat(sys.argv[1]).items() if name[:2] != "__").ravel().tolist()
print(json.dumps([value if isinstance(value, (int, float)) else str(value[0]) for value in values]))
"""


def read_table(path: Path, *, sheet: str | int = 0, header: int = 1) -> pd.DataFrame:
    """A table of texts by the suffix of its file, one of `READERS`; else a `DatasetError`.

    A first line such as ``sep=;``, comments after ``#`` and blank rows are passed over. A text or
    sheet whose first row has a number has no header: its columns are ``column 1``, ``column 2`` ...
    as is any column without a title. ``sheet`` and its ``header`` row are a workbook's.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DatasetError(f"{str(path)!r} cannot be read: there is no such file")
    if suffix not in READERS:
        raise DatasetError(f"expected a file in {', '.join(READERS)}, got {str(path)!r}")
    of_sheet = {"sheet": sheet, "header": header} if suffix == ".xlsx" else {}
    try:
        table = READERS[suffix](path, **of_sheet)
    except Exception as error:  # what readers of damaged files raise is anything
        raise DatasetError(f"{str(path)!r} cannot be read as a table: {error}") from error
    if table.empty:
        raise DatasetError(f"{str(path)!r} holds no rows")
    return table


def to_numbers(
    values: "pd.Series[str]", source: str, *, optional: bool = False
) -> NDArray[np.float64]:
    """Finite numbers of a column of their decimal spellings; else a `DatasetError`.

    It names the source, a file and column. An ``optional`` value may be empty, which is NaN.
    """
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers) & ~(optional & values.map(is_blank)))
    if len(bad):
        raise DatasetError(
            f"{source}: {len(bad)} of {len(numbers)} scores are no finite numbers, the first is "
            f"{values.iloc[bad[0]]!r} in {values.index.name or 'row'} {values.index[bad[0]]}"
        )
    return numbers


def _number(text: str) -> float:
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def is_number(value: str) -> bool:
    """Whether a value is the decimal spelling of a finite number."""
    return math.isfinite(_number(value))


def is_blank(value: str) -> bool:
    """Whether a value says that there is none."""
    return value.strip().lower() in {"", "-", "nan", "na", "n/a", "none", "null"}


def _read_text(path: Path) -> pd.DataFrame:
    """Fields parted by commas, semicolons, tabs or blanks."""
    text = path.read_text("utf-8-sig")
    stated = re.match(r"sep=(.)\n", text, re.IGNORECASE)
    lines = text.split("\n")
    first = next((x for x in lines[bool(stated) :] if x.strip() and not x.startswith("#")), "")
    delimiter = stated[1] if stated else max(",;\t", key=first.count)
    if not stated and delimiter not in first:
        return _framed([(n, line.split()) for n, line in enumerate(lines, 1)], "line")
    parsed, rows, at = csv.reader(io.StringIO(text), delimiter=delimiter), [], 1
    for row in parsed:
        rows.append((at, [cell.strip() for cell in row]))
        at = parsed.line_num + 1
    return _framed(rows[bool(stated) :], "line")


def _read_sheet(path: Path, sheet: str | int = 0, header: int = 1) -> pd.DataFrame:
    book = pd.read_excel(path, sheet_name=sheet, header=None, dtype=object, keep_default_na=False)
    rows = _texts(book).to_numpy().tolist()
    return _framed(list(enumerate(rows, 1))[header - 1 :], "row")


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    """Values as they are spelt, whole numbers without a point and what is absent as nothing."""
    values = table.astype(object)
    spelt = values.map(lambda x: str(int(x) if isinstance(x, float) and x.is_integer() else x))
    return spelt.map(str.strip).mask(values.isna(), "")


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Texts of a table without lines, whose rows are counted."""
    return _texts(table).set_axis(pd.RangeIndex(1, len(table) + 1, name="row"))


def _framed(numbered: list[tuple[int, list[str]]], unit: str) -> pd.DataFrame:
    """Rows and their numbers as a table, without comments and blank rows."""
    numbered = [(number, row) for number, row in numbered if any(row)]
    start = next((n for n, (_, row) in enumerate(numbered) if row[0][:1] != "#"), len(numbered))
    comments, numbered = numbered[:start], numbered[start:]
    if not numbered:
        raise ValueError("it is empty")
    width = len(numbered[0][1])
    titles = [""] * width
    if any(map(is_number, numbered[0][1])):
        for _, row in comments:
            named = [row[0].lstrip("# "), *row[1:]]
            named = named if named[0] else named[1:]
            titles = named if len(named) == width else titles
    else:
        titles, numbered = numbered[0][1], numbered[1:]
    if len(set(filter(None, titles))) < sum(map(bool, titles)):
        raise ValueError(f"it repeats a column name: {', '.join(titles)}")
    titles = [title or f"column {place}" for place, title in enumerate(titles, 1)]
    # a picture may be called #1.png
    numbered = [(n, row) for n, row in numbered if row[0][:1] != "#" or len(row) == width]
    for number, row in numbered:
        if len(row) < width or any(row[width:]):
            raise ValueError(f"{unit} {number} has {len(row)} fields, the header {width}")
    index = pd.Index([number for number, _ in numbered], name=unit)
    return pd.DataFrame([row[:width] for _, row in numbered], index, titles, dtype=object)


def _read_json(path: Path) -> pd.DataFrame:
    """The authors' lists: ``[{"img_path": ..., "gt_score": ...}, ...]``."""
    content = json.loads(path.read_text("utf-8-sig"))
    json.dumps(content, ensure_ascii=False).encode()  # raises where half a character stands
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise ValueError("expected a list of objects with a path and a score")
    return _numbered(pd.DataFrame(content, dtype=object))


def _read_parquet(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path, engine="pyarrow")
    unnamed = table.index.name is None or table.index.name in table
    return _numbered(table.reset_index(drop=unnamed))


def _read_mat(path: Path) -> pd.DataFrame:
    """The one variable of a MATLAB file: numbers, or texts in cells."""
    command = [sys.executable, "-c", _LOAD_MAT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return _numbered(pd.DataFrame({path.stem: json.loads(done.stdout)}, dtype=object))


READERS: dict[str, Callable[..., pd.DataFrame]] = {
    **{".json": _read_json, ".xlsx": _read_sheet, ".mat": _read_mat},
    **dict.fromkeys((".csv", ".tsv", ".txt"), _read_text),
    **dict.fromkeys((".parquet", ".pq"), _read_parquet),
}
"""How a table is read, by the suffix of its name."""


def pick_columns(rows: pd.DataFrame, columns: Mapping[str, str | int], path: Path) -> pd.DataFrame:
    """Columns by title, in any letter case, or number from 1; rows blank in all are left out.

    ``columns`` are ours and theirs. Where all are numbers the table has these columns alone; what
    is absent is a `DatasetError`.
    """
    titles = [str(title).lower() for title in rows]
    by_title = {title: place for place, title in reversed(list(enumerate(titles)))}
    theirs = list(columns.values())
    places = [c - 1 if isinstance(c, int) else by_title.get(c.lower(), -1) for c in theirs]
    alone = all(isinstance(column, int) for column in theirs) and len(titles) != len(theirs)
    if alone or not all(0 <= place < len(titles) for place in places):
        raise DatasetError(
            f"{str(path)!r} lacks some of the columns {', '.join(map(str, theirs))}; it has "
            f"{', '.join(map(str, rows))}"
        )
    picked = rows.iloc[:, places].set_axis(list(columns), axis=1)
    return picked[~picked.isin([""]).all(axis=1)]
