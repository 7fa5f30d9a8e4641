"""Every number of a training run, stated before the runs it describes.

Chosen on pilots with other photographs' validation scores, never on the test photographs or on
human opinions. The shipped backbones are the seeds with the best `validation` score: the cosine
cue's mean within-photograph rank correlation with severity on the validation photographs, seen
degradation types only.
"""

from dataclasses import dataclass

SUBTLE = (
    "colour_quantisation",
    "patch_shuffle",
    "jpeg",
    "mean_shift",
    "colour_diffusion",
    "brighten",
)
"""Types that the first pilots told least well on validation photographs."""


@dataclass(frozen=True)
class Recipe:
    """Settings of one run.

    Attributes:
        architecture: ``"rn"`` or ``"vit"``.
        seed: of initial weights, order, crops and captions.
        width: channels of the image tower.
        layers: blocks of the four ResNet stages; the ViT has their sum.
        patch: side of a ViT patch.
        embed_dim: D.
        text_width: width of the text tower, which has two layers.
        steps: optimiser steps at ``side`` pixels.
        batch: pictures a step.
        side: of the random windows seen in the first phase.
        late_steps: further steps at the full 224 pixels.
        late_batch: pictures a late step.
        captions: quality captions a step, the prompts of MA-CLIP and CLIP-IQA always among
            them; the captions of content and of faults come on top.
        emphasis: how much oftener than their share samples with one subtle degradation are seen.
        learning_rate: peak, reached after ``warm_up`` and falling as a cosine.
        weight_decay: AdamW's.
        warm_up: share of all steps before the content captions start to come in; the learning
            rate warms up over a third of it.
        content_share: weight of the content captions' mean loss once they are in; the quality
            captions' has the rest.
        fault_share: weight of the fault captions' mean loss, beside the other two.
    """

    architecture: str = "rn"
    seed: int = 0
    width: int = 16
    layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    patch: int = 16
    embed_dim: int = 256
    text_width: int = 64
    steps: int = 2100
    batch: int = 64
    side: int = 96
    late_steps: int = 100
    late_batch: int = 32
    captions: int = 48
    emphasis: float = 3.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.15
    content_share: float = 0.35
    fault_share: float = 1.0

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
    "vit": Recipe(architecture="vit", width=128, learning_rate=5e-4),
}
"""The recipes of the shipped backbones, ``tiny-rn`` and ``tiny-vit``; seeds 0, 1 and 2."""
