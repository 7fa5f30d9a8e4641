"""How far scores at lower precision lie from those in fp32 on a CPU.

Run as ``python -m benchmarks.precision``. The pictures are one synthetic picture at rising blur, so
that the order of their scores means something; the backbones are the embedded ones.
"""

import json

import numpy as np
import torch
from PIL import Image, ImageFilter
from scipy.stats import spearmanr

from benchmarks.random_models import picture
from maclip_lab import Maclip

BACKBONES = ("tiny-rn", "tiny-vit")


def run(count: int = 24) -> dict[str, dict[str, float]]:
    """Largest difference of a score and SRCC against fp32 on a CPU, by backbone and precision.

    Args:
        count: pictures.
    """
    pictures = [_blurred(i) for i in range(count)]
    settings = [("cpu", "bf16")]
    if torch.cuda.is_available():
        settings += [("cuda", "fp32"), ("cuda", "bf16"), ("cuda", "fp16")]
    found = {}
    for backbone in BACKBONES:
        exact = _scores(Maclip(backbone, device="cpu"), pictures)
        for device, precision in settings:
            scores = _scores(Maclip(backbone, device=device, precision=precision), pictures)
            found[f"{backbone}, {device} {precision}"] = {
                "largest difference": float(np.abs(scores - exact).max()),
                "SRCC": float(spearmanr(scores, exact).statistic),
            }
    return found


def _blurred(number: int) -> Image.Image:
    return picture(512, 384, seed=number % 4).filter(ImageFilter.GaussianBlur(number / 6))


def _scores(scorer: Maclip, pictures: list[Image.Image]) -> np.ndarray:
    return np.array([float(scorer(image)) for image in pictures])


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
