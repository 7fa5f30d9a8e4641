"""A trained run as the file that ships: fp16, the trained token rows alone, its story beside it."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from maclip_lab.weights.checkpoints import ROWS, WEIGHT

LARGEST = 16_000_000
"""Bytes a shipped backbone may take."""
DECISION = 2.0
"""Factor on the logit scale of every shipped file: viewers twice as decided as in training.

It stretches the cosine cue, so that it weighs in the fusion about as the magnitude cue does, and
leaves the order of any crop's probabilities alone. Set once on validation pictures, for both
architectures.
"""


def shipped_state(state: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """What is written: floats as fp16, a sharper logit scale, and the ids of the token rows.

    ``state`` has a compact token embedding, of whose rows ``rows`` ``(R,)`` are the ids.
    """
    if len(rows) != len(state[WEIGHT]):
        raise ValueError(f"{len(rows)} ids for {len(state[WEIGHT])} rows of {WEIGHT}")
    state = {**state, "logit_scale": state["logit_scale"] + math.log(DECISION)}
    halved = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    return {k: v.contiguous() for k, v in halved.items()} | {ROWS: rows.to(torch.int32)}


def export(state: Mapping[str, Tensor], rows: Tensor, path: Path, story: Mapping[str, str]) -> None:
    """Write a backbone.

    ``state`` is a trainer's ``average``; ``story``, how it was trained, becomes the file's
    metadata.

    Raises:
        ValueError: the file would be larger than 16 MB.
    """
    tensors = shipped_state(state, rows)
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    if size > LARGEST:
        raise ValueError(f"{path.name} would take {size:,} bytes, at most {LARGEST:,} may ship")
    save_file(tensors, path, metadata={"quick_gelu": "true", **story})


def ship(run: Path, path: Path, told: Mapping[str, str]) -> None:
    """Copy a run's file, with more to its story; one that tells it already is left as it is."""
    story = {**_story(run), **told}
    if not path.exists() or _story(path) != story:
        save_file(load_file(run), path, metadata=story)


def same_recipe(one: Path, other: Path) -> bool:
    """Whether two files differ in their seed alone, as far as they tell."""
    told = [re.sub(r"seed=\d+", "seed", _story(path).get("recipe", "")) for path in (one, other)]
    return told[0] == told[1]


def _story(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})
