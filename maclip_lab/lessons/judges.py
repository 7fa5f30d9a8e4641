"""What the exercises are judged by, out of a reader's sight and on data that no notebook shows.

A judge takes an answer and the `Lesson`, and says whether it is right. What is to be found in data
is asked of pictures kept aside, with a margin that noise does not reach.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from maclip_lab import cues, fusion
from maclip_lab.datasets.degradations import degrade
from maclip_lab.files.identity import data_path
from maclip_lab.images import find_pictures, load_picture
from maclip_lab.scorer import Maclip

Judge = Callable[[Any, Any], object]


@cache
def _photographs(count: int = 3) -> list[np.ndarray]:
    paths = find_pictures(data_path("photos"))[3 : 3 + count]
    return [np.asarray(load_picture(path).image) for path in paths]


@cache
def _tiny() -> Maclip:
    return Maclip("tiny-rn")


def _rebuilds(rebuild: Any, lab: Any) -> bool:
    """Whether a function of the table of crops gives the score of other pictures."""
    results = [_tiny()(pixels, alpha=2.0, base_cos=0.2) for pixels in _photographs()]
    kept = ["q_cos", "q_mag", "w_cos", "w_mag"]
    return all(abs(rebuild(one.crops[kept]) - one.score) < 1e-6 for one in results)


def _is_unseen(harm: Any, lab: Any) -> bool:
    """Whether a change of 30 grey levels moves the score of two of three pictures by under 0.02."""
    unseen = 0
    for pixels in _photographs():
        other = np.asarray(harm(pixels.copy()))
        if other.shape != pixels.shape or other.dtype != np.uint8:
            return False
        is_large = np.abs(other.astype(int) - pixels).mean() > 30
        unseen += is_large and abs(_tiny()(other).score - _tiny()(pixels).score) < 0.02
    return unseen >= 2


def _sees_darkness(darkness: Any, lab: Any) -> bool:
    falls = [
        darkness(pixels).q_cos - darkness(degrade(pixels, "darken", level=4)).q_cos
        for pixels in _photographs()
    ]
    return len(darkness.anchors.pairs) == 1 and min(falls) > 0.05


def _windows(size: tuple[int, int]) -> torch.Tensor:
    return torch.rand(3, *size, generator=torch.Generator().manual_seed(len(size) + size[0]))


def _cuts(cut: Any, lab: Any) -> bool:
    """Whether windows are cut row by row from the top left, colours kept apart."""
    for height, width in ((480, 620), (224, 352), (608, 224)):
        colours = _windows((height, width))
        tops, lefts = range(0, height - 223, 128), range(0, width - 223, 128)
        wanted = [colours[:, y : y + 224, x : x + 224] for y in tops for x in lefts]
        if not torch.equal(cut(colours), torch.stack(wanted)):
            return False
    return True


def _inverts(inverse: Any, lab: Any) -> bool:
    values = torch.linspace(0, 6, 25, dtype=torch.float64)
    return all(
        torch.allclose(inverse(cues.box_cox(values, lam), lam), values, atol=1e-6)
        for lam in (-0.5, 0.0, 0.3, 1.0, 2.0)
    )


def _is_magnitude_cue(cue: Any, lab: Any) -> bool:
    features = torch.randn(7, 96, generator=torch.Generator().manual_seed(11)) * 3 + 1
    return all(
        torch.allclose(cue(features, lam), cues.magnitude_cue(features, lam), atol=1e-4)
        for lam in (0.3, 1.0, 1.7)
    )


def _is_maclip(score: Any, lab: Any) -> bool:
    """Whether a function of features, texts and scale is the whole method after the encoder."""
    seeded = torch.Generator().manual_seed(5)
    for crops in (1, 9):
        features, texts = (torch.randn(n, 64, generator=seeded) for n in (crops, 6))
        q_cos = cues.cosine_cue(features, texts, 20.0).mean(-1)
        wanted = fusion.fuse(q_cos, cues.magnitude_cue(features))[0].mean()
        if not abs(float(score(features, texts, 20.0)) - float(wanted)) < 1e-4:
            return False
    return True


JUDGES: Mapping[str, Judge] = {
    "00.1": _rebuilds,
    "00.2": _is_unseen,
    "00.3": _sees_darkness,
    "01.1": _cuts,
    "01.2": _inverts,
    "01.3": _is_magnitude_cue,
    "01.4": _is_maclip,
}
