"""What a notebook shows, as files for a paper: figures with their data, and tables.

No cell has to ask for it: after `keep_shown`, whatever a cell displays is written as well.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from IPython.core.getipython import get_ipython
from matplotlib.figure import Figure

from maclip_lab.plots.drawn import drawn_data
from maclip_lab.plots.printed import latex_table, printed

_WORDS = 8  # of a figure's title, in the name of its files
_FIGURE = re.compile(r"\bplots\.(?!backbone_label)(\w+)\(")
_TABLE = re.compile(r"(?:display\()?(?:pd\.|ablations\.)?+([a-z]\w*)")


def keep_shown(folder: str | os.PathLike[str] | None, notebook: str) -> None:
    """Writes every figure and table that the notebook shows from here on; nothing for None.

    A figure becomes a PDF with its fonts embedded, a PNG, and a CSV of the numbers drawn; a table
    a CSV and a LaTeX table for booktabs, with each interval behind its number. Files are called by
    the notebook, a running number, and the figure's function or the table's name in the cell.

    Args:
        folder: where to; made where absent.
        notebook: how all names begin, such as ``"02"``.
    """
    shell = get_ipython()
    if shell is None or shell.display_formatter is None:
        return
    printers = shell.display_formatter.mimebundle_formatter
    for kind in (Figure, pd.DataFrame):
        if kind in printers:
            printers.pop(kind)
    if folder is None:
        return
    kept = _Kept(Path(folder), notebook, lambda: shell.user_ns.get("In", [""])[-1])
    printers.for_type(Figure, kept.figure)
    printers.for_type(pd.DataFrame, kept.table)


class Outputs:
    """Writes every figure and table that a notebook shows, where it was given a folder.

    A figure becomes a PDF with its fonts embedded, a PNG, and, where `keep` was given its table, a
    CSV; a table a CSV and a LaTeX table for booktabs. Files are called by the notebook, a running
    number, and a figure's title.

    Args:
        folder: where to; made where absent, None for nowhere.
        notebook: how all names begin, such as ``"02"``.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, notebook: str) -> None:
        self._folder = None if folder is None else Path(folder)
        self._notebook, self._count = notebook, 0
        self._table: pd.DataFrame | None = None
        shell = get_ipython()
        if shell is None or shell.display_formatter is None:
            return
        printers = shell.display_formatter.mimebundle_formatter
        for kind, writer in ((Figure, self.figure), (pd.DataFrame, self.table)):
            if kind in printers:
                printers.pop(kind)
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
        for form, content in printed(figure).items():
            Path(f"{path}.{form}").write_bytes(content)
        if self._table is not None:
            self._table.to_csv(f"{path}.csv")
        self._table = None
        return {}  # and let it be shown as ever

    def table(self, table: pd.DataFrame, title: str = "table") -> dict[str, str]:
        """Writes a table that is shown."""
        if self._folder is not None:
            path = self._path(title)
            table.to_csv(f"{path}.csv")
            Path(f"{path}.tex").write_text(latex_table(table), encoding="utf-8")
        return {}

    def _path(self, title: str) -> Path:
        self._count += 1
        words = "-".join(re.findall(r"[a-z0-9]+", title.lower())[:_WORDS])
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{self._notebook}-{self._count:02}-{words}"


class _Kept:
    """The files of one notebook."""

    def __init__(self, folder: Path, notebook: str, source: Callable[[], str]) -> None:
        self._folder, self._notebook, self._source, self._count = folder, notebook, source, 0
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, name: str) -> Path:
        self._count += 1
        return self._folder / f"{self._notebook}-{self._count:02}-{name}"

    def figure(self, figure: Figure) -> dict[str, str]:
        names = _FIGURE.findall(self._source())
        path = str(self._path(names[-1] if names else "figure"))
        for form, content in printed(figure).items():
            Path(f"{path}.{form}").write_bytes(content)
        drawn_data(figure).to_csv(path + ".csv", index=False)
        return {}  # and let it be shown as ever

    def table(self, table: pd.DataFrame) -> dict[str, str]:
        last = self._source().rstrip().rpartition("\n")[2]
        name = _TABLE.match(last)
        path = str(self._path(name[1] if name else "table"))
        table.to_csv(path + ".csv")
        Path(path + ".tex").write_text(latex_table(table), encoding="utf-8")
        return {}
