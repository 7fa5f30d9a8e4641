"""Move the method's four constants and see a whole data set's scores follow at once.

A move must answer within a tenth of a second, so nothing of it may touch a feature. The fusion
needs only each crop's two cues. The magnitude cue depends on box_lam too, and is read once at
every stop of its slider. What the paper's constants give stays in sight as grey ghosts, on axes
that never move, and half of the pictures are held out, so that over-fitting shows.
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
import torch
from numpy.typing import ArrayLike

from maclip_lab import plots
from maclip_lab.ablations.sweeps import PAPER, score_store
from maclip_lab.evaluation.correlations import spearman
from maclip_lab.features import Features
from maclip_lab.features.stored_cues import StoredCues, store_cues
from maclip_lab.fusion import FusionSettings, fuse
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

PRESETS = {
    "paper": PAPER,
    "plain mean": FusionSettings(base_cos=0.0, base_norm=0.0, alpha=0.0),
    "cosine (98 %)": FusionSettings(base_cos=2.0, base_norm=-2.0, alpha=0.0),
    "alpha 5": FusionSettings(alpha=5.0),
}
"""Places worth a visit, by the words on their buttons."""

_MOST_DOTS = 2000
_COLUMNS = ("score", "q_cos", "q_mag")


@dataclass(frozen=True)
class Move:
    """What a choice of constants gives.

    Attributes:
        settings: the constants.
        table: one row a picture, as from `score_store`, with ``quality``: the MOS, turned round
            where lower is better.
        srcc: with quality, of the ``score``, ``q_cos`` and ``q_mag``; NaN without MOS.
        halves: that of the score on either half of the pictures: one to tune on, one held out.
    """

    settings: FusionSettings
    table: pd.DataFrame
    srcc: dict[str, float]
    halves: tuple[float, float]


class ExplorerModel:
    """A data set's cues, ready to be fused by any constants.

    Args:
        cues: of one prompt set, read for the box_lam of ``STOPS``.
        root: folder that the pictures' paths start from; None where there are none to show.
        references: what each picture is a version of, if anything; versions stay in one half.

    Raises:
        ValueError: the cues are of several prompt sets, or read for other values of box_lam.
    """

    def __init__(
        self, cues: StoredCues, root: Path | None, references: Sequence[object] | None = None
    ) -> None:
        if set(cues.q_mag) != set(STOPS) or len(cues.q_cos) != 1:
            raise ValueError(
                f"expected cues of one prompt set at the {len(STOPS)} STOPS of box_lam, got "
                f"{len(cues.q_cos)} and {len(cues.q_mag)} others"
            )
        self._cues, self._root = cues, root
        mos = cues.pictures["mos"].to_numpy(dtype=float)
        self._quality = mos if cues.higher_is_better else -mos
        groups = pd.factorize(np.array(references if references is not None else range(len(mos))))
        count = len(groups[1])
        self._held_out = (np.random.default_rng(0).permutation(count) < count // 2)[groups[0]]

    @classmethod
    def from_store(cls, view: Features, anchors: TextAnchors) -> "ExplorerModel":
        """The model of a data set whose features are stored."""
        manifest = view.manifest
        references = manifest.table["ref_id"].fillna(manifest.table["path"])
        root = manifest.root if manifest.has_pictures else None
        return cls(store_cues(view, anchors, STOPS), root, references)

    @property
    def names(self) -> list[str]:
        """Pictures that have a score, in the data set's order."""
        return self._cues.pictures["name"].iloc[self._cues.ok].tolist()

    def path(self, name: str) -> Path | None:
        """Where a picture lies; None where there are only its features."""
        if self._root is None:
            return None
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
        kept = table[["quality", *_COLUMNS]].notna().all(axis=1).to_numpy()

        def srcc(column: str, rows: np.ndarray) -> float:
            return spearman(table[column].to_numpy()[rows], self._quality[rows])

        tuned, held_out = (srcc("score", kept & half) for half in (~self._held_out, self._held_out))
        return Move(settings, table, {c: srcc(c, kept) for c in _COLUMNS}, (tuned, held_out))


class Explorer:
    """Sliders, a choice of pictures, and what follows from them; ``panel`` is what to display.

    Args:
        model: the data set.
        backbone: name for the figures.
        chosen: names of the pictures looked at closely; None for the first and the last.
        quality: what the scores are compared with, for the axis.

    Attributes:
        sliders: one for each of the constants, by name.
        choice: the pictures looked at closely.
        number: SRCC of the scores, the element of CSS class ``maclip-score``.
        scatter: scores against quality, the chosen pictures encircled.
        plane: the pictures' two cues, and lines of equal score.
        details: scores, cues and weights of the chosen pictures.
        panel: the whole.
    """

    def __init__(
        self,
        model: ExplorerModel,
        backbone: str,
        *,
        chosen: Sequence[str] | None = None,
        quality: str = "MOS, higher is better",
    ) -> None:
        self._model, self._backbone, self._quality = model, backbone, quality
        self._paper, self._still = model.move(), False
        self.sliders = {name: _slider(name) for name in RANGES}
        self.choice = widgets.SelectMultiple(
            options=model.names,
            value=chosen or [model.names[0], model.names[-1]],
            rows=6,
            description="pictures",
        )
        self.number, self.scatter, self.plane, self.details = (widgets.HTML() for _ in range(4))
        self.number.add_class("maclip-score")
        self._thumbnails: dict[str, str] = {}
        for control in (*self.sliders.values(), self.choice):
            control.observe(self._follow, "value")
        presets = widgets.HBox(
            [self._preset(name) for name in PRESETS], layout={"flex_flow": "row wrap"}
        )
        controls = widgets.VBox(
            [*self.sliders.values(), presets, self.choice], layout={"flex": "0 0 310px"}
        )
        drawings = widgets.HBox([self.scatter, self.plane], layout={"flex_flow": "row wrap"})
        shown = widgets.VBox(
            [self.number, drawings, self.details], layout={"flex": "1 1 0", "overflow": "auto"}
        )
        self.panel = widgets.HBox([controls, shown])
        self._follow()

    @property
    def settings(self) -> FusionSettings:
        """Where the sliders stand."""
        return FusionSettings(**{name: slider.value for name, slider in self.sliders.items()})

    def go(self, settings: FusionSettings) -> None:
        """Puts the sliders there, in one move."""
        self._still = True
        for name, slider in self.sliders.items():
            slider.value = getattr(settings, name)
        self._still = False
        self._follow()

    def reset(self) -> None:
        """Puts the sliders back to the paper's constants."""
        self.go(PAPER)

    def _preset(self, name: str) -> widgets.Button:
        button = widgets.Button(description=name, layout={"width": "auto"})
        button.on_click(lambda _: self.go(PRESETS[name]))
        return button

    def _follow(self, _: object = None) -> None:
        if self._still:
            return
        move, chosen = self._model.move(self.settings), list(self.choice.value)
        self.number.value = number_html(move)
        rows = move.table.set_index("name", drop=False).loc[chosen]
        self.scatter.value = scatter_svg(
            move.table, self._paper.table, chosen, f"scores ({self._backbone})", self._quality
        )
        self.plane.value = plane_svg(move, self._paper.table, chosen)
        self.details.value = details_html(rows, [self._thumbnail(name) for name in chosen])

    def _thumbnail(self, name: str) -> str:
        if name not in self._thumbnails:
            self._thumbnails[name] = thumbnail_html(self._model.path(name))
        return self._thumbnails[name]


def number_html(move: Move) -> str:
    """The SRCC of the scores, large, that on either half, both cues', and the mean score."""
    return (
        f"SRCC of the score <b style='font-size:1.6em'>{move.srcc['score']:.3f}</b> "
        f"(half to tune on {move.halves[0]:.3f}, <b>half held out {move.halves[1]:.3f}</b>; "
        f"cosine cue {move.srcc['q_cos']:.3f}, magnitude cue {move.srcc['q_mag']:.3f}), "
        f"mean score {move.table['score'].mean():.4f}"
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
    drawing.dots(x, ghosts["score"], "#999999", 0.25)
    drawing.dots(x, table["score"], plots.CUE_COLOURS["score"], 0.45)
    marked = table["name"].isin(list(chosen))
    drawing.rings(x[marked], table["score"][marked])
    return drawing.svg()


def plane_svg(move: Move, ghosts: pd.DataFrame, chosen: Sequence[str]) -> str:
    """The pictures' mean cues, darker for better ones, on lines of equal score of a crop.

    Args:
        move: what the constants give.
        ghosts: of the paper's `Move`; it sets the axes.
        chosen: names to encircle.
    """
    table, top = move.table, max(1.2, 1.1 * float(ghosts["q_mag"].max()))
    labels = ("cosine cue", "magnitude cue")
    drawing = _Drawing((0.0, 1.0), (0.0, top), labels, "dark: better; lines: equal scores")
    drawing.points(*equal_scores(move.settings, top))
    rank = table["quality"].rank(pct=True).fillna(0.5)
    for share in np.arange(5) / 5:
        part = table[(rank > share) & (rank <= share + 0.2)]
        grey = f"hsl(160 100% {70 - 60 * share:.0f}%)"
        drawing.dots(part["q_cos"], part["q_mag"], grey, 0.7)
    marked = table["name"].isin(list(chosen))
    drawing.rings(table["q_cos"][marked], table["q_mag"][marked])
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
        shown = np.isfinite(shares[0] + shares[1])
        across, down = 45 + 285 * shares[0][shown], 240 - 210 * shares[1][shown]
        return list(zip(across.tolist(), down.tolist(), strict=True))

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, opacity: float) -> None:
        places = self._places(x, y)
        step = max(1, -(-len(places) // _MOST_DOTS))
        circles = "".join(f"<circle cx='{a:.1f}' cy='{d:.1f}' r='3'/>" for a, d in places[::step])
        self._parts.append(f"<g fill='{colour}' fill-opacity='{opacity}'>{circles}</g>")

    def rings(self, x: ArrayLike, y: ArrayLike) -> None:
        circles = "".join(
            f"<circle cx='{a:.1f}' cy='{d:.1f}' r='7'/>" for a, d in self._places(x, y)
        )
        self._parts.append(f"<g fill='none' stroke='black' stroke-width='1.5'>{circles}</g>")

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
            "<svg viewBox='0 0 350 280' width='350' height='280' font-size='12' "
            "style='background:white'><path d='M45 24V240H334' fill='none' stroke='#555'/>"
            f"{''.join(self._parts)}{texts}</svg>"
        )


def _ends(scores: pd.Series) -> tuple[float, float]:
    """The axis of scores: theirs to the next tenth, and a tenth more on either side."""
    return float(np.floor(10 * scores.min()) / 10 - 0.1), float(
        np.ceil(10 * scores.max()) / 10 + 0.1
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


def thumbnail_html(path: Path | None) -> str:
    """A picture as an element 64 pixels high; a note where it cannot be read or is not here."""
    if path is None:
        return "(features only)"
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
