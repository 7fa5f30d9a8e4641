"""SPAQ: photographs taken with smartphones.

``paper`` and ``standard`` are the same rows. Some copies ship a second workbook with deviations.

Source: Fang et al., "Perceptual Quality Assessment of Smartphone Photography", CVPR 2020.
"""

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets, Request, locate
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_xlsx, to_numbers

_BOOK = "MOS and Image attribute scores.xlsx"
_BOOK_WITH_STD = "MOS Std and Image attribute scores.xlsx"


def find(index: FileIndex) -> str | None:
    """The file that marks the set."""
    return locate(index, [_BOOK]) or locate(index, [_BOOK_WITH_STD])


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names and MOS; deviations from the workbook that has them in its third column."""
    with_std = source.lower().endswith(_BOOK_WITH_STD.lower())
    columns: list[str | int] = ["Image name", "MOS", *([3] if with_std else [])]
    rows = read_xlsx(index.root / source, columns)
    table = pd.DataFrame(
        {"name": rows["Image name"].astype(str).str.strip(), "mos": to_numbers(rows["MOS"], source)}
    )
    if with_std:
        table["mos_std"] = to_numbers(rows[3], f"{source}, third column")
    return Annotated(table, source)


def describe(name: str) -> Facets:
    """Nothing: the names are numbers."""
    return Facets()
