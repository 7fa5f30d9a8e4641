"""Antonym prompt pairs and their text features.

The five pairs of MA-CLIP are those of CLIP-IQA's multi-prompt form (Wang et al., "Exploring CLIP
for Assessing the Look and Feel of Images", AAAI 2023), in the order and casing of the authors.
"""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from maclip_lab.clip.foreign import ForeignClip
from maclip_lab.clip.model import CLIP
from maclip_lab.clip.tokenizer import encode, tokenize

PromptPairs = tuple[tuple[str, str], ...]

MACLIP_PROMPTS: PromptPairs = (
    ("Good image", "bad image"),
    ("Sharp image", "blurry image"),
    ("sharp edges", "blurry edges"),
    ("High resolution image", "low resolution image"),
    ("Noise-free image", "noisy image"),
)
CLIP_IQA_PROMPTS: PromptPairs = (("Good photo.", "Bad photo."),)
ATTRIBUTES = {
    "sharpness": ("Sharp photo.", "Blurry photo."),
    "noise": ("Clean photo.", "Noisy photo."),
    "exposure": ("Well exposed photo.", "Badly exposed photo."),
    "contrast": ("High contrast photo.", "Low contrast photo."),
    "colourfulness": ("Colorful photo.", "Gray photo."),
    "compression": ("Uncompressed photo.", "Heavily compressed photo."),
    "resolution": ("High resolution image", "low resolution image"),
}
"""Named axes, good first: 1 is free of noise. Resolution asks as MA-CLIP does, exposure and
compression in this project's words, the others as CLIP-IQA, but for its "Dull", which the embedded
backbones have never read."""

PROMPT_SETS: dict[str, PromptPairs] = {
    "maclip": MACLIP_PROMPTS,
    "clip-iqa": CLIP_IQA_PROMPTS,
    "attributes": tuple(ATTRIBUTES.values()),
}


def prompt_pairs(prompts: str | Sequence[tuple[str, str]]) -> PromptPairs:
    """Prompt pairs (positive, negative), as given or of the set of that name."""
    if isinstance(prompts, str):
        if prompts not in PROMPT_SETS:
            choices = f"{', '.join(PROMPT_SETS)}, or give pairs: {list(CLIP_IQA_PROMPTS)}"
            raise ValueError(f"no prompt set is called {prompts!r}; known are {choices}")
        return PROMPT_SETS[prompts]
    pairs = tuple(tuple(pair) if not isinstance(pair, str) else (pair,) for pair in prompts)
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(text, str) and text.strip() for text in pair):
            raise ValueError(f"expected pairs of (positive, negative) texts, got {pair!r}")
    if not pairs:
        raise ValueError("expected at least one prompt pair, got none")
    return tuple((positive, negative) for positive, negative in pairs)


@torch.inference_mode()
def encode_prompts(clip: CLIP | ForeignClip, pairs: PromptPairs) -> Tensor:
    """Raw text features ``(2K, D)`` in float32, positive and negative members alternating.

    Warns of words in prompts of one's own that a backbone with a small vocabulary has never read.
    """
    texts = [text for pair in pairs for text in pair]
    if isinstance(clip, ForeignClip):
        return clip.encode_texts(texts)
    own = pairs not in PROMPT_SETS.values()  # the embedded backbones know the words of these
    if own and (unread := unread_words(clip, texts)):
        warnings.warn(
            f"this backbone has never read {', '.join(unread)}: it takes an unknown word for an "
            "average one, so a prompt says no more than its other words do; choose other words",
            stacklevel=2,
        )
    tokens = tokenize(texts, context_length=clip.context_length)
    tokens = tokens[:, : int(tokens.argmax(-1).max()) + 1]  # what follows the end is never read
    return clip.encode_text(tokens.to(clip.logit_scale.device)).float()


def unread_words(clip: CLIP, texts: Sequence[str]) -> list[str]:
    """Words, quoted, with a token whose row is the mean of all, as a sparse vocabulary fills it."""
    rows = clip.token_embedding.weight.detach()
    mean, close = rows.mean(0), 0.01 * rows.std()
    words = dict.fromkeys(word.strip(".,;:!?") for text in texts for word in text.split())
    return [
        repr(word) for word in words if ((rows[encode(word)] - mean).abs() < close).all(1).any()
    ]
