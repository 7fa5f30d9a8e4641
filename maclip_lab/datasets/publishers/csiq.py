"""CSIQ: thirty pictures under six distortions. The score is a DMOS: lower is better.

Read from the publisher's workbook, or from the list ``csiq_label.txt`` that many copies carry,
which has six decimals. ``paper`` and ``standard`` are the same rows, unflipped.

Source: Larson, Chandler, "Most apparent distortion", JEI 2010.
"""

import re

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets, Request, locate
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_words, read_xlsx, to_numbers

_TOKENS = {
    "noise": "AWGN",
    "awgn": "AWGN",
    "blur": "BLUR",
    "contrast": "contrast",
    "fnoise": "fnoise",
    "jpeg": "JPEG",
    "jpeg 2000": "jpeg2000",
    "jpeg2000": "jpeg2000",
}
_TYPES = {
    "awgn": "white noise",
    "blur": "Gaussian blur",
    "contrast": "contrast loss",
    "fnoise": "pink noise",
    "jpeg": "JPEG",
    "jpeg2000": "JPEG2000",
}
_NAME = re.compile(r"(?P<ref>.+)\.(?P<type>[A-Za-z0-9]+)\.(?P<level>\d)\.png", re.IGNORECASE)


def find(index: FileIndex) -> str | None:
    """The file that marks the set; the workbook is exact and goes first."""
    return locate(index, ["csiq.DMOS.xlsx"]) or locate(index, ["csiq_label.txt"])


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names, DMOS and, from the workbook, deviations."""
    path = index.root / source
    if source.lower().endswith(".txt"):
        rows = read_words(path, ["name", "dmos"])
        table = pd.DataFrame({"name": rows["name"], "mos": to_numbers(rows["dmos"], source)})
        return Annotated(table, source, note="DMOS with six decimals, from csiq_label.txt")
    columns = ["image", "dst_type", "dst_lev", "dmos_std", "dmos"]
    rows = read_xlsx(path, columns, sheet="all_by_image", header=4)
    table = pd.DataFrame(
        {
            "name": [
                f"{_whole(image)}.{_token(kind, source)}.{_whole(level)}.png"
                for image, kind, level in zip(
                    rows["image"], rows["dst_type"], rows["dst_lev"], strict=True
                )
            ],
            "mos": to_numbers(rows["dmos"], f"{source}, dmos"),
            "mos_std": to_numbers(rows["dmos_std"], f"{source}, dmos_std"),
        }
    )
    return Annotated(table, source)


def _whole(cell: object) -> str:
    """The picture called 1600 is a number in the workbook."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _token(cell: object, source: str) -> str:
    token = _TOKENS.get(str(cell).strip().lower())
    if token is None:
        raise DatasetError(
            f"{source!r}: unknown distortion {cell!r}, expected {', '.join(_TOKENS)}"
        )
    return token


def describe(name: str) -> Facets:
    """Reference, distortion and level.

    >>> describe("log_seaside.AWGN.1.png")
    Facets(ref_id='log_seaside', dist_type='white noise', dist_level=1, subset=None)
    """
    match = _NAME.fullmatch(name)
    if match is None or match["type"].lower() not in _TYPES:
        return Facets()
    return Facets(match["ref"].lower(), _TYPES[match["type"].lower()], int(match["level"]))
