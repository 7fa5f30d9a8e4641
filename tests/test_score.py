import numpy as np
import pandas as pd
import pytest
import torch

from maclip_lab.crops import WHOLE, CropGrid, Protocol
from maclip_lab.fusion import FusionSettings
from maclip_lab.prompts import ATTRIBUTES, PROMPT_SETS
from maclip_lab.score import PictureFeatures, TextAnchors, read_cues, score_features

ANCHORS = TextAnchors(
    (("Good image", "bad image"), ("Sharp image", "blurry image")),
    torch.randn(4, 16, generator=torch.Generator().manual_seed(3)),
    20.0,
)


def features(grid, seed=0):
    values = torch.randn(len(grid), 16, generator=torch.Generator().manual_seed(seed))
    return PictureFeatures(values, grid, "photo.jpg", grid.width, grid.height)


def test_the_score_is_the_mean_over_the_crops_and_converts_to_a_number():
    result = score_features(features(CropGrid(500, 400)), ANCHORS)
    assert float(result) == result.score == pytest.approx(result.crops["score"].mean())
    assert result.q_cos == pytest.approx(result.crops["q_cos"].mean())
    assert result.w_cos + result.w_mag == pytest.approx(1)
    assert result.n_crops == len(CropGrid(500, 400)) == len(result.crops)


def test_every_pair_has_its_column_and_q_cos_is_their_mean():
    crops = score_features(features(CropGrid(300, 300)), ANCHORS).crops
    pairs = crops[["Good image / bad image", "Sharp image / blurry image"]]
    pd.testing.assert_series_equal(pairs.mean(axis=1), crops["q_cos"], check_names=False)
    assert crops["kind"].tolist() == ["window", "thumbnail"]


def test_the_settings_are_used_and_remembered():
    settings = FusionSettings(box_lam=0, base_cos=0.6, base_norm=-2, alpha=0.2)
    picture = features(CropGrid(300, 300))
    result = score_features(picture, ANCHORS, settings)
    assert result.settings == settings
    assert result.score != score_features(picture, ANCHORS).score
    cues = read_cues(picture.features, ANCHORS, settings)
    assert result.q_mag == pytest.approx(cues["q_mag"].mean())


def test_a_feature_that_is_not_finite_gives_no_number_and_says_so():
    picture = features(CropGrid(500, 500))
    picture.features[3, 2] = float("inf")
    result = score_features(picture, ANCHORS)
    assert result.status == "nonfinite"
    assert np.isnan([result.score, result.q_cos, result.q_mag, result.norm]).all()


def test_the_quality_map_averages_the_windows_that_hold_a_pixel():
    grid = CropGrid(400, 390)
    result = score_features(features(grid), ANCHORS)
    quality = result.quality_map("q_cos")
    values = result.crops["q_cos"].to_numpy()
    assert quality.shape == (400, 390)
    assert quality[0, 0] == pytest.approx(values[0])
    assert quality[200, 0] == pytest.approx((values[0] + values[2]) / 2)
    assert quality[200, 200] == pytest.approx(values[:4].mean())
    assert np.isnan(quality[352:, :]).all()
    assert np.isnan(quality[:, 352:]).all()
    assert not np.isnan(quality[:352, :352]).any()


@pytest.mark.parametrize("protocol", [WHOLE, Protocol(windows=False)])
def test_without_windows_the_map_is_empty(protocol):
    assert np.isnan(
        score_features(features(CropGrid(300, 300, protocol)), ANCHORS).quality_map()
    ).all()


def test_a_map_of_something_else_names_what_there_is():
    result = score_features(features(CropGrid(300, 300)), ANCHORS)
    with pytest.raises(ValueError, match="no numeric column 'kind'; it has top, left, score"):
        result.quality_map("kind")


def test_the_notebook_display_shows_the_score_and_what_was_done():
    grid = CropGrid(300, 300)
    picture = PictureFeatures(features(grid).features, grid, "x", 100, 100, ("upscaled",))
    html = score_features(picture, ANCHORS, backbone="tiny-rn")._repr_html_()
    assert f"{score_features(picture, ANCHORS).score:.3f}" in html
    assert "upscaled" in html
    assert "tiny-rn" in html


def test_a_score_is_formatted_sorted_and_averaged_as_its_number():
    scores = [score_features(features(CropGrid(300, 300), seed), ANCHORS) for seed in range(3)]
    numbers = [float(score) for score in scores]
    assert f"{scores[0]:.2f}" == f"{numbers[0]:.2f}"
    assert f"{scores[0]}" == str(scores[0]) == repr(scores[0])
    assert [float(score) for score in sorted(scores)] == sorted(numbers)
    assert float(max(scores)) == max(numbers)
    assert np.mean(scores) == pytest.approx(np.mean(numbers))
    assert np.asarray(scores).tolist() == numbers
    assert round(scores[0], 2) == round(numbers[0], 2)
    first, number = scores[0], numbers[0]
    assert first > number - 1
    assert number <= first <= number
    assert first < number + 1
    assert sorted([9, first, number - 1]) == [number - 1, first, 9]
    assert len({*scores, *scores}) == 3
    assert pd.Series(np.asarray(scores)).dtype == float


def test_the_named_axes_are_the_pairs_of_their_prompt_set_and_are_lost_with_the_score():
    draw = torch.Generator().manual_seed(5)
    axes = TextAnchors(PROMPT_SETS["attributes"], torch.randn(14, 16, generator=draw), 20.0)
    picture = features(CropGrid(300, 300))
    found = score_features(picture, ANCHORS, axes=axes)
    assert list(found.attributes) == list(ATTRIBUTES)
    assert len(ATTRIBUTES) == 7
    cues = read_cues(picture.features, axes, FusionSettings())
    for name, (good, bad) in ATTRIBUTES.items():
        assert found.attributes[name] == pytest.approx(cues[f"{good} / {bad}"].mean(), abs=1e-7)
    assert found.score == score_features(picture, ANCHORS).score
    assert score_features(picture, ANCHORS).attributes == {}
    picture.features[0, 0] = torch.inf
    lost = score_features(picture, ANCHORS, axes=axes)
    assert np.isnan(list(lost.attributes.values())).all()
