"""Published architectures with random weights: speed does not depend on what they know."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from torch import nn

from maclip_lab.clip.model import CLIP, ModifiedResNet, VisionTransformer

ARCHITECTURES = ("RN50", "ViT-B/32", "ViT-B/16")


def random_clip(architecture: str, seed: int = 0) -> CLIP:
    """A CLIP of a published architecture, float32, in evaluation mode.

    Raises:
        ValueError: the architecture is none of `ARCHITECTURES`.
    """
    torch.manual_seed(seed)
    visual: ModifiedResNet | VisionTransformer
    if architecture == "RN50":
        dimensions = 1024
        visual = ModifiedResNet((3, 4, 6, 3), 64, 224, dimensions)
    elif architecture in ARCHITECTURES:
        dimensions = 512
        visual = VisionTransformer(224, int(architecture[-2:]), 768, 12, 512)
    else:
        raise ValueError(f"architectures are {', '.join(ARCHITECTURES)}, got {architecture!r}")
    for module in visual.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    clip = CLIP(visual, context_length=77, vocab_size=49408, text_width=512, text_layers=12)
    return clip.eval().requires_grad_(False)


def save_random(architecture: str, folder: Path) -> Path:
    """A checkpoint of `random_clip` in float32, of half precision's numbers as OpenAI's are."""
    path = folder / f"{architecture.replace('/', '-')}.safetensors"
    weights = random_clip(architecture).state_dict().items()
    save_file(
        {k: v.half().to(v.dtype) if v.is_floating_point() else v.clone() for k, v in weights}, path
    )
    return path


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture that compresses as photographs do: smoothed noise, with some grain."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    grain = generator.integers(0, 256, (min(height, 512), min(width, 512), 3), dtype=np.uint8)
    texture = Image.fromarray(grain).resize((width, height)).filter(ImageFilter.BoxBlur(1))
    return Image.blend(image, texture, 0.15)
