"""What leaves a notebook: figures and tables as files for a paper, the explorer as a page.

No cell has to ask for the files: whatever a cell displays is written as well. The explorer is one
page of sliders over the cues of rated sets, without kernel, server or network. It fuses by itself
from a crop's two cues; the magnitude cue, which depends on box_lam too, is read at a few nodes, and
the polynomial through them is right to 1e-6.
"""

import base64
import json
import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from IPython.core.getipython import get_ipython
from matplotlib.figure import Figure

from maclip_lab.ablations.rated import Rated
from maclip_lab.features.features import store_cues
from maclip_lab.fusion import FusionSettings

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


NODES = tuple((1 - np.cos(np.pi * np.arange(9) / 8)).tolist())
MOST_PICTURES = 400
_TEMPLATE = Path(__file__).with_name("explorer.html")


def explorer_page(sets: Iterable[Rated], *, foot: str = "") -> str:
    """The page over the cues of some sets, one text with everything in it.

    Of a large set it shows some pictures, drawn at random and always the same; ``foot`` is a last
    line of HTML, such as links to the page's neighbours.
    """
    data = {"paper": vars(FusionSettings()), "nodes": NODES, "sets": [_cues(one) for one in sets]}
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    page = _TEMPLATE.read_text(encoding="utf-8")
    return page.replace("{{foot}}", foot).replace("{{data}}", text)


def _cues(rated: Rated) -> dict[str, object]:
    """A set's pictures and both cues of their crops, the second node by node."""
    rng = np.random.default_rng(0)
    few = np.sort(rng.permutation(rated.n)[:MOST_PICTURES])
    crops = np.isin(rated.picture, few)
    cues = store_cues(rated.features, rated.anchors, NODES)
    (q_cos,) = cues.q_cos.values()
    rows = rated.table.iloc[few]
    references = few if rated.clusters is None else rated.clusters.iloc[few]
    groups = np.unique(references, return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(groups.max() + 1)  # references stay whole
    return {
        "title": rated.name,
        "backbone": rated.backbone,
        "quality": "5 minus the level of harm" if rated.is_severity else "MOS, higher is better",
        "names": rows["name"].tolist(),
        "mos": rows["quality"].tolist(),
        "held_out": (order < len(order) // 2)[groups].tolist(),
        "crops": np.bincount(rated.picture[crops], minlength=rated.n)[few].tolist(),
        "q_cos": _packed(q_cos[crops]),
        "q_mag": _packed(np.stack([cues.q_mag[lam][crops] for lam in NODES])),
    }


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")
