"""Reading the files that scores come in; whatever is wrong becomes a ``DatasetError``.

Tables come back as text, so that numbers are parsed in one place and names such as ``00001`` stay
names. Their index says where a row stands in the file.
"""

import csv
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maclip_lab.errors import DatasetError

BLANK = frozenset({"", "-", "nan", "na", "n/a", "none", "null"})
"""What stands where there is no value, in lower case."""

# In a process of its own: a damaged file can take SciPy's reader, and all around it, down.
_LOAD_MAT = """
import json, sys
from scipy.io import loadmat
values = next(v for name, v in loadmat(sys.argv[1]).items() if name[:2] != "__").ravel().tolist()
print(json.dumps([value if isinstance(value, (int, float)) else str(value[0]) for value in values]))
"""


def read_table(path: Path, *, sheet: str | int = 0, header: int = 1) -> pd.DataFrame:
    """A table by the suffix of its file, one of `READERS`; all values of text files are text.

    A first line such as ``sep=;``, comments after ``#`` and blank rows are passed over. A text or
    sheet whose first row has a number has no header: its columns are ``column 1``, ``column 2`` ...
    as is any column without a title. ``sheet`` and its ``header`` row are a workbook's.

    Raises:
        DatasetError: there is no such table.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DatasetError(f"{str(path)!r} cannot be read: there is no such file")
    if suffix not in READERS:
        raise DatasetError(f"expected a file in {', '.join(READERS)}, got {str(path)!r}")
    read = (
        partial(_read_sheet, sheet=sheet, header=header) if suffix == ".xlsx" else READERS[suffix]
    )
    try:
        table = read(path)
    except Exception as error:  # what readers of damaged files raise is anything
        raise DatasetError(f"{str(path)!r} cannot be read as a table: {error}") from error
    if table.empty:
        raise DatasetError(f"{str(path)!r} holds no rows")
    return table


def to_numbers(
    values: "pd.Series[str]", source: str, *, optional: bool = False
) -> NDArray[np.float64]:
    """Finite numbers, or their decimal spelling, of a column; else a `DatasetError`.

    It names the source, a file and column. An ``optional`` value may be empty, which is NaN.
    """
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    allowed = [optional and (value is None or is_blank(value)) for value in values]
    bad = np.flatnonzero(~np.isfinite(numbers) & ~np.array(allowed, dtype=bool))
    if len(bad):
        raise DatasetError(
            f"{source}: {len(bad)} of {len(numbers)} scores are no finite numbers, the first is "
            f"{values.iloc[bad[0]]!r} in {values.index.name or 'row'} {values.index[bad[0]]}"
        )
    return numbers


def _number(value: object) -> float:
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, str) and "_" in value):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def is_number(value: object) -> bool:
    """Whether a value is a finite number, or the decimal spelling of one."""
    return math.isfinite(_number(value))


def is_blank(value: object) -> bool:
    """Whether a value says that there is none."""
    return str(value).strip().lower() in BLANK


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
    rows = [[_cell(cell) for cell in row] for row in book.itertuples(index=False)]
    return _framed(list(enumerate(rows, 1))[header - 1 :], "row")


def _cell(cell: object) -> str:
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell)).strip() if whole else str(cell).strip()  # type: ignore[call-overload]


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
    return pd.DataFrame(content, _row_numbers(len(content)), dtype=object)


def _read_parquet(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path, engine="pyarrow")
    unnamed = table.index.name is None or table.index.name in table
    return table.reset_index(drop=unnamed).set_axis(_row_numbers(len(table)))


def _read_mat(path: Path) -> pd.DataFrame:
    """The one variable of a MATLAB file: numbers, or texts in cells."""
    command = [sys.executable, "-c", _LOAD_MAT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    values = json.loads(done.stdout)
    return pd.DataFrame({path.stem: values}, _row_numbers(len(values)), dtype=object)


def _row_numbers(count: int) -> pd.RangeIndex:
    return pd.RangeIndex(1, count + 1, name="row")


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
