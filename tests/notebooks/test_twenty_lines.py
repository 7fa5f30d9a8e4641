"""The script that holds the whole method, next to the package."""

import ast
import copy
import inspect
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from maclip_lab import FusionSettings, Maclip
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.images import load_picture
from tests.conftest import script
from tests.notebooks.reading import FOLDER, ROOT

SCRIPT = FOLDER / "maclip_in_20_lines.py"
PHOTO = ROOT / "data" / "photos" / "coffee.jpg"
maclip_score = script(SCRIPT).maclip_score


def with_positions(clip):
    """A CLIP as others build it: positions are added by themselves."""
    clip = copy.deepcopy(clip)
    return SimpleNamespace(
        visual=clip.visual,
        encode_image=partial(clip.encode_image, pos_embedding=True),
        encode_text=clip.encode_text,
        logit_scale=clip.logit_scale,
    )


@pytest.mark.parametrize("name", ["rn", "vit"])
def test_it_gives_the_packages_scores(name, golden_clips):
    picture = load_picture(PHOTO).image
    pixels = torch.tensor(np.asarray(picture)).permute(2, 0, 1) / 255
    settings = FusionSettings(box_lam=0.7, base_cos=0.3, base_norm=0.9, alpha=2.0)
    constants = {("lam" if k == "box_lam" else k): v for k, v in vars(settings).items()}
    scorer, clip = Maclip(golden_clips[name]), with_positions(golden_clips[name])
    ours = maclip_score(clip, tokenize, pixels)
    assert ours == pytest.approx(scorer(picture).score, abs=1e-5)
    ours = maclip_score(clip, tokenize, pixels, **constants)
    assert ours == pytest.approx(scorer(picture, **vars(settings)).score, abs=1e-5)


def test_it_needs_torch_alone_and_is_twenty_lines():
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    imports = [ast.unparse(n) for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert imports == ["import torch", "import torch.nn.functional as F"]
    *_, function = tree.body
    parts = [node for node in tree.body if isinstance(node, ast.Assign)] + [function]
    documented = len(inspect.cleandoc(ast.get_docstring(function)).splitlines())
    assert sum(node.end_lineno - node.lineno + 1 for node in parts) - documented <= 22
