"""Confidence-guided fusion of the two cues.

Liao et al., "Beyond Cosine Similarity", AAAI 2026, arXiv:2511.09948.
"""

import sys
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


def option(default: Any, text: str, **more: Any) -> Any:
    """A setting that a command line shows, with its words."""
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class FusionSettings:
    """Constants of the method; names and defaults are the paper's."""

    box_lam: float = option(0.5, "Exponent of the magnitude cue's Box-Cox transform; 0 is the log.")
    base_cos: float = option(1.0, "What the cosine cue's weight starts from.")
    base_norm: float = option(0.6, "What the magnitude cue's weight starts from.")
    alpha: float = option(1.0, "How far a weight follows the difference between the cues.")

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
                raise ValueError(f"{name} is a finite number, got {value!r}")
            object.__setattr__(self, name, float(value))  # torch takes no large integers


def fuse(
    q_cos: Tensor, q_mag: Tensor, settings: FusionSettings = FusionSettings()
) -> tuple[Tensor, Tensor, Tensor]:
    """MA-CLIP's score of every crop, and the weights of its cosine and its magnitude cue.

    The cue that is ahead on a crop gets the larger weight; the two, of any one shape, sum to 1.
    """
    lead = settings.alpha * (q_cos - q_mag)
    w_cos = torch.sigmoid(settings.base_cos - settings.base_norm + 2 * lead)
    w_mag = 1 - w_cos
    return w_cos * q_cos + w_mag * q_mag, w_cos, w_mag
