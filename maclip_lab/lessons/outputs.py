"""What a notebook shows, as files for a paper: figures with their data, and tables.

No cell has to ask for it: whatever a cell displays is written as well.
"""

import re
from os import PathLike
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from IPython.core.getipython import get_ipython
from matplotlib.figure import Figure

_WORDS = 8  # of a figure's title, in the name of its files


class Outputs:
    """Writes every figure and table that a notebook shows, where it was given a folder.

    A figure becomes a PDF with its fonts embedded, a PNG, and, where `keep` was given its table, a
    CSV; a table a CSV and a LaTeX table for booktabs. Files are called by the notebook, such as
    ``"02"``, a running number, and a figure's title. Without a folder nothing is written.
    """

    def __init__(self, folder: str | PathLike[str] | None, notebook: str) -> None:
        self._folder = None if folder is None else Path(folder)
        self._notebook, self._count = notebook, 0
        self._table: pd.DataFrame | None = None
        shell = get_ipython()
        if shell is None or shell.display_formatter is None:
            return
        printers = shell.display_formatter.mimebundle_formatter
        for kind, writer in ((Figure, self.figure), (pd.DataFrame, self.table)):
            printers.pop(kind, None)
            if self._folder is not None:
                printers.for_type(kind, writer)

    def keep(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table, remembered as what the next figure shows."""
        self._table = table
        return table

    def figure(self, figure: Figure) -> dict[str, str]:
        """Writes a figure that is shown."""
        titles = [figure.get_suptitle(), *(ax.get_title(loc="left") for ax in figure.axes)]
        path = self._path(next(filter(None, titles), "figure"))
        with mpl.rc_context({"pdf.fonttype": 42}):  # TrueType, which publishers accept
            for form in ("pdf", "png"):
                figure.savefig(f"{path}.{form}", dpi=200, bbox_inches="tight")
        if self._table is not None:
            self._table.to_csv(f"{path}.csv")
        self._table = None
        return {}  # and let it be shown as ever

    def table(self, table: pd.DataFrame, title: str = "table") -> dict[str, str]:
        """Writes a table that is shown."""
        if self._folder is not None:
            path = self._path(title)
            table.to_csv(f"{path}.csv")
            how = {"float_format": "{:g}".format, "na_rep": "", "encoding": "utf-8"}
            index = not isinstance(table.index, pd.RangeIndex)
            table.to_latex(f"{path}.tex", index=index, escape=True, **how)
        return {}

    def _path(self, title: str) -> Path:
        self._count += 1
        words = "-".join(re.findall(r"[a-z0-9]+", title.lower())[:_WORDS])
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{self._notebook}-{self._count:02}-{words}"
