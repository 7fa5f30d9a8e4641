import sys
from dataclasses import replace

import pytest
from safetensors import safe_open
from typer.testing import CliRunner

from backbones import __main__ as command
from backbones import measure
from backbones.measure import choose, read_runs
from maclip_lab.ablations.controls import random_rotations
from maclip_lab.evaluation import EvaluationSettings
from tests.backbones.conftest import RECIPE, fill

TINY = replace(RECIPE, steps=3, batch=6, late_steps=1, late_batch=4)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command, "RECIPES", {"rn": TINY})
    monkeypatch.setattr(command, "SIDES", (40, 64))
    monkeypatch.setattr(measure, "SETTINGS", EvaluationSettings(n_boot=50))
    monkeypatch.setattr(measure, "random_rotations", lambda size, _: random_rotations(size, 10))
    monkeypatch.setattr(command, "SEEN_TYPES", ("jpeg",))
    monkeypatch.setattr(command, "UNSEEN_TYPES", ("speckle",))

    def invoke(*words: object) -> str:
        done = CliRunner().invoke(command.app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    return invoke


@pytest.fixture
def folders(tmp_path):
    """Photographs with captions and without."""
    return fill(tmp_path / "told", 30, captioned=30), fill(tmp_path / "plain", 30)


SIZES = ("--views", 60, "--late-views", 56)


def test_from_photographs_to_the_page_in_four_commands(run, folders, tmp_path, monkeypatch):
    held_out, out, backbones = fill(tmp_path / "kept", 1), tmp_path / "out", tmp_path
    monkeypatch.setattr(command, "EVERY", 2)
    said = run("train", out, *folders, *SIZES)
    logged = (out / "rn0.losses.csv").read_text().splitlines()
    assert logged[0] == "step,quality,faults,content,sentences"
    assert "plain has no captions: it trains quality alone" in said
    run("train", out, *folders, *SIZES)
    run("validate", out, "rn0", *folders)
    lines = [f"told/{i:03}.png,{i % 5}" for i in range(8)]
    (tmp_path / "opinions.csv").write_text("\n".join(["img_path,mos", *lines]))
    rated = ("--rated", f"opinions={tmp_path / 'opinions.csv'}")
    run("measure", out, "rn0", *folders, "--held-out", held_out, *rated)
    run("report", out, "--backbones", backbones)
    table = read_runs(backbones / "runs.csv")
    validated, measured = {"choosing", "choosing captions"}, {"retrieval", "photos", "further"}
    assert set(table["set"]) == {*validated, *measured, "opinions"}
    assert (backbones / "tiny-rn.safetensors").exists()
    page = (backbones / "README.md").read_text()
    assert "**rn0** (tiny-rn)" in page
    (backbones / "README.md").write_text("What was tried.\n\n" + page)
    run("report", out, "--backbones", backbones)
    assert (backbones / "README.md").read_text() == "What was tried.\n\n" + page


def test_seeds_trained_apart_stand_together_unless_their_recipe_differs(run, folders, tmp_path):
    backbones = tmp_path / "shipped"
    backbones.mkdir()

    def trained(place: str, seed: int, *more: object) -> list[str]:
        out = tmp_path / place
        run("train", out, *folders, *SIZES, "--seed", seed, *more)
        run("validate", out, f"rn{seed}", *folders)
        run("report", out, "--backbones", backbones)
        return list(read_runs(backbones / "runs.csv")["run"].unique())

    assert trained("here", 0) == ["rn0"]
    assert trained("there", 1) == ["rn0", "rn1"]
    chosen = choose(read_runs(backbones / "runs.csv"))["tiny-rn"]
    with safe_open(backbones / "tiny-rn.safetensors", "pt") as file:
        assert file.metadata()["run"] == chosen
    assert trained("elsewhere", 2, "--steps", 2) == ["rn2"]


def test_what_cannot_be_measured_and_what_is_refused_is_said_in_one_line(
    run, tmp_path, monkeypatch
):
    few, out = fill(tmp_path / "few", 8), tmp_path / "out"
    sizes = ("--views", 16, "--late-views", 16)
    run("train", out, few, *sizes)
    said = run("validate", out, "rn0", few)
    assert "no photographs were held out for rn0.choosing.parquet" in said
    assert "no photographs were held out for rn0.choosing captions.parquet" in said
    again = ["train", str(out), str(few), *map(str, sizes), "--steps", "5"]
    monkeypatch.setattr(sys, "argv", ["backbones", *again])
    with pytest.raises(SystemExit, match=r"^error: .*another run \(steps: 3, now 5\)"):
        command.main()
