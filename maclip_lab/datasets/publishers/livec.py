"""LIVE In the Wild Image Quality Challenge, also called CLIVE.

Three MATLAB files in one order; the first seven rows are the pictures that trained the subjects.
``paper`` keeps them (1169 rows), ``standard`` leaves them out (1162), as the field does.

Source: Ghadiyaram, Bovik, "Massive Online Crowdsourced Study of Subjective and Objective Picture
Quality", IEEE TIP 2016.
"""

import re

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets, Request, locate
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_mat, to_numbers

_TRAINING = re.compile(r"t[1-7]\.bmp", re.IGNORECASE)


def find(index: FileIndex) -> str | None:
    """The file that marks the set."""
    return locate(index, ["AllMOS_release.mat"])


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names, MOS and deviations, in the publisher's order."""
    files = {}
    for variable in ("AllImages_release", "AllMOS_release", "AllStdDev_release"):
        file = index.beside(source, f"{variable}.mat")
        if file is None:
            raise DatasetError(f"{variable}.mat is not beside {source!r}")
        files[variable] = index.root / file
    names, mos, mos_std = read_mat(files).values()
    if not len(names) == len(mos) == len(mos_std):
        raise DatasetError(f"the .mat files beside {source!r} differ in length")
    table = pd.DataFrame(
        {
            "name": [str(name) for name in names],
            "mos": to_numbers(mos, "AllMOS_release"),
            "mos_std": to_numbers(mos_std, "AllStdDev_release"),
        }
    )
    if request.variant == "paper":
        note = "includes t1 to t7, the pictures that trained the subjects"
        return Annotated(table, source, note=note)
    return Annotated(table[~table["name"].str.fullmatch(_TRAINING)], source)


def describe(name: str) -> Facets:
    """Whether the picture trained the subjects."""
    return Facets(subset="training" if _TRAINING.fullmatch(name) else None)
