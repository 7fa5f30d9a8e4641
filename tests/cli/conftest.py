"""What tests of the command line share: how it is called, and small worlds for it."""

import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from maclip_lab import cli
from tests.conftest import GOLDEN
from tests.store_world import picture

RN, VIT = (str(GOLDEN / f"{name}.safetensors") for name in ("rn", "vit"))
PICTURE = str(GOLDEN / "d_224x224.png")


def run(*arguments):
    """The command line as in a terminal, in this process: exit status, output, errors."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        return type(error), result.stdout, f"{result.stderr}{error}"
    return result.exit_code, result.stdout, result.stderr


def program(monkeypatch, capsys, *arguments):
    """The program itself, in this process: exit status, output, errors."""
    monkeypatch.setattr(sys, "argv", ["maclip-lab", *map(str, arguments)])
    monkeypatch.setattr("warnings.showwarning", print)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


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


@pytest.fixture
def common(rated, tmp_path):
    """A data set's name and the options that its commands share."""
    return ["mine", "--annotations", rated, "--store", tmp_path / "store", "-b", VIT, "-q"]


def unboxed(errors):
    """What is said in a box of the terminal, in one line."""
    return " ".join(errors.replace("│", " ").split())
