"""What scoring a picture gives: the number, the cues behind it, and where they lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import nan

import numpy as np
import pandas as pd
from torch import Tensor

from maclip_lab.crops import CropGrid, PreparedPicture
from maclip_lab.cues import cosine_cue, magnitude_cue, mean_magnitude
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.prompts import ATTRIBUTES, PromptPairs

NONFINITE = "a feature or what follows from it is not finite"
"""What a row says whose numbers are lost."""


@dataclass(frozen=True)
class TextAnchors:
    """A prompt set as `cosine_cue` needs it, of K pairs with raw text features ``(2K, D)``."""

    pairs: PromptPairs
    features: Tensor
    logit_scale: float
    logit_bias: float | None = None


class Score(float):
    """A picture's quality, a number with what is behind it. Higher is better, always.

    It is not bounded by 1 and compares only with numbers of the same backbone, prompts, protocol
    and settings. Where a feature, or what follows from it, is not finite, ``status`` is
    ``"nonfinite"`` and every number NaN. ``flags``, ``width``, ``height`` and ``sha256`` are as in
    `maclip_lab.images.Picture`.
    """

    q_cos: float  #: the cosine cue, in [0, 1]; as all numbers the mean over the crops
    q_mag: float  #: the magnitude cue, at least 0
    w_cos: float  #: weight of the cosine cue, in [0, 1]
    status: str
    message: str
    flags: tuple[str, ...]
    width: int
    height: int
    source: str  #: the picture's path or description
    backbone: str
    settings: FusionSettings
    grid: CropGrid
    cues: Mapping[str, np.ndarray]  #: ``(P,)`` numbers of the crops, by the columns of `crops`
    attributes: Mapping[str, float]  #: of the named axes, in [0, 1]; empty unless asked for
    sha256: str

    def __repr__(self) -> str:
        return (
            f"Score({self.score:.3f}, q_cos={self.q_cos:.3f}, q_mag={self.q_mag:.3f}, "
            f"w_cos={self.w_cos:.3f}, status={self.status!r}, backbone={self.backbone!r})"
        )

    @property
    def score(self) -> float:
        """MA-CLIP's score as a plain number."""
        return float(self)

    @property
    def w_mag(self) -> float:
        """Weight of the magnitude cue in [0, 1]."""
        return 1 - self.w_cos

    @property
    def n_crops(self) -> int:
        """Number of crops P, thumbnail included."""
        return len(self.grid)

    @cached_property
    def crops(self) -> pd.DataFrame:
        """One row a crop, the thumbnail last: where it lies, and its numbers.

        Those are its cues, weights and score, and the probability of every prompt pair's
        positive member; places are in pixels of the picture as it was cut.
        """
        protocol, corners = self.grid.protocol, self.grid.corners()
        others = ["thumbnail"] * protocol.thumbnail + ["whole"] * protocol.whole
        table = pd.DataFrame({"kind": ["window"] * len(corners) + others})
        table[["top", "left"]] = corners + [(0, 0)] * len(others)
        return table.assign(**self.cues)

    def quality_map(self, column: str = "score") -> np.ndarray:
        """A numeric column of `crops` laid back on the picture, ``(H, W)`` as it was cut.

        The mean over the windows that hold a pixel, NaN at the right and bottom where none does.
        """
        numbers = self.crops.select_dtypes("number")
        if column not in numbers:
            columns = ", ".join(numbers)
            raise ValueError(f"crops has no numeric column {column!r}; it has {columns}")
        total = np.zeros((self.grid.height, self.grid.width))
        seen, side = np.zeros_like(total), self.grid.protocol.crop
        for (top, left), value in zip(self.grid.corners(), numbers[column], strict=False):
            window = slice(top, top + side), slice(left, left + side)
            total[window] += value
            seen[window] += 1
        return np.divide(total, seen, out=np.full_like(total, np.nan), where=seen > 0)

    def _repr_html_(self) -> str:
        """The display of a notebook: the score large, the cues behind it, what was done."""
        notes = [self.backbone, f"{self.width} × {self.height} px", f"{self.n_crops} crops"]
        notes += self.flags if self.status == "ok" else (*self.flags, self.status)
        return (
            f"<div><b style='font-size:1.6em'>{self.score:.3f}</b> MA-CLIP score, higher is better"
            f"<br>cosine cue Q<sub>cos</sub> {self.q_cos:.3f}, weight {self.w_cos:.2f}"
            f"<br>magnitude cue Q<sub>mag</sub> {self.q_mag:.3f}, weight {self.w_mag:.2f}"
            f"<br><small>{' · '.join(notes)}</small></div>"
        )


def read_cues(
    features: Tensor, anchors: TextAnchors, settings: FusionSettings
) -> dict[str, np.ndarray]:
    """Cues, weights and score, ``(P,)`` float64, of every crop by its raw features ``(P, D)``."""
    pairs = cosine_cue(features, anchors.features, anchors.logit_scale, anchors.logit_bias)
    q_cos, q_mag = pairs.mean(-1), magnitude_cue(features, settings.box_lam)
    score, w_cos, w_mag = fuse(q_cos, q_mag, settings)
    columns = {"score": score, "q_cos": q_cos, "q_mag": q_mag, "w_cos": w_cos, "w_mag": w_mag}
    columns |= {"mean_magnitude": mean_magnitude(features), "norm": features.norm(dim=-1)}
    names = [f"{positive} / {negative}" for positive, negative in anchors.pairs]
    columns |= dict(zip(names, pairs.unbind(-1), strict=True))
    return {name: values.double().numpy() for name, values in columns.items()}


def score_features(
    picture: PreparedPicture,
    anchors: TextAnchors,
    settings: FusionSettings = FusionSettings(),
    backbone: str = "",
    axes: TextAnchors | None = None,
) -> Score:
    """The score of a picture with features; its ``attributes`` are by ``axes``, the named ones."""
    features, read = picture.features, picture.picture
    if features is None:
        raise ValueError(f"{picture.source} has no features: {read.message or 'encode it first'}")
    cues = read_cues(features, anchors, settings)
    names = ("score", "q_cos", "q_mag", "w_cos")
    numbers, attributes = {name: float(cues[name].mean()) for name in names}, dict[str, float]()
    if axes is not None:
        on_axes = cosine_cue(features, axes.features, axes.logit_scale, axes.logit_bias)
        attributes = dict(zip(ATTRIBUTES, on_axes.double().mean(0).tolist(), strict=True))
    status, message = "ok", ""
    if not all(np.isfinite(column).all() for column in cues.values()):
        numbers, attributes = dict.fromkeys(numbers, nan), dict.fromkeys(attributes, nan)
        status, message = "nonfinite", NONFINITE
    result = Score(numbers.pop("score"))
    facts = {name: getattr(read, name) for name in ("flags", "width", "height", "sha256")}
    facts |= {"source": picture.source, "grid": picture.grid, "backbone": backbone}
    vars(result).update(numbers | facts, status=status, message=message, settings=settings)
    vars(result).update(attributes=attributes, cues=cues)
    return result
