"""What pictures show, as groups, and how far a number differs between the groups.

A quality metric should not care what a picture shows. How much a statistic does care is read from
its distributions: one for every content, and the Wasserstein distances between them.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from scipy.cluster.vq import kmeans2
from scipy.stats import wasserstein_distance

from maclip_lab.cues import box_cox, scaled_magnitude
from maclip_lab.evaluation.estimates import Estimate
from maclip_lab.evaluation.intervals import EvaluationSettings, Resamples
from maclip_lab.features import Features


def content_groups(store: Features, n_groups: int = 8, seed: int = 0) -> pd.Series:
    """What each picture shows, as well as the data set says it.

    That is its reference where the set names them all; else its class where it does; else a cluster
    of the directions of the pictures' last crops, the thumbnails, by k-means.

    Args:
        store: the features.
        n_groups: how many clusters to look for; empty ones are left out.
        seed: of the clusters' start.

    Returns:
        One label a picture, in the manifest's order; missing for a picture without features. Its
        name says which of the three it is: ``"reference"``, ``"class"`` or ``"cluster"``.
    """
    table = store.manifest.table
    for column, name in (("ref_id", "reference"), ("subset", "class")):
        if table[column].notna().all() and len(table[column].unique()) > 1:
            return table[column].rename(name)
    thumbnails = torch.stack([store.features(i)[-1] for i in store.ok])
    directions = F.normalize(thumbnails, dim=-1).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # says that a cluster is empty
        warnings.simplefilter("ignore", RuntimeWarning)  # all pictures are alike
        _, found = kmeans2(directions, min(n_groups, len(directions)), minit="++", seed=seed)
    labels = pd.Series(pd.NA, index=table.index, name="cluster", dtype="string")
    labels.iloc[store.ok] = [f"cluster {number + 1}" for number in found]
    return labels


def content_distances(values: ArrayLike, groups: Sequence[object]) -> pd.DataFrame:
    """Wasserstein distance between the distributions of a number in every two groups.

    The unit is the standard deviation over all values, so that a transform cannot make distances
    smaller by a mere change of scale.

    Args:
        values: the number (N,).
        groups: label of each value (N,).

    Returns:
        Symmetric ``(G, G)``, groups as index and columns, in order of first appearance.

    Raises:
        ValueError: the values are constant, or there are fewer than two groups.
    """
    numbers = np.asarray(values, dtype=np.float64)
    codes, names = pd.factorize(np.asarray(groups, dtype=object))
    spread = numbers.std()
    if len(names) < 2 or not spread > 0:
        raise ValueError(
            f"expected values that vary and at least two groups, got {len(names)} groups and a "
            f"standard deviation of {spread:g}"
        )
    parts = [numbers[codes == code] / spread for code in range(len(names))]
    distances = np.zeros((len(names), len(names)))
    for row, left in enumerate(parts):
        for col in range(row):
            distances[row, col] = distances[col, row] = wasserstein_distance(left, parts[col])
    return pd.DataFrame(distances, index=names, columns=names)


def stage_distances(store: Features, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Distances between contents at each stage of the magnitude cue.

    Args:
        store: the features; each picture gives the entries of its last crop, the thumbnail.
        seed: of the contents, where they are clusters.

    Returns:
        `content_distances` of the magnitudes as they are, divided by their standard deviation, and
        then bent by Box-Cox at the paper's lambda.
    """
    thumbnails = torch.stack([store.features(i)[-1] for i in store.ok])
    divided = scaled_magnitude(thumbnails)
    stages = {"$|f|$": thumbnails.abs(), "divided": divided, "then Box-Cox": box_cox(divided)}
    labels = content_groups(store, seed=seed).iloc[store.ok].repeat(thumbnails.shape[1])
    return {
        stage: content_distances(values.flatten().numpy(), labels.to_numpy())
        for stage, values in stages.items()
    }


def mean_distance(distances: pd.DataFrame) -> float:
    """Mean over all pairs of different groups, from `content_distances`."""
    upper = np.triu_indices(len(distances), 1)
    return float(distances.to_numpy()[upper].mean())


def distance_change(
    before: pd.DataFrame, after: pd.DataFrame, settings: EvaluationSettings | None = None
) -> Estimate:
    """By how much contents move closer: mean distance before less that after.

    Args:
        before: from `content_distances`.
        after: of the same contents.
        settings: of the interval, for which contents are drawn.

    Returns:
        With an interval; without one where there are fewer than five contents.
    """
    change = (before - after).to_numpy()

    def closer(contents: np.ndarray) -> float:
        others = contents[:, None] != contents  # a content drawn twice is no pair with itself
        return float(change[np.ix_(contents, contents)][others].mean()) if others.any() else np.nan

    return Resamples.of(len(change), settings=settings).estimate(closer)
