from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maclip_lab.crops import (
    CLIP_MEAN,
    CLIP_STD,
    DATASETS,
    NATIVE,
    WHOLE,
    CropGrid,
    Protocol,
    canonical_name,
    crop_batches,
    normalise,
    prepare,
    protocol_for,
    thumbnail,
)


def picture(width, height, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("width", "height", "crops"),
    [(1024, 768, 36), (512, 384, 7), (500, 500, 10), (224, 224, 2), (288, 288, 2), (351, 352, 3)],
)
def test_the_number_of_crops_is_the_papers(width, height, crops):
    grid = CropGrid(height, width)
    assert len(grid) == crops
    assert len(grid.corners()) == crops - 1


@settings(max_examples=15, deadline=None)
@given(st.integers(224, 520), st.integers(224, 520), st.integers(1, 12))
def test_every_window_lies_inside_row_by_row_and_is_cut_where_the_grid_says(width, height, batch):
    image = picture(width, height)
    pixels, upscaled = prepare(image)
    grid = CropGrid(height, width)
    crops = torch.cat(list(crop_batches(pixels, NATIVE, batch)))
    assert not upscaled
    assert len(crops) == len(grid)
    assert grid.corners() == sorted(grid.corners())
    small = thumbnail(pixels).permute(1, 2, 0)
    torch.testing.assert_close(crops[-1], normalise(small[None])[0])
    for crop, (top, left) in zip(crops, grid.corners(), strict=False):
        box = image.crop((left, top, left + 224, top + 224))
        assert box.size == (224, 224)
        wanted = (np.asarray(box) / 255 - CLIP_MEAN) / CLIP_STD
        np.testing.assert_allclose(crop.permute(1, 2, 0), wanted, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(8, 224))
def test_the_thumbnail_is_torchs_bilinear_resize_of_the_whole_picture(width, height, side):
    pixels = np.asarray(picture(width, height))
    whole = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float()[None]
    wanted = F.interpolate(whole, (side, side), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(thumbnail(pixels, side), wanted, atol=1e-2, rtol=0)


@pytest.mark.parametrize("dataset", DATASETS)
def test_two_data_sets_are_resized_bicubically_without_keeping_their_aspect(dataset):
    size, crops = {"AGIQA-1k": ((224, 224), 2), "SPAQ": ((448, 448), 5)}.get(dataset, (None, 7))
    assert protocol_for(dataset) == replace(NATIVE, name=dataset, resize=size)
    image = picture(600, 400)
    pixels, _ = prepare(image, protocol_for(dataset))
    wanted = image.resize(size, Image.Resampling.BICUBIC) if size else image
    assert np.array_equal(pixels, np.asarray(wanted))
    assert len(CropGrid(*pixels.shape[:2], protocol_for(dataset))) == crops


SPELLINGS = {"KONIQ": "koniq", "KonIQ-10k": "koniq", "clive": "livec", "agiqa3k": "AGIQA-3k"}
SPELLINGS |= {"pipal": "PIPAL", "tid2013": "TID2013", "KADID-10k": "kadid"}


def test_names_are_found_whatever_their_case_and_unknown_ones_said():
    for spelling, name in SPELLINGS.items():
        assert canonical_name(spelling) == protocol_for(spelling).name == name
    with pytest.raises(ValueError, match=r"'imagenet'; known are livec, .*PIPAL"):
        protocol_for("imagenet")


@settings(max_examples=20, deadline=None)
@given(st.integers(11, 223), st.integers(11, 900))
def test_a_small_picture_is_scaled_up_until_a_crop_fits(width, height):
    pixels, upscaled = prepare(picture(width, height))
    assert upscaled
    assert min(pixels.shape[:2]) == 224
    assert len(CropGrid(*pixels.shape[:2])) >= 2


@pytest.mark.parametrize("size", [(5000, 10), (1, 300), (60000, 3)])
def test_a_strip_so_thin_that_it_would_take_minutes_is_refused_with_its_size(size):
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]}; scaled up .* pad it"):
        prepare(picture(*size))
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]}, a crop takes 224 x 224"):
        prepare(picture(*size), Protocol(small="error"))


@pytest.mark.parametrize(
    ("size", "protocol", "shape"),
    [
        ((100, 90), WHOLE, (1, 3, 90, 100)),
        ((500, 480), Protocol(windows=False), (1, 3, 224, 224)),
        ((500, 500), Protocol(thumbnail=False), (9, 3, 224, 224)),
    ],
)
def test_windows_thumbnail_and_the_whole_picture_can_be_had_alone(size, protocol, shape):
    pixels, upscaled = prepare(picture(*size), protocol)
    assert not upscaled
    assert torch.cat(list(crop_batches(pixels, protocol))).shape == shape
    assert len(CropGrid(*pixels.shape[:2], protocol)) == shape[0]


def test_coverage_is_the_share_of_pixels_in_some_window():
    assert CropGrid(224, 224).coverage == 1
    assert CropGrid(448, 448).coverage == pytest.approx((352 / 448) ** 2)
    assert CropGrid(300, 300, Protocol(windows=False)).coverage == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"stride": 0}, "crop and stride are pixels"),
        ({"small": "pad"}, '"upscale" or "error", got \'pad\''),
        ({"windows": False, "thumbnail": False}, "needs windows, a thumbnail or the whole"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**setting)
