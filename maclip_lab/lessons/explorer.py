"""Move the method's four constants and see a whole data set's scores follow at once.

A move must answer within a tenth of a second, so nothing of it may touch a feature. The fusion
needs only each crop's two cues. The magnitude cue depends on box_lam too, and is read once at
every stop of its slider.
"""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd

from maclip_lab import plots
from maclip_lab.ablations.sweeps import PAPER, score_store
from maclip_lab.evaluation.correlations import spearman
from maclip_lab.features import Features
from maclip_lab.features.stored_cues import StoredCues, store_cues
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import load_picture
from maclip_lab.score import TextAnchors

RANGES = {
    "box_lam": (0.0, 2.0, 0.05),
    "base_cos": (-2.0, 2.0, 0.1),
    "base_norm": (-2.0, 2.0, 0.1),
    "alpha": (0.0, 5.0, 0.1),
}
"""Least value, greatest value and step of every slider."""

STOPS = tuple(round(0.05 * step, 2) for step in range(41))
"""Values of box_lam at which its slider can stand."""

_MOST_DOTS = 2000
_COLUMNS = ("score", "q_cos", "q_mag")


@dataclass(frozen=True)
class Move:
    """What a choice of constants gives.

    Attributes:
        settings: the constants.
        table: one row a picture, as from `score_store`, with ``quality``: the MOS, turned round
            where lower is better.
        srcc: with the MOS, of the ``score``, ``q_cos`` and ``q_mag``; NaN without MOS.
    """

    settings: FusionSettings
    table: pd.DataFrame
    srcc: dict[str, float]


class ExplorerModel:
    """A data set's cues, ready to be fused by any constants.

    Args:
        cues: of one prompt set, read for the box_lam of ``STOPS``.
        root: folder that the pictures' paths start from.

    Raises:
        ValueError: the cues are of several prompt sets, or read for other values of box_lam.
    """

    def __init__(self, cues: StoredCues, root: Path) -> None:
        if set(cues.q_mag) != set(STOPS) or len(cues.q_cos) != 1:
            raise ValueError(
                f"expected cues of one prompt set at the {len(STOPS)} STOPS of box_lam, got "
                f"{len(cues.q_cos)} and {len(cues.q_mag)} others"
            )
        self._cues, self._root = cues, root
        mos = cues.pictures["mos"].to_numpy(dtype=float)
        self._quality = mos if cues.higher_is_better else -mos

    @classmethod
    def from_store(cls, view: Features, anchors: TextAnchors) -> "ExplorerModel":
        """The model of a data set whose features are stored."""
        return cls(store_cues(view, anchors, STOPS), view.manifest.root)

    @property
    def names(self) -> list[str]:
        """Pictures that have a score, in the data set's order."""
        return self._cues.pictures["name"].iloc[self._cues.ok].tolist()

    def path(self, name: str) -> Path:
        """Where a picture lies."""
        pictures = self._cues.pictures
        return self._root / pictures["path"][pictures["name"] == name].iloc[0]

    def q_mag(self, box_lam: float) -> np.ndarray:
        """Magnitude cue of every crop, ``(M,)`` float32.

        Raises:
            ValueError: ``box_lam`` is none of the stops.
        """
        stop = round(box_lam, 2)
        if stop not in self._cues.q_mag or abs(stop - box_lam) > 1e-9:
            low, high, step = RANGES["box_lam"]
            raise ValueError(
                f"box_lam lies between {low:g} and {high:g} in steps of {step:g} here, "
                f"got {box_lam:g}"
            )
        return self._cues.q_mag[stop]

    def move(self, settings: FusionSettings = PAPER) -> Move:
        """Scores, cues, weights and SRCC under these constants.

        Raises:
            ValueError: box_lam is none of the stops.
        """
        lam = settings.box_lam
        cues = replace(self._cues, q_mag={lam: self.q_mag(lam)})
        table = score_store(cues, settings=settings)
        table["quality"] = self._quality
        rated = table[["quality", *_COLUMNS]].dropna()
        srcc = {
            name: spearman(rated[name].to_numpy(), rated["quality"].to_numpy()) for name in _COLUMNS
        }
        return Move(settings, table, srcc)


class Explorer:
    """Sliders, a choice of pictures, and what follows from them; ``panel`` is what to display.

    Args:
        model: the data set.
        backbone: name for the figure.
        chosen: names of the pictures looked at closely; None for the first and the last.

    Attributes:
        sliders: one for each of the constants, by name.
        choice: the pictures looked at closely.
        number: SRCC of the scores, the element of CSS class ``maclip-score``.
        scatter: scores against the MOS, the chosen pictures encircled.
        details: scores, cues and weights of the chosen pictures.
        panel: the whole.
    """

    def __init__(
        self, model: ExplorerModel, backbone: str, *, chosen: Sequence[str] | None = None
    ) -> None:
        self._model, self._backbone = model, backbone
        self.sliders = {name: _slider(name) for name in RANGES}
        self.choice = widgets.SelectMultiple(
            options=model.names,
            value=chosen or [model.names[0], model.names[-1]],
            rows=10,
            description="pictures",
        )
        self.number, self.scatter, self.details = (widgets.HTML() for _ in range(3))
        self.number.add_class("maclip-score")
        self._reset = widgets.Button(description="the paper's constants", layout={"width": "auto"})
        self._reset.on_click(self.reset)
        self._thumbnails: dict[str, str] = {}
        for control in (*self.sliders.values(), self.choice):
            control.observe(self._follow, "value")
        controls = widgets.VBox(
            [*self.sliders.values(), self._reset, self.choice], layout={"flex": "0 0 320px"}
        )
        shown = widgets.VBox(
            [self.number, self.scatter, self.details], layout={"flex": "1 1 0", "overflow": "auto"}
        )
        self.panel = widgets.HBox([controls, shown])
        self._follow()

    @property
    def settings(self) -> FusionSettings:
        """Where the sliders stand."""
        return FusionSettings(**{name: slider.value for name, slider in self.sliders.items()})

    def reset(self, _: object = None) -> None:
        """Puts the sliders back to the paper's constants."""
        for name, slider in self.sliders.items():
            slider.value = getattr(PAPER, name)

    def _follow(self, _: object = None) -> None:
        move, chosen = self._model.move(self.settings), list(self.choice.value)
        self.number.value = number_html(move)
        rows = move.table.set_index("name", drop=False).loc[chosen]
        self.scatter.value = scatter_svg(move.table, chosen, f"every picture ({self._backbone})")
        self.details.value = details_html(rows, [self._thumbnail(name) for name in chosen])

    def _thumbnail(self, name: str) -> str:
        if name not in self._thumbnails:
            self._thumbnails[name] = thumbnail_html(self._model.path(name))
        return self._thumbnails[name]


def number_html(move: Move) -> str:
    """The SRCC of the scores, large, both cues' beside it, and the mean score."""
    return (
        f"SRCC of the score <b style='font-size:1.6em'>{move.srcc['score']:.3f}</b> "
        f"(cosine cue {move.srcc['q_cos']:.3f}, magnitude cue {move.srcc['q_mag']:.3f}), "
        f"mean score {move.table['score'].mean():.4f}"
    )


def scatter_svg(table: pd.DataFrame, chosen: Sequence[str], title: str) -> str:
    """Scores against quality as a drawing that a browser shows at once.

    Args:
        table: of a `Move`; without MOS the pictures' order stands for it.
        chosen: names to encircle.
        title: above it.
    """
    rated = bool(table["quality"].notna().any())
    x = table["quality"] if rated else pd.Series(range(len(table)), table.index, dtype=float)
    shown = table["score"].notna() & x.notna()
    x, y = x[shown], table["score"][shown]
    low, high = np.floor(10 * y.min()) / 10, np.floor(10 * y.max()) / 10 + 0.1
    across = 50 + 390 * (x - x.min()) / max(x.max() - x.min(), 1e-9)
    down = 250 - 220 * (y - low) / (high - low)
    step = -(-len(y) // _MOST_DOTS)
    dots = "".join(
        f"<circle cx='{cx:.1f}' cy='{cy:.1f}' r='3'/>"
        for cx, cy in zip(across[::step], down[::step], strict=True)
    )
    marked = table["name"][shown].isin(list(chosen))
    rings = "".join(
        f"<circle cx='{cx:.1f}' cy='{cy:.1f}' r='7'/>"
        for cx, cy in zip(across[marked], down[marked], strict=True)
    )
    label = "MOS, higher is better" if rated else "picture"
    texts = "".join(
        f"<text x='{left}' y='{top}' text-anchor='{anchor}'>{html.escape(text)}</text>"
        for left, top, anchor, text in (
            (50, 14, "start", title), (245, 285, "middle", label),
            (50, 270, "middle", f"{x.min():.3g}"), (440, 270, "middle", f"{x.max():.3g}"),
            (42, 254, "end", f"{low:.1f}"), (42, 34, "end", f"{high:.1f}"),
            (42, 144, "end", "score"),
        )
    )  # fmt: skip
    return (
        "<svg viewBox='0 0 460 290' width='460' height='290' font-size='12' "
        "style='background:white'><path d='M50 24V250H446' fill='none' stroke='#555'/>"
        f"<g fill='{plots.CUE_COLOURS['score']}' fill-opacity='0.4'>{dots}</g>"
        f"<g fill='none' stroke='black' stroke-width='1.5'>{rings}</g>{texts}</svg>"
    )


def details_html(rows: pd.DataFrame, thumbnails: Sequence[str]) -> str:
    """A table of the chosen pictures: score, both cues, and their weights as a bar.

    Args:
        rows: of a `Move`.
        thumbnails: one element a row.
    """
    head = "".join(
        f"<th>{name}</th>" for name in ("", "picture", "score", "cosine", "magnitude", "weights")
    )
    cosine, magnitude = plots.CUE_COLOURS["q_cos"], plots.CUE_COLOURS["q_mag"]
    lines = []
    for picture, row in zip(thumbnails, rows.itertuples(), strict=True):
        bar = "".join(
            f"<div style='display:inline-block;height:0.8em;width:{4 * share:.2f}em;"
            f"background:{colour}'></div>"
            for colour, share in ((cosine, row.w_cos), (magnitude, 1 - row.w_cos))
        )
        lines.append(
            f"<tr><td>{picture}</td><td style='overflow-wrap:anywhere'>{html.escape(row.name)}</td>"
            f"<td><b>{row.score:.3f}</b></td>"
            f"<td>{row.q_cos:.3f}</td><td>{row.q_mag:.3f}</td>"
            f"<td style='white-space:nowrap'>{bar} {row.w_cos:.2f}</td></tr>"
        )
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def thumbnail_html(path: Path) -> str:
    """A picture as an element 64 pixels high; a note where it cannot be read."""
    image = load_picture(path).image
    if image is None:
        return "(unreadable)"
    image.thumbnail((128, 64))
    image.save(buffer := io.BytesIO(), "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"<img alt='' src='data:image/png;base64,{data}'>"


def _slider(name: str) -> widgets.FloatSlider:
    low, high, step = RANGES[name]
    value = getattr(PAPER, name)
    return widgets.FloatSlider(
        value=value, min=low, max=high, step=step, description=name, readout_format=".2f"
    )
