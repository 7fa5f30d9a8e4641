"""Other centres and other axes, which a statement about the magnitude of features needs beside it.

CLIP's features lie on a shell that is not centred at the origin (Levi and Gilboa,
arXiv:2411.14517). *Which* pictures a centre is the mean of is half of what comes out: it is said
whose mean is taken, and a picture is left out of its own.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from maclip_lab.ablations.rated import Rated
from maclip_lab.errors import DatasetError
from maclip_lab.evaluation.correlations import Array
from maclip_lab.features.features import StoreError
from maclip_lab.files.identity import data_path

PREDICTIONS = pd.read_csv(data_path("predictions.csv"), keep_default_na=False)
"""What the small networks predict for others: a sign, and by how much a number must differ."""


def random_rotations(dimensions: int, count: int, seed: int = 0) -> Iterator[Tensor]:
    """Random orthogonal matrices ``(D, D)``, one at a time; some mirror an axis."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.linalg.qr(torch.randn(dimensions, dimensions, generator=generator)).Q


def mean_features(rated: Rated, of: Rated | None = None, rows: ArrayLike | None = None) -> Tensor:
    """The mean feature of some pictures' crops, for each picture of a set: ``(N, D)``.

    A picture, with all versions of it, is left out of its own mean.

    Args:
        rated: the set.
        of: the set whose mean is taken, as the same backbone sees it; None for the set itself.
        rows: which of its pictures, booleans; None for all.

    Raises:
        StoreError: the two are of different weights.
        DatasetError: fewer than two pictures are left, or all their features are alike.
    """
    of = rated if of is None else of
    ours, theirs = (seen.features.config.weights_sha256 for seen in (rated, of))
    if ours != theirs:
        raise StoreError(
            f"{rated!r} and {of!r} are of different weights, {ours[:12]} and {theirs[:12]}: a mean "
            "is of the backbone that made it"
        )
    chosen = np.ones(of.n, dtype=bool) if rows is None else np.asarray(rows, dtype=bool)
    kept = chosen[of.picture]
    codes, photographs = pd.factorize(_photographs(of)[of.picture][kept])
    if len(photographs) < 2:
        raise DatasetError(f"{of!r} gives fewer than two pictures here, and so no mean of others")
    crops = of.crops[torch.from_numpy(kept)]
    if not (crops != crops[0]).any():
        raise DatasetError(f"all features of {of!r} are alike: they have no centre and no spread")
    sums = torch.zeros(len(photographs), crops.shape[1])
    sums.index_add_(0, torch.from_numpy(codes), crops)
    own = pd.Index(photographs).get_indexer(_photographs(rated))
    left = torch.from_numpy(np.where(own < 0, 0, np.bincount(codes)[own]))[:, None]
    return (sums.sum(0) - torch.where(left > 0, sums[own], 0)) / (len(crops) - left)


def _photographs(rated: Rated) -> Array:
    """What tells a set's photographs apart (N,), its versions alike."""
    names = rated.table["name"] if rated.clusters is None else rated.clusters
    return (rated.name + "/" + names.astype(str)).to_numpy(dtype=object)
