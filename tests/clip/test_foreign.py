"""Loaded CLIPs of others: a duck of ten lines, our own in disguise, and open_clip's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
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

    def encode_image(self, crops):
        return self.clip.encode_image(crops)

    def encode_text(self, tokens):
        return self.clip.encode_text(tokens)


@pytest.fixture
def duck():
    return Duck()


def changed(**attributes):
    one = Duck()
    for name, value in attributes.items():
        setattr(one, name, value)
    return one


def test_our_own_clip_in_disguise_scores_as_itself(golden_clips):
    clip = golden_clips["vit"]
    own = Maclip(clip, device="cpu")(PICTURE)
    found = Maclip(Disguised(clip), tokenizer=tokenize, device="cpu")(PICTURE)
    for number in ("score", "q_cos", "q_mag"):
        assert getattr(found, number) == pytest.approx(getattr(own, number), abs=1e-5)
    assert found.backbone == "loaded Disguised"


def test_a_duck_sees_crops_of_its_size_in_its_own_normalisation(duck):
    scorer = Maclip(duck, device="cpu")
    seen = scorer.extract(PICTURE)
    stride = round(128 * 64 / 224)
    assert (seen.grid.protocol.crop, seen.grid.protocol.stride) == (64, stride)
    from PIL import Image

    pixels = torch.from_numpy(np.array(Image.open(PICTURE).convert("RGB"))).permute(2, 0, 1)
    first = (pixels[None, :, :64, :64] / 255 - 0.5) / 0.25
    torch.testing.assert_close(seen.features[:1], duck.encode_image(first), atol=1e-4, rtol=1e-4)
    score = scorer(PICTURE)
    assert score.q_mag == pytest.approx(float(magnitude_cue(seen.features).mean()))
    assert scorer.config("koniq").reading == "official"
    assert scorer.config("koniq").protocol.crop == 64


def test_windows_of_another_side_overlap_as_before():
    assert fitted(NATIVE, None) is NATIVE
    assert fitted(NATIVE, 224) is NATIVE
    assert (fitted(NATIVE, 384).crop, fitted(NATIVE, 384).stride) == (384, 219)
    mine = replace(NATIVE, crop=384, stride=99)
    assert fitted(mine, 384) is mine


def test_whole_pictures_are_refused_in_words(duck):
    with pytest.raises(ValueError, match=r"64 x 64, not whole ones .* leave CLIP-IQA out"):
        Maclip(duck, device="cpu").clip_iqa(PICTURE)


def test_the_stores_key_follows_the_weights_and_nothing_else(tmp_path, duck):
    names = pictures(tmp_path / "set", 2)
    listed = manifest(tmp_path / "set", names)
    ducks = {
        "one": duck,
        "same": Duck(),
        "weights": Duck(seed=1),
        "normalisation": changed(image_std=(0.2, 0.2, 0.2)),
        "half": Duck().to(torch.bfloat16),
    }
    keys = {
        name: Extractor(Maclip(one, device="cpu"), "nowhere").config(listed).sha256
        for name, one in ducks.items()
    }
    assert keys["one"] == keys["same"]
    assert len(set(keys.values())) == 4
    view = Extractor(Maclip(duck, device="cpu"), tmp_path / "store").crops(listed)
    assert len(view.ok) == 2
    assert view.config.protocol.crop == 64


def test_training_the_original_on_changes_no_score(duck):
    duck.train()
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


def test_half_precision_is_for_the_images_alone(duck):
    exact, half = Maclip(duck, device="cpu"), Maclip(duck, device="cpu", precision="bf16")
    assert torch.equal(exact.anchors.features, half.anchors.features)
    assert exact(PICTURE).score != half(PICTURE).score
    assert exact(PICTURE).score == pytest.approx(half(PICTURE).score, abs=0.02)


def test_a_model_trained_with_a_sigmoid_is_read_as_it_was_trained():
    bias = -2.0
    scorer = Maclip(changed(logit_bias=nn.Parameter(torch.tensor(bias))), device="cpu")
    seen, anchors = scorer.extract(PICTURE).features, scorer.anchors
    fits = expit(
        np.exp(3.0)
        * (nn.functional.normalize(seen) @ nn.functional.normalize(anchors.features).T).numpy()
        + bias
    )
    wanted = (fits[:, ::2] / (fits[:, ::2] + fits[:, 1::2])).mean()
    assert scorer(PICTURE).q_cos == pytest.approx(wanted, abs=1e-5)
    far = cosine_cue(seen, anchors.features, 3.0, -60.0)
    torch.testing.assert_close(far, cosine_cue(seen, anchors.features, 3.0))


def duck_with(name, **methods):
    """A duck that does one thing otherwise."""
    return type(name, (Duck,), methods)()


class Weightless:
    image_size, image_mean, image_std, logit_scale = 64, [0.5] * 3, [0.5] * 3, 4.6
    encode_image = encode_text = Duck.encode_image

    def state_dict(self):
        return {}


SEE = Duck.encode_image
NORMALISED = duck_with("N", encode_image=lambda d, x: nn.functional.normalize(SEE(d, x), dim=-1))
WORDLESS = duck_with("Wordless", encode_text=None)
WIDE = duck_with("Wide", encode_text=lambda duck, texts: torch.ones(len(texts), 99))
WRAPPED = duck_with("Wrapped", encode_image=lambda duck, x: {"image_embeds": SEE(duck, x)})
ENDLESS = duck_with("Endless", encode_image=lambda duck, x: SEE(duck, x) / 0)
TOKENS = duck_with("Tokens", encode_text=lambda duck, tokens: duck.weight[tokens.argmax(-1)])


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (42, TypeError, "builtins.int is no CLIP as described in maclip_lab.clip.foreign"),
        (None, TypeError, "builtins.NoneType is no CLIP"),
        (nn.Linear(2, 2), TypeError, "Linear is no CLIP .* it has no image_size"),
        (WORDLESS, ValueError, r"Wordless cannot encode .*'NoneType' object is not callable"),
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
