"""What a trained backbone shows: cues on degraded and on rated pictures, and retrieval."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from maclip_lab.ablations.controls import ROTATIONS, random_rotations
from maclip_lab.clip.model import CLIP
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import crop_batches
from maclip_lab.cues import magnitude_cue
from maclip_lab.datasets.degradations import LEVELS, degrade
from maclip_lab.fusion import fixed_fusion
from maclip_lab.score import PictureFeatures
from maclip_lab.scorer import Maclip
from maclip_lab.training.photographs import Photograph

CUES = ("q_cos", "q_mag", "mean", "score")
"""The cosine and the magnitude cue, their plain mean, and MA-CLIP."""
CANDIDATES = 2
"""Sentences of every photograph that are candidates in retrieval, the first ones."""
_TEXTS = 64


def cue_values(scorer: Maclip, features: PictureFeatures) -> dict[str, float]:
    """``CUES`` of a picture, means over its crops."""
    score = scorer.score(features)
    mean = fixed_fusion(torch.tensor(score.q_cos), torch.tensor(score.q_mag))
    return dict(zip(CUES, (score.q_cos, score.q_mag, float(mean), score.score), strict=True))


def degraded_scores(
    scorer: Maclip,
    photographs: Sequence[Path],
    types: Sequence[str],
    levels: Sequence[int] = LEVELS,
    longest: int | None = None,
) -> pd.DataFrame:
    """Every photograph pristine and under every type and level.

    A type that leaves a photograph unchanged (faded colours of a grey one) is left out.
    Photographs larger than ``longest`` pixels are scaled down first.

    Returns:
        Columns photograph, type ("" where pristine), severity, and ``CUES``.
    """

    def cues(pixels: NDArray[np.uint8]) -> dict[str, float]:
        return cue_values(scorer, scorer.extract(pixels))

    rows: list[dict[str, object]] = []
    for path in photographs:
        picture = Image.open(path).convert("RGB")
        if longest is not None:
            picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        pixels = np.asarray(picture)
        rows.append({"photograph": path.stem, "type": "", "severity": 0.0, **cues(pixels)})
        for name in types:
            for level in levels:
                harmed = degrade(pixels, name, level=level)
                if not np.array_equal(harmed, pixels):
                    known = {"photograph": path.stem, "type": name, "severity": level / len(LEVELS)}
                    rows.append({**known, **cues(harmed)})
    return pd.DataFrame(rows)


def rated_scores(scorer: Maclip, pictures: Iterable[tuple[Path, float]]) -> pd.DataFrame:
    """Cues of rated pictures, and the magnitude cue after random rotations of the feature axes.

    A rotation changes no angle between features; what the magnitude cue knows beyond it is in the
    axes themselves.

    Returns:
        Columns mos, ``CUES``, and ``rotated_0`` to ``rotated_199``.
    """
    dimensions = scorer.anchors.features.shape[1]
    rotations = torch.stack(list(random_rotations(dimensions, ROTATIONS)))
    rows = []
    for path, mos in pictures:
        features = scorer.extract(path)
        null = magnitude_cue(features.features @ rotations).mean(-1)
        turned = {f"rotated_{i}": value for i, value in enumerate(null.tolist())}
        rows.append({"mos": mos, **cue_values(scorer, features), **turned})
    return pd.DataFrame(rows)


@torch.inference_mode()
def caption_ranks(clip: CLIP, photographs: Sequence[Photograph]) -> NDArray[np.intp]:
    """How many sentences of others every photograph prefers to its own, ``(N,)``.

    A value below k counts for recall at k.

    Args:
        clip: the backbone.
        photographs: with sentences; each is shown whole, squeezed to a square, and each gives its
            first ``CANDIDATES`` sentences.
    """
    side = clip.image_size
    features, texts = [], []
    for photograph in photographs:
        picture = Image.open(photograph.path).convert("RGB")
        pixels = np.array(picture.resize((side, side), Image.Resampling.BICUBIC))
        features.append(clip.encode_image(next(crop_batches(pixels))[:1]))
    sentences = [s for p in photographs for s in p.sentences[:CANDIDATES]]
    owner = torch.tensor([i for i, p in enumerate(photographs) for _ in p.sentences[:CANDIDATES]])
    for start in range(0, len(sentences), _TEXTS):
        texts.append(clip.encode_text(tokenize(sentences[start : start + _TEXTS], truncate=True)))
    pictures = F.normalize(torch.cat(features), dim=-1)
    likeness = pictures @ F.normalize(torch.cat(texts), dim=-1).T
    own = owner[None] == torch.arange(len(photographs))[:, None]
    best = likeness.masked_fill(~own, -torch.inf).amax(1, keepdim=True)
    return ((likeness > best) & ~own).sum(1).numpy()
