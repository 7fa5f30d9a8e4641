"""Reading the files publishers ship their scores in; whatever is wrong becomes a ``DatasetError``.

Tables come back as text, so that numbers are parsed in one place and names such as ``00001`` stay
names.
"""

import csv
import io
import json
import math
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from maclip_lab.datasets.errors import DatasetError

# What the elements of a MATLAB 5 file hold, by their number.
_MAT_NUMBERS = {
    **{1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"},
    **{12: "<i8", 13: "<u8", 16: "u1", 17: "<u2"},
}
_MAT_MATRIX, _MAT_ZIPPED, _MAT_CELLS, _MAT_TEXT = 14, 15, 1, 4
_MAT_LARGEST = 2**26
_BLANK = {"", "-", "nan", "NaN", "NA", "N/A", "None", "null"}


def to_numbers(
    values: Iterable[object], source: str, *, optional: bool = False
) -> NDArray[np.float64]:
    """Finite numbers from numbers or their decimal spelling.

    The message names the source, a file and column; an ``optional`` value may be empty, which
    is NaN.

    Raises:
        DatasetError: a value is empty, text, a truth value, NaN or infinite.
    """
    values = list(values)
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    allowed = [optional and (value is None or str(value).strip() in _BLANK) for value in values]
    bad = np.flatnonzero(~np.isfinite(numbers) & ~np.array(allowed, dtype=bool))
    if len(bad):
        first = values[bad[0]]
        raise DatasetError(
            f"{source}: {len(bad)} of {len(numbers)} scores are no finite numbers, "
            f"the first is {first!r} in row {bad[0] + 1}"
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


def read_text(path: Path) -> str:
    """A text file in UTF-8 with or without a byte-order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{str(path)!r} is not UTF-8 text: {error}") from error


def read_csv(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A delimited table, all values as text and empty ones as ``""``.

    A first line such as ``sep=;`` and comments after ``#`` are passed over.

    Args:
        path: separated by commas, semicolons, tabs or blanks.
        columns: names that must be there; without them a table may lack its header, and its
            columns are ``column 1``, ``column 2`` ...
    """
    text = read_text(path)
    stated = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)
    text = text[stated.end() :] if stated else text
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    header = next(lines, "")
    delimiter = stated[1] if stated else max(",;\t", key=header.count)
    try:
        if stated or delimiter in header:
            parsed = csv.reader(io.StringIO(text), delimiter=delimiter)
            rows = [row for row in parsed if any(row)]
        else:
            rows = [line.split() for line in text.splitlines() if line.strip()]
    except csv.Error as error:
        raise DatasetError(f"{str(path)!r} is no table: {error}") from error
    return _framed(_headed(rows, headless=not columns), path, columns)


def read_sheet(path: Path) -> pd.DataFrame:
    """The first worksheet of a workbook, as `read_csv` gives a table."""
    rows = [[_cell(cell) for cell in row] for row in _worksheet(path)]
    return _framed(_headed([row for row in rows if any(row)], headless=True), path, ())


def _cell(cell: object) -> str:
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _headed(rows: list[list[str]], *, headless: bool) -> list[list[str]]:
    """The rows without comments, and with a header where a table may do without."""
    start = next((n for n, row in enumerate(rows) if not row[0].startswith("#")), len(rows))
    comments, rows = rows[:start], rows[start:]
    if not rows:
        return []
    if headless and any(map(is_number, rows[0])):
        titles = [f"column {number}" for number in range(1, len(rows[0]) + 1)]
        for row in comments:
            stripped = [row[0].lstrip("# "), *row[1:]]
            named = stripped if stripped[0] else stripped[1:]
            titles = named if len(named) == len(titles) else titles
        rows = [titles, *rows]
    # a picture may be called #1.png
    return [row for row in rows if not row[0].startswith("#") or len(row) == len(rows[0])]


def read_words(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """A table without header, its fields parted by spaces or commas."""
    lines = [line.replace(",", " ").split() for line in read_text(path).splitlines()]
    return _framed([list(names), *(line for line in lines if line)], path, names)


def read_xlsx(
    path: Path, columns: Sequence[str | int], *, sheet: str | None = None, header: int = 1
) -> pd.DataFrame:
    """Columns of a worksheet; rows in which all of them are empty are left out.

    Args:
        path: the workbook.
        columns: the wanted names, in any letter case, or numbers of columns, from 1.
        sheet: its name; None for the first.
        header: number of the header row, from 1.
    """
    rows = _worksheet(path, sheet, header)
    if not rows:
        raise DatasetError(f"{str(path)!r} is empty")
    titles = [str(cell).strip().lower() if cell is not None else "" for cell in rows[0]]
    absent = [c for c in columns if isinstance(c, str) and c.lower() not in titles]
    if absent:
        raise DatasetError(
            f"{str(path)!r} lacks column {', '.join(absent)}; row {header} holds "
            f"{', '.join(title for title in titles if title) or 'nothing'}"
        )
    places = [c - 1 if isinstance(c, int) else titles.index(c.lower()) for c in columns]
    wanted = [[row[place] if place < len(row) else None for place in places] for row in rows[1:]]
    filled = [row for row in wanted if any(cell is not None for cell in row)]
    return _nonempty(pd.DataFrame(filled, columns=list(columns), dtype=object), path)


def _worksheet(
    path: Path, sheet: str | None = None, first_row: int = 1
) -> list[tuple[object, ...]]:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        wanted = book[sheet or book.sheetnames[0]]
        rows = list(wanted.iter_rows(min_row=first_row, values_only=True))
        book.close()
    except Exception as error:  # the reader of a damaged workbook raises anything
        raise DatasetError(f"{str(path)!r} is no workbook as expected: {error}") from error
    return rows


def read_mat(files: Mapping[str, Path]) -> dict[str, list[object]]:
    """One variable each of MATLAB 5 files, flattened: numbers, or texts in cells.

    SciPy's reader is left aside: a damaged file can take it, and the process around it, down.
    ``files`` has the name of each and the file that holds it.
    """
    found = {}
    for name, path in files.items():
        try:
            data = path.read_bytes()
            if data[126:128] != b"IM":
                raise ValueError("no MATLAB 5 file")
            matrices = (body for kind, body in _mat_elements(data[128:]) if kind == _MAT_MATRIX)
            found[name] = dict(map(_mat_variable, matrices))[name]
        except (OSError, ValueError, KeyError, IndexError, RecursionError, zlib.error) as error:
            raise DatasetError(f"{name} cannot be read from {str(path)!r}: {error!r}") from error
    return found


def _mat_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the elements that follow each other in ``data``."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack("<II", data[at : at + 8].ljust(8, b"\0"))
        short = kind >> 16  # up to four bytes stand inside the head itself
        start, size = (at + 4, short) if short else (at + 8, size)
        body, kind = data[start : start + size], kind & 0xFFFF
        if len(body) < size or short > 4 or kind not in (*_MAT_NUMBERS, _MAT_MATRIX, _MAT_ZIPPED):
            raise ValueError(f"damaged at byte {at}")
        at = at + 8 if short else start + size + (0 if kind == _MAT_ZIPPED else -size % 8)
        if kind == _MAT_ZIPPED:
            archive = zlib.decompressobj()
            yield from _mat_elements(archive.decompress(body, _MAT_LARGEST))
            if not archive.eof:
                raise ValueError(f"cut short or too large at byte {at}")
        else:
            yield kind, body


def _mat_variable(body: bytes) -> tuple[str, list[object]]:
    """Name and values of a matrix."""
    (_, flags), (_, shape), (_, name), *parts = _mat_elements(body)
    values: list[object]
    if flags[0] == _MAT_CELLS:
        values = [value for _, part in parts for value in _mat_variable(part)[1]]
    else:
        values = np.frombuffer(parts[0][1], _MAT_NUMBERS[parts[0][0]]).tolist()
    if len(values) != math.prod(np.frombuffer(shape, "<i4").tolist()):
        raise ValueError("its size is not as stated")
    if flags[0] == _MAT_TEXT:
        values = ["".join(map(chr, values))]  # type: ignore[arg-type]
    return name.decode("ascii"), values


def read_json_list(path: Path) -> pd.DataFrame:
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
        return _nonempty(pd.DataFrame(content, dtype=object), path)
    except UnicodeEncodeError as error:
        raise DatasetError(f"{str(path)!r} has keys that are not Unicode: {error}") from error


def read_parquet(path: Path) -> pd.DataFrame:
    """Any Parquet table."""
    try:
        return _nonempty(pd.read_parquet(path, engine="pyarrow").reset_index(drop=True), path)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{str(path)!r} is no Parquet table: {error}") from error


def _framed(rows: list[list[str]], path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not rows:
        raise DatasetError(f"{str(path)!r} is empty")
    titles = [title.strip() for title in rows[0]]
    absent = [column for column in columns if column not in titles]
    if absent:
        raise DatasetError(
            f"{str(path)!r} lacks column {', '.join(absent)}; it has {', '.join(titles)}"
        )
    for number, row in enumerate(rows[1:], start=2):
        if len(row) < len(titles) or any(cell.strip() for cell in row[len(titles) :]):
            raise DatasetError(
                f"{str(path)!r}: line {number} has {len(row)} fields, the header {len(titles)}"
            )
    body = [[cell.strip() for cell in row[: len(titles)]] for row in rows[1:]]
    named = [place for place, title in enumerate(titles) if title]
    if len({titles[place] for place in named}) < len(named):
        raise DatasetError(f"{str(path)!r} repeats a column name: {', '.join(titles)}")
    table = pd.DataFrame([[row[place] for place in named] for row in body], dtype=object)
    if len(table):
        table.columns = [titles[place] for place in named]
    return _nonempty(table, path)


def _nonempty(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if table.empty:
        raise DatasetError(f"{str(path)!r} holds no rows")
    return table
