"""What a trained backbone shows: cues on degraded and on rated pictures, and retrieval."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from maclip_lab.clip.model import CLIP
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import NATIVE, crop_batches, prepare
from maclip_lab.cues import cosine_cue, magnitude_cue
from maclip_lab.datasets.degradations import LEVELS, degrade
from maclip_lab.fusion import FusionSettings, fixed_fusion, fuse
from maclip_lab.prompts import MACLIP_PROMPTS, encode_prompts
from maclip_lab.training.photographs import Photograph

CUES = ("q_cos", "q_mag", "mean", "score")
"""The cosine and the magnitude cue, their plain mean, and MA-CLIP."""
ROTATIONS = 200
CANDIDATES = 2
"""Sentences of every photograph that are candidates in retrieval, the first ones."""
_SETTINGS = FusionSettings()
_TEXTS = 64


class Eye:
    """The method with its defaults on one loaded CLIP, for many pictures in a row."""

    def __init__(self, clip: CLIP) -> None:
        self.clip = clip.eval()
        self.text = encode_prompts(clip, MACLIP_PROMPTS)
        self.scale = float(clip.logit_scale.detach().exp())

    @torch.inference_mode()
    def features(self, image: Image.Image) -> Tensor:
        """Raw features ``(P, D)`` of an RGB picture's crops."""
        pixels = prepare(image, NATIVE)[0]
        return torch.cat([self.clip.encode_image(b) for b in crop_batches(pixels, NATIVE, 64)])

    @torch.inference_mode()
    def cues(self, features: Tensor) -> dict[str, float]:
        """``CUES``, means over the crops with these features ``(P, D)``."""
        q_cos = cosine_cue(features, self.text, self.scale).mean(-1)
        q_mag = magnitude_cue(features, _SETTINGS.box_lam)
        values = (q_cos, q_mag, fixed_fusion(q_cos, q_mag), fuse(q_cos, q_mag, _SETTINGS)[0])
        return {name: float(value.mean()) for name, value in zip(CUES, values, strict=True)}

    def __call__(self, image: Image.Image) -> dict[str, float]:
        """``CUES`` of one RGB picture."""
        return self.cues(self.features(image))


def degraded_scores(
    eye: Eye,
    photographs: Sequence[Path],
    types: Sequence[str],
    levels: Sequence[int] = LEVELS,
    longest: int | None = None,
) -> pd.DataFrame:
    """Every photograph pristine and under every type and level.

    A type that leaves a photograph unchanged (faded colours of a grey one) is left out.

    Args:
        eye: the backbone.
        photographs: paths.
        types: names of degradations.
        levels: from 1 to 5.
        longest: side in pixels to which larger photographs are scaled down first.

    Returns:
        Columns photograph, type ("" where pristine), severity, and ``CUES``.
    """
    rows: list[dict[str, object]] = []
    for path in photographs:
        picture = Image.open(path).convert("RGB")
        if longest is not None:
            picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        pixels = np.asarray(picture)
        rows.append({"photograph": path.stem, "type": "", "severity": 0.0, **eye(picture)})
        for name in types:
            for level in levels:
                harmed = degrade(pixels, name, level=level)
                if not np.array_equal(harmed, pixels):
                    known = {"photograph": path.stem, "type": name, "severity": level / len(LEVELS)}
                    rows.append({**known, **eye(Image.fromarray(harmed))})
    return pd.DataFrame(rows)


def rated_scores(eye: Eye, pictures: Iterable[tuple[Path, float]]) -> pd.DataFrame:
    """Cues of rated pictures, and the magnitude cue after random rotations of the feature axes.

    A rotation changes no angle between features; what the magnitude cue knows beyond it is in the
    axes themselves.

    Args:
        eye: the backbone.
        pictures: path and mean opinion score of each.

    Returns:
        Columns mos, ``CUES``, and ``rotated_0`` to ``rotated_199``.
    """
    generator = torch.Generator().manual_seed(0)
    size = (ROTATIONS, eye.clip.embed_dim, eye.clip.embed_dim)
    rotations = torch.linalg.qr(torch.randn(size, generator=generator))[0]
    rows = []
    for path, mos in pictures:
        features = eye.features(Image.open(path).convert("RGB"))
        null = magnitude_cue(features @ rotations, _SETTINGS.box_lam).mean(-1)
        turned = {f"rotated_{i}": value for i, value in enumerate(null.tolist())}
        rows.append({"mos": mos, **eye.cues(features), **turned})
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
