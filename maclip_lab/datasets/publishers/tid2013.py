"""TID2013: twenty-five pictures under twenty-four distortions at five levels.

``paper`` and ``standard`` are the same rows. Levels are not severities for every type: contrast
change zig-zags, and the MOS of local block-wise distortion rises with its level.

Source: Ponomarenko et al., "Image database TID2013", Signal Processing: Image Communication 2015.
"""

import re
from pathlib import Path

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets, Request, locate
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_words, to_numbers

TYPES = (
    "additive Gaussian noise",
    "colour-component noise",
    "spatially correlated noise",
    "masked noise",
    "high-frequency noise",
    "impulse noise",
    "quantization noise",
    "Gaussian blur",
    "denoising",
    "JPEG",
    "JPEG2000",
    "JPEG transmission errors",
    "JPEG2000 transmission errors",
    "non-eccentricity pattern noise",
    "local block-wise",
    "mean shift",
    "contrast change",
    "colour saturation",
    "multiplicative Gaussian noise",
    "comfort noise",
    "lossy compression of noisy images",
    "colour quantization with dither",
    "chromatic aberrations",
    "sparse sampling and reconstruction",
)
"""Names of the distortions, numbered from 1 in file names."""

_NAME = re.compile(r"i(?P<ref>\d\d)_(?P<type>\d\d)_(?P<level>\d)\.bmp", re.IGNORECASE)


def find(index: FileIndex) -> str | None:
    """The file that marks the set; TID2008 has one of the same name."""
    return locate(index, ["mos_with_names.txt", "tid2013_mos_with_names.txt"], _is_tid2013)


def _is_tid2013(path: Path) -> bool:
    """TID2008 stops at level 4."""
    return b"_5.bmp" in path.read_bytes().lower()


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names, MOS and, where mos_std.txt lies beside the list, deviations."""
    path = index.root / source
    rows = read_words(path, ["mos", "name"])
    table = pd.DataFrame({"name": rows["name"], "mos": to_numbers(rows["mos"], source)})
    spread = index.beside(source, "mos_std.txt")
    if spread is not None:
        values = to_numbers(read_words(index.root / spread, ["std"])["std"], spread)
        if len(values) != len(table):
            raise DatasetError(f"{spread!r} has {len(values)} rows, {source!r} {len(table)}")
        table["mos_std"] = values
    return Annotated(table, source)


def describe(name: str) -> Facets:
    """Reference, distortion and level.

    >>> describe("I03_10_2.BMP")
    Facets(ref_id='i03', dist_type='JPEG', dist_level=2, subset=None)
    """
    match = _NAME.fullmatch(name)
    if match is None or not 1 <= int(match["type"]) <= len(TYPES):
        return Facets()
    return Facets(f"i{match['ref']}", TYPES[int(match["type"]) - 1], int(match["level"]))
