"""Which views of a picture are encoded, and the one door that takes, refuses and flags it."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maclip_lab.ablations.rated import study
from maclip_lab.crops import (
    CLIP_MEAN,
    CLIP_STD,
    DATASETS,
    NATIVE,
    WHOLE,
    WHOLE_PIXELS,
    CropGrid,
    Protocol,
    canonical_name,
    crop_batches,
    normalise,
    prepare,
    prepare_picture,
    protocol_for,
    thumbnail,
)
from maclip_lab.errors import PictureError
from maclip_lab.features import Extractor
from maclip_lab.images import announced_pixels, load_picture
from tests.store_world import PlainScorer, manifest, pictures


def noise(width, height):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("width", "height", "crops"),
    [(1024, 768, 36), (512, 384, 7), (500, 500, 10), (224, 224, 2), (288, 288, 2), (351, 352, 3)],
)
def test_the_number_of_crops_is_the_papers(width, height, crops):
    grid = CropGrid(height, width)
    assert (len(grid), len(grid.corners())) == (crops, crops - 1)


@settings(max_examples=15, deadline=None)
@given(st.integers(224, 520), st.integers(224, 520), st.integers(1, 12))
def test_every_window_lies_inside_row_by_row_and_is_cut_where_the_grid_says(width, height, batch):
    image = noise(width, height)
    pixels, upscaled = prepare(image)
    grid = CropGrid(height, width)
    crops = torch.cat(list(crop_batches(pixels, NATIVE, batch)))
    assert not upscaled
    assert torch.equal(crops, next(crop_batches(pixels, NATIVE, len(grid))))
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
    pixels = np.asarray(noise(width, height))
    whole = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float()[None]
    wanted = F.interpolate(whole, (side, side), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(thumbnail(pixels, side), wanted, atol=1e-2, rtol=0)


@pytest.mark.parametrize("dataset", DATASETS)
def test_two_data_sets_are_resized_bicubically_without_keeping_their_aspect(dataset):
    size, crops = {"AGIQA-1k": ((224, 224), 2), "SPAQ": ((448, 448), 5)}.get(dataset, (None, 7))
    assert protocol_for(dataset) == replace(NATIVE, name=dataset, resize=size)
    image = noise(600, 400)
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
    pixels, upscaled = prepare(noise(width, height))
    assert upscaled
    assert min(pixels.shape[:2]) == 224
    assert len(CropGrid(*pixels.shape[:2])) >= 2


@pytest.mark.parametrize("size", [(5000, 10), (1, 300), (60000, 3)])
def test_a_strip_so_thin_that_it_would_take_minutes_is_refused_with_its_size(size):
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]}; scaled up .* pad it"):
        prepare(noise(*size))
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]}, a crop takes 224 x 224"):
        prepare(noise(*size), Protocol(small="error"))


@pytest.mark.parametrize(
    ("size", "protocol", "shape"),
    [
        ((100, 90), WHOLE, (1, 3, 90, 100)),
        ((500, 480), Protocol(windows=False), (1, 3, 224, 224)),
        ((500, 500), Protocol(thumbnail=False), (9, 3, 224, 224)),
    ],
)
def test_windows_thumbnail_and_the_whole_picture_can_be_had_alone(size, protocol, shape):
    pixels, upscaled = prepare(noise(*size), protocol)
    assert not upscaled
    assert torch.cat(list(crop_batches(pixels, protocol))).shape == shape
    assert len(CropGrid(*pixels.shape[:2], protocol)) == shape[0]


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


@pytest.fixture
def narrow(monkeypatch):
    """A bound on whole pictures that a small one passes."""
    monkeypatch.setattr("maclip_lab.crops.WHOLE_PIXELS", 300 * 300)


def test_a_picture_comes_out_with_its_pixels_grid_and_flags(tmp_path):
    noise(500, 300).save(tmp_path / "p.png")
    read = load_picture(tmp_path / "p.png")
    for source in (tmp_path / "p.png", read):
        prepared = prepare_picture(source, NATIVE)
        np.testing.assert_array_equal(prepared.pixels, np.asarray(noise(500, 300)))
        assert prepared.grid == CropGrid(300, 500)
        assert (prepared.picture.status, prepared.picture.image) == ("ok", None)
    assert announced_pixels(read) == 500 * 300
    small = prepare_picture(np.zeros((100, 150, 3), np.uint8), NATIVE)
    assert "upscaled" in small.picture.flags
    assert small.picture.width == 150


def test_what_cannot_be_used_says_why_and_has_no_pixels(tmp_path):
    small = np.zeros((500, 30, 3), np.uint8)
    for source, protocol, status, words in [
        (tmp_path / "gone.png", NATIVE, "missing", "gone.png"),
        (small, Protocol(small="error"), "too_small", "30 x 500, a crop takes 224 x 224"),
    ]:
        lost = prepare_picture(source, protocol)
        assert (lost.pixels, lost.grid, lost.picture.status) == (None, None, status)
        assert words in lost.picture.message


def test_the_commonest_phone_picture_is_within_the_bound_of_whole_pictures():
    assert 4032 * 3024 <= WHOLE_PIXELS < 3600 * 3600


def test_scorer_and_store_refuse_the_same_whole_pictures(scorer, narrow, tmp_path):
    noise(320, 300).save(tmp_path / "p0.png")
    noise(300, 300).save(tmp_path / "p1.png")
    with pytest.raises(PictureError) as refusal:
        scorer.clip_iqa(tmp_path / "p0.png")
    assert str(refusal.value).startswith(
        "320 x 300 = 96,000 pixels at once, more than the 90,000 that a whole-picture protocol sees"
    )
    assert scorer.clip_iqa(tmp_path / "p1.png") > 0
    rows = manifest(tmp_path, ["p0.png", "p1.png"])
    view = Extractor(scorer, tmp_path / "store").crops(rows, WHOLE)
    assert view.table["status"].tolist() == ["too_large", "ok"]
    assert view.table["message"][0] == str(refusal.value)


def test_crops_and_whole_picture_come_from_one_decoding(tmp_path, monkeypatch):
    rows = manifest(tmp_path / "p", pictures(tmp_path / "p", 4))
    plain = Extractor(PlainScorer(), tmp_path / "alone")
    alone, decoder = (plain.crops(rows), plain.crops(rows, WHOLE)), Mock(wraps=load_picture)
    monkeypatch.setattr("maclip_lab.features.extractor.load_picture", decoder)
    for _ in range(2):
        both = Extractor(PlainScorer(), tmp_path / "both").crops_and_whole(rows)
        for one, other in zip(alone, both, strict=True):
            np.testing.assert_array_equal(one.stack(), other.stack())
        assert sorted(call.args[0] for call in decoder.mock_calls) == sorted(rows.paths)


def test_a_study_without_the_whole_pictures_is_the_same_study_without_clip_iqa(narrow, tmp_path):
    rows = manifest(tmp_path / "p", pictures(tmp_path / "p", 4))
    extract = Extractor(PlainScorer(), tmp_path / "store")
    whole, crops = study(extract, rows), study(extract, rows, clip_iqa=False)
    assert "CLIP-IQA" in set(whole.table["method"])
    assert set(crops.table["method"]) == set(whole.table["method"]) - {"CLIP-IQA"}
    assert "clip_iqa" not in crops.predictions
    np.testing.assert_array_equal(crops.predictions["score"], whole.predictions["score"])
    lost = whole.predictions["clip_iqa"].isna()
    assert 0 < lost.sum() < len(rows)
    assert whole.predictions["message"][lost].str.contains("no CLIP-IQA: .* pixels at once").all()
    assert (whole.predictions["status"] == "ok").all()
