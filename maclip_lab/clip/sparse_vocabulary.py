"""Token embeddings that keep only the rows a small CLIP was trained on.

Of CLIP's 49,408 tokens a small model meets a few hundred in training; the rest would be 6 MB of
noise. ``token_embedding.rows`` names the kept rows.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

VOCABULARY_SIZE = 49408
_ROWS, _WEIGHT = "token_embedding.rows", "token_embedding.weight"


def expand_token_rows(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with its whole token embedding ``(49408, width)``.

    A token that was never trained gets the mean of those that were, so that an unknown word says
    nothing rather than something at random. A state dict without kept rows comes back as it is.
    """
    full = dict(state)
    rows = full.pop(_ROWS, None)
    if rows is None:
        return full
    kept = full[_WEIGHT]
    weight = kept.float().mean(0).to(kept.dtype).repeat(VOCABULARY_SIZE, 1)
    weight[rows.long()] = kept
    return {**full, _WEIGHT: weight}


def keep_token_rows(state: Mapping[str, Tensor], rows: Iterable[int]) -> dict[str, Tensor]:
    """The state dict with the named rows of its token embedding alone."""
    kept = torch.tensor(sorted(set(rows)), dtype=torch.int32)
    return {**state, _ROWS: kept, _WEIGHT: state[_WEIGHT][kept.long()].clone()}
