"""What a viewer would say of a degraded picture, with known probability.

A degradation harms some of ten concepts (its blur harms sharpness, its cast harms colour), and a
bad picture makes viewers doubt everything about it (the halo). A caption about a concept is
accepted with a probability that follows the harm, so the targets of training are known exactly
and need not be sampled. Scene captions name the photograph; the worse a picture, the less often a
viewer recognises the scene.

Plain wordings are accepted generously: their slope and centre keep the trained cosine cue between
about 0.4 and 0.95, where the published fusion rule is monotone in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maclip_lab.prompts import CLIP_IQA_PROMPTS, MACLIP_PROMPTS

CONCEPTS = (
    "quality",
    "sharpness",
    "edges",
    "resolution",
    "noise",
    "compression",
    "exposure",
    "contrast",
    "colour",
    "artefacts",
)
HALO = 0.7
"""Share of the overall harm that every concept takes."""
FADE = 0.95
"""Share of viewers who no longer recognise the scene of a picture harmed beyond all use."""

HARMS: Mapping[str, Mapping[str, float]] = {
    "gaussian_blur": {"sharpness": 1, "edges": 1, "resolution": 0.9},
    "lens_blur": {"sharpness": 1, "edges": 1, "resolution": 0.9},
    "colour_diffusion": {"colour": 1, "artefacts": 0.5},
    "colour_shift": {"colour": 1, "edges": 0.8, "artefacts": 0.8, "sharpness": 0.6},
    "colour_quantisation": {"colour": 0.9, "compression": 0.8, "artefacts": 0.8},
    "oversaturation": {"colour": 1, "exposure": 0.4, "artefacts": 0.4},
    "jpeg": {"compression": 1, "artefacts": 1, "resolution": 0.9, "edges": 0.7, "sharpness": 0.6},
    "white_noise": {"noise": 1, "artefacts": 0.6},
    "colour_noise": {"noise": 1, "colour": 0.9, "artefacts": 0.6},
    "impulse_noise": {"noise": 1, "artefacts": 0.8},
    "brighten": {"exposure": 1, "contrast": 0.6},
    "darken": {"exposure": 1, "contrast": 0.7},
    "mean_shift": {"exposure": 1, "contrast": 0.5},
    "patch_shuffle": {"artefacts": 1, "edges": 0.8, "noise": 0.5},
    "pixelate": {"resolution": 1, "edges": 0.9, "sharpness": 0.9, "artefacts": 0.8},
    "quantisation": {"compression": 0.8, "colour": 0.8, "artefacts": 0.9, "contrast": 0.4},
    "colour_block": {"artefacts": 1, "colour": 0.7, "compression": 0.6},
    "oversharpen": {"artefacts": 1, "noise": 0.8, "edges": 0.7},
    "contrast_loss": {"contrast": 1, "exposure": 0.7},
}
"""How far each trained degradation harms each concept; quality is harmed fully by all."""

NOUNS = ("image", "photo", "picture", "photograph", "shot")

WORDINGS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "quality": (("good {}", "excellent {}", "high quality {}"), ("bad {}", "poor {}", "awful {}")),
    "sharpness": (
        ("sharp {}", "crisp {}", "{} in focus"),
        ("blurry {}", "soft {}", "{} out of focus"),
    ),
    "edges": (
        ("sharp edges", "clean edges", "{} with clear edges"),
        ("blurry edges", "smeared edges", "{} with ragged edges"),
    ),
    "resolution": (
        ("high resolution {}", "detailed {}"),
        ("low resolution {}", "{} without detail"),
    ),
    "noise": (("noise-free {}", "clean {}"), ("noisy {}", "grainy {}")),
    "compression": (("uncompressed {}", "lossless {}"), ("compressed {}", "blocky {}")),
    "exposure": (("well exposed {}", "{} in good light"), ("badly exposed {}", "{} in bad light")),
    "contrast": (("{} with rich contrast", "contrasty {}"), ("{} with poor contrast", "flat {}")),
    "colour": (
        ("{} with natural colours", "{} with true colours"),
        ("{} with strange colours", "{} with wrong colours"),
    ),
    "artefacts": (("undistorted {}", "natural {}"), ("distorted {}", "damaged {}")),
}
"""Positive and negative wordings of every concept; the first of each is the plainest."""


FAULTS: Mapping[str, str] = {
    "gaussian_blur": "blurred photo",
    "lens_blur": "photo out of focus through a lens",
    "colour_diffusion": "photo with bleeding colours",
    "colour_shift": "photo with shifted colours",
    "colour_quantisation": "photo with few colours",
    "oversaturation": "photo with garish colours",
    "jpeg": "photo with jpeg blocks",
    "white_noise": "photo with noise",
    "colour_noise": "photo with coloured noise",
    "impulse_noise": "photo with black and white dots",
    "brighten": "overexposed photo",
    "darken": "underexposed photo",
    "mean_shift": "washed out or dull photo",
    "patch_shuffle": "photo with displaced patches",
    "pixelate": "pixelated photo",
    "quantisation": "posterised photo",
    "colour_block": "photo with coloured squares",
    "oversharpen": "oversharpened photo with halos",
    "contrast_loss": "hazy photo",
}
"""The caption that names each trained degradation."""


@dataclass(frozen=True)
class Caption:
    """A wording and whom it convinces.

    Attributes:
        text: as the tokenizer reads it.
        concept: index into ``CONCEPTS``, or beyond them into ``FAULTS``.
        sign: +1 praises, -1 complains.
        slope: how sharply viewers agree.
        centre: harm at which half of them accept it.
    """

    text: str
    concept: int
    sign: int
    slope: float
    centre: float


def quality_captions() -> list[Caption]:
    """Every wording with every noun; the prompts of MA-CLIP and CLIP-IQA come first."""
    exact = [
        Caption(text, concept, sign, slope=1.5, centre=0.85)
        for concept, pair in zip((0, 1, 2, 3, 4, 0), MACLIP_PROMPTS + CLIP_IQA_PROMPTS, strict=True)
        for text, sign in zip(pair, (1, -1), strict=True)
    ]
    spoken = {caption.text.lower() for caption in exact}
    captions = list(exact)
    for concept, name in enumerate(CONCEPTS):
        for sign, wordings in zip((1, -1), WORDINGS[name], strict=True):
            for rank, wording in enumerate(wordings):
                for noun in NOUNS:
                    text = wording.format(noun)
                    if text not in spoken:
                        spoken.add(text)
                        captions.append(Caption(text, concept, sign, *_agreement(rank, sign)))
    return captions


def _agreement(rank: int, sign: int) -> tuple[float, float]:
    """Slope and centre of a wording: the plainest is accepted generously, the third is strong."""
    return (1.5, 0.85) if rank == 0 else (4.0, 0.5 - 0.15 * (rank == 2) * sign)


def fault_captions() -> list[Caption]:
    """One caption for every trained degradation, accepted where it can be seen."""
    return [
        Caption(text, len(CONCEPTS) + i, sign=-1, slope=8.0, centre=0.3)
        for i, text in enumerate(FAULTS.values())
    ]


def scene_caption(photograph: int) -> str:
    """The caption that names one photograph of the bank."""
    return f"photo of scene {photograph}"


def overall_harm(severities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Harm in [0, 1] of several degradations together: what each leaves is multiplied.

    Args:
        severities: ``(N, M)``, 0 where there is no degradation.
    """
    return 1 - np.prod(1 - severities, axis=1)


def fault_severities(
    types: NDArray[np.int64], severities: NDArray[np.float64], names: Sequence[str]
) -> NDArray[np.float64]:
    """How strongly every degradation of ``FAULTS`` is present, ``(N, F)`` in [0, 1].

    Args:
        types: ``(N, M)`` indices into ``names``, -1 for none.
        severities: ``(N, M)``.
        names: degradation types.
    """
    shown = [(types == names.index(fault)) * severities for fault in FAULTS]
    return np.stack([one.max(axis=1) for one in shown], axis=1)


def concept_harms(
    types: NDArray[np.int64], severities: NDArray[np.float64], names: Sequence[str]
) -> NDArray[np.float64]:
    """Harm of every concept, ``(N, 10)`` in [0, 1].

    Args:
        types: ``(N, M)`` indices into ``names``, -1 for none.
        severities: ``(N, M)``.
        names: degradation types, keys of ``HARMS``.
    """
    table = np.array([[HARMS[n].get(c, 0.0) for c in CONCEPTS] for n in names] + [[0.0] * 10])
    own = 1 - np.prod(1 - table[types] * severities[..., None], axis=1)
    overall = overall_harm(np.where(types >= 0, severities, 0))[:, None]
    harms = np.maximum(own, HALO * overall)
    harms[:, 0] = overall[:, 0]
    return harms


def acceptance(harms: NDArray[np.float64], captions: Sequence[Caption]) -> NDArray[np.float64]:
    """Probability that a viewer accepts each caption for each picture, ``(N, C)``.

    Args:
        harms: ``(N, 10)`` from `concept_harms`, with `fault_severities` beside them where the
            captions name faults.
        captions: C of them.
    """
    columns = harms[:, [c.concept for c in captions]]
    lean = np.array([c.sign * c.slope for c in captions])
    centre = np.array([c.centre for c in captions])
    return 1 / (1 + np.exp(-lean * (centre - columns)))


def recognition(harm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that a viewer recognises the scene, from the overall harm ``(N,)``."""
    return 1 - FADE * harm
