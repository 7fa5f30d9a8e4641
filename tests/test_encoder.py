"""The encoder: the plain towers' features, whatever was folded, packed or halved on the way."""

import copy
import logging
import threading
import time
from dataclasses import replace
from unittest.mock import Mock, call

import numpy as np
import pytest
import torch
from torch import nn

from maclip_lab import Maclip
from maclip_lab.clip.inference import (
    InferenceResNet,
    InferenceTransformer,
    Placement,
    inference_tower,
)
from maclip_lab.clip.model import ModifiedResNet, QuickGELU, VisionTransformer
from maclip_lab.crops import NATIVE, WHOLE, crop_batches
from maclip_lab.encoder import ImageEncoder, _on_the_way, map_ahead

CPU = torch.device("cpu")
FP32 = Placement(CPU, torch.float32)


class Unfused(Placement):
    """A device without oneDNN's kernels."""

    fused = False


def distance(features, wanted):
    """Largest error of a feature, as a share of its length."""
    return ((features - wanted).norm(dim=-1) / wanted.norm(dim=-1)).max().item()


def crops(count, side=224, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, side, side, generator=generator)
    return images.contiguous(memory_format=torch.channels_last)


def pixels(height, width, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def randomised(tower, seed=0):
    """A tower whose norms and biases do something."""
    torch.manual_seed(seed)
    for module in tower.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    for name, parameter in tower.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return tower.eval().requires_grad_(False)


def encoder_of(clip, micro_batch, pack=False):
    encoder = ImageEncoder(clip, device=CPU)
    encoder.micro_batch, encoder.pack = micro_batch, pack
    return encoder


def short_of_memory(encoder, fits):
    """An encoder whose device holds so many crops at once; returns the sizes it was asked for."""
    asked, tower = [], encoder._tower

    def run(images, pos_embedding):
        asked.append(len(images))
        if len(images) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tower(images, pos_embedding)

    encoder._tower = run
    return asked


TOWERS = {
    "ResNet": (InferenceResNet, lambda: ModifiedResNet((1, 2, 1, 1), 64, 64, 32)),
    "ViT": (InferenceTransformer, lambda: VisionTransformer(64, 16, 128, 3, 32, QuickGELU)),
    "ViT, GELU": (InferenceTransformer, lambda: VisionTransformer(64, 16, 128, 3, 32, nn.GELU)),
}


@pytest.mark.parametrize("place", [FP32, Unfused(CPU, torch.float32)], ids=["fused", "plain"])
@pytest.mark.parametrize("pos_embedding", [False, True])
@pytest.mark.parametrize("tower", TOWERS)
def test_a_folded_or_fused_tower_has_the_plain_ones_features(place, pos_embedding, tower):
    torch.manual_seed(0)
    inference, build = TOWERS[tower]
    plain, images = randomised(build()), crops(3, 96)
    with torch.inference_mode():
        fast = inference(plain, place)(images, pos_embedding)
        assert distance(fast, plain(images, pos_embedding)) < 1e-6


def test_folding_the_ill_conditioned_golden_resnet_stays_as_near_to_float64_as_not_folding(
    golden_clips,
):
    visual, images = golden_clips["rn"].visual, crops(5)
    with torch.inference_mode():
        exact = copy.deepcopy(visual).double()(images.double())
        folded = distance(InferenceResNet(visual, FP32)(images), exact)
        assert folded < max(1e-5, 1.5 * distance(visual(images), exact))


@pytest.mark.slow
def test_a_full_size_rn50_has_the_plain_ones_features():
    torch.manual_seed(0)
    plain = randomised(ModifiedResNet((3, 4, 6, 3), 64, 224, 1024))
    images = crops(2)
    with torch.inference_mode():
        tower = inference_tower(plain, device=CPU, dtype=torch.float32)
        assert isinstance(tower, InferenceResNet)
        assert distance(tower(images), plain(images)) < 1e-6


def test_the_published_weights_are_left_as_they_are(golden_clips):
    clip = copy.deepcopy(golden_clips["vit"])
    ImageEncoder(clip, device=CPU, precision="bf16").encode(crops(1))
    before = golden_clips["vit"].state_dict()
    torch.testing.assert_close(clip.state_dict(), before, rtol=0, atol=0)


def test_a_narrow_tower_runs_as_published_up_to_its_pool_which_is_in_float64(golden_clips):
    visual, maps = copy.deepcopy(golden_clips["rn"].visual), []
    tower = inference_tower(visual, device=CPU, dtype=torch.float32)
    visual.attnpool.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0].double()))
    with torch.inference_mode():
        visual(images := crops(4))
        pooled = copy.deepcopy(golden_clips["rn"].visual.attnpool).double()(maps[0])
        assert torch.allclose(tower(images), pooled, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("model", ["rn", "vit"])
@pytest.mark.parametrize("micro_batch", [1, 3])
def test_features_do_not_depend_on_the_micro_batch(golden_clips, model, micro_batch):
    few = encoder_of(golden_clips[model], micro_batch)
    many = encoder_of(golden_clips[model], 99)
    picture = pixels(400, 360)
    assert distance(few.encode_picture(picture), many.encode_picture(picture)) < 5e-5


def test_unpacked_pictures_have_the_features_they_have_alone_to_the_bit(golden_clips):
    encoder = ImageEncoder(golden_clips["rn"], device=CPU)
    pictures = [pixels(260, 300, 1), pixels(480, 224, 2), pixels(224, 224, 3)]
    together = list(encoder.encode_pictures(pictures))
    assert all(map(torch.equal, together, map(encoder.encode_picture, pictures)))


def test_packed_pictures_fill_every_batch_to_the_same_features_and_whole_ones_are_never_packed(
    golden_clips,
):
    packed = encoder_of(golden_clips["vit"], 4, pack=True)
    pictures = [pixels(260, 300, 1), pixels(480, 360, 2), pixels(224, 224, 3), pixels(230, 500, 4)]
    alone = [packed.encode_picture(picture) for picture in pictures]
    asked = short_of_memory(packed, 4)
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], []):
        together = packed.encode_pictures(pictures[i] for i in order)
        for index, features in zip(order, together, strict=True):
            assert distance(features, alone[index]) < 1e-6
    assert asked == [4, 4, 4, 3] * 2
    whole = packed.encode_pictures([pixels(64, 96), pixels(80, 64)], WHOLE)
    assert [features.shape for features in whole] == [(1, packed.embed_dim)] * 2


@pytest.mark.parametrize(
    ("pack", "sizes", "halvings"),
    [(False, [5, 2, 2], [(2, 8)]), (True, [8, 4, 2], [(4, 8), (2, 4)])],
)
def test_batches_are_halved_until_they_fit_the_memory_and_stay_so_and_the_log_says_it_once(
    golden_clips, caplog, pack, sizes, halvings
):
    encoder = encoder_of(golden_clips["vit"], 8, pack=pack)
    pictures = [pixels(400, 360), pixels(224, 360)]
    wanted = [encoder.encode_picture(picture) for picture in pictures]
    asked = short_of_memory(encoder, 2)
    for features, expected in zip(encoder.encode_pictures(pictures), wanted, strict=True):
        assert distance(features, expected) < 1e-6
    assert encoder.micro_batch == 2
    assert asked[:3] == sizes
    assert max(asked[3:]) <= 2
    words = "cpu is out of memory: from now on it encodes {} crops at once, not {}"
    assert caplog.record_tuples == [
        ("maclip_lab.encoder", logging.WARNING, words.format(*halving)) for halving in halvings
    ]


def test_a_started_batch_is_awaited_through_the_devices_event(monkeypatch):
    device = Mock()
    device.features.device = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "Event", device.event)
    arrived = _on_the_way(device.features)
    started = [call.features.to("cpu", non_blocking=True), call.event(), call.event().record()]
    assert device.mock_calls == started
    assert arrived() is device.features.to.return_value
    assert device.mock_calls == [*started, call.event().synchronize()]


@pytest.mark.parametrize(("model", "tolerance"), [("rn", 2e-2), ("vit", 2e-3)])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_scores_as_full_precision_does(golden_clips, model, tolerance, precision):
    scores = []
    for kind in ("fp32", precision):
        scorer = Maclip(golden_clips[model], device="cpu", precision=kind)
        picture = scorer.extract(pixels(300, 360))
        assert picture.features.dtype == torch.float32
        scores.append(float(scorer.score(picture)))
    assert scores[1] == pytest.approx(scores[0], abs=tolerance)


def test_a_picture_of_one_windows_size_is_its_own_thumbnail(golden_clips):
    encoder, picture = ImageEncoder(golden_clips["rn"], device=CPU), pixels(224, 224)
    window, thumbnail = encoder.encode_picture(picture)
    (batch,) = crop_batches(picture)
    wanted = encoder.encode(batch)
    assert torch.equal(window, thumbnail)
    assert distance(torch.stack([window, thumbnail]), wanted) < 1e-5
    assert len(encoder.encode_picture(picture, replace(NATIVE, windows=False))) == 1
    assert len(encoder.encode_picture(pixels(224, 360), replace(NATIVE, thumbnail=False))) == 2


@pytest.mark.parametrize("prices", [[10] * 12, [3, 50, 3, 50, 3], [0] * 30, [50]])
def test_results_keep_their_order_and_cost_no_more_than_the_budget_unless_one_goes_alone(prices):
    lock, under_way, peaks, results = threading.Lock(), set(), [], []

    def work(item):
        with lock:
            under_way.add(item)
            peaks.append((sum(prices[i] for i in under_way), len(under_way)))
        time.sleep(0.002 * (item % 3))
        return item

    for item in map_ahead(work, range(len(prices)), prices.__getitem__, budget=30, workers=3):
        results.append(item)
        with lock:
            under_way.discard(item)
    assert results == list(range(len(prices)))
    assert all(cost <= 30 or count == 1 for cost, count in peaks)


def test_the_next_item_is_worked_on_while_the_consumer_is_busy():
    started = [threading.Event(), threading.Event()]
    results = map_ahead(threading.Event.set, started, workers=1)
    next(results)
    assert started[1].wait(10)
    assert list(results) == [None]


def test_items_are_drawn_only_as_far_ahead_as_needed():
    drawn = []
    results = map_ahead(str, (drawn.append(item) or item for item in range(100)), workers=2)
    next(results)
    assert len(drawn) <= 5
    results.close()


def test_a_failure_reaches_the_consumer():
    results = map_ahead(lambda item: 1 // item, [1, 0], workers=1)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
