"""One door for every picture: whoever asks takes, refuses and flags it alike."""

import numpy as np
import pytest
from PIL import Image

from maclip_lab import crops
from maclip_lab.ablations.rated import study
from maclip_lab.crops import NATIVE, WHOLE, WHOLE_PIXELS, CropGrid, Protocol, prepare_picture
from maclip_lab.errors import PictureError
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.features import Extractor, extractor
from maclip_lab.images import announced_pixels, load_picture
from tests.store_world import PlainScorer, manifest, picture, pictures


@pytest.fixture
def narrow(monkeypatch):
    """A bound on whole pictures that a small one passes."""
    monkeypatch.setattr(crops, "WHOLE_PIXELS", 300 * 300)


def test_a_picture_comes_out_with_its_pixels_grid_and_flags(tmp_path):
    picture(tmp_path / "p.png", 0, (500, 300))
    with Image.open(tmp_path / "p.png") as image:
        shown = np.asarray(image.convert("RGB"))
    read = load_picture(tmp_path / "p.png")
    for source in (tmp_path / "p.png", read):
        prepared = prepare_picture(source, NATIVE)
        np.testing.assert_array_equal(prepared.pixels, shown)
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
    picture(tmp_path / "p0.png", 0, (320, 300))
    picture(tmp_path / "p1.png", 1, (300, 300))
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
    alone = [
        Extractor(PlainScorer(), tmp_path / "alone").crops(rows, protocol)
        for protocol in (None, WHOLE)
    ]
    decoded = []

    def counted(path, **options):
        decoded.append(path)
        return load_picture(path, **options)

    monkeypatch.setattr(extractor, "load_picture", counted)
    both = Extractor(PlainScorer(), tmp_path / "both").crops_and_whole(rows)
    assert sorted(decoded) == sorted(rows.paths)
    for one, other in zip(alone, both, strict=True):
        np.testing.assert_array_equal(one.stack(), other.stack())
    Extractor(PlainScorer(), tmp_path / "both").crops_and_whole(rows)
    assert len(decoded) == len(rows)


def test_a_study_without_the_whole_pictures_is_the_same_study_without_clip_iqa(narrow, tmp_path):
    rows = manifest(tmp_path / "p", pictures(tmp_path / "p", 8))
    few, extract = EvaluationSettings(n_boot=20), Extractor(PlainScorer(), tmp_path / "store")
    whole = study(extract, rows, statistics=few)
    crops = study(extract, rows, clip_iqa=False, statistics=few)
    assert "CLIP-IQA" in set(whole.table["method"])
    assert set(crops.table["method"]) == set(whole.table["method"]) - {"CLIP-IQA"}
    assert "clip_iqa" not in crops.predictions
    np.testing.assert_array_equal(crops.predictions["score"], whole.predictions["score"])
    lost = whole.predictions["clip_iqa"].isna()
    assert 0 < lost.sum() < len(rows)
    assert whole.predictions["message"][lost].str.contains("no CLIP-IQA: .* pixels at once").all()
    assert (whole.predictions["status"] == "ok").all()
