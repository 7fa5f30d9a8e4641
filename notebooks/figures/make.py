"""One drawing of the method for the head of every notebook, with the steps it is about lit.

    python notebooks/figures/make.py        writes them all anew

The drawings are files beside the notebooks, so that they are seen wherever those are read, with a
kernel or without one. They stand on white, for dark pages too, and suit a telephone's width.
"""

from collections.abc import Sequence
from pathlib import Path

STEPS = {
    "picture": (10, 12),
    "crops": (140, 12),
    "CLIP": (270, 12),
    "prompts": (10, 82),
    "cosine cue": (140, 82),
    "|f| / std": (270, 82),
    "score": (10, 152),
    "fusion": (140, 152),
    "Box-Cox": (270, 152),
}
"""Left and top of each step's box."""

LIT = {
    "method": tuple(STEPS),
    "box-cox": ("|f| / std", "Box-Cox"),
    "fusion": ("fusion",),
    "prompts-and-crops": ("crops", "prompts", "cosine cue"),
    "backbone": ("CLIP",),
    "score": ("score",),
    "training": ("CLIP", "prompts"),
}
"""What a drawing is about."""

_SIZE = 100, 44
_ARROWS = (
    "M110 34H136", "M240 34H266", "M320 56V78", "M270 56L244 80", "M110 104H136", "M190 126V148",
    "M320 126V148", "M270 174H244", "M140 174H114",
)  # fmt: skip


def pipeline_svg(lit: Sequence[str]) -> str:
    """The method from picture to score as an SVG file's text.

    Args:
        lit: of `STEPS`, what stands out.

    Raises:
        ValueError: there is no such step.
    """
    if unknown := set(lit) - set(STEPS):
        raise ValueError(f"the steps are {', '.join(STEPS)}; got {', '.join(sorted(unknown))}")
    width, height = _SIZE
    boxes = []
    for step, (left, top) in STEPS.items():
        fill, ink = ("#0072B2", "white") if step in lit else ("#eeeeee", "#333333")
        boxes.append(
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="6" fill="{fill}" '
            f'stroke="#555555"/><text x="{left + width // 2}" y="{top + height // 2 + 5}" '
            f'fill="{ink}" font-weight="{"bold" if step in lit else "normal"}">{step}</text>'
        )
    arrows = "".join(f'<path d="{path}" marker-end="url(#head)"/>' for path in _ARROWS)
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 380 208" width="380" height="208" '
        'font-family="sans-serif" font-size="15" text-anchor="middle" role="img">',
        f"<title>{alternative(lit)}</title>",
        '<marker id="head" viewBox="0 0 6 6" refX="4" refY="3" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L6 3L0 6z" fill="#555555"/></marker>',
        '<rect width="380" height="208" rx="8" fill="white"/>',
        f'<g fill="none" stroke="#555555" stroke-width="1.5">{arrows}</g>',
        *boxes,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def alternative(lit: Sequence[str]) -> str:
    """The drawing in words, for those who do not see it."""
    here = "all of it" if len(lit) == len(STEPS) else " and ".join(lit)
    return (
        "The method: a picture is cut into crops, CLIP makes features of them; the cosine cue "
        "compares them with prompts, |f| / std and Box-Cox make the magnitude cue, the fusion "
        f"weighs both into the score. Lit here: {here}."
    )


if __name__ == "__main__":
    for name, lit in LIT.items():
        path = Path(__file__).with_name(f"pipeline-{name}.svg")
        path.write_text(pipeline_svg(lit), encoding="utf-8")
