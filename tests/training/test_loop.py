from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.datasets.degradations import degrade
from maclip_lab.training.bank import SEEN_TYPES, Bank
from maclip_lab.training.export import export, shipped_clip
from maclip_lab.training.loop import Trainer, cosine_patches, new_clip
from maclip_lab.training.recipe import Recipe

RECIPE = Recipe(
    width=8, embed_dim=32, steps=8, batch=16, side=32, late_steps=2, late_batch=4, captions=16
)
VIT = replace(RECIPE, architecture="vit", width=64, layers=(1, 0, 0, 0), learning_rate=1e-3)


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Generated pictures, half of them drowned in noise."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    pixels, severities = [], np.zeros((48, 3))
    types = np.full((48, 3), -1)
    for i in range(48):
        wave = 128 + 90 * np.sin((x * generator.uniform(-1, 1) + y) / 7)
        picture = np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)
        if i % 2:
            types[i, 0], severities[i, 0] = SEEN_TYPES.index("white_noise"), 0.9
            picture = degrade(picture, "white_noise", severity=0.9, seed=i)
        pixels.append(picture)
    contents = generator.normal(size=(48, 8))
    return Bank(np.stack(pixels), np.arange(48) // 2 % 6, types, severities, contents)


@pytest.mark.parametrize("recipe", [RECIPE, VIT], ids=["rn", "vit"])
def test_training_lowers_the_loss(recipe: Recipe, bank: Bank) -> None:
    losses: list[float] = []
    trainer = Trainer(bank, replace(recipe, steps=24, late_steps=0, content_share=0.0))
    trainer.run(report=lambda step, quality, content: losses.append(quality))
    assert np.mean(losses[-6:]) < np.mean(losses[:6]) - 0.01


def test_a_run_is_repeated_bit_by_bit_and_resumes_to_the_same_weights(
    bank: Bank, tmp_path: Path
) -> None:
    whole = Trainer(bank, RECIPE)
    whole.run()
    Trainer(bank, RECIPE).run(until=5, checkpoint=tmp_path / "run.pt")
    resumed = Trainer(bank, RECIPE)
    resumed.run(checkpoint=tmp_path / "run.pt")
    assert resumed.step == RECIPE.total_steps
    for name, tensor in whole.clip.state_dict().items():
        assert torch.equal(tensor, resumed.clip.state_dict()[name]), name


def test_another_seed_gives_other_weights(bank: Bank) -> None:
    one, other = (Trainer(bank, replace(RECIPE, seed=seed)) for seed in (0, 1))
    assert not torch.equal(one.clip.visual.conv1.weight, other.clip.visual.conv1.weight)


def test_a_checkpoint_of_another_recipe_is_refused(bank: Bank, tmp_path: Path) -> None:
    trainer = Trainer(bank, RECIPE)
    trainer.save(tmp_path / "run.pt")
    with pytest.raises(ValueError, match="another recipe"):
        Trainer(bank, replace(RECIPE, seed=1)).load(tmp_path / "run.pt")


@pytest.mark.parametrize("recipe", [RECIPE, VIT], ids=["rn", "vit"])
def test_a_shipped_file_speaks_as_the_trained_model(
    recipe: Recipe, bank: Bank, tmp_path: Path
) -> None:
    trainer = Trainer(bank, recipe)
    trainer.run(until=1)
    path = tmp_path / "tiny.safetensors"
    export(trainer.clip.state_dict(), trainer.rows, path, {"trained": "in a test"})
    clip, trained = shipped_clip(path), trainer.clip.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            clip.encode_image(images), trained.encode_image(images), rtol=0.02, atol=0.02
        )
        torch.testing.assert_close(
            clip.encode_text(tokenize(["Good image", "blurry edges"])),
            trained.encode_text(trainer.tokens[[0, 5]]),
            rtol=0.02,
            atol=0.02,
        )
        assert clip.logit_scale == pytest.approx(float(trained.logit_scale) + np.log(2), abs=2e-3)


def test_a_file_too_large_to_ship_is_refused(tmp_path: Path) -> None:
    state = {"token_embedding.weight": torch.zeros(2, 2), "big": torch.zeros(2100, 2100)}
    state["logit_scale"] = torch.tensor(1.0)
    with pytest.raises(ValueError, match="at most 8,000,000"):
        export(state, torch.tensor([0, 1]), tmp_path / "x.safetensors", {})


def test_patch_waves_differ_and_the_first_is_flat() -> None:
    waves = cosine_patches(64, 8)
    assert waves.shape == (64, 3, 8, 8)
    assert waves[0].std() == 0
    assert len(waves.flatten(1).unique(dim=0)) > 60


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(ValueError, match="got 'mlp'"):
        new_clip(replace(RECIPE, architecture="mlp"))
