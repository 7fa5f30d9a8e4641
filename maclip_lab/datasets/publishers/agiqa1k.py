"""AGIQA-1K: pictures of two generators.

The publisher's workbook lists ``dreamStudio_8_9_1_1.jpg`` twice, with 0.4414 and 2.0841, and
``dreamStudio_8_5_0_0.jpg`` never; which score is whose cannot be told from the raw means. ``paper``
keeps both rows on the one picture (1080 rows), ``standard`` drops both (1078).

``scores="raw"`` reads the raw means of AIGC_all.csv instead, a different target: their SRCC with
the workbook's z-scores is only 0.805.

Source: Zhang et al., "A Perceptual Quality Assessment Exploration for AIGC Images", 2023,
arXiv:2303.12618.
"""

import re

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets, Request, locate
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_csv, read_xlsx, to_numbers

ALIASES = {"dreamStudio_8_9_1_1.jpg": "dreamStudio_8_9_1_.jpg"}
"""Names under which a picture may lie on disk instead."""

_NAME = re.compile(r"(?P<model>[A-Za-z]+)_\d+_\d+_(?P<place>[01])_(?P<style>[01])\.jpg")
_PLACES, _STYLES = ("city", "wild"), ("anime", "realistic")


def find(index: FileIndex) -> str | None:
    """The file that marks the set."""
    return locate(index, ["AIGC_MOS_Zscore.xlsx"]) or locate(index, ["AIGC_all.csv"])


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names and MOS, sorted by name as in the workbook."""
    if request.scores == "raw":
        return _read_raw(index, request)
    if not source.lower().endswith(".xlsx"):
        raise DatasetError(
            f"AIGC_MOS_Zscore.xlsx is absent; {source!r} holds other scores, "
            'which scores="raw" reads'
        )
    rows = read_xlsx(index.root / source, ["Image", "MOS"])
    table = pd.DataFrame(
        {"name": rows["Image"].astype(str).str.strip(), "mos": to_numbers(rows["MOS"], source)}
    )
    twice = table["name"].duplicated(keep=False)
    if not twice.any():
        return Annotated(table, source)
    note = f"the workbook repeats {', '.join(sorted(set(table['name'][twice])))}: "
    if request.variant == "paper":
        return Annotated(table, source, keep_duplicates=True, note=f"{note}all rows kept")
    return Annotated(table[~twice], source, note=f"{note}rows dropped, the true score is unknown")


def _read_raw(index: FileIndex, request: Request) -> Annotated:
    source = locate(index, ["AIGC_all.csv"])
    if source is None:
        raise DatasetError(f"AIGC_all.csv, the raw scores, is not under {str(index.root)!r}")
    if request.variant == "paper":
        raise DatasetError('the paper uses the z-scores; scores="raw" is for variant="standard"')
    rows = read_csv(index.root / source, ["Image", "Score"])
    whole = {alias: name for name, alias in ALIASES.items()}
    names = rows["Image"].replace(whole)
    table = pd.DataFrame({"name": names, "mos": to_numbers(rows["Score"], source)})
    return Annotated(table, source, note="raw means of eleven raters")


def describe(name: str) -> Facets:
    """Generator as ``dist_type``, place and style as ``subset``.

    >>> describe("deepai_0_0_1_0.jpg")
    Facets(ref_id=None, dist_type='deepai', dist_level=None, subset='wild, anime')
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return Facets()
    subset = f"{_PLACES[int(match['place'])]}, {_STYLES[int(match['style'])]}"
    return Facets(dist_type=match["model"], subset=subset)
