"""The command line: scoring, explaining, weights, and what it says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer

from maclip_lab import Maclip, cli
from maclip_lab.files.provenance import read_record, record_path
from maclip_lab.prompts import PROMPT_SETS
from maclip_lab.weights.names import OPENAI
from tests.cli.conftest import PICTURE, RN, VIT, program, run, unboxed
from tests.conftest import posix
from tests.store_world import ROOT, picture, python


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


def test_one_process_several_and_a_cluster_write_the_same_table_and_record(folder, cluster):
    (folder / "link.png").symlink_to("p0.png")
    (folder / "loop.png").symlink_to("loop.png")
    arguments = ["score", folder, "-b", VIT, "-q", "--device", "cpu", "--dataset", "koniq"]
    arguments += ["--prompts", "clip-iqa", "--box-lam", 0.3]
    for out, more in {"a.csv": [], "b.csv": ["--cluster", cluster.scheduler.address]}.items():
        code, _, errors = run(*arguments, "-o", folder / out, *more)
        assert code == 1, errors
    command = [Path(sys.executable).with_name("maclip-lab"), *map(str, arguments)]
    command += ["-o", folder / "c.csv", "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1, done.stderr
    assert "3 of 5 pictures scored" in done.stderr
    assert "cut.png: decode_error" in done.stderr
    tables = [(folder / name).read_bytes() for name in ("a.csv", "b.csv", "c.csv")]
    assert tables[0] == tables[1] == tables[2]
    records = [read_record(folder / name) for name in ("a.csv", "b.csv")]
    for record in records:
        for changes in ("created", "command", "result"):
            record.pop(changes)
    assert records[0] == records[1]
    config = records[0]["config"]
    assert config["protocol"]["name"] == "koniq"
    assert (config["preset"], config["box_lam"], config["precision"]) == ("official", 0.3, "fp32")
    assert config["prompts"] == [list(pair) for pair in PROMPT_SETS["clip-iqa"]]
    assert config["pos_embedding"] is False
    table = pd.read_csv(folder / "a.csv").set_index("path")
    table.index = table.index.str.rpartition("/").get_level_values(2)
    scored = {"cut.png": False, "link.png": True, "loop.png": False, "p0.png": True, "p1.png": True}
    assert (table["status"] == "ok").to_dict() == table["score"].notna().to_dict() == scored


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
        (["sweep", "mine", "--annotations", PICTURE, "--variant", "paper"], 2, "for the known"),
    ],
)
def test_a_failure_is_one_line_and_a_wrong_call_has_its_own_exit_status(
    arguments, code, said, monkeypatch, capsys
):
    status, _, errors = program(monkeypatch, capsys, *arguments)
    assert status == code, errors
    assert said in errors
    assert errors.startswith("error: ")


def test_every_command_names_the_nearest_of_a_backbone_that_does_not_exist(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    commands = {name: cli.Later(name).load() for name in cli.COMMANDS}
    commands |= {f"weights {name}": inner for name, inner in commands["weights"].commands.items()}
    takers = 0
    for name, command in commands.items():
        parameters = [parameter.name for parameter in command.params]
        if "backbone" in parameters or (name.startswith("weights ") and "name" in parameters):
            given = ["-b", "tiny-rn", "-b"] if "backbone" in parameters else []
            status, _, said = program(monkeypatch, capsys, *name.split(), *given, "vit-b32")
            assert status == 2, said
            nearest = "error: no backbone is called 'vit-b32'. Did you mean 'ViT-B/32'? "
            assert said.startswith(nearest)
            takers += 1
    assert takers == 11
    assert list(tmp_path.iterdir()) == []


def test_help_lists_every_command_and_imports_none_and_the_doctor_needs_no_other(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    script = """
import sys
from maclip_lab.cli import app
app(["--help"], standalone_mode=False)
print([name for name in ("torch", "pandas", "scipy") if name in sys.modules])
from maclip_lab.cli.explain import examine
print(len(examine()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert all(name in done.stdout for name in cli.COMMANDS)
    imported, findings = done.stdout.splitlines()[-2:]
    assert imported == "[]"
    assert int(findings) > len(OPENAI)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_table_of_commands_says_what_each_one_says_of_itself(name):
    said, listed = cli.Later(name).load().help, cli.COMMANDS[name][1]
    assert said.split("\n")[0].split(";")[0].split(":")[0].split(",")[0].rstrip(".") in listed


def test_the_settings_and_the_protocol_reach_the_score_written_or_shown(tmp_path):
    out = tmp_path / "s.csv"
    arguments = ["score", PICTURE, "-b", VIT, "--dataset", "SPAQ", "--alpha", "0.5"]
    arguments += ["--box-lam", "1", "-q", "--device", "cpu"]
    code, _, errors = run(*arguments, "-o", out)
    assert code == 0, errors
    wanted = Maclip(VIT, device="cpu")(PICTURE, "SPAQ", alpha=0.5, box_lam=1.0)
    assert pd.read_csv(out)["score"][0] == pytest.approx(wanted.score, rel=1e-6)
    code, output, errors = run(*arguments)
    assert code == 0
    assert "d_224x224.png" in output
    assert f"{wanted.score:.4f}" in output
    assert "1 of 1 pictures scored" in errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "nowhere.png"], "nowhere.png does not exist"),
        (["score", "."], "no picture was found there"),
        (["score", PICTURE, "--workers", "2"], "a run in parts needs a table to write"),
        (["evaluate", "all"], "say where the data sets lie"),
        (["evaluate", "all", "--root", "."], "no data set was found there"),
        (["evaluate", "mine", "--pairs", "p.csv", "--n-pictures", "3"], "value for --n-pictures"),
        (["evaluate", "mine", "--pairs", "p.csv", "--path-column", "a"], "value for --path-column"),
        (["evaluate", "mine", "--pairs", "p.csv", "--annotations", "p.csv"], "for --annotations"),
        (["evaluate", "mine", "--pairs", "p.csv", "--n-boot", "100"], "value for --n-boot"),
        (["evaluate", "mine", "--pairs-columns", "left,right"], "value for --pairs-columns"),
        (["evaluate", "mine", "--also-path", "file"], "value for --also-path"),
        (["weights", "verify", PICTURE, "--pictures", PICTURE], "the known answers are RN50's"),
    ],
)
def test_a_wrong_call_is_answered_by_what_is_wrong_with_it(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("a,b,chosen\np0.png,p1.png,a\n")
    code, _, errors = run(*arguments)
    assert code == 2
    assert said in unboxed(errors)


def test_a_result_would_be_reproduced_until_something_behind_it_is_not_as_it_was(tmp_path):
    first, out, drawn = tmp_path / "set" / "p0.png", tmp_path / "s.parquet", "tiny-rn-untrained-"
    first.parent.mkdir()
    for i in range(2):
        picture(tmp_path / "set" / f"p{i}.png", i)
    assert run("score", tmp_path / "set", "-b", f"{drawn}0", "-q", "-o", out)[0] == 0
    code, output, _ = run("explain", out)
    assert code == 0, output
    for fact in ("would reproduce", "backbone", "weights_sha256", "config_sha256", "torch"):
        assert fact in output
    before, record = first.read_bytes(), json.loads(record_path(out).read_text())
    foreign = json.dumps(record | {"backbone": "RN999"})
    for change, options, said in (
        (dict, ["-b", RN], "the weights differ"),
        (dict, ["-b", f"{drawn}1"], "the weights differ"),
        (lambda: picture(first, 7), [], "have been changed or replaced"),
        (first.unlink, [], "1 of 2 pictures are gone"),
        (lambda: picture(tmp_path / "set" / "new.png", 9), [], "1 pictures are new in"),
        (lambda: record_path(out).write_text(foreign), [], "the weights of RN999 are not on this"),
        (lambda: out.write_bytes(out.read_bytes() + b"row"), [], "changed since it was written"),
    ):
        change()
        code, output, _ = run("explain", out, *options)
        assert code == 1
        assert said in output
        first.write_bytes(before)


def test_weights_are_listed_and_verified_by_what_is_on_record(tmp_path, monkeypatch, capsys):
    code, output, _ = run("weights", "list")
    assert code == 0
    assert all(name in output for name in ("tiny-rn", "RN50", "ViT-L/14@336px"))
    (tmp_path / "x.safetensors").write_bytes(b"nothing of the kind")
    (tmp_path / "RN50.pt").write_bytes(b"not these")
    for options, status, said in (
        ([VIT], 0, "unrecorded"),
        ([tmp_path / "gone.pt"], 1, "gone.pt: missing"),
        ([tmp_path / "x.safetensors"], 1, "is not a safetensors file"),
        (["RN50", "--weights-dir", tmp_path], 1, f"mismatch\nfile     {tmp_path / 'RN50.pt'}"),
    ):
        code, output, errors = program(monkeypatch, capsys, "weights", "verify", *options)
        assert code == status
        assert said in output + errors


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


def test_an_output_is_replaced_on_request_from_the_parts_there_are_whatever_its_endings_case(
    tmp_path,
):
    out, seen = tmp_path / "o.CSV", []
    out.write_text("mine")
    for _ in range(2):
        assert run("score", PICTURE, "-b", VIT, "-q", "-o", out, "--overwrite")[0] == 0
        assert len(pd.read_csv(out)) == 1
        parts = out.with_suffix(".parts").iterdir()
        seen.append({path: path.stat().st_mtime_ns for path in parts})
    assert seen[0] == seen[1] != {}
    assert run("explain", out)[0] == 0


# Ctrl-C where Python would swallow it -------------------------------------------------------------

LOST = """
import signal, time, weakref
from maclip_lab.cli import never_lose_interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)  # the suite may run with it ignored
never_lose_interrupts()

class Broken:
    def __del__(self):
        raise ValueError("in a finalizer")

class Thing:
    pass

Broken()
thing = Thing()
reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
try:
    del thing  # the interrupt is raised in the callback, which nobody can catch
    deadline = time.monotonic() + 30
    time.sleep(30)
    print("went on")
except KeyboardInterrupt:
    print("stopped waiting" if time.monotonic() < deadline else "stopped after waiting")
"""


def test_an_interrupt_in_a_callback_is_kept_and_other_errors_there_are_reported_as_ever():
    child = python(LOST)
    said, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    assert said.strip() == "stopped waiting"
    assert "ValueError: in a finalizer" in errors


# What pages show ----------------------------------------------------------------------------------

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*/README.md")]
PAGES = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which tells of what was
LINE = re.compile(r"maclip-lab ([a-z][^`\n#|]*)")
PLACEHOLDERS = ("...", "\N{HORIZONTAL ELLIPSIS}")


def shown(page: Path) -> list[str]:
    """Command lines in a page, those that a line of prose breaks put together again."""
    text = re.sub(r"(?<=[a-z0-9])\n +(?=--)", " ", page.read_text(encoding="utf-8"))
    return sorted({match.strip() for match in LINE.findall(text)})


LINES = sorted({line for page in PAGES for line in shown(page)})


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_line_names_commands_options_and_values_that_exist(line):
    words = [word for word in shlex.split(line) if word not in PLACEHOLDERS]
    command = cli.Later(words.pop(0)).load()
    while hasattr(command, "commands") and words:
        command = command.commands[words.pop(0)]
    command.make_parser(typer.Context(command, resilient_parsing=True)).parse_args(words)


def test_the_pages_show_command_lines():
    assert len(LINES) > 30
    verify = [line for line in LINES if line.startswith("weights verify RN50 --pictures")]
    assert [shlex.split(line).count("--pictures") for line in verify] == [2] * len(verify) != []
