"""Every number of a training run, stated before the runs it describes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Settings of one run.

    Attributes:
        architecture: ``"rn"`` or ``"vit"``.
        seed: of initial weights, order, windows and sentences.
        width: channels of the image tower.
        layers: blocks of the four ResNet stages; the ViT has their sum.
        patch: side of a ViT patch.
        embed_dim: D.
        projection_bias: whether the ResNet's last projection has a bias; else it stays zero.
        text_width: width of the text tower.
        text_layers: its blocks.
        steps: optimiser steps on windows of ``side`` pixels.
        batch: pictures a step.
        side: of the random windows seen in the first phase.
        late_steps: further steps at the late bank's full size.
        late_batch: pictures a late step.
        captioned: share of a batch whose photographs have sentences.
        captions: quality captions a step, the prompts of MA-CLIP and CLIP-IQA always among
            them; the fault captions come on top.
        learning_rate: AdamW's peak, reached after half of ``warm_up`` and falling as a cosine.
        muon_rate: the same of Muon.
        weight_decay: of both.
        warm_up: share of all steps before the sentences start to come in; they are in fully
            after twice as many.
        sentences: of every captioned photograph in a step.
        sentence_weight: weight of the contrastive loss, beside quality's 1.
        content_weight: the same of the content captions' mean loss.
        fade: how much of its claim to its sentence and its content a picture harmed beyond all use
            has lost.
        fault_weight: weight of the fault captions' mean loss.
        averaging: decay of the running average of the weights, which is what ships.
    """

    architecture: str = "rn"
    seed: int = 0
    width: int = 16
    layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    patch: int = 16
    embed_dim: int = 256
    projection_bias: bool = True
    text_width: int = 128
    text_layers: int = 2
    steps: int = 2000
    batch: int = 96
    side: int = 96
    late_steps: int = 150
    late_batch: int = 48
    captioned: float = 0.7
    captions: int = 48
    learning_rate: float = 1e-3
    muon_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: float = 0.06
    sentences: int = 3
    sentence_weight: float = 0.25
    content_weight: float = 0.3
    fade: float = 0.9
    fault_weight: float = 1.0
    averaging: float = 0.99

    @property
    def total_steps(self) -> int:
        """Steps of both phases."""
        return self.steps + self.late_steps

    @property
    def samples(self) -> int:
        """Pictures seen in a run."""
        return self.steps * self.batch + self.late_steps * self.late_batch


RECIPES = {
    "rn": Recipe(),
    "vit": Recipe(architecture="vit", width=192, steps=1500),
}
"""The recipes of the shipped backbones, ``tiny-rn`` and ``tiny-vit``; seeds 0, 1 and 2.

Chosen on pilots by validation captions and severities (see ``report.md``), never by the magnitude
cue, the test photographs or human opinions. `runs.choose` is the rule between seeds.
"""
