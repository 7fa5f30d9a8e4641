import pickle
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch

from maclip_lab.crops import WHOLE, CropGrid, PreparedPicture, Protocol
from maclip_lab.cues import magnitude_cue
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Picture
from maclip_lab.prompts import ATTRIBUTES, PROMPT_SETS, encode_prompts, prompt_pairs, unread_words
from maclip_lab.score import TextAnchors, read_cues, score_features
from maclip_lab.weights.loading import load_backbone

TEXTS = torch.randn(14, 16, generator=torch.Generator().manual_seed(3))
PAIRS = (("Good image", "bad image"), ("Sharp image", "blurry image"))
ANCHORS = TextAnchors(PAIRS, TEXTS[:4], 20.0)
AXES = TextAnchors(PROMPT_SETS["attributes"], TEXTS, 20.0)


def features(grid, seed=0, flags=()):
    values = torch.randn(len(grid), 16, generator=torch.Generator().manual_seed(seed))
    read = Picture(None, "ok", flags, "", grid.width, grid.height)
    return PreparedPicture("photo.jpg", read, None, grid, values)


def test_the_score_is_the_mean_over_the_crops_with_the_settings_asked_for():
    picture, grid = features(CropGrid(500, 400)), CropGrid(500, 400)
    settings = FusionSettings(box_lam=0, base_cos=0.6, base_norm=-2, alpha=0.2)
    result = score_features(picture, ANCHORS, settings)
    assert result.settings == settings
    assert result != score_features(picture, ANCHORS)
    crops = result.crops
    assert float(result) == result.score == pytest.approx(crops["score"].mean())
    assert result.q_cos == pytest.approx(crops["q_cos"].mean())
    assert result.q_mag == pytest.approx(float(magnitude_cue(picture.features, 0).mean()))
    assert result.w_cos + result.w_mag == pytest.approx(1)
    assert result.n_crops == len(grid) == len(crops)
    assert crops["kind"].tolist() == ["window"] * len(grid.corners()) + ["thumbnail"]
    assert crops[["top", "left"]].to_numpy().tolist() == [*map(list, grid.corners()), [0, 0]]
    pairs = crops[["Good image / bad image", "Sharp image / blurry image"]]
    pd.testing.assert_series_equal(pairs.mean(axis=1), crops["q_cos"], check_names=False)


def test_a_feature_or_a_cue_that_is_not_finite_gives_no_number_and_says_so():
    sound, broken = features(CropGrid(500, 500)), features(CropGrid(500, 500))
    broken.features[3, 2] = float("inf")
    for picture, lam in ((broken, 0.5), (sound, 1000.0)):
        result = score_features(picture, ANCHORS, FusionSettings(lam), axes=AXES)
        assert result.status == "nonfinite"
        assert np.isnan([result.score, result.q_cos, result.q_mag, result.w_cos]).all()
        assert np.isnan([result.attributes[name] for name in ATTRIBUTES]).all()


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
    for protocol in (WHOLE, Protocol(windows=False)):
        without = score_features(features(CropGrid(300, 300, protocol)), ANCHORS)
        assert np.isnan(without.quality_map()).all()
    with pytest.raises(ValueError, match="no numeric column 'kind'; it has top, left, score"):
        result.quality_map("kind")


def test_the_notebook_display_shows_the_score_and_what_was_done():
    picture = features(CropGrid(300, 300), flags=("upscaled",))
    result = score_features(picture, ANCHORS, backbone="tiny-rn")
    for words in (f"{result.score:.3f}", "upscaled", "tiny-rn"):
        assert words in result._repr_html_()


def test_a_score_is_formatted_sorted_and_averaged_as_its_number_and_travels_with_what_is_behind():
    pictures = [features(CropGrid(300, 300), seed, ("upscaled",)) for seed in range(3)]
    scores = [score_features(picture, ANCHORS) for picture in pictures]
    numbers = [float(score) for score in scores]
    first, number = scores[0], numbers[0]
    assert (f"{first:.2f}", round(first, 2)) == (f"{number:.2f}", round(number, 2))
    assert f"{first}" == str(first) == repr(first)
    assert sorted([9, first, number - 1]) == [number - 1, first, 9]
    assert np.asarray(scores).tolist() == pd.Series(scores).tolist() == numbers
    assert np.mean(scores) == pytest.approx(np.mean(numbers))
    assert len({*scores, *scores}) == 3
    again = pickle.loads(pickle.dumps(first))
    assert (again, again.q_cos, again.flags) == (first, first.q_cos, ("upscaled",))
    pd.testing.assert_frame_equal(again.crops, first.crops)


def test_the_named_axes_are_the_pairs_of_their_prompt_set():
    picture = features(CropGrid(300, 300))
    result = score_features(picture, ANCHORS, axes=AXES)
    assert list(result.attributes) == list(ATTRIBUTES)
    assert len(ATTRIBUTES) == 7
    cues = read_cues(picture.features, AXES, FusionSettings())
    for name, (good, bad) in ATTRIBUTES.items():
        assert result.attributes[name] == pytest.approx(cues[f"{good} / {bad}"].mean(), abs=1e-7)
    assert result.score == score_features(picture, ANCHORS).score
    assert score_features(picture, ANCHORS).attributes == {}


def test_pairs_are_found_by_the_name_of_their_set_or_taken_as_given():
    assert prompt_pairs("clip-iqa") == (("Good photo.", "Bad photo."),)
    assert prompt_pairs([["a calm sea", "a wild sea"]]) == (("a calm sea", "a wild sea"),)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ("maklip", "no prompt set is called 'maklip'; known are maclip, clip-iqa"),
        ([], "at least one prompt pair"),
        ([("good",)], r"expected pairs of \(positive, negative\) texts, got \('good',\)"),
        (["good", "bad"], r"expected pairs of .*, got \('good',\)"),
        ([("good", " ")], "expected pairs"),
        ([("good", 3)], "expected pairs"),
    ],
)
def test_anything_else_is_refused_by_value(prompts, message):
    with pytest.raises(ValueError, match=message):
        prompt_pairs(prompts)


@pytest.mark.parametrize("name", ["tiny-rn", "tiny-vit"])
def test_words_that_an_embedded_backbone_has_never_read_are_named(name):
    clip = load_backbone(name).clip
    known = [text for pairs in PROMPT_SETS.values() for pair in pairs for text in pair]
    assert unread_words(clip, known) == []
    with pytest.warns(UserWarning, match="never read 'Dull', 'thingamajig': .* other words"):
        encode_prompts(clip, (("a Dull, dark photo", "Dull thingamajig."),))


def test_a_whole_vocabulary_has_no_unknown_words(golden_clips):
    clip = deepcopy(golden_clips["vit"])
    torch.nn.init.normal_(clip.token_embedding.weight)
    encode_prompts(clip, (("thingamajig", "Dull"),))
