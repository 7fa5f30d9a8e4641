"""Folders of photographs, and a recipe that trains in a moment."""

from pathlib import Path

import numpy as np
from PIL import Image

from backbones.model import Recipe

RECIPE = Recipe(
    width=8, embed_dim=32, text_width=64, text_layers=1, steps=8, batch=12, side=32,
    late_steps=2, late_batch=6, captions=16, warm_up=0.1,
)  # fmt: skip


def fill(folder: Path, count: int, captioned: int = 0) -> Path:
    """So many photographs, two captions for each of the first."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i in range(count):
        small = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((150, 140)).save(folder / f"{i:03}.png")
    lines = [f"{i:03}.png\tpicture {i} of {word}\n" for i in range(captioned) for word in "ab"]
    if lines:
        (folder / "captions.tsv").write_text("".join(lines))
    return folder
