"""AGIQA-3K: pictures of six generators in several modes.

``mos_quality`` is the score; ``mos_align`` rates agreement with the prompt and is not read.
``paper`` and ``standard`` are the same rows in the same order.

Source: Li et al., "AGIQA-3K: An Open Database for AI-Generated Image Quality Assessment", IEEE
TCSVT 2023, arXiv:2306.04717.
"""

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets, Request, header_has, locate
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_csv, to_numbers


def find(index: FileIndex) -> str | None:
    """The file that marks the set."""
    return locate(index, ["data.csv", "agiqa3k_data.csv"], header_has("mos_quality"))


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names, quality MOS and deviations."""
    rows = read_csv(index.root / source, ["name", "mos_quality", "std_quality"])
    table = pd.DataFrame(
        {
            "name": rows["name"],
            "mos": to_numbers(rows["mos_quality"], f"{source}, mos_quality"),
            "mos_std": to_numbers(rows["std_quality"], f"{source}, std_quality"),
        }
    )
    return Annotated(table, source)


def describe(name: str) -> Facets:
    """Prompt number, generator with its mode, and generator.

    >>> describe("sd1.5_lowcorr_017.jpg")
    Facets(ref_id='017', dist_type='sd1.5_lowcorr', dist_level=None, subset='sd1.5')
    """
    parts = name.rpartition(".")[0].rsplit("_", 2)
    if len(parts) != 3:
        return Facets()
    generator, mode, prompt = parts
    return Facets(ref_id=prompt, dist_type=f"{generator}_{mode}", subset=generator)
