from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import maclip_lab.scorer
from maclip_lab import Maclip, score_folder
from maclip_lab.crops import normalise
from maclip_lab.cues import cosine_cue
from maclip_lab.errors import IntegrityError, PictureError
from maclip_lab.files.identity import content_sha256, joint_sha256
from maclip_lab.fusion import FusionSettings
from maclip_lab.prompts import CLIP_IQA_PROMPTS, encode_prompts
from maclip_lab.scorer import TABLE_COLUMNS
from tests.conftest import GOLDEN
from tests.picture_world import encoded
from tests.store_world import RN, picture

PICTURE = GOLDEN / "a_500x500.png"


@pytest.fixture
def folder(tmp_path):
    """Pictures of four sizes among files that are none."""
    for i, size in enumerate([(260, 300), (400, 224), (30, 500), (1, 1)]):
        picture(tmp_path / f"p{i}.png", i, size)
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    whole = (tmp_path / "p0.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("no picture by its name")
    return tmp_path


@pytest.mark.parametrize("index", range(9))
def test_the_authors_call_gives_the_authors_numbers(scorer, expected, index):
    case = expected["models"]["rn"]["cases"][index]
    for numbers, wanted in case["score"].items():
        names = ("box_lam", "base_cos", "base_norm", "alpha")
        settings = dict(zip(names, map(float, numbers.split(",")), strict=True))
        result = scorer(GOLDEN / f"{case['image']}.png", case["dataset"], **settings)
        assert float(result) == pytest.approx(wanted, rel=1e-5, abs=1e-5)
        assert result.n_crops == case["crops"]


def test_a_score_depends_on_neither_the_kind_of_input_nor_batch_nor_order(scorer, folder):
    with Image.open(PICTURE) as image:
        image.load()
    pixels = np.asarray(image)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255
    inputs = [PICTURE, str(PICTURE), PICTURE.read_bytes(), image, pixels, tensor]
    inputs += sorted(folder.glob("p*.png"))
    alone = [scorer(source).score for source in inputs]
    assert len(set(alone[:6])) == 1
    for order in (slice(None), slice(None, None, -1)):
        together = [result.score for result in scorer.score_all(inputs[order])]
        np.testing.assert_allclose(together, alone[order], atol=1e-6)


def test_a_folder_gives_one_row_a_picture_stops_at_none_and_tells_its_origin(scorer, folder):
    table = score_folder(folder, scorer, "koniq", FusionSettings(alpha=0.5))
    assert tuple(table.columns) == TABLE_COLUMNS
    assert table.attrs["backbone"] == scorer.backbone.name
    assert table.attrs["protocol"]["name"] == "koniq"
    assert table.attrs["alpha"] == 0.5
    good, bad = (table[chosen] for chosen in (table["status"] == "ok", table["status"] != "ok"))
    paths = [(folder / f"p{i}.png").as_posix() for i in range(4)]
    assert good["path"].tolist() == paths
    assert good["score"].notna().all()
    assert good["flags"].tolist() == ["", "", "upscaled", "upscaled"]
    assert good["width"].tolist() == [260, 400, 30, 1]
    assert {Path(path).name for path in bad["path"]} == {"cut.png", "empty.png", "text.jpg"}
    assert bad[["score", "q_cos", "q_mag", "w_cos"]].isna().all(axis=None)
    assert (bad["message"].str.len() > 10).all()
    named = score_folder(paths[:1], RN, "koniq", FusionSettings(alpha=0.5))
    assert named["score"][0] == good["score"].iloc[0]
    (folder / "none").mkdir()
    nothing = score_folder(folder / "none", scorer)
    assert (len(nothing), tuple(nothing)) == (0, TABLE_COLUMNS)


@pytest.mark.parametrize(
    ("protocol", "official"),
    [(None, False), ("native", False), ("synthetic", False), ("koniq", True), ("CLIVE", True)],
)
def test_only_a_published_sets_name_reads_files_as_the_authors_do(scorer, protocol, official):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGBA", (300, 260), (200, 30, 30, 90)), exif=exif)
    named = scorer(data, protocol)
    assert named.width == (300 if official else 260)
    assert scorer(data, protocol, preset="official").width == 300
    assert scorer(data, protocol, preset="default").width == 260
    if not official:
        assert float(named) == float(scorer(data))
    assert scorer.config(protocol).reading == ("official" if official else "default")


def test_the_recorded_hash_is_of_the_bytes_that_were_scored(scorer, folder, monkeypatch):
    paths = sorted(folder.glob("*.??g"))
    wanted = joint_sha256((path.as_posix(), content_sha256(path)) for path in paths)
    score_row = maclip_lab.scorer.score_row

    def replaced(path, result):
        Image.new("RGB", (9, 9)).save(path)
        return score_row(path, result)

    monkeypatch.setattr("maclip_lab.scorer.score_row", replaced)
    table = score_folder(paths, scorer)
    assert table.attrs["data"]["pictures_sha256"] == wanted


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("https://a.org/1.jpg", "an address"),
        ("file:///a%20b/1.jpg", "an address"),
        ("photos/*.jpg", "glob.glob"),
        ("p[0-9].png", "glob.glob"),
        ("nowhere", "nowhere"),
    ],
)
def test_an_address_or_a_pattern_is_answered_in_words(scorer, path, words):
    with pytest.raises(PictureError, match=words):
        scorer(path)
    with pytest.raises(FileNotFoundError, match=words):
        score_folder(path, scorer)
    assert words in score_folder([path], scorer)["message"][0]
    with pytest.raises(NotADirectoryError, match="to score one file, pass it directly"):
        score_folder(PICTURE, scorer)


def test_settings_travel_with_the_scorer(scorer):
    config = scorer.config("koniq", FusionSettings(alpha=0.5))
    assert (config.protocol.name, config.settings.alpha) == ("koniq", 0.5)
    again = Maclip.from_config(replace(config, backbone=RN))
    assert replace(again.base, backbone=config.backbone) == replace(scorer.base)
    with pytest.raises(IntegrityError, match="not the 0000"):
        Maclip.from_config(replace(config, backbone=RN, weights_sha256="0" * 64))


def test_other_prompts_change_the_cosine_cue_alone_and_are_encoded_once(scorer):
    assert scorer.text_anchors("maclip") is scorer.anchors
    other = Maclip(RN, device="cpu", prompts=[("Sharp image", "blurry image")])
    ours, theirs = scorer(PICTURE), other(PICTURE)
    assert ours.q_mag == theirs.q_mag
    assert theirs.q_cos == pytest.approx(ours.crops["Sharp image / blurry image"].mean())


def test_clip_iqa_is_the_cosine_cue_of_the_whole_picture(scorer, golden_clips):
    clip, path = golden_clips["rn"], GOLDEN / "c_640x352.png"
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32)
    with torch.inference_mode():
        feature = clip.encode_image(normalise(torch.tensor(pixels)[None]))
    texts = encode_prompts(clip, CLIP_IQA_PROMPTS)
    wanted = cosine_cue(feature, texts, float(clip.logit_scale.exp())).item()
    assert scorer.clip_iqa(path) == pytest.approx(wanted, rel=1e-5)
    assert scorer.clip_iqa(path, "maclip") != pytest.approx(wanted, rel=1e-5)


def test_a_setting_that_is_unknown_is_named():
    with pytest.raises(ValueError, match="precision is one of fp32, bf16, fp16, got 'fp8'"):
        Maclip(RN, device="cpu", precision="fp8")
    with pytest.raises(ValueError, match=r"device 'warp' cannot be used here .*\"auto\""):
        Maclip(RN, device="warp")
