"""The two cues MA-CLIP reads from an image feature: its direction and its magnitude.

The direction says how much closer a crop is to the good member of a prompt pair than to the bad
one, the magnitude cue how the feature's absolute values spread over its dimensions.
Liao et al., "Beyond Cosine Similarity", AAAI 2026, arXiv:2511.09948.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

STD_EPSILON = 1e-6


def box_cox(x: Tensor, lam: float = 0.5) -> Tensor:
    """Box-Cox transform of ``1 + x``, of values above -1 in any shape; 0 is the logarithm."""
    if abs(lam) < 1e-6:
        return x.log1p()
    if abs(lam) < 0.05:  # (1 + x) ** lam is so close to 1 that float32 loses the difference
        return torch.expm1(lam * x.log1p()) / lam
    return ((1 + x) ** lam - 1) / lam


def cosine_cue(
    features: Tensor, text_features: Tensor, logit_scale: float, logit_bias: float | None = None
) -> Tensor:
    """Probability ``(P, K)`` of the positive member of every prompt pair; ``Q_cos`` is their mean.

    Args:
        features: raw image features ``(P, D)``.
        text_features: raw text features ``(2K, D)``, positive and negative members alternating.
        logit_scale: factor on the cosine, ``exp`` of CLIP's learned ``logit_scale``.
        logit_bias: of a model trained to say by a sigmoid of ``logit_scale * cosine + logit_bias``
            whether a text fits (SigLIP; Zhai et al., ICCV 2023): the positive's share of what it
            gives both members. None is a softmax over the two, as CLIP was trained.
    """
    if features.ndim != 2 or text_features.shape[1:] != features.shape[1:]:
        shapes = f"{tuple(features.shape)} and {tuple(text_features.shape)}"
        raise ValueError(f"expected features (P, D) and text features (2K, D), got {shapes}")
    length = features.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    cosine = features @ F.normalize(text_features, dim=-1).T / length
    pairs = (logit_scale * cosine).unflatten(-1, (-1, 2))
    if logit_bias is not None:
        pairs = F.logsigmoid(pairs + logit_bias)
    return pairs.softmax(-1)[..., 0]


def scaled_magnitude(features: Tensor) -> Tensor:
    """``|f|`` of features ``(..., D)`` by its unbiased standard deviation over D, plus 1e-6.

    That removes the feature's length: what remains is the shape of ``|f|``.
    """
    magnitude = features.abs()
    return magnitude / (magnitude.std(-1, keepdim=True) + STD_EPSILON)


def magnitude_cue(features: Tensor, box_lam: float = 0.5) -> Tensor:
    """``Q_mag``, the mean Box-Cox transformed magnitude of features ``(..., D)``.

    At least 0, unbounded, near 0.98 for Gaussian features; by the paper steady for 0.3 to 0.7.
    """
    return box_cox(scaled_magnitude(features), box_lam).mean(-1)


def mean_magnitude(features: Tensor) -> Tensor:
    """``mean |f|`` over the D dimensions, the raw magnitude of the paper's motivation."""
    return features.abs().mean(-1)
