"""What the explorer shows, as text that a browser draws at once: SVG and HTML, no Matplotlib."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from maclip_lab import plots
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.images import load_picture

_MOST_DOTS = 2000
_POOR_TO_GOOD = ("#d55e00", "#b07445", "#8a8a8a", "#457e9e", "#0072b2")
_TELL = (
    "const box = this.closest('.maclip-explorer').querySelector('.maclip-clicked input');"
    "box.value = event.target.textContent; box.dispatchEvent(new Event('change', {bubbles: true}))"
)
"""What a click on a dot does in the browser: it writes the dot's name where the kernel listens."""


def number_html(srcc: Mapping[str, float], halves: tuple[float, float], table: pd.DataFrame) -> str:
    """The SRCC of the scores, large, that on either half, both cues', and the mean score.

    Args:
        srcc: of a `Move`.
        halves: as well.
        table: as well.
    """
    return (
        f"SRCC of the score <b style='font-size:1.6em'>{srcc['score']:.3f}</b> "
        f"(half to tune on {halves[0]:.3f}, <b>half held out {halves[1]:.3f}</b>; "
        f"cosine cue {srcc['q_cos']:.3f}, magnitude cue {srcc['q_mag']:.3f}), "
        f"mean score {table['score'].mean():.4f}"
    )


def scatter_svg(
    table: pd.DataFrame, ghosts: pd.DataFrame, chosen: Sequence[str], title: str, label: str
) -> str:
    """Scores against quality as a drawing that a browser shows at once.

    Args:
        table: of a `Move`; without MOS the pictures' order stands for it.
        ghosts: of the paper's `Move`; it sets the axes, and what leaves them stays at their edge.
        chosen: names to encircle.
        title: above it.
        label: what quality is.
    """
    rated = bool(table["quality"].notna().any())
    x = table["quality"] if rated else pd.Series(range(len(table)), table.index, dtype=float)
    x = pd.Series(plots.spread(x.to_numpy(float)), table.index)
    low, high = _ends(ghosts["score"])
    drawing = _Drawing((float(x.min()), float(x.max())), (low, high), (label, "score"), title)
    drawing.dots(x, ghosts["score"], ghosts["name"], "#999999", 0.25)
    drawing.dots(x, table["score"], table["name"], plots.CUE_COLOURS["score"], 0.5)
    marked = table[table["name"].isin(list(chosen))]
    drawing.rings(x[marked.index], marked["score"], marked["name"])
    return drawing.svg()


def plane_svg(
    table: pd.DataFrame, ghosts: pd.DataFrame, chosen: Sequence[str], settings: FusionSettings
) -> str:
    """The pictures' mean cues, coloured by quality, on lines of equal score of a crop.

    Args:
        table: of a `Move`.
        ghosts: of the paper's `Move`; it sets the axes.
        chosen: names to encircle.
        settings: the constants of the table.
    """
    top = max(1.2, 1.1 * float(ghosts["q_mag"].max()))
    labels = ("cosine cue", "magnitude cue")
    drawing = _Drawing((0.0, 1.0), (0.0, top), labels, "orange: poor, blue: good; equal scores")
    drawing.points(*equal_scores(settings, top))
    rank = table["quality"].rank(pct=True).fillna(0.5)
    for fifth, colour in enumerate(_POOR_TO_GOOD):
        part = table[np.ceil(5 * rank) == fifth + 1]
        drawing.dots(part["q_cos"], part["q_mag"], part["name"], colour, 0.8)
    marked = table[table["name"].isin(list(chosen))]
    drawing.rings(marked["q_cos"], marked["q_mag"], marked["name"])
    return drawing.svg()


def equal_scores(settings: FusionSettings, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(Q_cos, Q_mag)`` at which a crop's score is a multiple of a tenth.

    Args:
        settings: the fusion's constants.
        top: greatest magnitude cue.
    """
    cos, mag = np.meshgrid(np.linspace(0, 1, 61), np.linspace(0, top, 61))
    score = fuse(torch.from_numpy(cos), torch.from_numpy(mag), settings)[0].numpy()
    found: list[np.ndarray] = []
    for step in (score * 10, score.T * 10):
        turned = len(found) > 0
        low, high = step[:-1], step[1:]
        level = np.floor(np.maximum(low, high))
        crossed = np.minimum(low, high) < level
        row, column = np.nonzero(crossed)
        share = (level - low)[crossed] / (high - low)[crossed]
        place = np.stack([column / 60, (row + share) / 60])
        found.append(place[::-1] if turned else place)
    x, y = np.concatenate(found, axis=1)
    return x, y * top


class _Drawing:
    """A drawing with two axes that stay where they are."""

    def __init__(
        self,
        x_ends: tuple[float, float],
        y_ends: tuple[float, float],
        labels: tuple[str, str],
        title: str,
    ) -> None:
        self._ends, self._labels, self._title = (x_ends, y_ends), labels, title
        self._parts: list[str] = []

    def _places(self, x: ArrayLike, y: ArrayLike) -> list[tuple[float, float]]:
        shares = []
        for values, (low, high) in zip((x, y), self._ends, strict=True):
            numbers = np.asarray(values, dtype=float)
            shares.append(np.clip((numbers - low) / max(high - low, 1e-9), 0, 1))
        across, down = 45 + 285 * shares[0], 240 - 210 * shares[1]
        return list(zip(across.tolist(), down.tolist(), strict=True))

    def _circles(self, x: pd.Series, y: pd.Series, names: pd.Series, radius: int) -> str:
        named = zip(self._places(x, y), names, strict=True)
        shown = [(*place, html.escape(name)) for place, name in named if isfinite(sum(place))]
        return "".join(
            f"<circle cx='{a:.1f}' cy='{d:.1f}' r='{radius}'><title>{name}</title></circle>"
            for a, d, name in shown[:: max(1, -(-len(shown) // _MOST_DOTS))]
        )

    def dots(
        self, x: pd.Series, y: pd.Series, names: pd.Series, colour: str, opacity: float
    ) -> None:
        look = f"fill='{colour}' fill-opacity='{opacity}' cursor='pointer'"
        circles = self._circles(x, y, names, 3)
        self._parts.append(f'<g {look} onclick="{_TELL}">{circles}</g>')

    def rings(self, x: pd.Series, y: pd.Series, names: pd.Series) -> None:
        look = "fill='none' stroke='currentColor' stroke-width='1.5' pointer-events='none'"
        self._parts.append(f"<g {look}>{self._circles(x, y, names, 7)}</g>")

    def points(self, x: ArrayLike, y: ArrayLike) -> None:
        path = "".join(f"M{a:.1f} {d:.1f}h1" for a, d in self._places(x, y))
        self._parts.append(f"<path d='{path}' stroke='#0072B2' stroke-width='1.2'/>")

    def svg(self) -> str:
        (left, right), (low, high) = self._ends
        texts = "".join(
            f"<text x='{across}' y='{down}' text-anchor='{anchor}'>{html.escape(text)}</text>"
            for across, down, anchor, text in (
                (45, 14, "start", self._title), (187, 275, "middle", self._labels[0]),
                (45, 258, "middle", f"{left:.3g}"), (330, 258, "middle", f"{right:.3g}"),
                (38, 244, "end", f"{low:.2g}"), (38, 34, "end", f"{high:.2g}"),
                (45, 27, "start", self._labels[1]),
            )
        )  # fmt: skip
        return (
            "<svg viewBox='0 0 350 280' style='width:100%' font-size='12' "
            "fill='currentColor'><path d='M45 24V240H334' fill='none' stroke='currentColor'/>"
            f"{''.join(self._parts)}{texts}</svg>"
        )


def _ends(scores: pd.Series) -> tuple[float, float]:
    """The axis of scores: theirs to the next tenth, and a tenth more on either side."""
    return float(np.floor(10 * scores.min()) / 10 - 0.1), float(
        np.ceil(10 * scores.max()) / 10 + 0.1
    )


def details_html(rows: pd.DataFrame, thumbnails: Sequence[str]) -> str:
    """Cards of the chosen pictures: score, both cues, and their weights as a bar.

    Args:
        rows: of a `Move`.
        thumbnails: one element a row.
    """
    cosine, magnitude = plots.CUE_COLOURS["q_cos"], plots.CUE_COLOURS["q_mag"]
    cards = []
    for picture, row in zip(thumbnails, rows.itertuples(), strict=True):
        bar = f"linear-gradient(90deg,{cosine} {row.w_cos:.1%},{magnitude} {row.w_cos:.1%})"
        cards.append(
            f"<div style='width:160px;line-height:1.4;overflow-wrap:anywhere'>{picture}"
            f"<div>{html.escape(row.name)}: <b>{row.score:.3f}</b></div>"
            f"<div>cosine {row.q_cos:.3f}, magnitude {row.q_mag:.3f}</div>"
            f"<div>cosine's weight {row.w_cos:.2f}</div>"
            f"<div style='height:0.6em;background:{bar}'></div></div>"
        )
    return f"<div style='display:flex;flex-wrap:wrap;gap:12px'>{''.join(cards)}</div>"


def thumbnail_html(path: Path | None) -> str:
    """A picture as an element 96 pixels high; a note where it cannot be read or is not here."""
    if path is None:
        return "<div>(no picture here: features only)</div>"
    image = load_picture(path).image
    if image is None:
        return "<div>(unreadable)</div>"
    image.thumbnail((160, 96))
    image.save(buffer := io.BytesIO(), "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"<img alt='' src='data:image/png;base64,{data}'>"
