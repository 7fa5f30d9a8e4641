"""A CLIP to begin with: random weights, and for a ViT patch projections that see from the start."""

import math

import torch
from torch import Tensor, nn

from maclip_lab.clip.model import CLIP, ModifiedResNet, QuickGELU, VisionTransformer
from maclip_lab.training.recipe import Recipe


def new_clip(recipe: Recipe, vocabulary: int) -> CLIP:
    """A CLIP with random weights, in training mode, whose text tower knows so many tokens."""
    torch.manual_seed(recipe.seed)
    visual: ModifiedResNet | VisionTransformer
    if recipe.architecture == "rn":
        heads = recipe.width // 2
        visual = ModifiedResNet(recipe.layers, recipe.width, heads, 224, recipe.embed_dim)
        if not recipe.projection_bias:
            nn.init.zeros_(visual.attnpool.c_proj.bias).requires_grad_(False)
    elif recipe.architecture == "vit":
        visual = VisionTransformer(
            224,
            recipe.patch,
            recipe.width,
            sum(recipe.layers),
            recipe.width // 64,
            recipe.embed_dim,
            QuickGELU,
        )
        with torch.no_grad():
            visual.conv1.weight.copy_(cosine_patches(recipe.width, recipe.patch))
    else:
        raise ValueError(f'architecture is "rn" or "vit", got {recipe.architecture!r}')
    clip = CLIP(
        visual,
        embed_dim=recipe.embed_dim,
        image_size=224,
        context_length=77,
        vocab_size=vocabulary,
        text_width=recipe.text_width,
        text_layers=recipe.text_layers,
        text_heads=max(1, recipe.text_width // 64),
    )
    nn.init.normal_(clip.token_embedding.weight, std=0.02)
    with torch.no_grad():
        clip.logit_scale.fill_(math.log(10.0))
    return clip.train()


def cosine_patches(width: int, patch: int) -> Tensor:
    """Patch projections to begin with: cosine waves, two thirds grey and one third of colour.

    Fine waves are amplified as photographs weaken them, so that blur and noise show from the
    first step; a tiny ViT with random projections did not find them in the time it had.

    Returns:
        ``(width, 3, patch, patch)``.
    """
    position = (torch.arange(patch) + 0.5) * math.pi / patch
    rows, cols = torch.meshgrid(torch.arange(patch), torch.arange(patch), indexing="ij")
    radius = torch.hypot(rows.float(), cols.float()).flatten()
    order = radius.argsort(stable=True)
    grey = width * 2 // 3
    picks = [torch.linspace(0, 1, n) ** 1.5 * (patch**2 - 1) for n in (grey, width - grey)]
    tints = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-0.5, 1.0, -0.5]])
    waves = []
    for colourful, places in enumerate(picks):
        for i, place in enumerate(places.round().long().tolist()):
            k = order[place]
            u, v = rows.flatten()[k], cols.flatten()[k]
            wave = torch.outer(torch.cos(u * position), torch.cos(v * position))
            tint = tints[1 + i % 2] if colourful else tints[0]
            waves.append(tint[:, None, None] * wave * (1 + radius[k]) / patch**2)
    return torch.stack(waves)


@torch.no_grad()
def whiten_patches(projection: nn.Conv2d, images: Tensor) -> None:
    """Scale every patch projection to unit deviation over some pictures ``(N, 3, H, W)``.

    Brightness would otherwise drown the fine waves in the first layer norm.
    """
    waves = projection(images)
    projection.weight.div_(waves.std((0, 2, 3))[:, None, None, None] + 1e-6)
