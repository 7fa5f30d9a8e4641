"""What a viewer would say of a degraded picture, with known probability.

A degradation harms some of ten concepts (its blur harms sharpness, its cast harms colour), and a
bad picture makes viewers doubt everything about it (the halo). A caption about a concept is
accepted with a probability that follows the harm, so the targets of training are known exactly
and need not be sampled. Fault captions name the degradation. Content captions tell colours, light
and lines; what else a picture shows is told by people's own sentences, not here.

Plain wordings are accepted generously: their slope and centre keep the trained cosine cue between
about 0.4 and 0.95, where the published fusion rule is monotone in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maclip_lab.datasets.degradations import DEGRADATIONS
from maclip_lab.prompts import CLIP_IQA_PROMPTS, MACLIP_PROMPTS

Array = NDArray[np.float64]
HALO = 0.8  # share of the overall harm that every concept takes

FAULTS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "gaussian_blur": ("blurred", {"sharpness": 1, "edges": 1, "resolution": 0.9}),
    "lens_blur": ("defocused", {"sharpness": 1, "edges": 1, "resolution": 0.9}),
    "colour_diffusion": ("bleeding", {"colour": 1, "artefacts": 0.5}),
    "colour_shift": ("fringed", {"colour": 1, "edges": 0.8, "artefacts": 0.8, "sharpness": 0.6}),
    "colour_quantisation": ("banded", {"colour": 0.9, "compression": 0.8, "artefacts": 0.8}),
    "oversaturation": ("garish", {"colour": 1, "exposure": 0.4, "artefacts": 0.4}),
    "jpeg": (
        "compressed jpeg",
        {"compression": 1, "artefacts": 1, "resolution": 0.9, "edges": 0.7, "sharpness": 0.6},
    ),
    "white_noise": ("grainy noise", {"noise": 1, "artefacts": 0.6}),
    "colour_noise": ("coloured noise", {"noise": 1, "colour": 0.9, "artefacts": 0.6}),
    "impulse_noise": ("dotted", {"noise": 1, "artefacts": 0.8}),
    "brighten": ("overexposed", {"exposure": 1, "contrast": 0.6}),
    "darken": ("underexposed", {"exposure": 1, "contrast": 0.7}),
    "mean_shift": ("faded", {"exposure": 1, "contrast": 0.5}),
    "patch_shuffle": ("shattered", {"artefacts": 1, "edges": 0.8, "noise": 0.5}),
    "pixelate": ("pixelated", {"resolution": 1, "edges": 0.9, "sharpness": 0.9, "artefacts": 0.8}),
    "quantisation": (
        "posterised",
        {"compression": 0.8, "colour": 0.8, "artefacts": 0.9, "contrast": 0.4},
    ),
    "colour_block": ("patched", {"artefacts": 1, "colour": 0.7, "compression": 0.6}),
    "oversharpen": ("oversharpened", {"artefacts": 1, "noise": 0.8, "edges": 0.7}),
    "contrast_loss": ("hazy", {"contrast": 1, "exposure": 0.7}),
}
"""The word for each trained degradation, and how far it harms each concept but quality, which all
harm fully."""
UNSEEN_TYPES = ("motion_blur", "speckle", "jpeg2000", "jitter", "denoise")  # held out of training
SEEN_TYPES = tuple(name for name in DEGRADATIONS if name not in UNSEEN_TYPES)

NOUNS = ("image", "photo", "picture", "photograph", "shot")

WORDINGS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "quality": (("good {}", "excellent {}", "high quality {}"), ("bad {}", "poor {}", "awful {}")),
    "sharpness": (("sharp {}", "crisp {}", "{} in focus"),
                  ("blurry {}", "soft {}", "{} out of focus")),
    "edges": (("sharp edges", "clean edges", "{} with clear edges"),
              ("blurry edges", "smeared edges", "{} with ragged edges")),
    "resolution": (("high resolution {}", "detailed {}"),
                   ("low resolution {}", "{} without detail")),
    "noise": (("noise-free {}", "clean {}"), ("noisy {}", "grainy {}")),
    "compression": (("uncompressed {}", "lossless {}"), ("compressed {}", "blocky {}")),
    "exposure": (("well exposed {}", "{} in good light"), ("badly exposed {}", "{} in bad light")),
    "contrast": (("{} with rich contrast", "contrasty {}"), ("{} with poor contrast", "flat {}")),
    "colour": (("{} with natural colours", "{} with true colours"),
               ("{} with strange colours", "{} with wrong colours")),
    "artefacts": (("undistorted {}", "natural {}"), ("distorted {}", "damaged {}")),
}  # fmt: skip
"""Positive and negative wordings of every concept; the first of each is the plainest."""
CONCEPTS = tuple(WORDINGS)

CONTENTS = (
    ("blue scene", "brown scene"), ("green scene", "purple scene"),
    ("colourful scene", "plain scene"), ("scene of light and shade", "scene of one tone"),
    ("busy scene", "calm scene"), ("upright scene", "lying scene"),
    ("scene under a sky", "scene on a ground"), ("red scene", "scene without red"),
)  # fmt: skip
"""What a picture shows, one pair for each of `bank.content_of`'s properties."""


@dataclass(frozen=True)
class Caption:
    """A wording and whom it convinces."""

    text: str
    concept: int  # index into ``CONCEPTS``
    sign: int  # +1 praises, -1 complains
    slope: float  # how sharply viewers agree
    centre: float  # harm at which half of them accept it


def quality_captions() -> list[Caption]:
    """Every wording with every noun; the prompts of MA-CLIP and CLIP-IQA come first."""
    pairs = zip((0, 1, 2, 3, 4, 0), MACLIP_PROMPTS + CLIP_IQA_PROMPTS, strict=True)
    captions = [
        Caption(text, concept, sign, slope=1.5, centre=0.85)
        for concept, pair in pairs
        for text, sign in zip(pair, (1, -1), strict=True)
    ]
    spoken = {caption.text.lower() for caption in captions}
    # of others, the plainest is accepted generously, the third is strong
    for concept, name in enumerate(CONCEPTS):
        for sign, wordings in zip((1, -1), WORDINGS[name], strict=True):
            for rank, wording in enumerate(wordings):
                slope, centre = (1.5, 0.85) if rank == 0 else (4.0, 0.5 - 0.15 * (rank == 2) * sign)
                for text in map(wording.format, NOUNS):
                    if text not in spoken:
                        spoken.add(text)
                        captions.append(Caption(text, concept, sign, slope, centre))
    return captions


def fault_captions() -> list[str]:
    """Two captions for every trained degradation: it is there, and it is strong."""
    return [text for word, _ in FAULTS.values() for text in (f"{word} photo", f"very {word} photo")]


def fault_acceptance(types: NDArray[np.int64], severities: Array) -> Array:
    """Probability that a viewer accepts each fault caption, ``(N, 2 F)``.

    Types ``(N, M)`` are indices into ``SEEN_TYPES``, -1 for none; severities are ``(N, M)``.
    """
    shown = [((types == SEEN_TYPES.index(name)) * severities).max(axis=1) for name in FAULTS]
    strength = np.stack(shown, axis=1)[..., None]
    return (1 / (1 + np.exp(-12 * (strength - np.array([0.25, 0.65]))))).reshape(len(types), -1)


def content_captions() -> list[str]:
    """The wordings of ``CONTENTS`` one after another."""
    return [text for pair in CONTENTS for text in pair]


def content_acceptance(contents: Array, claim: Array) -> Array:
    """Probability that a viewer accepts each content caption, ``(N, 16)``.

    The worse a picture, the less its viewers see of what it shows: their answers fade to a half.
    Contents ``(N, 8)`` are those of `bank.content_of`, standardised here over the N; the claim
    ``(N,)`` in [0, 1] is what is left to recognise.
    """
    deviation = contents.std(axis=0) + 1e-9
    clear = 1 / (1 + np.exp(-2 * (contents - contents.mean(axis=0)) / deviation))
    seen = 0.5 + claim[:, None] * (clear - 0.5)
    return np.stack([seen, 1 - seen], axis=2).reshape(len(seen), -1)


def overall_harm(severities: Array) -> Array:
    """Harm in [0, 1] of several degradations together: what each leaves is multiplied.

    Severities are ``(N, M)``, 0 where there is no degradation.
    """
    return 1 - np.prod(1 - severities, axis=1)


def concept_harms(types: NDArray[np.int64], severities: Array) -> Array:
    """Harm of every concept, ``(N, 10)`` in [0, 1].

    Types ``(N, M)`` are indices into ``SEEN_TYPES``, -1 for none; severities are ``(N, M)``.
    """
    known = [[FAULTS[name][1].get(concept, 0.0) for concept in CONCEPTS] for name in SEEN_TYPES]
    table = np.array([*known, [0.0] * len(CONCEPTS)])  # the last row is no degradation's
    own = 1 - np.prod(1 - table[types] * severities[..., None], axis=1)
    overall = overall_harm(np.where(types >= 0, severities, 0))[:, None]
    harms = np.maximum(own, HALO * overall)
    harms[:, 0] = overall[:, 0]
    return harms


def acceptance(harms: Array, captions: Sequence[Caption]) -> Array:
    """Probability that a viewer accepts each of C captions, ``(N, C)``, from `concept_harms`."""
    columns = harms[:, [c.concept for c in captions]]
    lean = np.array([c.sign * c.slope for c in captions])
    centre = np.array([c.centre for c in captions])
    return 1 / (1 + np.exp(-lean * (centre - columns)))
