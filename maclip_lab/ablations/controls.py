"""Controls that a statement about the magnitude of features needs: other axes, other centres.

A feature's magnitude cue depends on the axes it is read on and on the point it is measured from.
Random axes are its null. The centre is the mean feature of some pictures, and *which* pictures is
half of what comes out: every function here says whose mean it takes, and leaves a picture out of
its own. CLIP's features lie on a shell that is not centred at the origin (Levi and Gilboa,
arXiv:2411.14517); their whitened length is a likelihood (Betser et al., arXiv:2505.06934).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from torch import Tensor

from maclip_lab.ablations.rated import Rated
from maclip_lab.cues import magnitude_cue
from maclip_lab.errors import DatasetError
from maclip_lab.evaluation import Estimate
from maclip_lab.evaluation.correlations import Array, spearman
from maclip_lab.evaluation.intervals import Indices
from maclip_lab.features.features import StoreError
from maclip_lab.files.identity import data_path

ROTATIONS = 200
RIDGE = 0.01
ALWAYS_ON = 8
ENOUGH_CLEAN = 60


def random_rotations(dimensions: int, count: int = ROTATIONS, seed: int = 0) -> Iterator[Tensor]:
    """Random orthogonal matrices ``(D, D)``, one at a time.

    Axes may be mirrored too, which the magnitude cue does not see.
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.linalg.qr(torch.randn(dimensions, dimensions, generator=generator)).Q


def rotation_null(rated: Rated, count: int = ROTATIONS, seed: int = 0) -> Array:
    """SRCC of the magnitude cue with quality in random axes, ``(count,)``.

    A rotation of pictures and prompts together changes no cosine, so these axes are as good as any
    to the losses. After Bau et al., "Network Dissection", CVPR 2017, section 3.2.
    """
    quality = rated.quality.to_numpy()
    turns = random_rotations(rated.crops.shape[1], count, seed)
    cues = (rated.means(magnitude_cue(rated.crops @ turn)) for turn in turns)
    return np.array([spearman(cue, quality) for cue in cues])


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
    crops, labels = _crops(rated, of, rows)
    codes, known = pd.factorize(labels)
    sums = torch.zeros(len(known), crops.shape[1]).index_add_(0, torch.from_numpy(codes), crops)
    counts = np.bincount(codes)
    own = pd.Index(known).get_indexer(_labels(rated))
    left = torch.from_numpy(np.where(own < 0, 0, counts[own]))[:, None]
    return (sums.sum(0) - torch.where(left > 0, sums[own], 0)) / (len(crops) - left)


def conformity(rated: Rated, of: Rated | None = None, rows: ArrayLike | None = None) -> Array:
    """Cosine of each picture's crops with the mean feature of some pictures, ``(N,)``.

    Arguments and errors are those of `mean_features`.
    """
    means = mean_features(rated, of, rows)[rated.picture]
    return rated.means(F.cosine_similarity(rated.crops, means))


def whitened_length(rated: Rated, of: Rated, rows: ArrayLike | None = None) -> Array:
    """Squared length of features in the space that some other pictures whiten, ``(N,)``.

    Minus half of it is a Gaussian's log-likelihood, up to a constant: how usual a picture is among
    those. Their covariance is mixed with `RIDGE` times its mean eigenvalue, since photographs have
    fewer crops than features have dimensions. Arguments and errors are those of `mean_features`.

    Raises:
        DatasetError: a picture is among those that whiten.
    """
    crops, labels = _crops(rated, of, rows)
    if set(labels) & set(_labels(rated)):
        raise DatasetError(f"{rated!r} cannot be whitened by pictures of its own; give others")
    centre = crops.mean(0)
    values, axes = torch.linalg.eigh(torch.cov((crops - centre).double().T))
    whiten = axes / (values.clamp(min=0) + RIDGE * values.mean()).sqrt()
    return rated.means(((rated.crops - centre).double() @ whiten).square().sum(1))


def _labels(rated: Rated) -> Array:
    """What tells a set's photographs apart (N,), its versions alike."""
    names = rated.table["name"] if rated.clusters is None else rated.clusters
    return (rated.name + "/" + names.astype(str)).to_numpy(dtype=object)


def _crops(rated: Rated, of: Rated, rows: ArrayLike | None) -> tuple[Tensor, Array]:
    """The crops of the chosen pictures (m, D), and each one's label (m,)."""
    ours, theirs = (one.features.config.weights_sha256 for one in (rated, of))
    if ours != theirs:
        raise StoreError(
            f"{rated!r} and {of!r} are of different weights, {ours[:12]} and {theirs[:12]}: a mean "
            "is of the backbone that made it"
        )
    chosen = np.ones(of.n, dtype=bool) if rows is None else np.asarray(rows, dtype=bool)
    labels, kept = _labels(of)[of.picture], chosen[of.picture]
    if len(set(labels[kept])) < 2:
        raise DatasetError(f"{of!r} gives fewer than two pictures here, and so no mean of others")
    crops = of.crops[torch.from_numpy(kept)]
    if not (crops != crops[0]).any():
        raise DatasetError(f"all features of {of!r} are alike: they have no centre and no spread")
    return crops, labels[kept]


def control_scores(rated: Rated, clean: Rated) -> pd.DataFrame:
    """The magnitude cue and its controls, one row a picture, higher where quality should be.

    Args:
        rated: a set that people rated.
        clean: photographs with harmed copies, as the same backbone sees them, told apart by the
            ``dist_level`` of their table. Theirs are the 8 dimensions of largest mean. Of fewer
            than 60 clean ones nothing can be whitened, and ``usual`` is NaN.
    """
    pristine = (clean.table["dist_level"] == 0).to_numpy()
    always_on = clean.crops.mean(0).abs().argsort(descending=True)[:ALWAYS_ON]
    others = np.setdiff1d(np.arange(rated.crops.shape[1]), always_on.numpy())
    energy = rated.crops.square()
    centred = rated.crops - mean_features(rated)[rated.picture]
    columns = {
        "q_mag": rated.table["q_mag"].to_numpy(),
        "minus_length": -rated.table["norm"].to_numpy(),
        "without_8": rated.means(magnitude_cue(rated.crops[:, others])),
        "centred": rated.means(magnitude_cue(centred)),
        "minus_share_8": -rated.means(energy[:, always_on].sum(1) / energy.sum(1)),
        "far_from_own": -conformity(rated),
        "far_from_clean": -conformity(rated, clean, pristine),
        "far_from_harmed": -conformity(rated, clean, ~pristine),
        "usual": -whitened_length(rated, clean, pristine),
    }
    scores = pd.DataFrame(columns)
    return scores if pristine.sum() >= ENOUGH_CLEAN else scores.assign(usual=np.nan)


def answer_predictions(
    rated: Rated, clean: Rated, untrained: Sequence[Rated] = (), backbones: str = "all"
) -> pd.DataFrame:
    """What a rated set says to the predictions of ``data/predictions.csv``.

    Args:
        rated: a set that people rated.
        clean: see `control_scores`.
        untrained: the same pictures as untrained networks of the same shape see them.
        backbones: ``"resnets"`` or ``"vits"``, which the backbone is one of.

    Returns:
        One row a prediction that is made of such backbones: ``id, statement, sign, at_least,
        estimate, verdict``: "as predicted" where the whole interval lies beyond ``at_least`` on the
        predicted side (of sign 0: within it), "not so" where it lies wholly elsewhere, and else
        "cannot tell". Each stands by itself at 95 %.
    """
    rows = pd.read_csv(data_path("predictions.csv"), keep_default_na=False)
    rows = rows[rows["backbones"].isin(["all", backbones])]
    scores = control_scores(rated, clean)
    estimates = [_asked(row, rated, scores, untrained) for row in rows.to_dict("records")]
    verdicts = [
        _verdict(one, sign, least)
        for one, sign, least in zip(estimates, rows["sign"], rows["at_least"], strict=True)
    ]
    columns = ["id", "statement", "sign", "at_least"]
    return rows[columns].assign(estimate=estimates, verdict=verdicts).reset_index(drop=True)


def partial_srcc(rated: Rated, prediction: ArrayLike, given: ArrayLike) -> Estimate:
    """What is left of a prediction's SRCC with quality where another (N,) is held fixed."""
    columns = [np.asarray(values, dtype=float) for values in (prediction, rated.quality, given)]

    def partial(pictures: Indices) -> float:
        r = np.corrcoef(rankdata([column[pictures] for column in columns], axis=1))
        spread = (1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2)
        left = r[0, 1] - r[0, 2] * r[1, 2]
        return float(left / np.sqrt(spread)) if spread > 1e-9 else float("nan")

    return rated.estimate(partial)


def _asked(
    row: Mapping[str, str], rated: Rated, scores: pd.DataFrame, untrained: Sequence[Rated]
) -> Estimate:
    larger = scores[row["larger"]].to_numpy()
    if row["given"]:
        return partial_srcc(rated, larger, scores[row["given"]])
    if "usual" in (row["larger"], row["than"]) and scores["usual"].isna().all():
        return Estimate(float("nan"), reason=f"to whiten takes {ENOUGH_CLEAN} clean photographs")
    if row["than"] == "random_axes":
        return Estimate.beyond(rated.srcc(larger).value, rotation_null(rated))
    if row["than"] == "untrained":
        if not untrained:
            return Estimate(float("nan"), reason="no untrained network was asked")
        cues = [twin.table["q_mag"].to_numpy() for twin in untrained]
        mean_lead = rated.correlate(larger, *cues)
        return mean_lead.estimate(lambda srcc: srcc[..., 0] - srcc[..., 1:].mean(-1))
    return rated.lead(larger, scores[row["than"]]) if row["than"] else rated.srcc(larger)


def _verdict(estimate: Estimate, sign: str, least: float) -> str:
    low, high = estimate.low, estimate.high
    as_predicted, not_so = low > least, high < least
    if sign == "0":
        as_predicted, not_so = -least < low and high < least, low > least or high < -least
    return "as predicted" if as_predicted else "not so" if not_so else "cannot tell"
