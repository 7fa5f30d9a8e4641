"""What an adapter hands over: the publisher's rows, and what a picture's name says of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex


@dataclass(frozen=True)
class Request:
    """How a data set is to be read, see `load_dataset`; None for its defaults."""

    variant: str = "standard"
    resolution: str | None = None
    scores: str | None = None


@dataclass(frozen=True)
class Annotated:
    """Rows as published.

    Attributes:
        table: ``name`` and ``mos``; ``mos_std`` and ``split`` where the set has them.
        source: the file they come from, relative to the index's root.
        mos_range: where it differs from the card's.
        folder: last folder of the pictures' paths, where the same names lie in several.
        keep_duplicates: the list repeats a picture and is meant to.
        note: what to know about these rows.
    """

    table: pd.DataFrame
    source: str
    mos_range: tuple[float, float] | None = None
    folder: str | None = None
    keep_duplicates: bool = False
    note: str = ""


class Facets(NamedTuple):
    """What a picture's name says of it; None where it says nothing."""

    ref_id: str | None = None
    dist_type: str | None = None
    dist_level: int | None = None
    subset: str | None = None


def locate(
    index: FileIndex, names: Sequence[str], sniff: Callable[[Path], bool] | None = None
) -> str | None:
    """The annotation file of one of these names, the least deep where copies are equal.

    ``sniff`` tells a file of the set from another of the same name.

    Raises:
        DatasetError: several files of different content qualify.
    """
    found = [f for f in index.named(*names) if sniff is None or sniff(index.root / f)]
    if len(found) > 1 and len({(index.root / file).read_bytes() for file in found}) > 1:
        raise DatasetError(
            f"{len(found)} different files under {str(index.root)!r} could hold the scores: "
            f"{', '.join(found[:4])}; give the folder of one copy as root"
        )
    return found[0] if found else None


def header_has(column: str) -> Callable[[Path], bool]:
    """A sniffer: the first line of a file mentions ``column``."""

    def sniff(path: Path) -> bool:
        with path.open("rb") as file:
            return column.encode() in file.readline(4096)

    return sniff
