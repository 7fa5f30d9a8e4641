import pytest
import torch
from torch import nn

from maclip_lab.clip.model import AttentionPool, QuickGELU, VisionTransformer, build_clip


def pictures(n=2, size=(224, 224)):
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("model", ["rn", "vit"])
def test_building_from_a_models_own_tensors_gives_the_model_back(golden_clips, model):
    clip, images = golden_clips[model], pictures()
    again = build_clip(clip.state_dict())
    with torch.inference_mode():
        assert torch.equal(again.encode_image(images), clip.encode_image(images))
    assert (again.embed_dim, again.image_size, again.context_length) == (clip.embed_dim, 224, 77)


def test_the_activation_is_the_one_asked_for(golden_clips):
    state = golden_clips["vit"].state_dict()
    quick, exact = build_clip(state), build_clip(state, quick_gelu=False)
    images = pictures()
    with torch.inference_mode():
        assert not torch.allclose(quick.encode_image(images), exact.encode_image(images))
    x = torch.linspace(-4, 4, 50)
    assert (QuickGELU()(x) - torch.nn.functional.gelu(x)).abs().max() < 0.03


def test_a_later_word_does_not_change_an_earlier_one_and_texts_need_no_padding(golden_clips):
    short = torch.tensor([[49406, 886, 49407]])
    padded = nn.functional.pad(short, (0, 74)).repeat(2, 1)
    padded[1, 3:9] = 2867
    with torch.inference_mode():
        for clip in golden_clips.values():
            first, second = clip.encode_text(padded)
            torch.testing.assert_close(first, second)
            torch.testing.assert_close(clip.encode_text(short)[0], first)


@pytest.mark.parametrize("model", ["rn", "vit"])
@pytest.mark.parametrize("size", [(256, 224), (288, 352)])
def test_pictures_of_other_sizes_have_features_with_and_without_positions(
    golden_clips, model, size
):
    images = pictures(1, size)
    with torch.inference_mode():
        without = golden_clips[model].encode_image(images)
        with_positions = golden_clips[model].encode_image(images, pos_embedding=True)
    assert without.shape == with_positions.shape
    assert not torch.allclose(without, with_positions)


def test_attention_pooling_asks_with_the_mean_of_the_map():
    torch.manual_seed(0)
    pool = AttentionPool(side=3, width=16, heads=4, output_dim=8).eval()
    constant = torch.randn(1, 16, 1, 1).expand(1, 16, 3, 3)
    with torch.inference_mode():
        wanted = pool.c_proj(pool.v_proj(constant[:, :, 0, 0]))
        torch.testing.assert_close(pool(constant), wanted)


def test_a_vision_transformer_reads_every_patch():
    torch.manual_seed(0)
    tower = VisionTransformer(64, 32, 64, 1, 8).eval()
    images = torch.randn(1, 3, 64, 64)
    changed = images.clone()
    changed[..., -1, -1] += 1
    with torch.inference_mode():
        assert not torch.allclose(tower(images), tower(changed))


def test_what_is_missing_or_left_over_is_named(golden_clips):
    with pytest.raises(ValueError, match=r"OpenAI's names.*got \['weight'\].* is missing"):
        build_clip({"weight": torch.zeros(3)})
    state = {**golden_clips["rn"].state_dict(), "visual.extra": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"visual\.extra"):
        build_clip(state)
