"""The network to begin with, every number of its training, its losses and the optimiser Muon.

The losses see directions of features, never their length: features are normalised there, so that
scaling an image feature changes no loss, and whatever the magnitude cue shows has emerged.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maclip_lab.clip.model import CLIP, ModifiedResNet, VisionTransformer

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ROUNDS, _MOMENTUM = 5, 0.95


@dataclass(frozen=True)
class Recipe:
    """Settings of one run; the quality loss has weight 1, the others those named here."""

    architecture: str = "rn"  # or "vit"
    seed: int = 0  # of initial weights, order, windows and sentences
    width: int = 16  # channels of the image tower
    layers: tuple[int, int, int, int] = (1, 1, 1, 1)  # blocks a ResNet stage; a ViT has their sum
    patch: int = 16  # side of a ViT patch
    embed_dim: int = 256  # D
    projection_bias: bool = True  # of the ResNet's last projection; else it stays zero
    text_width: int = 128
    text_layers: int = 2
    steps: int = 2000  # on windows of ``side`` pixels
    batch: int = 96  # pictures a step
    side: int = 96  # of the random windows seen in the first phase
    late_steps: int = 150  # further steps at the late bank's full size
    late_batch: int = 48
    captioned: float = 0.7  # share of a batch whose photographs have sentences
    captions: int = 48  # of quality a step, the prompts of both methods always among them
    learning_rate: float = 1e-3  # AdamW's peak, after half of ``warm_up``; it falls as a cosine
    muon_rate: float = 2e-3  # the same of Muon
    weight_decay: float = 0.05  # of both
    warm_up: float = 0.06  # share of all steps before sentences come in, fully after twice as many
    sentences: int = 3  # of every captioned photograph in a step
    sentence_weight: float = 0.25
    content_weight: float = 0.3
    fade: float = 0.9  # how much of its claim to its content a picture harmed beyond use has lost
    fault_weight: float = 1.0
    averaging: float = 0.99  # decay of the running average of the weights, which is what ships

    @property
    def total_steps(self) -> int:
        """Steps of both phases."""
        return self.steps + self.late_steps


RECIPES = {"rn": Recipe(), "vit": Recipe(architecture="vit", width=192, steps=1500)}
"""The recipes of the shipped backbones, ``tiny-rn`` and ``tiny-vit``; seeds 0, 1 and 2.

Chosen on pilots by validation captions and severities (``data/backbones/README.md``), never by the
magnitude cue, the test photographs or human opinions. `measure.choose` is the rule between seeds.
"""


def new_clip(recipe: Recipe, vocabulary: int) -> CLIP:
    """A CLIP with random weights, in training mode, whose text tower knows so many tokens."""
    torch.manual_seed(recipe.seed)
    visual: ModifiedResNet | VisionTransformer
    width, dimensions = recipe.width, recipe.embed_dim
    if recipe.architecture == "rn":
        visual = ModifiedResNet(recipe.layers, width, 224, dimensions)
        if not recipe.projection_bias:
            nn.init.zeros_(visual.attnpool.c_proj.bias).requires_grad_(False)
    elif recipe.architecture == "vit":
        visual = VisionTransformer(224, recipe.patch, width, sum(recipe.layers), dimensions)
        with torch.no_grad():
            visual.conv1.weight.copy_(cosine_patches(width, recipe.patch))
    else:
        raise ValueError(f'architecture is "rn" or "vit", got {recipe.architecture!r}')
    clip = CLIP(
        visual,
        context_length=77,
        vocab_size=vocabulary,
        text_width=recipe.text_width,
        text_layers=recipe.text_layers,
    )
    nn.init.normal_(clip.token_embedding.weight, std=0.02)
    with torch.no_grad():
        clip.logit_scale.fill_(math.log(10.0))
    return clip.train()


def cosine_patches(width: int, patch: int) -> Tensor:
    """Patch projections ``(width, 3, patch, patch)``: cosine waves, a third of them of colour.

    Fine waves are amplified as photographs weaken them, so that blur and noise show from the
    first step; a tiny ViT with random projections did not find them in the time it had.
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


def caption_loss(
    features: Tensor, texts: Tensor, accepted: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """Sigmoid cross-entropy ``(N, C)`` of scaled cosines and known probabilities of acceptance.

    Features are ``(N, D)``, texts ``(C, D)``, both raw; ``accepted`` is ``(N, C)`` in [0, 1].
    """
    logits = scale * F.normalize(features, dim=-1) @ F.normalize(texts, dim=-1).T + bias
    return F.binary_cross_entropy_with_logits(logits, accepted, reduction="none")


def sentence_loss(features: Tensor, texts: Tensor, claim: Tensor, scale: Tensor) -> Tensor:
    """Contrastive loss between pictures and their sentences, the mean of both directions.

    A picture's target is its claim, evenly on its own sentences, and the rest of it evenly on the
    others; a sentence is asked for its picture with the weight of that picture's claim.

    Features are ``(N, D)`` and their sentences' ``(K N, D)``, K for each picture in turn, both raw;
    the claim ``(N,)`` in [0, 1] is low for a picture in which little is left to recognise.
    """
    logits = scale * F.normalize(features, dim=-1) @ F.normalize(texts, dim=-1).T
    n, each = len(features), len(texts) // len(features)
    owner = torch.arange(n, device=claim.device).repeat_interleave(each)
    own = owner[None] == torch.arange(n, device=claim.device)[:, None]
    target = torch.where(own, claim[:, None] / each, (1 - claim[:, None]) / (len(texts) - each))
    of_pictures = F.cross_entropy(logits, target)
    of_sentences = F.cross_entropy(logits.T, owner, reduction="none")
    return (of_pictures + (claim[owner] * of_sentences).sum() / claim[owner].sum()) / 2


class Muon(torch.optim.Optimizer):
    """Steps of equal strength in every direction of a weight matrix.

    Adam scales each number of a gradient by itself; Muon makes the momentum's matrix orthogonal, so
    that directions which few pictures ask for move as far as the strong ones (K. Jordan et al.,
    2024). A step is scaled to the size of AdamW's (J. Liu et al., 2025, arXiv:2502.16982).
    PyTorch's own Muon takes no convolutions and computes in bfloat16. The rows of a weight's matrix
    are its outputs.
    """

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            for weight in (p for p in group["params"] if p.grad is not None):
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - _MOMENTUM)
                towards = weight.grad.lerp(momentum, _MOMENTUM)
                matrix = towards.flatten(1)
                strength = 0.2 * max(matrix.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                moved = orthogonalised(matrix).view_as(weight)
                weight.add_(moved, alpha=-group["lr"] * strength)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Nearly the closest matrix with orthonormal rows or columns, whichever are fewer.

    Five rounds of a polynomial that takes every singular value to within about 0.3 of 1.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
