"""Published results, to stand beside ours and never among them."""

from collections.abc import Mapping

import pandas as pd

from maclip_lab.crops import canonical_name
from maclip_lab.files.identity import data_path

PAPER_BACKBONE = "RN50"
PAPER_NAMES = {
    "maclip": "MA-CLIP",
    "clipiqa": "CLIP-IQA",
}
"""Our methods' names, in lower case without punctuation, to the paper's.

The paper's CLIP-IQA is the form with five prompt pairs, on the whole picture.
"""

CLIP_IQA_ANSWERS = {"i01.bmp": 0.8916, "i01_01_5.bmp": 0.4590}
"""CLIP-IQA (one pair, RN50) of two TID2013 pictures, published with the metric, to 1 %."""


def published_results() -> pd.DataFrame:
    """Published numbers: ``dataset, method, backbone, metric, value, source, how``.

    ``how`` a number came here is ``primary``, read off its own table; ``quoted``, from a third
    party; or ``recomputed`` from other rows. All fourteen are quoted: they are at hand only through
    a machine-written summary of the paper (en.papernotes.org), and nobody has checked them yet.

    The stated mean of MA-CLIP, 0.6902, is that of the six rows. CLIP-IQA's, 0.6296, is not: its
    rows have 0.6435, by which the gain is 7.3 % and not the 9.6 % that is stated. CLIP-IQA on
    TID2013, 0.5786, equals to four digits what the toolbox pyiqa lists in its benchmark, which has
    0.6955 on CLIVE and 0.6572 on KonIQ's test split. No PLCC of a set, and no number of AGIQA,
    PIPAL, another backbone, lambda or the fusion is known here; such rows are absent, not guessed.
    """
    return pd.read_csv(data_path("published.csv"))


def published_rivals() -> pd.DataFrame:
    """Published numbers of other metrics, one row each: ``dataset, method, srcc, plcc, source``.

    First-hand, of ten training-free metrics on the paper's six sets, from Table I of MDFS.
    Protocols may differ from the paper's. Two of them, MDFS and ILNIQE, are ahead of MA-CLIP on
    CSIQ and on KADID.
    """
    return pd.read_csv(data_path("rivals.csv"))


def with_published(table: pd.DataFrame, names: Mapping[str, str] = PAPER_NAMES) -> pd.DataFrame:
    """An evaluation table with the paper's SRCC and the difference from it beside ours.

    Args:
        table: rows with ``dataset``, ``method`` and ``srcc_official``, of `evaluate`.
        names: our methods' names (lower case, letters and digits only) to the paper's.

    Returns:
        The same rows with three more columns, NaN where nothing is published:
        ``paper_rn50_srcc``; ``minus_paper_rn50``, our ``srcc_official`` less the paper's, which is
        taken from fitted scores too; and ``published_srcc``, other metrics' by their names. The
        paper's numbers are RN50's, and all are of whole sets, whatever backbone and pictures the
        row itself is of.

    Raises:
        ValueError: if a column is missing.
    """
    missing = [name for name in ("dataset", "method", "srcc_official") if name not in table]
    if missing:
        raise ValueError(f"expected columns dataset, method and srcc_official; missing {missing}")
    rows = published_results()
    rows = rows[(rows["metric"] == "srcc") & (rows["backbone"] == PAPER_BACKBONE)]
    paper = dict(zip(zip(rows["dataset"], rows["method"], strict=True), rows["value"], strict=True))
    keys = [
        (_dataset(str(dataset)), names.get(_plain(str(method)), str(method)))
        for dataset, method in zip(table["dataset"], table["method"], strict=True)
    ]
    result = table.copy()
    result["paper_rn50_srcc"] = [paper.get(key, float("nan")) for key in keys]
    result["minus_paper_rn50"] = result["srcc_official"] - result["paper_rn50_srcc"]
    rivals = published_rivals()
    named = zip(rivals["dataset"], rivals["method"].map(_plain), strict=True)
    others = dict(zip(named, rivals["srcc"], strict=True))
    result["published_srcc"] = [
        others.get((_dataset(str(dataset)), _plain(str(method))), float("nan"))
        for dataset, method in zip(table["dataset"], table["method"], strict=True)
    ]
    return result


def _dataset(name: str) -> str:
    try:
        return canonical_name(name)
    except ValueError:
        return name


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
