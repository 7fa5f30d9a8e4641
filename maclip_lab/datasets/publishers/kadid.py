"""KADID-10k: eighty-one pictures under twenty-five distortions at five levels.

The file and its column are called ``dmos``, yet the value is a mean opinion from 1 to 5 and higher
is better; ``var`` is a standard deviation. ``paper`` and ``standard`` are the same rows; the
references are never scored.

Source: Lin, Hosu, Saupe, "KADID-10k: A Large-scale Artificially Distorted IQA Database", QoMEX
2019.
"""

import re

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets, Request, header_has, locate
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_csv, to_numbers

TYPES = (
    "Gaussian blur",
    "lens blur",
    "motion blur",
    "colour diffusion",
    "colour shift",
    "colour quantization",
    "saturation (HSV)",
    "saturation (Lab)",
    "JPEG2000",
    "JPEG",
    "white noise",
    "white noise in colour component",
    "impulse noise",
    "multiplicative noise",
    "denoise",
    "brighten",
    "darken",
    "mean shift",
    "jitter",
    "non-eccentricity patch",
    "pixelate",
    "quantization",
    "colour block",
    "high sharpen",
    "contrast change",
)
"""Names of the distortions, numbered from 1 in file names."""

_NAME = re.compile(r"(?P<ref>i\d\d)_(?P<type>\d\d)_(?P<level>\d\d)\.png", re.IGNORECASE)


def find(index: FileIndex) -> str | None:
    """The file that marks the set."""
    return locate(index, ["dmos.csv"], header_has("dist_img"))


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names, scores and deviations."""
    rows = read_csv(index.root / source, ["dist_img", "dmos", "var"])
    table = pd.DataFrame(
        {
            "name": rows["dist_img"],
            "mos": to_numbers(rows["dmos"], f"{source}, dmos"),
            "mos_std": to_numbers(rows["var"], f"{source}, var"),
        }
    )
    return Annotated(table, source)


def describe(name: str) -> Facets:
    """Reference, distortion and level.

    >>> describe("I01_10_05.png")
    Facets(ref_id='I01', dist_type='JPEG', dist_level=5, subset=None)
    """
    match = _NAME.fullmatch(name)
    if match is None or not 1 <= int(match["type"]) <= len(TYPES):
        return Facets()
    return Facets(match["ref"].upper(), TYPES[int(match["type"]) - 1], int(match["level"]))
