"""The command line: what it prints, what it writes, and its exit status."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from typer.testing import CliRunner

from maclip_lab import cli
from maclip_lab.ablations.sweeps import CROP_GRID, RULE_GRID, RULES
from maclip_lab.datasets import DatasetError
from maclip_lab.errors import DatasetWarning
from maclip_lab.files.provenance import read_record, record_path
from maclip_lab.prompts import MACLIP_PROMPTS, PROMPT_SETS
from tests.conftest import GOLDEN, posix
from tests.datasets.facsimile import build
from tests.store_world import ROOT, picture

RN, VIT = (str(GOLDEN / f"{name}.safetensors") for name in ("rn", "vit"))
PICTURE = str(GOLDEN / "d_224x224.png")


def run(*arguments):
    """The command line as in a terminal, in this process: exit status, output, errors."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        return type(error), result.stdout, f"{result.stderr}{error}"
    return result.exit_code, result.stdout, result.stderr


def whole(*arguments, **options):
    """The command line as a program of its own."""
    command = [str(Path(sys.executable).with_name("maclip-lab"))]
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
        check=False,
        **options,
    )


@pytest.fixture(autouse=True)
def same_code(monkeypatch):
    """A checkout that nobody edits while a test runs."""
    monkeypatch.setattr("maclip_lab.files.provenance.current_commit", lambda: "c0ffee")


@pytest.fixture
def folder(tmp_path):
    """Three pictures, two of them sound, and a list of scores."""
    for i in range(2):
        picture(tmp_path / f"p{i}.png", i)
    (tmp_path / "cut.png").write_bytes((tmp_path / "p0.png").read_bytes()[:500])
    return tmp_path


@pytest.fixture
def rated(tmp_path):
    """Eight pictures and their scores in a table."""
    (tmp_path / "set").mkdir()
    for i in range(8):
        picture(tmp_path / "set" / f"p{i}.png", i)
    mos = np.random.default_rng(0).permutation(8)
    table = pd.DataFrame({"image": [f"p{i}.png" for i in range(8)], "MOS": mos})
    table.to_csv(tmp_path / "set" / "scores.csv", index=False)
    return tmp_path / "set" / "scores.csv"


# Outputs -------------------------------------------------------------------------------------


@posix
def test_an_output_that_cannot_be_written_is_refused_before_any_work(folder, monkeypatch):
    monkeypatch.setattr("maclip_lab.scorer.Maclip", None)
    (folder / "folder.csv").mkdir()
    (folder / "link.csv").symlink_to("nowhere")
    for output, said in {
        folder / "folder.csv": "is a folder",
        folder / "link.csv": "exists",
        folder / ("n" * 245 + ".csv"): "name too long",
        Path("/proc/scores.csv"): "cannot be written",
    }.items():
        code, _, errors = run("score", folder, "-b", RN, "-o", output)
        assert code == 2
        assert said in " ".join(errors.replace("│", " ").split())
    assert (folder / "link.csv").is_symlink()
    assert not list(folder.glob(".*"))


def test_a_folder_that_could_not_be_looked_into_is_a_failure(folder, monkeypatch):
    def partly(path):
        warnings.warn("skipped a folder that cannot be read: locked", stacklevel=2)
        return [folder / "p0.png"]

    monkeypatch.setattr("maclip_lab.images.find_pictures", partly)
    with pytest.warns(UserWarning, match="skipped a folder that cannot be read"):
        code, _, errors = run("score", folder, "-b", RN, "-q", "--device", "cpu")
    assert code == 1
    assert "1 of 1 pictures scored" in errors


def test_pictures_that_a_list_names_and_nobody_has_are_a_failure(rated):
    store = rated.parent / "store"
    rated.write_text(rated.read_text() + "gone.png,3\n")
    with pytest.warns(DatasetWarning, match=r"gone\.png"):
        code, _, _ = run(
            "features", "mine", "--annotations", rated, "--store", store, "-b", VIT, "-q"
        )
    assert code == 1


def test_links_are_named_as_they_were_given_in_one_process_and_in_several(folder):
    (folder / "link.png").symlink_to("p0.png")
    (folder / "loop.png").symlink_to("loop.png")
    tables = []
    for name, options in {"one.csv": (), "many.csv": ("--workers", "1")}.items():
        arguments = ("-b", VIT, "-q", "--device", "cpu", *options)
        done = whole("score", folder, "-o", folder / name, *arguments)
        assert done.returncode == 1, done.stderr
        tables.append((folder / name).read_bytes())
    assert tables[0] == tables[1]
    assert b"link.png" in tables[0]
    assert b"loop.png" in tables[0]


# The program ---------------------------------------------------------------------------------


def test_the_program_scores_a_folder_and_exits_1_if_a_picture_is_broken(folder):
    out = folder / "scores.parquet"
    done = whole("score", folder, "-b", RN, "-o", out, "-q", "--device", "cpu")
    assert done.returncode == 1, done.stderr
    assert "2 of 3 pictures scored" in done.stderr
    assert "cut.png: decode_error" in done.stderr
    table = pd.read_parquet(out)
    assert table["status"].tolist() == ["decode_error", "ok", "ok"]
    assert table["score"].isna().tolist() == [True, False, False]
    assert json.loads(record_path(out).read_text())["backbone"].endswith("rn.safetensors")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["score", PICTURE, "-b", "gone.pt"], 1, "gone.pt: no such file"),
        (["score", PICTURE, "-b", RN, "-q", "--dataset", "imagenet"], 2, "no data set is called"),
        (["score", PICTURE, "-b", RN, "--precision", "fp8"], 2, "precision is one of"),
        (["datasets", "show", "imagenet"], 2, "no data set is called 'imagenet'"),
        (["explain", PICTURE], 1, "has no record"),
        (["evaluate", "koniq", "-b", VIT], 2, "say where koniq lies"),
        (["features", "synthetic", "--scores", "raw"], 2, "for the nine data sets as published"),
    ],
)
def test_a_failure_is_one_line_and_a_wrong_call_has_its_own_exit_status(
    arguments, code, said, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["maclip-lab", *arguments])
    monkeypatch.setattr("warnings.showwarning", print)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    errors = capsys.readouterr().err
    assert ended.value.code == code, errors
    assert said in errors
    assert errors.startswith("error: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", PICTURE, "-b"],
        ["features", "mine", "-b", RN, "-b"],
        ["evaluate", "mine", "-b", RN, "-b"],
        ["sweep", "mine", "-b"],
        ["explain", PICTURE, "-b"],
        ["demo", "-b"],
        ["weights", "fetch"],
        ["weights", "verify"],
    ],
    ids=lambda arguments: " ".join(arguments[: 1 + (arguments[0] == "weights")]),
)
def test_a_backbone_that_does_not_exist_is_a_wrong_call_that_names_the_nearest(
    arguments, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["maclip-lab", *arguments, "vit-b32"])
    monkeypatch.setattr("warnings.showwarning", print)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert said.startswith("error: no backbone is called 'vit-b32'. Did you mean 'ViT-B/32' or ")
    assert list(tmp_path.iterdir()) == []


def test_every_command_that_takes_a_backbone_refuses_unknown_names():
    import typer.main

    commands = typer.main.get_command(cli.app).commands
    commands |= {f"weights {name}": one for name, one in commands["weights"].commands.items()}
    takers = {
        name
        for name, command in commands.items()
        for parameter in command.params
        if parameter.name == "backbone" or (parameter.name == "name" and "weights" in name)
    }
    assert takers == {
        *("score", "features", "pack", "evaluate", "sweep", "calibrate", "explain", "demo"),
        *("weights fetch", "weights verify", "reproduce"),
    }


def test_a_record_that_names_an_unknown_backbone_is_explained(result):
    record = json.loads(record_path(result).read_text())
    record_path(result).write_text(json.dumps(record | {"backbone": "RN999"}))
    code, output, _ = run("explain", result)
    assert code == 1
    assert "the weights of RN999 are not on this machine" in output


def test_offline_without_weights_says_where_to_put_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    error, _, said = run("score", PICTURE, "-b", "RN50", "--offline", "-q")
    assert error.__name__ == "OfflineError"
    for part in ("not tried", "RN50.pt", str(tmp_path), "sha256", "tiny-rn"):
        assert part in said


def test_help_lists_every_command():
    code, output, _ = run("--help")
    assert code == 0
    for name in ("score", "features", "evaluate", "sweep", "datasets", "weights", "doctor"):
        assert name in output


# Score ---------------------------------------------------------------------------------------


def test_scores_are_shown_where_no_file_is_asked_for():
    code, output, errors = run("score", PICTURE, "-b", VIT, "-q")
    assert code == 0
    assert "d_224x224.png" in output
    assert "1 of 1 pictures scored" in errors


def test_the_settings_and_the_protocol_reach_the_score(tmp_path):
    from maclip_lab import Maclip

    out = tmp_path / "s.csv"
    arguments = ["-b", VIT, "--dataset", "SPAQ", "--alpha", "0.5", "--box-lam", "1", "-o", out]
    code, _, errors = run("score", PICTURE, "-q", "--device", "cpu", *arguments)
    assert code == 0, errors
    wanted = Maclip(VIT, device="cpu")(PICTURE, "SPAQ", alpha=0.5, box_lam=1.0)
    assert pd.read_csv(out)["score"][0] == pytest.approx(wanted.score, rel=1e-6)


def test_two_settings_never_share_a_record(tmp_path):
    records = []
    for number, option in enumerate((["--prompts", "maclip"], ["--prompts", "clip-iqa"], [])):
        out = tmp_path / f"{number}.csv"
        assert run("score", PICTURE, "-b", VIT, "-q", "-o", out, *option)[0] == 0
        records.append(json.loads(record_path(out).read_text())["config_sha256"])
    assert records[0] == records[2] != records[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [("there.csv", "exists"), ("s.txt", "not end in .parquet or .csv"), ("no/s.csv", "not exist")],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(name, said, tmp_path):
    (tmp_path / "there.csv").write_text("mine")
    code, _, errors = run("score", PICTURE, "-b", "gone.safetensors", "-o", tmp_path / name)
    assert code == 2
    assert said in " ".join(errors.split()).replace("│ ", "")
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_an_output_is_replaced_on_request(tmp_path):
    (tmp_path / "s.csv").write_text("mine")
    assert run("score", PICTURE, "-b", VIT, "-q", "-o", tmp_path / "s.csv", "--overwrite")[0] == 0
    assert "score" in (tmp_path / "s.csv").read_text()


@pytest.mark.parametrize("what", ["nowhere.png", "empty"])
def test_nothing_to_score_is_a_wrong_call(what, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("score", tmp_path / what, "-b", VIT)[0] == 2


# Data sets -----------------------------------------------------------------------------------


def test_the_nine_data_sets_are_listed_and_shown():
    code, output, _ = run("datasets", "list")
    assert code == 0
    assert all(name in output for name in ("koniq", "TID2013", "PIPAL", "CSIQ"))
    code, output, _ = run("datasets", "show", "CLIVE")
    assert code == 0
    assert "livec" in output
    assert "http" in output


def test_a_partial_copy_does_not_pass_the_check(tmp_path):
    copy = build("CSIQ", tmp_path, rows=12)
    code, output, _ = run("datasets", "check", "CSIQ", "--root", copy)
    assert code == 1
    assert "expected 866" in output


def test_the_check_takes_a_variant_and_a_resolution(tmp_path):
    clive = build("livec", tmp_path, size=(32, 32))
    check = ["datasets", "check", "livec", "--root", clive, "-q"]
    for variant, rows in (("standard", 1162), ("paper", 1169)):
        code, output, errors = run(*check, "--variant", variant, "--no-decode")
        assert (code, errors) == (0, "")
        assert f"{rows} annotated pictures, fit for use" in output
    code, output, _ = run(*check, "--workers", "2")
    assert code == 1
    assert "pictures are not 500 x 500" in output
    koniq = build("koniq", tmp_path, rows=12, size=(512, 384))
    code, output, errors = run(
        "datasets", "check", "koniq", "--root", koniq, "--resolution", "512x384"
    )
    assert "12/12" in errors, "there is no progress bar"
    assert "not 512 x 384" not in output
    assert run(*check, "--variant", "papers")[0] == 2
    assert run(*check, "--resolution", "512x384")[0] is ValueError


def test_features_are_extracted_once_and_evaluated_from_the_store(rated, tmp_path):
    store = ["--annotations", rated, "--store", tmp_path / "store", "-b", VIT, "-q"]
    code, output, errors = run("features", "mine", *store)
    assert code == 0, errors
    assert "8 of 8 pictures" in output
    out = tmp_path / "table.csv"
    code, output, errors = run("evaluate", "mine", *store, "-o", out, "--n-boot", "20")
    assert code == 0, errors
    table = pd.read_csv(out)
    assert table["method"].tolist() == ["CLIP-IQA", "cosine cue", "magnitude cue", "MA-CLIP"]
    assert (table["n"] == 8).all()
    assert table["srcc"].between(-1, 1).all()
    assert "MA-CLIP" in output


def test_an_evaluation_leaves_the_scores_of_every_picture_on_request(rated, tmp_path):
    arguments = ["--annotations", rated, "--store", tmp_path / "store", "-q", "--n-boot", "0"]
    arguments += ["-b", VIT, "-b", RN, "-o", tmp_path / "t.csv", "--details", tmp_path / "details"]
    code, _, errors = run("evaluate", "mine", *arguments)
    assert code == 0, errors
    table = pd.read_csv(tmp_path / "t.csv").set_index(["backbone", "method"])
    scores = pd.read_csv(tmp_path / "details" / "predictions.csv")
    columns = {"score": "MA-CLIP", "clip_iqa": "CLIP-IQA", "q_mag": "magnitude cue"}
    assert len(scores) == 16
    for backbone, part in scores.groupby("backbone"):
        assert part["name"].tolist() == [f"p{i}.png" for i in range(8)]
        for column, method in columns.items():
            srcc = stats.spearmanr(part[column], part["mos"]).statistic
            assert table.loc[(backbone, method), "srcc"] == pytest.approx(srcc, abs=1e-12)
    differences = pd.read_csv(tmp_path / "details" / "differences.csv")
    assert (differences["other"] == "MA-CLIP").all()
    assert list(differences)[:2] == ["dataset", "backbone"]
    for name in ("predictions", "differences", "by_type"):
        assert run("explain", tmp_path / "details" / f"{name}.csv")[0] == 0
    (tmp_path / "t.csv").unlink()
    assert run("evaluate", "mine", *arguments)[0] == 2, "the details would be overwritten"
    arguments[-1] = tmp_path / "no" / "details"
    assert run("evaluate", "mine", *arguments)[0] == 2


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
def test_a_part_of_a_set_has_no_number_of_the_papers_beside_it(tmp_path):
    clive = build("livec", tmp_path, rows=3, size=(500, 500))
    store = ["--store", tmp_path / "store", "-b", VIT, "-q", "--n-boot", "0"]
    out = tmp_path / "t.csv"
    code, output, errors = run("evaluate", "livec", "--root", clive, *store, "-o", out)
    assert code == 0, errors
    columns = ["paper_rn50_srcc", "minus_paper_rn50", "published_srcc"]
    assert pd.read_csv(out)[columns].isna().all(axis=None)
    assert "0.7428" not in output


@pytest.mark.parametrize("option", ["--variant=paper", "--scores=zscore", "--resolution=512x384"])
def test_choices_of_the_nine_sets_are_refused_for_a_list_of_ones_own(option, rated, tmp_path):
    arguments = ["--annotations", rated, "--store", tmp_path, "-b", VIT]
    error, _, message = run("evaluate", "mine", *arguments, option)
    assert error is ValueError  # which ends the program with 2
    assert "for the nine data sets as published" in message


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
def test_koniqs_other_scores_are_for_the_asking(tmp_path):
    koniq = build("koniq", tmp_path, rows=12, size=(32, 32))
    ranges = []
    for scores in ("mos", "zscore"):
        out = tmp_path / scores
        arguments = ["--root", koniq, "--scores", scores, "--resolution", "512x384", "--details"]
        store = ["--store", tmp_path / "store", "-b", VIT, "-q", "--n-boot", "0"]
        assert run("evaluate", "koniq", *arguments, out, *store)[0] == 0
        table = pd.read_csv(out / "predictions.csv")
        assert table["path"].str.startswith("512x384/").all()
        ranges.append(table["mos"].max())
    assert ranges[0] <= 5 < ranges[1]


@pytest.mark.parametrize(
    ("grid", "varied", "values"),
    [
        ("bases", "alpha", {0.2, 0.5, 1.0, 1.5, 2.0}),
        ("crops", "crops", set(CROP_GRID)),
        ("rules", "rule", {*RULES, *(f"fixed {w:g}" for w in RULE_GRID[len(RULES) :])}),
        ("prompts", "prompts", {*PROMPT_SETS, *(f"{a} / {b}" for a, b in MACLIP_PROMPTS)}),
    ],
)
def test_every_ablation_is_one_call(grid, varied, values, rated, tmp_path):
    out = tmp_path / "sweep.csv"
    arguments = ["--annotations", rated, "--store", tmp_path / "store", "-b", VIT, "-q", "-o", out]
    code, _, errors = run("sweep", "mine", *arguments, "--grid", grid)
    assert code == 0, errors
    table = pd.read_csv(out)
    assert set(table[varied]) == values
    assert json.loads(record_path(out).read_text())["config"]["grid"] == grid


def test_a_list_that_repeats_a_picture_is_read_on_request(rated, tmp_path):
    """As the authors' list of AGIQA-1K does."""
    rated.write_text(rated.read_text() + "p0.png,3.5\n")
    arguments = ["--annotations", rated, "--store", tmp_path / "store", "-b", VIT, "-q"]
    error, _, said = run("evaluate", "mine", *arguments, "--n-boot", "0")
    assert error is DatasetError
    assert 'on_duplicate="keep"' in said
    code, output, errors = run(
        "evaluate", "mine", *arguments, "--n-boot", "0", "--on-duplicate", "keep"
    )
    assert code == 0, errors
    assert " 9 " in output


def test_a_sweep_has_a_row_a_setting_and_a_record(rated, tmp_path):
    out = tmp_path / "sweep.csv"
    arguments = ["--annotations", rated, "--store", tmp_path / "store", "-b", VIT, "-q", "-o", out]
    code, _, errors = run("sweep", "mine", *arguments)
    assert code == 0, errors
    table = pd.read_csv(out)
    assert set(table["box_lam"]) == {round(0.1 * step, 1) for step in range(21)}
    record = json.loads(record_path(out).read_text())
    assert len(record["manifest_sha256"]) == 64
    assert run("sweep", "mine", *arguments, "--grid", "best")[0] == 2


def test_a_broken_picture_of_a_data_set_is_reported_with_exit_status_1(rated, tmp_path):
    (rated.parent / "p3.png").write_text("no picture")
    store = ["--annotations", rated, "--store", tmp_path / "store", "-b", VIT, "-q"]
    for command in (["features"], ["evaluate", "--n-boot", "0"], ["sweep"]):
        code, _, errors = run(command[0], "mine", *store, *command[1:])
        assert code == 1, command
        assert "p3.png: unsupported" in errors
        assert "1 of 8 pictures could not be used" in errors


def test_two_backbones_share_a_table_that_can_be_explained(rated, tmp_path):
    out = tmp_path / "table.csv"
    arguments = ["--annotations", rated, "--store", tmp_path / "store", "-q", "--n-boot", "0"]
    code, _, errors = run("evaluate", "mine", *arguments, "-b", VIT, "-b", RN, "-o", out)
    assert code == 0, errors
    assert pd.read_csv(out)["backbone"].nunique() == 2
    code, output, errors = run("explain", out)
    assert code == 0, output + errors


def test_all_data_sets_without_a_place_are_a_wrong_call(tmp_path):
    assert run("evaluate", "all", "-b", VIT)[0] == 2
    assert run("evaluate", "all", "--root", tmp_path, "-b", VIT)[0] == 2


# Packs ---------------------------------------------------------------------------------------


@pytest.fixture
def packed(rated, tmp_path):
    """A pack of the eight pictures, and where their store lies."""
    out = tmp_path / "eight.safetensors"
    arguments = ["--annotations", rated, "--store", tmp_path / "store", "-b", VIT, "-q"]
    code, output, said = run("pack", "mine", *arguments, "-o", out)
    assert (code, f"written to {out}" in output) == (0, True), said
    return out


def test_a_pack_is_evaluated_without_pictures_or_weights(packed, rated, tmp_path, monkeypatch):
    common = ["--store", tmp_path / "store", "--n-boot", "0", "-q"]
    source = ["mine", "--annotations", rated, "-b", VIT]
    assert run("evaluate", *source, *common, "-o", tmp_path / "a.csv")[0] == 0
    monkeypatch.setattr("maclip_lab.scorer.load_backbone", None)
    assert run("evaluate", packed, *common, "-o", tmp_path / "b.csv")[0] == 0
    seen, again = (pd.read_csv(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert list(again["method"]) == list(seen["method"])
    assert (again["backbone"] == VIT).all()
    np.testing.assert_allclose(again["plcc_raw"], seen["plcc_raw"], atol=0.01)
    record = read_record(tmp_path / "b.csv")
    assert record["manifest_sha256"] == read_record(tmp_path / "a.csv")["manifest_sha256"]
    assert len(record["config"]["pack_sha256"]) == 64
    code, output, _ = run("explain", tmp_path / "b.csv")
    assert (code, "would reproduce" in output) == (0, True)
    code, output, _ = run("sweep", packed, "--grid", "rules", "-o", tmp_path / "c.csv")
    assert (code, len(pd.read_csv(tmp_path / "c.csv"))) == (0, len(RULE_GRID))
    assert run("evaluate", packed, *common, "--n-pictures", 5)[1].count(" 5 ") >= 3


def test_a_pack_is_refused_for_another_backbone_and_made_of_pictures_alone(packed, tmp_path):
    error, _, said = run("evaluate", packed, "-b", RN, "-q", "--store", tmp_path / "none")
    assert error.__name__ == "StoreError"
    for name in (RN, VIT, "eight.safetensors"):
        assert name in said
    assert not (tmp_path / "none").exists()
    assert run("pack", packed, "-b", VIT, "-o", tmp_path / "x.safetensors")[0] == 2
    code, _, said = run("pack", packed, "-b", VIT, "-o", packed)
    assert (code, "exists" in said) == (2, True)
    assert run("pack", packed, "-b", VIT, "-o", tmp_path / "x.csv")[0] == 2


def test_pictures_that_failed_or_were_absent_when_packed_are_said(rated, tmp_path):
    (rated.parent / "p3.png").write_text("no picture")
    rated.write_text(rated.read_text() + "gone.png,3\n")
    out = tmp_path / "part.safetensors"
    common = ["--store", tmp_path / "store", "-b", VIT, "-q"]
    rows = ["--annotations", rated, "--no-clip-iqa"]
    with pytest.warns(DatasetWarning, match="gone"):
        code, _, said = run("pack", "mine", *rows, *common, "-o", out)
    assert (code, "p3.png: " in said) == (1, True)
    code, _, said = run("evaluate", out, "--no-clip-iqa", "--n-boot", "0", "-q")
    assert (code, "p3.png: " in said) == (1, True)
    assert "1 of 8 pictures could not be used" in said
    error, _, said = run("evaluate", out, "-q")
    assert error.__name__ == "StoreError"
    assert "--no-clip-iqa" in said


# Explain -------------------------------------------------------------------------------------


@pytest.fixture
def result(tmp_path):
    out = tmp_path / "s.csv"
    assert run("score", PICTURE, "-b", VIT, "-q", "-o", out)[0] == 0
    return out


def test_an_untouched_result_would_be_reproduced(result):
    code, output, _ = run("explain", result)
    assert code == 0
    assert "would reproduce" in output
    for fact in ("backbone", "weights_sha256", "config_sha256", "versions", "torch"):
        assert fact in output


def test_other_weights_and_edited_results_are_told(result):
    code, output, _ = run("explain", result, "-b", RN)
    assert code == 1
    assert "the weights differ" in output
    result.write_text(result.read_text() + "one more row\n")
    code, output, _ = run("explain", result)
    assert code == 1
    assert "changed since it was written" in output


def test_weights_that_are_gone_are_said_to_be(result):
    record = json.loads(record_path(result).read_text())
    record["backbone"] = "gone.safetensors"
    record_path(result).write_text(json.dumps(record))
    code, output, _ = run("explain", result)
    assert code == 1
    assert "the weights of gone.safetensors are not on this machine" in output


# Weights -------------------------------------------------------------------------------------


def test_the_weights_are_listed_with_where_they_are():
    code, output, _ = run("weights", "list")
    assert code == 0
    assert all(name in output for name in ("tiny-rn", "RN50", "ViT-L/14@336px"))


def test_a_file_of_which_nothing_is_on_record_is_said_to_be_so():
    code, output, _ = run("weights", "verify", VIT)
    assert code == 0
    assert "unrecorded" in output


def test_known_answers_are_rn50s_alone(tmp_path):
    code, _, errors = run("weights", "verify", VIT, "--pictures", PICTURE)
    assert code == 2
    assert "RN50" in errors


# The project ---------------------------------------------------------------------------------


def test_jupyterlab_stays_on_this_machine_and_keeps_its_token(monkeypatch):
    called = []
    monkeypatch.setattr(subprocess, "call", lambda command: called.append(command) or 0)
    code, _, _ = run("lab", "--no-browser", "--port", "9999")
    assert code == 0
    assert "--ServerApp.ip=127.0.0.1" in called[0]
    assert "--ServerApp.port=9999" in called[0]
    assert "--no-browser" in called[0]
    assert not any("token" in part or "password" in part for part in called[0])


def test_jupyterlab_shows_the_whole_checkout_so_that_no_link_of_a_notebook_is_dead(monkeypatch):
    called = []
    monkeypatch.setattr(subprocess, "call", lambda command: called.append(command) or 0)
    assert run("lab", "--no-browser")[0] == 0
    root = next(Path(p.split("=")[1]) for p in called[0] if p.startswith("--ServerApp.root_dir="))
    first = next(p.split("/lab/tree/")[1] for p in called[0] if "default_url" in p)
    assert (root / first).is_file()
    assert (root / "README.md").is_file()


def test_the_doctor_prints_a_line_a_finding_and_its_verdict(monkeypatch):
    frame = pd.DataFrame([("python", "ok", "3"), ("cache", "bad", "no")])
    frame.columns = ["what", "verdict", "finding"]
    monkeypatch.setattr("maclip_lab.cli.doctor.examine", lambda: frame)
    code, output, _ = run("doctor")
    assert code == 1
    assert output.splitlines()[1].split() == ["bad", "cache", "no"]
    monkeypatch.setattr("maclip_lab.cli.doctor.examine", lambda: frame[:1])
    assert run("doctor")[0] == 0


def test_a_run_in_parts_needs_a_table_to_write(folder):
    status, _, errors = run("score", folder, "-b", RN, "--workers", "2")
    assert status == 2
    assert "a run in parts needs a table to write" in errors


def test_workers_write_the_table_of_a_single_process(folder):
    one, many = folder / "one.csv", folder / "many.csv"
    assert run("score", folder, "-b", RN, "-o", one, "-q")[0] == 1
    done = whole("score", folder, "-b", RN, "-o", many, "-q", "--workers", "1")
    assert done.returncode == 1, done.stderr
    tables = [pd.read_csv(path).drop(columns=["path", "message"]) for path in (one, many)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_one_process_and_several_write_the_same_table_and_record(folder, tmp_path):
    names = ("one", "two")
    for name, workers in zip(names, ([], ["--workers", 2]), strict=True):
        code, _, errors = run(
            *("score", folder, "-o", tmp_path / f"{name}.csv", "-b", VIT),
            *("--dataset", "koniq", "--prompts", "clip-iqa", "--box-lam", 0.3, *workers),
        )
        assert code == 1, errors  # one picture is cut
    tables = [(tmp_path / f"{name}.csv").read_bytes() for name in names]
    assert tables[0] == tables[1]
    records = [read_record(tmp_path / f"{name}.csv") for name in names]
    for record in records:
        for changes in ("created", "command", "result"):
            record.pop(changes)
    assert records[0] == records[1]
    config = records[0]["config"]
    assert config["protocol"]["name"] == "koniq"
    assert (config["preset"], config["box_lam"], config["precision"]) == ("official", 0.3, "fp32")
    assert config["prompts"] == [list(pair) for pair in PROMPT_SETS["clip-iqa"]]
    assert config["pos_embedding"] is False


def test_a_stopped_run_in_one_process_goes_on_from_its_parts(folder, tmp_path):
    out = tmp_path / "scores.parquet"
    run("score", folder, "-o", out, "-b", VIT)
    parts = {path: path.stat().st_mtime_ns for path in out.with_suffix(".parts").iterdir()}
    out.unlink()
    run("score", folder, "-o", out, "-b", VIT)
    assert parts == {path: path.stat().st_mtime_ns for path in out.with_suffix(".parts").iterdir()}
    assert len(pd.read_parquet(out)) == 3


def test_every_result_records_the_same_settings(rated, tmp_path):
    """What one command tells of itself, the others tell too."""
    common = ["--annotations", rated, "--store", tmp_path / "store", "-b", VIT]
    run("score", rated.parent, "-o", tmp_path / "score.csv", "-b", VIT)
    run("evaluate", "mine", *common, "--n-boot", 20, "-o", tmp_path / "evaluate.csv")
    run("sweep", "mine", *common, "--grid", "crops", "-o", tmp_path / "sweep.csv")
    told = [
        set(read_record(tmp_path / f"{name}.csv")["config"])
        for name in ("score", "evaluate", "sweep")
    ]
    assert told[0] >= {"backbone", "weights_sha256", "protocol", "preset", "prompts", "precision"}
    assert told[0] <= told[1]
    assert told[0] <= told[2]


# Reading -------------------------------------------------------------------------------------


def turned(path, seed):
    """A photograph as a phone writes it: its EXIF tag says how to turn it."""
    made = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (260, 300, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    made.save(path, exif=exif, quality=60)


def transparent(path, seed):
    """A picture with holes, under which its pixels go on."""
    pixels = np.random.default_rng(seed).integers(0, 256, (260, 300, 4), np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


@pytest.mark.parametrize(
    ("make", "preset", "flag"),
    [
        *[(turned, preset, "exif_rotated") for preset in (None, "default", "official")],
        *[(transparent, preset, "alpha") for preset in (None, "official")],
    ],
)
def test_a_picture_has_one_score_whichever_command_reads_it(tmp_path, make, preset, flag):
    for i in range(6):
        make(tmp_path / f"{i}.jpg", i)
    rows = [f"{i}.jpg,{i}" for i in range(6)]
    (tmp_path / "list.csv").write_text("\n".join(["image,mos", *rows]))
    asked = [] if preset is None else ["--preset", preset]
    common = ["-b", RN, "--device", "cpu", "-q", *asked]
    assert run("score", tmp_path, *common, "-o", tmp_path / "s.csv")[0] == 0
    owned = ["mine", "--annotations", tmp_path / "list.csv", "--store", tmp_path / "store"]
    out = ["-o", tmp_path / "e.csv", "--details", tmp_path / "d", "--n-boot", 0]
    code, _, errors = run("evaluate", *owned, *common, *out)
    assert code == 0, errors
    code, _, errors = run("sweep", *owned, *common, "-o", tmp_path / "w.csv", "--grid", "crops")
    assert code == 0, errors
    scored, predicted = (pd.read_csv(tmp_path / name) for name in ("s.csv", "d/predictions.csv"))
    assert predicted["score"].tolist() == pytest.approx(scored["score"].tolist(), abs=1e-6)
    assert predicted["flags"].tolist() == scored["flags"].tolist() == [flag] * 6
    for name in ("s.csv", "e.csv", "d/predictions.csv", "w.csv"):
        assert read_record(tmp_path / name)["config"]["preset"] == (preset or "default")
    from maclip_lab import Maclip

    mine = Maclip(RN, device="cpu")(tmp_path / "0.jpg", preset=preset or "default")
    assert scored["score"][0] == pytest.approx(mine.score, abs=1e-6)
    if make is turned:
        wide = scored["width"].tolist() == [300] * 6
        assert wide is (preset == "official")


# What a result was made of -------------------------------------------------------------------


def test_a_result_of_pictures_that_changed_or_went_is_not_said_to_reproduce(tmp_path):
    (tmp_path / "set").mkdir()
    for i in range(2):
        picture(tmp_path / "set" / f"p{i}.png", i)
    out = tmp_path / "s.csv"
    assert run("score", tmp_path / "set", "-b", VIT, "-q", "-o", out)[0] == 0
    first = tmp_path / "set" / "p0.png"
    before = first.read_bytes()
    assert run("explain", out)[0] == 0
    picture(first, 7)
    code, output, _ = run("explain", out)
    assert code == 1
    assert "have been changed or replaced" in output
    first.unlink()
    code, output, _ = run("explain", out)
    assert code == 1
    assert "1 of 2 pictures are gone" in output
    assert "p0.png" in output
    first.write_bytes(before)
    assert run("explain", out)[0] == 0


def test_an_evaluation_of_rows_or_pictures_that_changed_is_not_said_to_reproduce(rated, tmp_path):
    out = tmp_path / "t.csv"
    store = ["--store", tmp_path / "store", "-b", VIT, "-q", "--n-boot", "0"]
    assert run("evaluate", "mine", "--annotations", rated, *store, "-o", out)[0] == 0
    text, first = rated.read_text(), rated.parent / "p0.png"
    before = first.read_bytes()
    assert run("explain", out)[0] == 0
    rated.write_text(text.replace("p0.png,", "p0.png,1"))
    code, output, _ = run("explain", out)
    assert code == 1
    assert "the data set's rows differ" in output
    rated.unlink()
    assert "the data set cannot be read as it was" in run("explain", out)[1]
    rated.write_text(text)
    picture(first, 99)
    assert "have been changed or replaced" in run("explain", out)[1]
    first.unlink()
    assert "1 pictures are gone" in run("explain", out)[1]
    first.write_bytes(before)
    assert run("explain", out)[0] == 0


# The caller's language -----------------------------------------------------------------------


def program(monkeypatch, capsys, *arguments):
    """The program itself, in this process: exit status, output, errors."""
    monkeypatch.setattr(sys, "argv", ["maclip-lab", *map(str, arguments)])
    monkeypatch.setattr("warnings.showwarning", print)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


def test_messages_name_options_that_exist_and_following_them_works(monkeypatch, capsys, tmp_path):
    for i in range(5):
        picture(tmp_path / f"p{i}.png", i)
    rows = "".join(f"p{i}.png,{i}\n" for i in range(5))
    (tmp_path / "csiq.csv").write_text("shot,dmos\n" + (rows + rows).replace(".png", ""))
    arguments = ["evaluate", tmp_path / "csiq.csv", "-b", VIT, "-q", "--n-boot", 0]
    arguments += [f"--store={tmp_path}/store", "-o", tmp_path / "t.csv"]
    for asked, answer in (
        ("It has shot, dmos; pass --path-column", ["--path-column", "shot"]),
        ("say --higher-is-better or --lower-is-better", ["--lower-is-better"]),
        ("pass --on-duplicate keep if that is meant", ["--on-duplicate", "mean"]),
    ):
        code, _, errors = program(monkeypatch, capsys, *arguments)
        assert code == 1
        assert asked in errors
        assert "_column=" not in errors
        arguments += answer
    code, _, errors = program(monkeypatch, capsys, *arguments)
    assert code == 0, errors
    assert "pictures by column 'shot', scores by 'dmos', lower is better" in errors
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["mos_direction"].unique().tolist() == ["lower is better"]
    assert table["paper_rn50_srcc"].isna().all(), "a list is none of the nine for its file's name"
    config = read_record(tmp_path / "t.csv")["config"]
    assert "scores by 'dmos'" in config["note"]
    assert config["quick_gelu"] is True


def test_a_home_folder_is_found_after_an_equals_sign(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    copy = build("CSIQ", tmp_path, rows=12)
    arguments = ["datasets", "check", "CSIQ", f"--root=~/{copy.name}", "-q", "--no-decode"]
    code, output, errors = program(monkeypatch, capsys, *arguments)
    assert str(copy) in output, errors
    assert code == 1


def test_a_decoders_warning_has_the_name_of_its_file(capsys):
    from maclip_lab.images import being_read

    being_read.set("holiday/7.jpg")
    cli._show_warning(UserWarning("Corrupt EXIF data"))
    assert capsys.readouterr().err == "warning: holiday/7.jpg: Corrupt EXIF data\n"
    being_read.set("")


def test_what_a_search_leaves_out_is_a_failure(folder):
    (folder / "cut.png").unlink()
    (folder / "raw.dng").write_bytes(b"II*\0" + bytes(9))
    with pytest.warns(UserWarning, match=r"1 pictures under .* are left out: 1 \.dng"):
        code, _, errors = run("score", folder, "-b", VIT, "-q")
    assert code == 1
    assert "2 of 2 pictures scored" in errors


# What only a check knew ----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:koniq. its annotations")
def test_pictures_of_another_size_are_named_as_why_the_papers_numbers_are_not_beside(tmp_path):
    copy = build("koniq", tmp_path, rows=3, size=(512, 384))
    (copy / "1024x768").rename(copy / "pictures")
    for path in (copy / "512x384").iterdir():
        path.unlink()
    arguments = ["evaluate", "koniq", "--root", copy, "--store", tmp_path / "store", "-b", VIT]
    arguments += ["-q", "--n-boot", "0", "--no-clip-iqa"]
    with pytest.warns(DatasetWarning, match="3 of 3 pictures are not 1024 x 768, the first is"):
        assert run(*arguments)[0] == 0


def test_a_file_that_is_absent_or_no_weights_is_not_verified(tmp_path, monkeypatch, capsys):
    (tmp_path / "x.safetensors").write_bytes(b"nothing of the kind")
    code, output, errors = program(monkeypatch, capsys, "weights", "verify", tmp_path / "gone.pt")
    assert (code, output) == (1, "")
    assert "gone.pt: missing" in errors
    code, _, errors = program(monkeypatch, capsys, "weights", "verify", tmp_path / "x.safetensors")
    assert code == 1
    assert "is not a safetensors file" in errors


def test_weights_are_verified_where_they_are_said_to_lie(tmp_path, monkeypatch, capsys):
    (tmp_path / "RN50.pt").write_bytes(b"not these")
    arguments = ["weights", "verify", "RN50", "--weights-dir", tmp_path]
    code, output, _ = program(monkeypatch, capsys, *arguments)
    assert code == 1
    assert "mismatch" in output
    assert str(tmp_path / "RN50.pt") in output


def test_nothing_is_explained_of_no_file(monkeypatch, capsys, tmp_path):
    code, _, errors = program(monkeypatch, capsys, "explain", tmp_path / "none.csv")
    assert code == 1
    assert "none.csv: no such result" in errors


# Others' scores and people's choices -----------------------------------------------------------


def test_other_metrics_stand_in_the_table_with_one_correction_for_all(rated, tmp_path):
    other = tmp_path / "mine.csv"
    mos = pd.read_csv(rated)
    pd.DataFrame({"path": mos["image"], "score": mos["MOS"] ** 2}).to_csv(other, index=False)
    store = [
        "--annotations",
        rated,
        "--store",
        tmp_path / "store",
        "-b",
        VIT,
        "-q",
        "--n-boot",
        "20",
    ]
    details = ["--also", f"{other}:-score", "--details", tmp_path / "d"]
    code, output, errors = run("evaluate", "mine", *store, *details, "-o", tmp_path / "t.csv")
    assert code == 0, errors
    assert "mine.csv: 8 of 8 pictures found" in errors
    assert "mine falls where quality rises" in errors
    table = pd.read_csv(tmp_path / "t.csv").set_index("method")
    assert table.loc["mine", "srcc"] == pytest.approx(-1)
    tests = pd.read_csv(tmp_path / "d" / "differences.csv")
    assert tests["method"].tolist() == ["CLIP-IQA", "cosine cue", "magnitude cue", "mine"]
    assert "p_srcc_holm" in output
    assert read_record(tmp_path / "t.csv")["config"]["also"]["mine.csv"]


def test_choices_between_two_pictures_are_judged_in_place_of_scores(rated, tmp_path):
    votes = pd.DataFrame({"a": ["p0.png", "p1.png"], "b": ["p2.png", "p3.png"], "chosen": "a"})
    votes.to_csv(tmp_path / "pairs.csv", index=False)
    options = ["--pairs", tmp_path / "pairs.csv", "--root", rated.parent, "-b", VIT, "-q"]
    options += [
        "--store",
        tmp_path / "store",
        "--details",
        tmp_path / "d",
        "-o",
        tmp_path / "t.csv",
    ]
    code, output, errors = run("evaluate", "mine", *options)
    assert code == 0, errors
    assert "accuracy_lo" in output
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["method"].tolist() == ["CLIP-IQA", "cosine cue", "magnitude cue", "MA-CLIP"]
    assert (table["n_pairs"] == 2).all()
    pictures = pd.read_csv(tmp_path / "d" / "predictions.csv")
    right = [pictures["score"][i] > pictures["score"][j] for i, j in ((0, 1), (2, 3))]
    assert table["accuracy"].iloc[3] == pytest.approx(np.mean(right))
    assert pictures["strength"].notna().all()
