"""What a trained backbone sees: its cues on degraded photographs and on rated pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr

from maclip_lab.clip.model import CLIP
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import NATIVE, crop_batches, prepare
from maclip_lab.cues import cosine_cue, magnitude_cue
from maclip_lab.degradations import LEVELS, degrade
from maclip_lab.fusion import FusionSettings, fixed_fusion, fuse
from maclip_lab.prompts import MACLIP_PROMPTS, encode_prompts
from maclip_lab.training.photographs import Photograph

DEFAULTS = FusionSettings()
CUES = ("q_cos", "q_mag", "mean", "score")


class Eye:
    """The method with its defaults on one CLIP, for many pictures in a row."""

    def __init__(self, clip: CLIP, settings: FusionSettings = DEFAULTS) -> None:
        self.clip, self.settings = clip.eval(), settings
        self.text = encode_prompts(clip, MACLIP_PROMPTS)
        self.scale = float(clip.logit_scale.detach().exp())

    @torch.inference_mode()
    def __call__(self, image: Image.Image) -> dict[str, float]:
        """``CUES`` of one RGB picture, means over its crops."""
        pixels = prepare(image, NATIVE)[0]
        features = torch.cat(
            [
                self.clip.encode_image(batch.contiguous(memory_format=torch.channels_last))
                for batch in crop_batches(pixels, NATIVE, 64)
            ]
        )
        q_cos = cosine_cue(features, self.text, self.scale).mean(-1)
        q_mag = magnitude_cue(features, self.settings.box_lam)
        score = fuse(q_cos, q_mag, self.settings)[0]
        cues = zip(CUES, (q_cos, q_mag, fixed_fusion(q_cos, q_mag), score), strict=True)
        return {name: float(cue.mean()) for name, cue in cues}


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
        longest: side in pixels to which larger photographs are scaled down.

    Returns:
        Columns photograph, type ("" where pristine), severity, q_cos, q_mag, score.
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
                    cues = eye(Image.fromarray(harmed))
                    severity = level / len(LEVELS)
                    rows.append(
                        {"photograph": path.stem, "type": name, "severity": severity, **cues}
                    )
    return pd.DataFrame(rows)


def within_srcc(table: pd.DataFrame, column: str) -> pd.Series:
    """Rank correlation of a cue with ``-severity`` inside every photograph."""
    return pd.Series(
        {
            str(photograph): -spearmanr(group[column], group["severity"]).statistic
            for photograph, group in table.groupby("photograph")
        }
    )


@torch.inference_mode()
def caption_ranks(clip: CLIP, photographs: Sequence[Photograph], each: int = 2) -> NDArray[np.intp]:
    """Places at which every photograph finds its own sentences among those of all, ``(N,)``.

    Args:
        clip: the backbone.
        photographs: with sentences; each is shown whole, squeezed to a square.
        each: sentences of a photograph that are candidates, the first ones.

    Returns:
        Candidates of others that come before the best own one; below k is a recall at k.
    """
    pictures = [
        Image.open(p.path).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
        for p in photographs
    ]
    features = torch.cat(
        [clip.encode_image(next(crop_batches(np.array(picture)))[:1]) for picture in pictures]
    )
    sentences = [s for p in photographs for s in p.sentences[:each]]
    owner = torch.tensor([i for i, p in enumerate(photographs) for _ in p.sentences[:each]])
    texts = torch.cat(
        [clip.encode_text(tokenize(sentences[i : i + 64], truncate=True)) for i in range(0, len(sentences), 64)]
    )
    likeness = F.normalize(features, dim=-1) @ F.normalize(texts, dim=-1).T
    own = owner[None] == torch.arange(len(photographs))[:, None]
    best = likeness.masked_fill(~own, -2).amax(1, keepdim=True)
    return ((likeness > best) & ~own).sum(1).numpy()
