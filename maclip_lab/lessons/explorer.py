"""Move the method's four constants and see a whole data set's scores follow at once.

A move must answer within a tenth of a second, so nothing of it may touch a feature. The fusion
needs only each crop's two cues. The magnitude cue depends on box_lam too, and is read once at
every stop of its slider. What the paper's constants give stays in sight as grey ghosts, on axes
that never move, and half of the pictures are held out, so that over-fitting shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd

from maclip_lab.ablations.sweeps import PAPER, score_store
from maclip_lab.evaluation.correlations import spearman
from maclip_lab.features import Features
from maclip_lab.features.cues import StoredCues, store_cues
from maclip_lab.fusion import FusionSettings
from maclip_lab.lessons.drawings import (
    details_html,
    number_html,
    plane_svg,
    scatter_svg,
    thumbnail_html,
)
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

_COLUMNS = ("score", "q_cos", "q_mag")
_DRAWING = {"flex": "1 1 270px", "max_width": "420px"}


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
        self._held_out = half_held_out(range(len(mos)) if references is None else references)

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


def half_held_out(references: Sequence[object]) -> np.ndarray:
    """Which pictures are held out, ``(N,)`` bool: half of them at random, always the same.

    Args:
        references: what each picture is a version of; versions stay in one half.
    """
    groups, found = pd.factorize(np.array(references))
    return (np.random.default_rng(0).permutation(len(found)) < len(found) // 2)[groups]


class Explorer:
    """Sliders, a choice of pictures, and what follows from them; it displays itself.

    A click on a dot chooses its picture alone. Without a kernel a still is shown.

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
        clicked: name of the dot that was clicked last; out of sight.
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
            layout={"width": "265px"},
        )
        self.number, self.details = widgets.HTML(), widgets.HTML()
        self.scatter, self.plane = (widgets.HTML(layout=_DRAWING) for _ in range(2))
        self.number.add_class("maclip-score")
        self.clicked = widgets.Text(layout={"display": "none"})
        self.clicked.add_class("maclip-clicked")
        self.clicked.observe(self._choose, "value")
        self._thumbnails: dict[str, str] = {}
        for control in (*self.sliders.values(), self.choice):
            control.observe(self._follow, "value")
        presets = widgets.HBox(
            [self._preset(name) for name in PRESETS], layout={"flex_flow": "row wrap"}
        )
        controls = widgets.VBox(
            [*self.sliders.values(), presets, self.choice, self.clicked],
            layout={"flex": "0 0 270px"},
        )
        drawings = widgets.HBox([self.scatter, self.plane], layout={"flex_flow": "row wrap"})
        shown = widgets.VBox(
            [self.number, drawings, self.details], layout={"flex": "1 1 0", "overflow": "auto"}
        )
        self.panel = widgets.HBox([controls, shown])
        self.panel.add_class("maclip-explorer")
        self._follow()

    def _repr_mimebundle_(self, **asked: object) -> Mapping[str, object]:
        side = "<div style='display:inline-block;width:48%'>"
        drawings = f"{side}{self.scatter.value}</div>{side}{self.plane.value}</div>"
        still = f"<div>{self.number.value}<br>{drawings}{self.details.value}</div>"
        return {**self.panel._repr_mimebundle_(**asked), "text/html": still}

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
        self.number.value = number_html(move.srcc, move.halves, move.table)
        rows = move.table.set_index("name", drop=False).loc[chosen]
        self.scatter.value = scatter_svg(
            move.table, self._paper.table, chosen, f"scores ({self._backbone})", self._quality
        )
        self.plane.value = plane_svg(move.table, self._paper.table, chosen, move.settings)
        self.details.value = details_html(rows, [self._thumbnail(name) for name in chosen])

    def _choose(self, change: Mapping[str, str]) -> None:
        if change["new"] in self._model.names:
            self.choice.value = [change["new"]]
        self.clicked.value = ""  # so that the same dot can be clicked again

    def _thumbnail(self, name: str) -> str:
        if name not in self._thumbnails:
            self._thumbnails[name] = thumbnail_html(self._model.path(name))
        return self._thumbnails[name]


def _slider(name: str) -> widgets.FloatSlider:
    low, high, step = RANGES[name]
    value = getattr(PAPER, name)
    return widgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=name,
        readout_format=".2f",
        layout={"width": "265px"},
    )
