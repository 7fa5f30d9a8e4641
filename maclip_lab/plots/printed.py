"""Figures and tables in the forms that a paper takes."""

from io import BytesIO

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

_DPI = 200
_TRUETYPE = 42  # fonts that publishers accept


def printed(figure: Figure) -> dict[str, bytes]:
    """A figure as the files ``pdf``, its fonts embedded, and ``png``."""
    contents = {}
    for form in ("pdf", "png"):
        content = BytesIO()
        with mpl.rc_context({"pdf.fonttype": _TRUETYPE}):
            figure.savefig(content, format=form, dpi=_DPI, bbox_inches="tight")
        contents[form] = content.getvalue()
    return contents


def latex_table(table: pd.DataFrame) -> str:
    """A table for LaTeX's booktabs.

    Args:
        table: columns ``x_lo`` and ``x_hi`` become an interval behind the number in ``x``.
    """
    shown = table.copy()
    for column in table:
        low, high = f"{column}_lo", f"{column}_hi"
        if low in table and high in table:
            shown[column] = [
                "" if pd.isna(value) else f"{value:g} [{lo:g}, {hi:g}]"
                for value, lo, hi in table[[column, low, high]].itertuples(index=False)
            ]
            shown = shown.drop(columns=[low, high])
    numbered = isinstance(table.index, pd.RangeIndex)
    return str(
        shown.to_latex(index=not numbered, escape=True, float_format="{:g}".format, na_rep="")
    )
