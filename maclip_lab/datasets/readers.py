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
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from maclip_lab.errors import DatasetError

BLANK = frozenset({"", "-", "nan", "na", "n/a", "none", "null"})
"""What stands where there is no value, in lower case."""

# In a process of its own: a damaged file can take SciPy's reader, and all around it, down.
_LOAD_MAT = """
import json, sys
from scipy.io import loadmat
values = loadmat(sys.argv[1])[sys.argv[2]].ravel().tolist()
print(json.dumps([value if isinstance(value, (int, float)) else str(value[0]) for value in values]))
"""


def read_table(path: Path, *, sheet: str | None = None, header: int = 1) -> pd.DataFrame:
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
    if suffix == ".xlsx":
        return _framed(_sheet(path, sheet, header), path, "row")
    return READERS[suffix](path)


def to_numbers(
    values: "pd.Series[str]", source: str, *, optional: bool = False
) -> NDArray[np.float64]:
    """Finite numbers from a column of numbers or their decimal spelling.

    The message names the source, a file and column; an ``optional`` value may be empty, which
    is NaN.

    Raises:
        DatasetError: a value is empty, text, a truth value, NaN or infinite.
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


def read_text(path: Path) -> str:
    """A text file in UTF-8 with or without a byte-order mark, its lines ended as on Unix."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{str(path)!r} is not UTF-8 text: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_delimited(path: Path) -> pd.DataFrame:
    """Fields parted by commas, semicolons, tabs or blanks."""
    text = read_text(path)
    stated = re.match(r"sep=(.)\n", text, re.IGNORECASE)
    lines = text.split("\n")
    first = next((x for x in lines[bool(stated) :] if x.strip() and not x.startswith("#")), "")
    delimiter = stated[1] if stated else max(",;\t", key=first.count)
    if not stated and delimiter not in first:
        return _framed([(n, line.split()) for n, line in enumerate(lines, 1)], path, "line")
    parsed, rows, at = csv.reader(io.StringIO(text), delimiter=delimiter), [], 1
    try:
        for row in parsed:
            rows.append((at, [cell.strip() for cell in row]))
            at = parsed.line_num + 1
    except csv.Error as error:
        raise DatasetError(f"{str(path)!r} is no table: {error}") from error
    return _framed(rows[bool(stated) :], path, "line")


def _sheet(path: Path, sheet: str | None, header: int) -> list[tuple[int, list[str]]]:
    try:
        book = pd.read_excel(
            path, sheet_name=sheet or 0, header=None, dtype=object, keep_default_na=False
        )
    except Exception as error:  # the reader of a damaged workbook raises anything
        raise DatasetError(f"{str(path)!r} is no workbook as expected: {error}") from error
    rows = [[_cell(cell) for cell in row] for row in book.itertuples(index=False)]
    return list(enumerate(rows, 1))[header - 1 :]


def _cell(cell: object) -> str:
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell)).strip() if whole else str(cell).strip()  # type: ignore[call-overload]


def _framed(numbered: list[tuple[int, list[str]]], path: Path, unit: str) -> pd.DataFrame:
    """Rows and their numbers as a table, without comments and blank rows."""
    numbered = [(number, row) for number, row in numbered if any(row)]
    start = next((n for n, (_, row) in enumerate(numbered) if row[0][:1] != "#"), len(numbered))
    comments, numbered = numbered[:start], numbered[start:]
    if not numbered:
        raise DatasetError(f"{str(path)!r} is empty")
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
        raise DatasetError(f"{str(path)!r} repeats a column name: {', '.join(titles)}")
    titles = [title or f"column {place}" for place, title in enumerate(titles, 1)]
    # a picture may be called #1.png
    numbered = [(n, row) for n, row in numbered if row[0][:1] != "#" or len(row) == width]
    for number, row in numbered:
        if len(row) < width or any(row[width:]):
            raise DatasetError(
                f"{str(path)!r}: {unit} {number} has {len(row)} fields, the header {width}"
            )
    index = pd.Index([number for number, _ in numbered], name=unit)
    cells = [row[:width] for _, row in numbered]
    if not cells:
        raise DatasetError(f"{str(path)!r} holds no rows")
    return pd.DataFrame(cells, index, titles, dtype=object)


def _numbered(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if table.empty:
        raise DatasetError(f"{str(path)!r} holds no rows")
    return table.set_axis(pd.RangeIndex(1, len(table) + 1, name="row"))


def _read_json(path: Path) -> pd.DataFrame:
    """The authors' lists: ``[{"img_path": ..., "gt_score": ...}, ...]``."""
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{str(path)!r} is not JSON: {error}") from error
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise DatasetError(f"{str(path)!r}: expected a list of objects with a path and a score")
    try:
        return _numbered(pd.DataFrame(content, dtype=object), path)
    except UnicodeEncodeError as error:
        raise DatasetError(f"{str(path)!r} has keys that are not Unicode: {error}") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path, engine="pyarrow")
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{str(path)!r} is no Parquet table: {error}") from error
    unnamed = table.index.name is None or table.index.name in table
    return _numbered(table.reset_index(drop=unnamed), path)


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    **{".json": _read_json, ".xlsx": read_table},
    **dict.fromkeys((".csv", ".tsv", ".txt"), _read_delimited),
    **dict.fromkeys((".parquet", ".pq"), _read_parquet),
}
"""How a table is read, by the suffix of its name."""


def pick_columns(rows: pd.DataFrame, columns: Sequence[str | int], path: Path) -> pd.DataFrame:
    """Columns by title, in any letter case, or number from 1; rows blank in all are left out.

    Where all are numbers the table has these columns alone; what is absent is a `DatasetError`.
    """
    titles = [str(title).lower() for title in rows]
    by_title = {title: place for place, title in reversed(list(enumerate(titles)))}
    places = [c - 1 if isinstance(c, int) else by_title.get(c.lower(), -1) for c in columns]
    alone = all(isinstance(column, int) for column in columns) and len(titles) != len(columns)
    if alone or any(not 0 <= place < len(titles) for place in places):
        absent = ", ".join(str(c) for c, p in zip(columns, places, strict=True) if p < 0)
        raise DatasetError(
            f"{str(path)!r} lacks column {absent or len(columns)}; "
            f"it has {', '.join(map(str, rows))}"
        )
    picked = rows.iloc[:, places].set_axis(list(columns), axis=1)
    return picked[~picked.isin([""]).all(axis=1)]


def read_mat(path: Path, variable: str) -> list[object]:
    """The numbers, or the texts in cells, of one variable of a MATLAB file.

    Raises:
        DatasetError: they cannot be read.
    """
    command = [sys.executable, "-c", _LOAD_MAT, str(path), variable]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        values: list[object] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise DatasetError(f"{variable} cannot be read from {str(path)!r}: {error}") from error
    return values
