"""The losses of training; they see directions of features, never their length.

Features are normalised here, so that scaling an image feature changes no loss: whatever the
magnitude cue shows after training has emerged.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def caption_loss(
    features: Tensor, texts: Tensor, accepted: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """Sigmoid cross-entropy between scaled cosines and known probabilities of acceptance.

    Args:
        features: raw image features ``(N, D)``.
        texts: raw text features ``(C, D)``.
        accepted: ``(N, C)`` in [0, 1].
        scale: factor on the cosines.
        bias: added to every logit.

    Returns:
        ``(N, C)``, one loss for each pair.
    """
    logits = scale * F.normalize(features, dim=-1) @ F.normalize(texts, dim=-1).T + bias
    return F.binary_cross_entropy_with_logits(logits, accepted, reduction="none")


def sentence_loss(features: Tensor, texts: Tensor, claim: Tensor, scale: Tensor) -> Tensor:
    """Contrastive loss between pictures and their sentences, the mean of both directions.

    A picture's target is its claim, evenly on its own sentences, and the rest of it evenly on the
    others; a sentence is asked for its picture with the weight of that picture's claim.

    Args:
        features: raw image features ``(N, D)``, N at least 2.
        texts: raw features of the pictures' sentences ``(K N, D)``, K for each picture in turn.
        claim: ``(N,)`` in [0, 1], low for a picture in which little is left to recognise.
        scale: factor on the cosines.
    """
    logits = scale * F.normalize(features, dim=-1) @ F.normalize(texts, dim=-1).T
    n, each = len(features), len(texts) // len(features)
    owner = torch.arange(n, device=claim.device).repeat_interleave(each)
    own = owner[None] == torch.arange(n, device=claim.device)[:, None]
    target = torch.where(own, claim[:, None] / each, (1 - claim[:, None]) / (len(texts) - each))
    of_pictures = F.cross_entropy(logits, target)
    of_sentences = F.cross_entropy(logits.T, owner, reduction="none")
    return (of_pictures + (claim[owner] * of_sentences).sum() / claim[owner].sum()) / 2
