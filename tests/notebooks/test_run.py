"""The script that executes the notebooks with parameters of the reader's own."""

import os
import sys

import nbformat
import pandas as pd
import pytest

from tests.notebooks.reading import FOLDER

JUDGES = """import maclip_lab as ml
from maclip_lab.evaluation import Estimate
lab = ml.Lesson("00", "tiny-vit")  # a broken sentence is an error for the shipped one alone
lab.claim("two cues beat one", {("RN50", "koniq"): Estimate(0.02, -0.01, 0.05)})
lab.matrix()"""
OPEN = "two cues beat one, RN50 on koniq: +0.020 [-0.010, 0.050], cannot tell, no test"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """The script on a folder of its own, from another folder; returns the exit status."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    script = __import__("run")
    yield lambda *words: script.main([*words, "--out", "mine"], tmp_path / "notebooks")
    for name in ("run", "refresh"):
        del sys.modules[name]


def write(folder, name, *sources, parameters="BACKBONE = 'tiny-rn'\nSEED = 0"):
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    path = folder / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture
def two(tmp_path):
    """One notebook that judges in every way, and one that fails after a claim."""
    every = ["lab.check(1 > 2, f'{BACKBONE} sees all')", "lab.identity(True, 'it adds up')"]
    first = write(tmp_path, "00_judges", JUDGES, *every)
    second = write(
        tmp_path,
        "01_fails",
        JUDGES,
        "lab.check(True, 'it began')",
        "1 / STEPS",
        parameters="STEPS = 0",
    )
    return first, second


def test_claims_are_counted_and_a_failing_notebook_stops_no_other(run, two, tmp_path, capsys):
    committed = [path.read_bytes() for path in two]
    assert run("--backbone", "RN50") == 1
    assert [path.read_bytes() for path in two] == committed
    table = pd.read_csv(tmp_path / "mine" / "claims.csv")
    assert table.to_numpy().tolist() == [
        ["00_judges", "cannot tell", OPEN],
        ["00_judges", "not held", "does not hold with these parameters: RN50 sees all"],
        ["00_judges", "held", "it adds up"],
        ["01_fails", "cannot tell", OPEN],
        ["01_fails", "held", "it began"],
        ["01_fails", "failed", "ZeroDivisionError: division by zero"],
    ]
    said = capsys.readouterr().out
    assert "00_judges: 1 held, 1 not held, 1 cannot tell" in said
    assert "2 notebooks, 1 failed; claims: 2 held, 1 not held, 2 cannot tell" in said
    assert {path.name for path in (tmp_path / "mine").glob("*.ipynb")} == {
        "00_judges.ipynb",
        "01_fails.unfinished.ipynb",
    }


def test_what_lies_executed_is_run_again_only_with_other_parameters_or_cells(run, tmp_path):
    finished = tmp_path / "mine" / "00_counts.ipynb"

    def is_run(seed):
        before = finished.stat().st_mtime_ns if finished.exists() else None
        assert run("-p", "SEED", seed) == 0
        return finished.stat().st_mtime_ns != before

    write(tmp_path, "00_counts", "print(SEED)")
    assert is_run("1")
    assert not is_run("1")
    assert is_run("2")
    write(tmp_path, "00_counts", "print(SEED + 1)")
    assert is_run("2")


def test_a_failed_notebook_is_run_again_and_its_remains_go(run, tmp_path):
    write(tmp_path, "00_divides", "1 / SEED")
    assert run() == 1
    assert run("-p", "SEED", "2") == 0
    assert [path.name for path in (tmp_path / "mine").glob("*.ipynb")] == ["00_divides.ipynb"]


def test_a_dead_kernel_is_a_failure_of_its_notebook_alone(run, tmp_path):
    write(tmp_path, "00_dies", "import os; os._exit(1)")
    write(tmp_path, "01_lives", "1")
    assert run() == 1
    table = pd.read_csv(tmp_path / "mine" / "claims.csv")
    assert table["verdict"].tolist() == ["failed"]
    assert (tmp_path / "mine" / "01_lives.ipynb").exists()


def test_a_notebook_is_given_only_what_it_has_and_paths_start_where_the_reader_is(run, tmp_path):
    write(tmp_path, "00_rooted", "print(ROOT)", parameters="ROOT = None")
    write(tmp_path, "01_not", "print(SEED)", parameters="SEED = 0")
    assert run("--root", "pictures", "-p", "SEED", "3") == 0
    shown = [
        nbformat.read(path, 4).cells[-1].outputs[0].text
        for path in sorted(tmp_path.glob("mine/*.ipynb"))
    ]
    assert shown == [f"{tmp_path / 'pictures'}\n", "3\n"]


def test_columns_and_direction_of_a_list_are_told_and_features_stay_below_the_folder(run, tmp_path):
    words = ["-c", "score_column", "DMOS", "-c", "higher_is_better", "False"]
    shows = "print(CHOICES['score_column'], CHOICES['higher_is_better'], STORE)"
    write(tmp_path, "00_opens", shows, parameters="CHOICES = {}\nSTORE = None")

    def shown():
        path = tmp_path / "mine" / "00_opens.ipynb"
        return nbformat.read(path, 4).cells[-1].outputs[0].text

    assert run(*words) == 0
    assert shown() == f"DMOS False {tmp_path / 'mine' / 'features'}\n"
    assert run(*words, "-p", "STORE", "elsewhere") == 0
    assert shown() == "DMOS False elsewhere\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["-p", "SEDE", "1"],
            "no notebook has a parameter 'SEDE'; there are BACKBONE, SEED, STEPS",
        ),
        (["--out", "notebooks/mine"], "among the notebooks themselves"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_runs(
    words, said, run, two, capsys, monkeypatch
):
    with pytest.raises(SystemExit, match="2"):
        __import__("run").main([*["--out", "mine"], *words], two[0].parent)
    assert said in capsys.readouterr().err
