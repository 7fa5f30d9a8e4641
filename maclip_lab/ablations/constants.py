"""The authors' grid of the fusion's constants, laid out by what counts, and what differs surely."""

import pandas as pd

from maclip_lab.ablations.rated import RatedSet
from maclip_lab.ablations.sweeps import AUTHORS_GRID, PAPER


def grid_agreement(rated: RatedSet) -> pd.DataFrame:
    """SRCC of every different setting of the authors' grid, beside the paper's.

    Returns:
        One row a setting: ``alpha, head start`` (`base_cos` less `base_norm`), what `agreement`
        tells with the paper's setting as baseline, and ``alike``: its difference from the paper's
        has an interval that holds zero.
    """
    settings = {(one.alpha, round(one.base_cos - one.base_norm, 9)): one for one in AUTHORS_GRID}
    scores = pd.DataFrame({key: rated.scores(one) for key, one in settings.items()})
    paper = (PAPER.alpha, round(PAPER.base_cos - PAPER.base_norm, 9))
    scores.columns = pd.Index(list(settings), tupleize_cols=False)
    table = rated.agreement(scores, baseline=paper)
    places = pd.DataFrame(list(settings), columns=["alpha", "head start"])
    alike = ~((table["lead_lo"] > 0) | (table["lead_hi"] < 0))
    return pd.concat([places, table.drop(columns="method")], axis=1).assign(alike=alike)
