from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from maclip_lab import Maclip
from maclip_lab.datasets.degradations import degrade
from maclip_lab.training.export import LARGEST
from maclip_lab.training.runs import choose, read_runs

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("name", ["tiny-rn", "tiny-vit"])
def test_a_shipped_backbone_is_small_and_tells_its_story(name: str) -> None:
    path = DATA / "backbones" / f"{name}.safetensors"
    assert path.stat().st_size <= LARGEST
    with safe_open(path, "pt") as file:
        story = file.metadata()
        assert "token_embedding.rows" in set(file.keys())
    assert story["quick_gelu"] == "true"
    assert "recipe" in story


@pytest.mark.parametrize("name", ["tiny-rn", "tiny-vit"])
@pytest.mark.parametrize("harm", ["gaussian_blur", "white_noise", "motion_blur"])
def test_a_shipped_backbone_prefers_clear_photographs(name: str, harm: str) -> None:
    scorer = Maclip(name, device="cpu")
    leads = []
    for photograph in ("coffee", "astronaut", "chelsea", "rocket"):
        clear = np.asarray(Image.open(DATA / "photos" / f"{photograph}.jpg").convert("RGB"))
        leads.append(scorer(clear).q_cos - scorer(degrade(clear, harm, level=5)).q_cos)
    assert min(leads) > 0
    assert np.mean(leads) > 0.05


def test_the_backbones_that_ship_are_those_the_rule_chooses_from_their_figures() -> None:
    chosen = choose(read_runs(DATA / "backbones" / "runs.csv"))
    stories = {
        path.stem: safe_open(path, "pt").metadata()["run"]
        for path in (DATA / "backbones").glob("*.safetensors")
    }
    assert chosen == stories
