"""Loaded CLIPs of others: a duck of ten lines, our own in disguise, and open_clip's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import expit
from torch import nn

from maclip_lab import Maclip
from maclip_lab.clip.foreign import ForeignClip
from maclip_lab.clip.model import CLIP_MEAN, CLIP_STD
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import NATIVE, fitted
from maclip_lab.cues import cosine_cue, magnitude_cue
from maclip_lab.features import Extractor
from tests.conftest import GOLDEN
from tests.store_world import manifest, pictures

PICTURE = GOLDEN / "d_224x224.png"


class Duck(nn.Module):
    image_size, image_mean, image_std = 64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def __init__(self, seed=0):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(3 * 16, 24, generator=draw))
        self.logit_scale = nn.Parameter(torch.tensor(3.0))

    def encode_image(self, crops):
        return nn.functional.adaptive_avg_pool2d(crops, 4).flatten(1) @ self.weight

    def encode_text(self, texts):
        return torch.stack([self.weight[len(text)] for text in texts])


class Disguised(nn.Module):
    """Our own CLIP behind the protocol."""

    image_size, image_mean, image_std = 224, CLIP_MEAN, CLIP_STD

    def __init__(self, clip):
        super().__init__()
        self.clip, self.logit_scale = clip, clip.logit_scale
        self.encode_image, self.encode_text = clip.encode_image, clip.encode_text


def changed(**attributes):
    """A duck that has or does something otherwise."""
    duck = Duck()
    for name, value in attributes.items():
        setattr(duck, name, value)
    return duck


def test_our_own_clip_in_disguise_scores_as_itself(golden_clips):
    clip = golden_clips["vit"]
    own = Maclip(clip, device="cpu")(PICTURE)
    disguised = Maclip(Disguised(clip), tokenizer=tokenize, device="cpu")(PICTURE)
    for number in ("score", "q_cos", "q_mag"):
        assert getattr(disguised, number) == pytest.approx(getattr(own, number), abs=1e-5)
    assert disguised.backbone == "loaded Disguised"


def test_a_duck_sees_crops_of_its_size_in_its_own_normalisation_and_no_whole_pictures():
    scorer = Maclip(Duck(), device="cpu")
    seen = scorer.extract(PICTURE)
    assert (seen.grid.protocol.crop, seen.grid.protocol.stride) == (64, round(128 * 64 / 224))
    pixels = torch.from_numpy(np.array(Image.open(PICTURE).convert("RGB"))).permute(2, 0, 1)
    first = Duck().encode_image((pixels[None, :, :64, :64] / 255 - 0.5) / 0.25)
    torch.testing.assert_close(seen.features[:1], first, atol=1e-4, rtol=1e-4)
    score = scorer(PICTURE)
    assert score.q_mag == pytest.approx(float(magnitude_cue(seen.features).mean()))
    assert scorer.config("koniq").reading == "official"
    assert scorer.config("koniq").protocol.crop == 64
    with pytest.raises(ValueError, match=r"64 x 64, not whole ones .* leave CLIP-IQA out"):
        scorer.clip_iqa(PICTURE)


def test_windows_of_another_side_overlap_as_before():
    assert fitted(NATIVE, None) is NATIVE
    assert fitted(NATIVE, 224) is NATIVE
    assert (fitted(NATIVE, 384).crop, fitted(NATIVE, 384).stride) == (384, 219)
    mine = replace(NATIVE, crop=384, stride=99)
    assert fitted(mine, 384) is mine


def test_the_stores_key_follows_the_weights_and_nothing_else(tmp_path):
    rows = manifest(tmp_path / "set", pictures(tmp_path / "set", 2))
    others = (Duck(seed=1), changed(image_std=(0.2, 0.2, 0.2)), Duck().to(torch.bfloat16))
    extractors = [
        Extractor(Maclip(duck, device="cpu"), tmp_path / "store")
        for duck in (Duck(), Duck(), *others)
    ]
    keys = [extractor.config(rows).sha256 for extractor in extractors]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    view = extractors[0].crops(rows)
    assert len(view.ok) == 2
    assert view.config.protocol.crop == 64


def test_training_the_original_on_changes_no_score():
    duck = Duck().train()
    scorer = Maclip(duck, device="cpu")
    before = float(scorer(PICTURE))
    with torch.no_grad():
        duck.weight.add_(1)
    assert float(scorer(PICTURE)) == before
    assert duck.training
    assert duck.weight.requires_grad
    assert Maclip(duck, device="cpu").backbone.sha256 != scorer.backbone.sha256
    own = scorer.backbone.clip
    assert not any(parameter.requires_grad for parameter in own.parameters())
    assert own.embed_dim == 24


def test_half_precision_is_for_the_images_alone():
    exact, half = Maclip(Duck(), device="cpu"), Maclip(Duck(), device="cpu", precision="bf16")
    assert torch.equal(exact.anchors.features, half.anchors.features)
    assert exact(PICTURE).score != half(PICTURE).score
    assert exact(PICTURE).score == pytest.approx(half(PICTURE).score, abs=0.02)


def test_a_model_trained_with_a_sigmoid_is_read_as_it_was_trained():
    scorer = Maclip(changed(logit_bias=nn.Parameter(torch.tensor(-2.0))), device="cpu")
    seen, texts = scorer.extract(PICTURE).features, scorer.anchors.features
    cosines = torch.cosine_similarity(seen[:, None], texts[None], dim=-1).numpy()
    fits = expit(np.exp(3.0) * cosines - 2)
    wanted = (fits[:, ::2] / (fits[:, ::2] + fits[:, 1::2])).mean()
    assert scorer(PICTURE).q_cos == pytest.approx(wanted, abs=1e-5)
    far = cosine_cue(seen, texts, 3.0, -60.0)
    torch.testing.assert_close(far, cosine_cue(seen, texts, 3.0))


class Weightless:
    image_size, image_mean, image_std, logit_scale = 64, [0.5] * 3, [0.5] * 3, 4.6
    encode_image = encode_text = Duck.encode_image

    def state_dict(self):
        return {}


SEE, TEXTS = Duck().encode_image, Duck().weight
NORMALISED = changed(encode_image=lambda crops: nn.functional.normalize(SEE(crops), dim=-1))
WORDLESS = changed(encode_text=None)
WIDE = changed(encode_text=lambda texts: torch.ones(len(texts), 99))
WRAPPED = changed(encode_image=lambda crops: {"image_embeds": SEE(crops)})
ENDLESS = changed(encode_image=lambda crops: SEE(crops) / 0)
TOKENS = changed(encode_text=lambda tokens: TEXTS[tokens.argmax(-1)])


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (42, TypeError, "builtins.int is no CLIP as described in maclip_lab.clip.foreign"),
        (None, TypeError, "builtins.NoneType is no CLIP"),
        (nn.Linear(2, 2), TypeError, "Linear is no CLIP .* it has no image_size"),
        (WORDLESS, ValueError, r"Duck cannot encode .*'NoneType' object is not callable"),
        (changed(image_size=None), TypeError, "it has no image_size"),
        (nn.DataParallel(Duck()), TypeError, "it has no image_size; it wraps .* its .module"),
        (changed(image_std=None), TypeError, "it has no image_std"),
        (changed(image_size=(64, 32)), TypeError, r"image_size \[32, 64\] is not the side"),
        (changed(image_mean=(0.5,)), TypeError, "is no CLIP"),
        (changed(logit_scale=nn.Parameter(torch.tensor(100.0))), ValueError, "is a logarithm"),
        (NORMALISED, ValueError, "L2-normalised, all of length 1; .*normalize=False"),
        (WIDE, ValueError, r"of 4 crops and 2 texts \(4, 24\) and \(2, 99\)"),
        (WRAPPED, ValueError, "cannot encode crops .*'dict' object has no attribute 'float'"),
        (ENDLESS, ValueError, "not finite features of one length"),
        (TOKENS, ValueError, "two texts .strings; tokenizer= makes tokens.: AttributeError"),
        (Weightless(), ValueError, "cannot be hashed, .* let state_dict.. return every tensor"),
    ],
)
def test_what_is_no_clip_for_the_method_is_refused_in_words(model, error, said):
    with pytest.raises(error, match=said):
        Maclip(model, device="cpu")


@pytest.mark.parametrize("name", ["ViT-B-32", "RN50", "ViT-B-16-SigLIP"])
@pytest.mark.slow
def test_open_clips_own_models_come_in_as_they_are(name):
    open_clip = pytest.importorskip("open_clip")
    model = open_clip.create_model(name)
    scorer = Maclip(model, tokenizer=lambda texts: tokenize(texts, truncate=True), device="cpu")
    side = model.visual.image_size
    assert scorer.backbone.crop == (side if isinstance(side, int) else side[0])
    assert scorer(PICTURE).status == "ok"


def test_a_tokenizer_that_gives_a_dictionary_is_answered_with_what_to_take_of_it():
    def tokenizer(texts):
        return {"input_ids": torch.zeros(len(texts), 3), "attention_mask": None}

    with pytest.raises(ValueError, match=r"\(input_ids, attention_mask\).* \.input_ids"):
        ForeignClip(Duck(), tokenizer)
