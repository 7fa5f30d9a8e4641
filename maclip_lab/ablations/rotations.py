"""Is the magnitude cue more than a lucky basis? Its agreement with quality under rotated axes.

A rotation of the feature space changes no angle: turned together with the prompts it leaves every
cosine as it was. The magnitude cue reads how evenly a feature lies on the axes, so what it knows is
in *these* axes. Random ones are its null: a bootstrap over pictures asks what other pictures would
have given, this asks what other axes would have. After Bau et al., "Network Dissection", CVPR 2017,
arXiv:1704.05796, section 3.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maclip_lab.ablations.rated import RatedSet
from maclip_lab.cues import magnitude_cue
from maclip_lab.evaluation.correlations import Array, spearman
from maclip_lab.evaluation.estimates import Estimate
from maclip_lab.evaluation.significance import chance_p

ROTATIONS = 200
_MOST_PICTURES = 1000


def random_rotations(dimensions: int, count: int = ROTATIONS, seed: int = 0) -> Iterator[Tensor]:
    """Random orthogonal matrices ``(D, D)``, one at a time.

    Axes may be mirrored too, which the magnitude cue does not see.
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.linalg.qr(torch.randn(dimensions, dimensions, generator=generator)).Q


@dataclass(frozen=True, eq=False)
class RotationNull:
    """SRCC of the magnitude cue with quality, in the trained axes and in random ones.

    Attributes:
        trained: in the axes that training left.
        null: in each of the random ones, ``(B,)``.
    """

    trained: float
    null: Array

    @property
    def p(self) -> float:
        """Share of axes, the trained ones included, that do at least as well as these."""
        return chance_p(self.null, self.trained)

    @property
    def beyond(self) -> Estimate:
        """By how much the trained axes are above random ones."""
        return Estimate.beyond(self.trained, self.null)


def rotation_null(
    rated: RatedSet, count: int = ROTATIONS, seed: int = 0, most: int = _MOST_PICTURES
) -> RotationNull:
    """The magnitude cue's SRCC in the trained axes, and in random ones.

    Args:
        rated: the data set.
        count: how many rotations.
        seed: of the rotations, and of the pictures where there are too many.
        most: pictures that are looked at; of a larger set so many are drawn.
    """
    view = rated.features
    chosen = view.ok
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, most, replace=False))
    crops = torch.cat([view.features(i) for i in chosen])
    counts = view.table["n_crops"].to_numpy()[chosen]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    quality = rated.quality.to_numpy(dtype=float)[chosen]

    def agreement(cue: Tensor) -> float:
        means = np.add.reduceat(cue.double().numpy(), starts) / counts
        usable = np.isfinite(means) & np.isfinite(quality)
        return spearman(means[usable], quality[usable])

    turns = random_rotations(crops.shape[1], count, seed)
    null = [agreement(magnitude_cue(crops @ turn)) for turn in turns]
    return RotationNull(agreement(magnitude_cue(crops)), np.array(null))
