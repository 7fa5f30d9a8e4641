"""The command line: scoring, explaining, weights, and what it says."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

from maclip_lab import cli
from maclip_lab.files.provenance import read_record, record_path
from maclip_lab.prompts import PROMPT_SETS
from tests.cli.conftest import PICTURE, RN, VIT, program, run, unboxed, whole
from tests.conftest import posix
from tests.datasets.facsimile import build
from tests.store_world import picture


@posix
def test_an_output_that_cannot_be_is_refused_before_any_work(folder, monkeypatch):
    monkeypatch.setattr("maclip_lab.cli.score.Maclip", None)
    (folder / "there.csv").write_text("mine")
    (folder / "folder.csv").mkdir()
    (folder / "link.csv").symlink_to("nowhere")
    for output, said in {
        "there.csv": "exists; --overwrite replaces it",
        "s.txt": "not end in .parquet or .csv",
        "no/s.csv": "not exist",
        "folder.csv": "is a folder",
        "link.csv": "exists",
        "n" * 245 + ".csv": "name too long",
        "/proc/scores.csv": "cannot be written",
    }.items():
        code, _, errors = run("score", folder, "-b", RN, "-o", folder / output)
        assert code == 2
        assert said in unboxed(errors)
    assert (folder / "there.csv").read_text() == "mine"
    assert (folder / "link.csv").is_symlink()
    assert not list(folder.glob(".*"))


def test_a_folder_that_could_not_be_looked_into_is_a_failure(folder, monkeypatch):
    def partly(path):
        warnings.warn("skipped a folder that cannot be read: locked", stacklevel=2)
        return [folder / "p0.png"]

    monkeypatch.setattr("maclip_lab.cli.score.find_pictures", partly)
    with pytest.warns(UserWarning, match="skipped a folder that cannot be read"):
        code, _, errors = run("score", folder, "-b", RN, "-q", "--device", "cpu")
    assert code == 1
    assert "1 of 1 pictures scored" in errors


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
        (["explain", "none.csv"], 1, "none.csv: no such result"),
        (["evaluate", "koniq", "-b", VIT], 2, "say where koniq lies"),
        (["features", "synthetic", "--scores", "raw"], 2, "for the known data sets as published"),
    ],
)
def test_a_failure_is_one_line_and_a_wrong_call_has_its_own_exit_status(
    arguments, code, said, monkeypatch, capsys
):
    status, _, errors = program(monkeypatch, capsys, *arguments)
    assert status == code, errors
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
    status, _, said = program(monkeypatch, capsys, *arguments, "vit-b32")
    assert status == 2, said
    assert said.startswith("error: no backbone is called 'vit-b32'. Did you mean 'ViT-B/32'? ")
    assert list(tmp_path.iterdir()) == []


def test_every_command_that_takes_a_backbone_refuses_unknown_names():
    commands = {name: cli.Later(name).load() for name in cli.COMMANDS}
    commands |= {f"weights {name}": inner for name, inner in commands["weights"].commands.items()}
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


def test_help_lists_every_command_and_imports_none_of_them():
    script = """
import sys
from maclip_lab.cli import app
app(["--help"], standalone_mode=False)
print([name for name in ("torch", "pandas", "scipy") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert all(name in done.stdout for name in cli.COMMANDS)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_table_of_commands_says_what_each_one_says_of_itself(name):
    said, listed = cli.Later(name).load().help, cli.COMMANDS[name][1]
    assert said.split("\n")[0].split(";")[0].split(":")[0].split(",")[0].rstrip(".") in listed


def test_scores_are_shown_where_no_file_is_asked_for():
    code, output, errors = run("score", PICTURE, "-b", VIT, "-q")
    assert (code, "d_224x224.png" in output) == (0, True)
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


def test_nothing_to_score_and_parts_without_a_table_are_wrong_calls(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("score", tmp_path / "nowhere.png", "-b", VIT)[0] == 2
    assert run("score", tmp_path / "empty", "-b", VIT)[0] == 2
    status, _, errors = run("score", folder, "-b", RN, "--workers", "2")
    assert status == 2
    assert "a run in parts needs a table to write" in errors


@pytest.fixture
def result(tmp_path):
    out = tmp_path / "s.csv"
    assert run("score", PICTURE, "-b", VIT, "-q", "-o", out)[0] == 0
    return out


def test_an_untouched_result_would_be_reproduced_and_what_differs_is_told(result):
    code, output, _ = run("explain", result)
    assert code == 0
    for fact in ("would reproduce", "backbone", "weights_sha256", "config_sha256", "torch"):
        assert fact in output
    code, output, _ = run("explain", result, "-b", RN)
    assert (code, "the weights differ" in output) == (1, True)
    record = json.loads(record_path(result).read_text())
    record_path(result).write_text(json.dumps(record | {"backbone": "RN999"}))
    code, output, _ = run("explain", result)
    assert (code, "the weights of RN999 are not on this machine" in output) == (1, True)
    result.write_text(result.read_text() + "one more row\n")
    code, output, _ = run("explain", result)
    assert (code, "changed since it was written" in output) == (1, True)


def test_a_result_of_an_untrained_network_would_be_reproduced(tmp_path):
    out = tmp_path / "s.csv"
    assert run("score", PICTURE, "-b", "tiny-rn-untrained-0", "-q", "-o", out)[0] == 0
    code, output, _ = run("explain", out)
    assert code == 0, output
    code, output, _ = run("explain", out, "-b", "tiny-rn-untrained-1")
    assert (code, "the weights differ" in output) == (1, True)


def test_the_weights_are_listed_and_a_file_of_which_nothing_is_on_record_is_said_to_be_so():
    code, output, _ = run("weights", "list")
    assert code == 0
    assert all(name in output for name in ("tiny-rn", "RN50", "ViT-L/14@336px"))
    code, output, _ = run("weights", "verify", VIT)
    assert (code, "unrecorded" in output) == (0, True)
    code, _, errors = run("weights", "verify", VIT, "--pictures", PICTURE)
    assert (code, "RN50" in errors) == (2, True)


def test_jupyterlab_stays_on_this_machine_keeps_its_token_and_shows_the_checkout(monkeypatch):
    called = []
    monkeypatch.setattr(subprocess, "call", lambda command: called.extend(command) or 0)
    assert run("lab", "--no-browser", "--port", "9999")[0] == 0
    assert {"--ServerApp.ip=127.0.0.1", "--ServerApp.port=9999", "--no-browser"} < set(called)
    assert not any("token" in part or "password" in part for part in called)
    root = next(Path(p.split("=")[1]) for p in called if p.startswith("--ServerApp.root_dir="))
    first = next(p.split("/lab/tree/")[1] for p in called if "default_url" in p)
    assert (root / first).is_file()
    assert (root / "README.md").is_file()


def test_the_doctor_prints_a_line_a_finding_and_its_verdict(monkeypatch):
    frame = pd.DataFrame([("python", "ok", "3"), ("cache", "bad", "no")])
    frame.columns = ["what", "verdict", "finding"]
    monkeypatch.setattr("maclip_lab.cli.explain.examine", lambda: frame)
    code, output, _ = run("doctor")
    assert code == 1
    assert output.splitlines()[1].split() == ["bad", "cache", "no"]
    monkeypatch.setattr("maclip_lab.cli.explain.examine", lambda: frame[:1])
    assert run("doctor")[0] == 0


def test_one_process_and_a_cluster_write_the_same_table_and_record(folder, tmp_path, cluster):
    names, there = ("one", "two"), ["--cluster", cluster.scheduler.address]
    for name, workers in zip(names, ([], there), strict=True):
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
    out, seen = tmp_path / "scores.parquet", []
    for _ in range(2):
        run("score", folder, "-o", out, "-b", VIT)
        assert len(pd.read_parquet(out)) == 3
        out.unlink()
        parts = out.with_suffix(".parts").iterdir()
        seen.append({path: path.stat().st_mtime_ns for path in parts})
    assert seen[0] == seen[1] != {}


def test_a_result_of_pictures_that_changed_or_went_is_not_said_to_reproduce(tmp_path):
    first, out = tmp_path / "set" / "p0.png", tmp_path / "s.csv"
    first.parent.mkdir()
    for i in range(2):
        picture(tmp_path / "set" / f"p{i}.png", i)
    assert run("score", tmp_path / "set", "-b", VIT, "-q", "-o", out)[0] == 0
    before = first.read_bytes()
    assert run("explain", out)[0] == 0
    for change, said in (
        (lambda: picture(first, 7), "have been changed or replaced"),
        (first.unlink, "1 of 2 pictures are gone"),
        (lambda: picture(tmp_path / "set" / "new.png", 9), "1 pictures are new in"),
    ):
        change()
        code, output, _ = run("explain", out)
        assert code == 1
        assert said in output
        first.write_bytes(before)


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


def test_weights_that_are_absent_none_or_others_are_not_verified(tmp_path, monkeypatch, capsys):
    (tmp_path / "x.safetensors").write_bytes(b"nothing of the kind")
    (tmp_path / "RN50.pt").write_bytes(b"not these")
    for options, said in {
        (tmp_path / "gone.pt",): "gone.pt: missing",
        (tmp_path / "x.safetensors",): "is not a safetensors file",
        ("RN50", "--weights-dir", tmp_path): f"mismatch\nfile     {tmp_path / 'RN50.pt'}",
    }.items():
        code, output, errors = program(monkeypatch, capsys, "weights", "verify", *options)
        assert code == 1
        assert said in output + errors


def test_an_output_is_replaced_on_request_and_its_ending_may_be_written_large(tmp_path):
    (tmp_path / "o.CSV").write_text("mine")
    asked = ("score", PICTURE, "-b", VIT, "-q", "-o", tmp_path / "o.CSV", "--overwrite")
    assert run(*asked)[0] == 0
    assert len(pd.read_csv(tmp_path / "o.CSV")) == 1
    assert run("explain", tmp_path / "o.CSV")[0] == 0
