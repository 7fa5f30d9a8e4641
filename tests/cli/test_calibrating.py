"""``maclip-lab calibrate``, ``score --calibration`` and ``score --attributes``."""

import json

import numpy as np
import pandas as pd
import pytest

from maclip_lab import Maclip
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation import Calibration
from maclip_lab.files.identity import data_path
from maclip_lab.files.provenance import read_record
from maclip_lab.prompts import ATTRIBUTES
from tests.cli.conftest import RN, VIT, run
from tests.store_world import picture


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Thirty pictures whose opinions follow VIT's scores, and the calibration made of them."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "set").mkdir()
    for i in range(30):
        picture(folder / "set" / f"p{i:02}.png", i)
    assert run("score", folder / "set", "-b", VIT, "-q", "-o", folder / "s.csv")[0] == 0
    scores = pd.read_csv(folder / "s.csv")["score"]
    mos = 50 + 10 * (scores - scores.mean()) / scores.std()
    mos += np.random.default_rng(0).normal(size=30)
    names = [f"p{i:02}.png" for i in range(30)]
    pd.DataFrame({"image": names, "MOS": mos}).to_csv(folder / "mos.csv", index=False)
    options = ["--annotations", folder / "mos.csv", "--root", folder / "set", "-b", VIT, "-q"]
    options += ["--store", folder / "f", "-o", folder / "mine.json"]
    code, output, errors = run("calibrate", "mine", *options)
    assert code == 0, errors
    assert "95% of new pictures should lie within" in output
    return folder


def test_a_calibration_is_applied_to_scores_and_stands_in_the_record(world):
    out = world / "mapped.csv"
    options = ["-b", VIT, "-q", "--calibration", world / "mine.json", "--attributes"]
    assert run("score", world / "set", *options, "-o", out)[0] == 0
    table, fit = pd.read_csv(out), Calibration.from_json((world / "mine.json").read_bytes())
    wanted = fit.apply(table["score"])
    np.testing.assert_allclose(table[list(wanted)], wanted, rtol=1e-9)
    mos = pd.read_csv(world / "mos.csv")["MOS"]
    assert ((table["mos_lo"] <= mos) & (mos <= table["mos_hi"])).mean() > 0.9
    record = read_record(out)["config"]
    assert record["calibration"]["margin"] == fit.margin
    assert record["attributes"] is True
    axes = Maclip(VIT, device="cpu", attributes=True)(table["path"][0]).attributes
    assert list(axes) == list(ATTRIBUTES)
    np.testing.assert_allclose(table.loc[0, list(ATTRIBUTES)].astype(float), list(axes.values()))
    (world / "broken.png").write_bytes(b"no picture")
    out = world / "two.csv"
    pictures = world / "set" / "p00.png", world / "broken.png"
    assert run("score", *pictures, *options, "-o", out)[0] == 1
    good, broken = (row for _, row in pd.read_csv(out).iterrows())
    numbers = [*wanted, *ATTRIBUTES]
    assert good[numbers].notna().all()
    assert broken[numbers].isna().all()
    assert broken["status"] != "ok"
    assert "broken.png" in broken["message"]
    code, shown, _ = run("score", pictures[0], *options)
    assert code == 0
    assert all(name in shown for name in ("mos_predicted", "mos_hi", "colourfulness"))


def test_scores_made_otherwise_and_what_is_no_calibration_are_refused_before_any_work(world):
    (world / "odd.json").write_text(json.dumps({"scores": [1]}))
    for file, options, said in (
        ("mine.json", ["-b", RN], "another backbone"),
        ("mine.json", ["-b", VIT, "--prompts", "clip-iqa"], "another prompts"),
        ("mine.json", ["-b", VIT, "--dataset", "SPAQ"], "another protocol"),
        ("mine.json", ["-b", VIT, "--alpha", "2"], "another alpha, 1.0, not 2.0"),
        ("odd.json", ["-b", VIT], "calibration"),
    ):
        error, _, message = run("score", world / "set", *options, "--calibration", world / file)
        assert error is ValueError  # which ends the program with 2
        assert said in message
    gone = ["--calibration", world / "gone.json"]
    assert run("score", world / "set", "-b", VIT, *gone)[0] == 2
    assert run("calibrate", "mine", "-b", VIT, "-o", world / "mine.json")[0] == 2


def test_a_pack_is_calibrated_with_its_own_backbone(tmp_path):
    pack = data_path("packs", "clive-part.tiny-vit.safetensors")
    code, output, errors = run("calibrate", pack, "-q", "-o", tmp_path / "clive.json")
    assert code == 0, errors
    assert "through 332" in output
    assert Calibration.from_json((tmp_path / "clive.json").read_bytes()).n == 332


def test_every_verb_says_that_opinions_are_scores_of_our_own(world):
    table = pd.read_csv(world / "s.csv")[["path", "score"]]
    table.to_json(world / "o.json", orient="records")
    common = ["mine", "--annotations", world / "o.json", "--store", world / "f", "-b", VIT, "-q"]
    for verb in (["evaluate", "--n-boot", 0], ["sweep"], ["calibrate", "-o", world / "c.json"]):
        with pytest.warns(DatasetWarning, match="the opinions equal the scores of MA-CLIP"):
            assert run(*verb, *common)[0] == 0
