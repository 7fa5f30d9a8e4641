"""One training run: captions of quality, of faults and of content, and people's sentences.

`export` writes what has been trained as the file that ships.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.random import PCG64, Generator
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from backbones import captions
from backbones.bank import Bank, differences
from backbones.model import Muon, Recipe, caption_loss, new_clip, sentence_loss, whiten_patches
from maclip_lab.clip.model import VisionTransformer
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import normalise
from maclip_lab.files.atomic import write_bytes
from maclip_lab.weights.loading import ROWS, WEIGHT

EXACT = 12  # captions at the head of `quality_captions` that every step contains
_ENDS = ("embedding", "projection", "visual.conv1", "visual.proj", "attnpool")
"""What Muon leaves to AdamW: first and last layers, and the pooling's squares, which are the
largest matrices and so the dearest to make orthogonal."""
LARGEST = 16_000_000  # bytes a shipped backbone may take
DECISION = 2.0
"""Factor on the logit scale of every shipped file: it stretches the cosine cue, so that this weighs
in the fusion about as the magnitude cue does, and leaves the order of any crop's probabilities
alone. Set once on validation pictures, for both architectures."""

LOSSES = ("quality", "faults", "content", "sentences")
Losses = dict[str, float]  # of ``LOSSES``; no sentences before they have come in


class Trainer:
    """A run that can be stopped after any step and resumed to the same result.

    ``average`` is the running average of ``clip``'s state, which is what ships; ``rows`` are the
    ids of its token embedding's rows, ascending, so that the end-of-text token keeps the largest.
    """

    def __init__(
        self, bank: Bank, recipe: Recipe, late: Bank | None = None, device: str = "cpu"
    ) -> None:
        """Start a run on a device; both phases see the first bank where ``late`` is None."""
        self.recipe, self.device, self.step = recipe, torch.device(device), 0
        self.banks = (bank, late or bank)
        if late is not None and late.sentences != bank.sentences:
            raise ValueError("the two banks were rendered from different photographs")
        self.captioned = [p for p, said in enumerate(bank.sentences) if said]
        self.others = [p for p, said in enumerate(bank.sentences) if not said]
        self.captions = captions.quality_captions()
        texts = [c.text for c in self.captions] + captions.fault_captions()
        texts += captions.content_captions()
        sentences = [s for said in bank.sentences for s in said]
        self.first = np.cumsum([0, *(len(said) for said in bank.sentences)]) + len(texts)
        tokens = tokenize([*texts, *sentences], truncate=True)
        self.rows, self.tokens = torch.unique(tokens, return_inverse=True)
        self.targets = [self._accepted(b) for b in self.banks]
        self.clip = new_clip(recipe, len(self.rows)).to(self.device)
        if isinstance(self.clip.visual, VisionTransformer):
            generator = Generator(PCG64([recipe.seed, 1 << 32]))
            chosen = generator.choice(len(bank), min(128, len(bank)), replace=False)
            whiten_patches(self.clip.visual.conv1, self._windows(bank, chosen, generator))
        start = {"bias": torch.zeros(()), "sentence_scale": torch.tensor(math.log(10.0))}
        extra = nn.ParameterDict({name: nn.Parameter(value) for name, value in start.items()})
        self.extra = extra.to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.clip.state_dict().items()}
        self.optimisers = self._optimisers()

    def run(
        self,
        until: int | None = None,
        report: Callable[[int, Losses], None] | None = None,
        checkpoint: Path | None = None,
        every: int = 200,
    ) -> None:
        """Train up to step ``until``, or to the end, reporting every step and its losses.

        A checkpoint is resumed from where it exists, and saved to every so many steps.
        """
        if checkpoint is not None and checkpoint.exists():
            self.load(checkpoint)
        last = self.recipe.total_steps if until is None else until
        while self.step < last:
            losses = self._advance()
            if checkpoint is not None and (self.step % every == 0 or self.step == last):
                self.save(checkpoint)
            if report is not None:
                report(self.step, losses)

    def save(self, path: Path) -> None:
        """Everything a resumed run needs, moved into place at once."""
        state = {
            "identity": self._identity(),
            "step": self.step,
            "clip": self.clip.state_dict(),
            "average": self.average,
            "extra": self.extra.state_dict(),
            "optimisers": [each.state_dict() for each in self.optimisers],
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_bytes(path, content.getvalue())

    def load(self, path: Path) -> None:
        """Go on from a saved state."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        differs = differences(self._identity(), state["identity"])
        if differs:
            raise ValueError(f"{path} was saved by another run ({differs}); give another folder")
        self.step, self.average = state["step"], state["average"]
        self.clip.load_state_dict(state["clip"])
        self.extra.load_state_dict(state["extra"])
        for each, saved in zip(self.optimisers, state["optimisers"], strict=True):
            each.load_state_dict(saved)

    def _optimisers(self) -> tuple[torch.optim.Optimizer, ...]:
        """Muon for the matrices within the towers, AdamW for all that stands at their ends."""
        recipe = self.recipe
        trained = {n: p for n, p in self.clip.named_parameters() if p.requires_grad}
        matrices = {n: p for n, p in trained.items() if p.ndim >= 2}
        inner = {n: p for n, p in matrices.items() if not any(end in n for end in _ENDS)}
        outer = [p for n, p in matrices.items() if n not in inner]
        others = [p for p in trained.values() if p.ndim < 2] + list(self.extra.parameters())
        groups = [
            {"params": outer, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        adam = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
        return adam, Muon(inner.values(), recipe.muon_rate, recipe.weight_decay)

    def _identity(self) -> dict[str, object]:
        banks = {
            f"{which} bank's {name}": value
            for which, bank in zip(("first", "late"), self.banks, strict=True)
            for name, value in bank.identity.items()
        }
        return asdict(self.recipe) | banks

    def _accepted(self, bank: Bank) -> tuple[Tensor, Tensor]:
        """Acceptance ``(N, C + F + 16)`` of all known captions, and claims ``(N,)``."""
        types, severities = bank.views["types"], bank.views["severities"]
        severities = np.where(types >= 0, severities, 0)
        harms = captions.concept_harms(types, severities)
        quality = captions.acceptance(harms, self.captions)
        faults = captions.fault_acceptance(types, severities)
        claim = 1 - self.recipe.fade * captions.overall_harm(severities)
        content = captions.content_acceptance(bank.views["contents"], claim)
        accepted = torch.from_numpy(np.concatenate([quality, faults, content], axis=1)).float()
        return accepted, torch.from_numpy(claim).float()

    def _advance(self) -> Losses:
        recipe = self.recipe
        late = self.step >= recipe.steps
        bank = self.banks[late]
        generator = Generator(PCG64([recipe.seed, self.step]))
        shown, told = self._photographs(recipe.late_batch if late else recipe.batch, generator)
        rounds = (len(bank) - 1 - shown) // len(bank.sentences) + 1
        views = shown + len(bank.sentences) * generator.integers(0, rounds)
        images = self._windows(bank, views, generator, None if late else recipe.side)
        peaks = (recipe.learning_rate, recipe.muon_rate)
        for each, peak in zip(self.optimisers, peaks, strict=True):
            for group in each.param_groups:
                group["lr"] = peak * _rise_and_fall(self.step, recipe)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            features = self.clip.encode_image(images).float()
            losses = self._caption_losses(features, self.targets[late][0][views], generator)
            if told >= 2 and self._ramp() > 0:
                claim = self.targets[late][1][views[:told]]
                part = self._sentence_loss(features[:told], shown[:told], claim, generator)
                losses["sentences"] = part
        weights = {
            "quality": 1.0,
            "faults": recipe.fault_weight,
            "content": recipe.content_weight * self._ramp(),
            "sentences": recipe.sentence_weight * self._ramp(),
        }
        self.clip.zero_grad(set_to_none=True)
        self.extra.zero_grad(set_to_none=True)
        sum((weights[name] * loss for name, loss in losses.items()), torch.zeros(())).backward()
        nn.utils.clip_grad_norm_(self.clip.parameters(), 5.0)
        for each in self.optimisers:
            each.step()
        self._settle()
        self.step += 1
        return {name: loss.item() for name, loss in losses.items()}

    def _photographs(self, count: int, generator: Generator) -> tuple[NDArray[np.int64], int]:
        """Different photographs for a batch, and how many of them, at its head, have sentences."""
        told = min(round(self.recipe.captioned * count), len(self.captioned))
        silent = min(count - told, len(self.others))
        told = min(count - silent, len(self.captioned))
        parts = [
            generator.choice(np.array(source, dtype=np.int64), size, replace=False)
            for source, size in ((self.captioned, told), (self.others, silent))
        ]
        return np.concatenate(parts), told

    def _windows(
        self, bank: Bank, views: NDArray[np.int64], generator: Generator, side: int | None = None
    ) -> Tensor:
        pixels = bank.views["pixels"]
        full = pixels.shape[1]
        side = full if side is None else min(side, full)
        tops, lefts = generator.integers(0, full - side + 1, (2, len(views)))
        flips = generator.random(len(views)) < 0.5
        windows = np.stack(
            [
                pixels[i, top : top + side, left : left + side][:, :: -1 if flip else 1]
                for i, top, left, flip in zip(views, tops, lefts, flips, strict=True)
            ]
        )
        images = normalise(torch.from_numpy(windows).to(self.device).float())
        return images.contiguous(memory_format=torch.channels_last)

    def _caption_losses(
        self, features: Tensor, accepted: Tensor, generator: Generator
    ) -> dict[str, Tensor]:
        known, asked_at_most = len(self.captions), self.recipe.captions
        contents = len(captions.content_captions())
        more = generator.choice(np.arange(EXACT, known), asked_at_most - EXACT, replace=False)
        always = np.arange(known, accepted.shape[1])
        asked = torch.from_numpy(np.concatenate([np.arange(EXACT), more, always]))
        texts = self._encode(asked)
        with torch.autocast(self.device.type, enabled=False):
            wanted, scale = accepted[:, asked].to(self.device), self.clip.logit_scale.exp()
            losses = caption_loss(features, texts, wanted, scale, self.extra["bias"])
        return {
            "quality": losses[:, :asked_at_most].mean(),
            "faults": losses[:, asked_at_most:-contents].mean(),
            "content": losses[:, -contents:].mean(),
        }

    def _sentence_loss(
        self, features: Tensor, shown: NDArray[np.int64], claim: Tensor, generator: Generator
    ) -> Tensor:
        starts, counts = self.first[shown], self.first[shown + 1] - self.first[shown]
        asked = generator.integers(0, counts)[:, None] + np.arange(self.recipe.sentences)
        asked = starts[:, None] + asked % counts[:, None]
        texts = self._encode(torch.from_numpy(asked.ravel()))
        with torch.autocast(self.device.type, enabled=False):
            scale = self.extra["sentence_scale"].exp()
            return sentence_loss(features, texts, claim.to(self.device), scale)

    def _encode(self, asked: Tensor) -> Tensor:
        tokens = self.tokens[asked]
        tokens = tokens[:, : int(tokens.argmax(1).max()) + 1]  # what follows the end is never read
        return self.clip.encode_text(tokens.to(self.device)).float()

    @torch.no_grad()
    def _settle(self) -> None:
        """Keep the scales within CLIP's bounds, and take the step into the average."""
        for scale in (self.clip.logit_scale, self.extra["sentence_scale"]):
            scale.clamp_(0, math.log(100))
        decay = min(self.recipe.averaging, (1 + self.step) / (10 + self.step))
        for name, tensor in self.clip.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - decay)
            else:
                self.average[name].copy_(tensor)

    def _ramp(self) -> float:
        start = self.recipe.warm_up * self.recipe.total_steps
        return min(1.0, max(0.0, (self.step - start) / max(1.0, start)))


def _rise_and_fall(step: int, recipe: Recipe) -> float:
    rise = max(1, round(recipe.warm_up * recipe.total_steps / 2))
    progress = step / recipe.total_steps
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
    return min(1.0, (step + 1) / rise) * fall


def export(state: Mapping[str, Tensor], rows: Tensor, path: Path, story: Mapping[str, str]) -> None:
    """Write a backbone as it ships: fp16, a sharper logit scale, the trained token rows alone.

    ``state`` is a trainer's ``average``, ``rows`` ``(R,)`` the ids of its token embedding's rows;
    ``story``, how it was trained, becomes the file's metadata.
    """
    if len(rows) != len(state[WEIGHT]):
        raise ValueError(f"{len(rows)} ids for {len(state[WEIGHT])} rows of {WEIGHT}")
    sharper = {**state, "logit_scale": state["logit_scale"] + math.log(DECISION)}
    halved = {k: v.half() if v.is_floating_point() else v for k, v in sharper.items()}
    tensors = {k: v.contiguous() for k, v in halved.items()} | {ROWS: rows.to(torch.int32)}
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    if size > LARGEST:
        raise ValueError(f"{path.name} would take {size:,} bytes, at most {LARGEST:,} may ship")
    save_file(tensors, path, metadata={"quick_gelu": "true", **story})
