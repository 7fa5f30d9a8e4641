from dataclasses import replace

import numpy as np
import pytest
import torch

from backbones.bank import Bank, content_of, view_record
from backbones.captions import SEEN_TYPES
from backbones.train import Trainer, export
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.datasets.degradations import degrade
from maclip_lab.weights.loading import load_backbone
from tests.backbones.conftest import RECIPE

VIT = replace(RECIPE, architecture="vit", width=64, layers=(1, 0, 0, 0))
WORDS = ("red", "green", "blue", "grey", "dark", "light", "flat", "round")


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Two views each of 24 photographs, half of them drowned in noise; two thirds are told of."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    views = np.zeros(48, view_record(64))
    views["types"] = -1
    for i, view in enumerate(views):
        wave = 128 + 90 * np.sin((x * generator.uniform(-1, 1) + y) / 7)
        picture = np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)
        view["contents"] = content_of(picture)
        if i % 2:
            view["types"][0], view["severities"][0] = SEEN_TYPES.index("white_noise"), 0.9
            picture = degrade(picture, "white_noise", severity=0.9, seed=i)
        view["pixels"] = picture
    told = tuple((f"a {WORDS[i % 8]} wave", f"waves of {i}") if i < 16 else () for i in range(24))
    return Bank(views, told, {"samples": 48})


@pytest.mark.parametrize("recipe", [RECIPE, VIT], ids=["rn", "vit"])
def test_training_lowers_the_loss(recipe, bank):
    losses: list[float] = []
    trainer = Trainer(bank, replace(recipe, steps=24, late_steps=0, sentence_weight=0.0))
    trainer.run(report=lambda step, values: losses.append(values["quality"]))
    assert np.mean(losses[-6:]) < np.mean(losses[:6]) - 0.01


def test_the_sentences_come_in_after_the_warm_up_where_there_are_any(bank):
    told, seen = [], []
    recipe = replace(RECIPE, warm_up=0.3)
    Trainer(bank, recipe).run(report=lambda step, values: told.append("sentences" in values))
    assert told == [False] * 4 + [True] * 6
    silent = replace(bank, sentences=((),) * 24)
    Trainer(silent, RECIPE).run(report=lambda step, values: seen.append(values))
    assert {name for values in seen for name in values} == {"quality", "faults", "content"}


def test_a_run_is_repeated_bit_by_bit_and_resumes_to_the_same_weights(bank, tmp_path):
    whole = Trainer(bank, RECIPE)
    whole.run()
    Trainer(bank, RECIPE).run(until=5, checkpoint=tmp_path / "run.pt")
    resumed = Trainer(bank, RECIPE)
    resumed.run(checkpoint=tmp_path / "run.pt")
    assert resumed.step == RECIPE.total_steps
    for name, tensor in whole.clip.state_dict().items():
        assert torch.equal(tensor, resumed.clip.state_dict()[name]), name
        assert torch.equal(whole.average[name], resumed.average[name]), name


def test_a_checkpoint_of_another_recipe_or_bank_is_refused_and_the_difference_named(bank, tmp_path):
    Trainer(bank, RECIPE).save(tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"another run \(fade: 0\.9, now 0\.5"):
        Trainer(bank, replace(RECIPE, fade=0.5)).load(tmp_path / "run.pt")
    with pytest.raises(ValueError, match="different photographs"):
        Trainer(bank, RECIPE, replace(bank, sentences=((),) * 24))
    other = replace(bank, identity={"samples": 50})
    with pytest.raises(ValueError, match="first bank's samples: 48, now 50"):
        Trainer(other, RECIPE).load(tmp_path / "run.pt")


def test_a_batch_shows_every_photograph_once_and_those_told_of_first(bank):
    trainer = Trainer(bank, replace(RECIPE, captioned=0.75))
    shown, told = trainer._photographs(12, np.random.default_rng(0))
    assert (told, len(set(shown.tolist()))) == (9, 12)
    assert all(bank.sentences[p] for p in shown[:told])
    assert not any(bank.sentences[p] for p in shown[told:])


def test_a_projection_without_bias_stays_without(bank):
    trainer = Trainer(bank, replace(RECIPE, projection_bias=False, steps=3, late_steps=0))
    trainer.run()
    assert trainer.clip.state_dict()["visual.attnpool.c_proj.bias"].abs().max() == 0


@pytest.mark.parametrize("recipe", [RECIPE, VIT], ids=["rn", "vit"])
def test_a_shipped_file_speaks_as_the_average_of_the_run(recipe, bank, tmp_path):
    trainer = Trainer(bank, recipe)
    trainer.run(until=3)
    path = tmp_path / "tiny.safetensors"
    export(trainer.average, trainer.rows, path, {"trained": "in a test"})
    clip, trained = load_backbone(path).clip, trainer.clip.eval()
    trained.load_state_dict(trainer.average)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        words = clip.encode_text(tokenize(["Good image", "blurry edges"]))
        for shipped, known in (
            (clip.encode_image(images), trained.encode_image(images)),
            (words, trained.encode_text(trainer.tokens[[0, 5]])),
        ):
            torch.testing.assert_close(shipped, known, rtol=0.02, atol=0.02)
        assert clip.logit_scale == pytest.approx(float(trained.logit_scale) + np.log(2), abs=2e-3)


def test_a_file_too_large_to_ship_is_refused(tmp_path):
    state = {"token_embedding.weight": torch.zeros(2, 2), "big": torch.zeros(2900, 2900)}
    state["logit_scale"] = torch.tensor(1.0)
    with pytest.raises(ValueError, match="at most 16,000,000"):
        export(state, torch.tensor([0, 1]), tmp_path / "x.safetensors", {})
