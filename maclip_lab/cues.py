"""The two cues MA-CLIP reads from an image feature: its direction and its magnitude.

The direction says how much closer a crop is to the good member of a prompt pair than to the bad
one. The magnitude cue describes how the feature's absolute values spread over its dimensions.
Liao et al., "Beyond Cosine Similarity", AAAI 2026, arXiv:2511.09948.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

STD_EPSILON = 1e-6


def box_cox(x: Tensor, lam: float = 0.5) -> Tensor:
    """Box-Cox transform of ``1 + x``.

    Args:
        x: values above -1, any shape.
        lam: exponent; 0 is its limit, the logarithm.

    >>> box_cox(torch.tensor([0.0, 3.0]))
    tensor([0., 2.])
    """
    if abs(lam) < 1e-6:
        return x.log1p()
    if abs(lam) < 0.05:  # (1 + x) ** lam is so close to 1 that float32 loses the difference
        return torch.expm1(lam * x.log1p()) / lam
    return ((1 + x) ** lam - 1) / lam


def cosine_cue(
    features: Tensor, text_features: Tensor, logit_scale: float, logit_bias: float | None = None
) -> Tensor:
    """Probability of the positive member of every prompt pair.

    Args:
        features: raw image features ``(P, D)``.
        text_features: raw text features ``(2K, D)``, positive and negative members alternating.
        logit_scale: factor on the cosine, ``exp`` of CLIP's learned ``logit_scale``.
        logit_bias: of a model trained to say by a sigmoid of ``logit_scale * cosine + logit_bias``
            whether a text fits (SigLIP; Zhai et al., ICCV 2023): the positive's share of what it
            gives both members. None is a softmax over the two, as CLIP was trained.

    Returns:
        ``(P, K)`` in [0, 1]; ``Q_cos`` is the mean over K.
    """
    if features.ndim != 2 or text_features.shape[1:] != features.shape[1:]:
        raise ValueError(
            f"expected features (P, D) and text features (2K, D), got {tuple(features.shape)} "
            f"and {tuple(text_features.shape)}"
        )
    cosine = F.normalize(features, dim=-1) @ F.normalize(text_features, dim=-1).T
    pairs = (logit_scale * cosine).unflatten(-1, (-1, 2))
    if logit_bias is not None:
        pairs = F.logsigmoid(pairs + logit_bias)
    return pairs.softmax(-1)[..., 0]


def scaled_magnitude(features: Tensor) -> Tensor:
    """``|f|`` divided by its standard deviation over the D dimensions.

    The standard deviation is the unbiased one, and 1e-6 is added to it. The division removes the
    feature's length: what remains is the shape of ``|f|``.

    Args:
        features: raw image features ``(..., D)``.
    """
    magnitude = features.abs()
    return magnitude / (magnitude.std(-1, keepdim=True) + STD_EPSILON)


def magnitude_cue(features: Tensor, box_lam: float = 0.5) -> Tensor:
    """``Q_mag``, the mean Box-Cox transformed magnitude of a feature.

    Args:
        features: raw image features ``(..., D)``.
        box_lam: exponent of the Box-Cox transform; the paper's 0.5, steady between 0.3 and 0.7.

    Returns:
        ``(...)``, at least 0 and unbounded above; near 0.98 for Gaussian features.
    """
    return box_cox(scaled_magnitude(features), box_lam).mean(-1)


def mean_magnitude(features: Tensor) -> Tensor:
    """``mean |f|`` over the D dimensions, the raw magnitude of the paper's motivation."""
    return features.abs().mean(-1)


def l2_norm(features: Tensor) -> Tensor:
    """Euclidean length of a feature, ``(..., D)`` to ``(...)``."""
    return features.norm(dim=-1)
