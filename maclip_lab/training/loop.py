"""One training run: captions of quality, content and faults, each with its soft target.

The loss is a sigmoid cross-entropy on CLIP's scaled cosines. It never sees the magnitude of an
image feature, so whatever the magnitude cue shows afterwards has emerged.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maclip_lab.clip.model import CLIP, ModifiedResNet, QuickGELU, VisionTransformer
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import normalise
from maclip_lab.training.bank import SEEN_TYPES, Bank
from maclip_lab.training.captions import (
    Caption,
    acceptance,
    concept_harms,
    content_acceptance,
    content_captions,
    fault_acceptance,
    fault_captions,
    overall_harm,
    quality_captions,
)
from maclip_lab.training.recipe import SUBTLE, Recipe

EXACT = 12
"""Captions at the head of `quality_captions` that every step contains."""


def new_clip(recipe: Recipe, vocabulary: int = 49408) -> CLIP:
    """A CLIP with random weights, in training mode, whose text tower knows so many tokens."""
    torch.manual_seed(recipe.seed)
    visual: ModifiedResNet | VisionTransformer
    if recipe.architecture == "rn":
        heads = recipe.width // 2
        visual = ModifiedResNet(recipe.layers, recipe.width, heads, 224, recipe.embed_dim)
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
    else:
        raise ValueError(f'architecture is "rn" or "vit", got {recipe.architecture!r}')
    clip = CLIP(
        visual,
        embed_dim=recipe.embed_dim,
        image_size=224,
        context_length=77,
        vocab_size=vocabulary,
        text_width=recipe.text_width,
        text_layers=2,
        text_heads=max(1, recipe.text_width // 64),
    )
    nn.init.normal_(clip.token_embedding.weight, std=0.02)
    if isinstance(visual, VisionTransformer):
        with torch.no_grad():
            visual.conv1.weight.copy_(cosine_patches(recipe.width, recipe.patch))
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


class Trainer:
    """A run that can be stopped after any step and resumed to the same result."""

    def __init__(self, bank: Bank, recipe: Recipe, device: str = "cpu") -> None:
        """Start a run.

        The text tower learns the tokens of the captions alone: its embedding has one row for each
        of ``rows``, in ascending order, so that the end-of-text token keeps the largest id.
        """
        self.bank, self.recipe, self.step = bank, recipe, 0
        self.device = torch.device(device)
        self.captions = quality_captions()
        self.odds = _odds(bank, recipe.emphasis)
        self.accepted = _targets(bank, self.captions)
        texts = [c.text for c in self.captions] + content_captions() + fault_captions()
        self.rows, self.tokens = torch.unique(tokenize(texts), return_inverse=True)
        self.clip = new_clip(recipe, len(self.rows)).to(self.device)
        if isinstance(self.clip.visual, VisionTransformer):
            self._whiten_patches(self.clip.visual.conv1)
        self.bias = nn.Parameter(torch.zeros((), device=self.device))
        decayed = [p for p in self.clip.parameters() if p.ndim >= 2]
        others = [p for p in self.clip.parameters() if p.ndim < 2] + [self.bias]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            betas=(0.9, 0.98),
        )

    def run(
        self,
        until: int | None = None,
        report: Callable[[int, float, float], None] | None = None,
        checkpoint: Path | None = None,
        every: int = 200,
    ) -> None:
        """Train up to step ``until``, or to the end.

        Args:
            until: step to stop before.
            report: called after every step with the step, the quality and the fault loss.
            checkpoint: file to resume from where it exists, and to save to.
            every: steps between saves.
        """
        if checkpoint is not None and checkpoint.exists():
            self.load(checkpoint)
        last = self.recipe.total_steps if until is None else until
        while self.step < last:
            quality, faults = self._advance()
            if report is not None:
                report(self.step, quality, faults)
            if checkpoint is not None and (self.step % every == 0 or self.step == last):
                self.save(checkpoint)

    def save(self, path: Path) -> None:
        """Everything a resumed run needs, moved into place at once."""
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "clip": self.clip.state_dict(),
            "bias": self.bias.detach(),
            "optimiser": self.optimiser.state_dict(),
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, path)

    def load(self, path: Path) -> None:
        """Go on from a saved state.

        Raises:
            ValueError: the file belongs to another recipe.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise ValueError(f"{path} was saved by another recipe: {state['recipe']}")
        self.step = state["step"]
        self.clip.load_state_dict(state["clip"])
        with torch.no_grad():
            self.bias.copy_(state["bias"])
        self.optimiser.load_state_dict(state["optimiser"])

    @torch.no_grad()
    def _whiten_patches(self, projection: nn.Conv2d) -> None:
        """Scale every patch projection to unit deviation over the bank's pictures.

        Brightness would otherwise drown the fine waves in the first layer norm.
        """
        generator = np.random.Generator(np.random.PCG64([self.recipe.seed, 1 << 32]))
        chosen = generator.choice(len(self.bank), min(128, len(self.bank)), replace=False)
        waves = projection(self._windows(chosen, self.recipe.side, generator))
        projection.weight.div_(waves.std((0, 2, 3))[:, None, None, None] + 1e-6)

    def _advance(self) -> tuple[float, float]:
        recipe = self.recipe
        late = self.step >= recipe.steps
        generator = np.random.Generator(np.random.PCG64([recipe.seed, self.step]))
        count = recipe.late_batch if late else recipe.batch
        chosen = generator.choice(len(self.bank), count, replace=False, p=self.odds)
        images = self._windows(chosen, None if late else recipe.side, generator)
        for group in self.optimiser.param_groups:
            group["lr"] = _learning_rate(self.step, recipe)
        with torch.autocast(self.device.type, torch.bfloat16):
            quality, content, faults = self._losses(images, chosen, generator)
        share = recipe.content_share * _content_ramp(self.step, recipe)
        loss = (1 - share) * quality + share * content + recipe.fault_share * faults
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.clip.parameters(), 5.0)
        self.optimiser.step()
        with torch.no_grad():
            self.clip.logit_scale.clamp_(0, math.log(100))
        self.step += 1
        return quality.item(), faults.item()

    def _windows(
        self, chosen: np.ndarray, side: int | None, generator: np.random.Generator
    ) -> Tensor:
        full = self.bank.pixels.shape[1]
        side = full if side is None else min(side, full)
        tops, lefts = generator.integers(0, full - side + 1, (2, len(chosen)))
        flips = generator.random(len(chosen)) < 0.5
        views = np.stack(
            [
                self.bank.pixels[i, top : top + side, left : left + side][:, :: -1 if flip else 1]
                for i, top, left, flip in zip(chosen, tops, lefts, flips, strict=True)
            ]
        )
        images = normalise(torch.from_numpy(views).to(self.device).permute(0, 3, 1, 2))
        return images.contiguous(memory_format=torch.channels_last)

    def _losses(
        self, images: Tensor, chosen: np.ndarray, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        known, asked_at_most = len(self.captions), self.recipe.captions
        more = generator.choice(np.arange(EXACT, known), asked_at_most - EXACT, replace=False)
        others = np.arange(known, len(self.tokens))
        asked = torch.from_numpy(np.concatenate([np.arange(EXACT), more, others]))
        features = F.normalize(self.clip.encode_image(images).float(), dim=-1)
        tokens = _cropped(self.tokens[asked]).to(self.device)
        texts = F.normalize(self.clip.encode_text(tokens).float(), dim=-1)
        target = self.accepted[torch.from_numpy(chosen)][:, asked].to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            logits = self.clip.logit_scale.exp() * features @ texts.T + self.bias
            losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        faults = asked_at_most + len(content_captions())
        return (
            losses[:, :asked_at_most].mean(),
            losses[:, asked_at_most:faults].mean(),
            losses[:, faults:].mean(),
        )


def _odds(bank: Bank, emphasis: float) -> np.ndarray:
    """Probability ``(N,)`` of every sample to be seen: subtle single degradations come oftener."""
    subtle = [SEEN_TYPES.index(name) for name in SUBTLE]
    alone = (bank.types >= 0).sum(axis=1) == 1
    weight = np.where(alone & np.isin(bank.types[:, 0], subtle), emphasis, 1.0)
    return weight / weight.sum()


def _targets(bank: Bank, captions: Sequence[Caption]) -> Tensor:
    """Acceptance ``(N, C + 16 + 2 F)`` of the captions of quality, content and faults."""
    severities = np.where(bank.types >= 0, bank.severities, 0)
    quality = acceptance(concept_harms(bank.types, severities, SEEN_TYPES), captions)
    content = content_acceptance(bank.contents, overall_harm(severities))
    faults = fault_acceptance(bank.types, severities, SEEN_TYPES)
    return torch.from_numpy(np.concatenate([quality, content, faults], axis=1)).float()


def _cropped(tokens: Tensor) -> Tensor:
    """Tokens without the columns that pad all of them; attention is causal, so nothing changes."""
    return tokens[:, : int(tokens.argmax(1).max()) + 1]


def _learning_rate(step: int, recipe: Recipe) -> float:
    rise = max(1, round(recipe.warm_up * recipe.total_steps / 3))
    progress = step / recipe.total_steps
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.learning_rate * min(1.0, (step + 1) / rise) * fall


def _content_ramp(step: int, recipe: Recipe) -> float:
    start = recipe.warm_up * recipe.total_steps
    return min(1.0, max(0.0, (step - start) / max(1.0, start)))
