"""The script that executes the notebooks with parameters of the reader's own."""

import os
import sys

import nbformat
import pandas as pd
import pytest

from tests.notebooks.reading import FOLDER, shown

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
    yield lambda *words: script.main(["--out", "mine", *words], tmp_path / "notebooks")
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


def printed(folder, name):
    """What the last cell of an executed notebook shows."""
    return shown(nbformat.read(folder / "mine" / f"{name}.ipynb", 4).cells[-1]).strip()


def test_claims_are_counted_and_a_failing_or_dead_notebook_stops_no_other(run, tmp_path, capsys):
    began = [JUDGES, "lab.check(True, 'it began')", "1 / STEPS"]
    every = ["lab.check(1 > 2, f'{BACKBONE} sees all')", "lab.identity(True, 'it adds up')"]
    three = [
        write(tmp_path, "00_dies", "import os; os._exit(1)"),
        write(tmp_path, "01_fails", *began, parameters="STEPS = 0"),
        write(tmp_path, "02_judges", JUDGES, *every),
    ]
    committed = [path.read_bytes() for path in three]
    assert run("--backbone", "RN50") == 1
    assert [path.read_bytes() for path in three] == committed
    table = pd.read_csv(tmp_path / "mine" / "claims.csv")
    assert table.to_numpy().tolist() == [
        ["00_dies", "failed", "its kernel died: Kernel died"],
        ["01_fails", "cannot tell", OPEN],
        ["01_fails", "held", "it began"],
        ["01_fails", "failed", "ZeroDivisionError: division by zero"],
        ["02_judges", "cannot tell", OPEN],
        ["02_judges", "not held", "does not hold with these parameters: RN50 sees all"],
        ["02_judges", "held", "it adds up"],
    ]
    said = capsys.readouterr().out
    assert "02_judges: 1 held, 1 not held, 1 cannot tell" in said
    assert "3 notebooks, 2 failed; claims: 2 held, 1 not held, 2 cannot tell" in said
    names = ["00_dies.unfinished.ipynb", "01_fails.unfinished.ipynb", "02_judges.ipynb"]
    assert sorted(path.name for path in (tmp_path / "mine").glob("*.ipynb")) == names


def test_what_lies_executed_is_run_again_only_with_other_parameters_or_cells(run, tmp_path):
    finished = tmp_path / "mine" / "00_divides.ipynb"

    def is_run(seed):
        before = finished.stat().st_mtime_ns if finished.exists() else None
        assert run("-p", "SEED", seed) == 0
        return finished.stat().st_mtime_ns != before

    write(tmp_path, "00_divides", "1 / SEED")
    assert run() == 1
    assert is_run("1")
    assert list(finished.parent.glob("*.ipynb")) == [finished]  # what remained of the failure goes
    assert not is_run("1")
    assert is_run("2")
    write(tmp_path, "00_divides", "2 / SEED")
    assert is_run("2")


def test_a_notebook_is_given_only_what_it_has_and_paths_start_where_the_reader_is(run, tmp_path):
    opened = ["-c", "score_column", "DMOS", "-c", "higher_is_better", "False"]
    shows = "print(CHOICES['score_column'], CHOICES['higher_is_better'], ROOT, STORE)"
    write(tmp_path, "00_opens", shows, parameters="CHOICES = {}\nROOT = None\nSTORE = None")
    write(tmp_path, "01_not", "print(SEED)", parameters="SEED = 0")
    assert run(*opened, "--root", "pictures", "-p", "SEED", "3") == 0
    features = tmp_path / "mine" / "features"
    assert printed(tmp_path, "00_opens") == f"DMOS False {tmp_path / 'pictures'} {features}"
    assert printed(tmp_path, "01_not") == "3"
    assert run("00", *opened, "-p", "STORE", "elsewhere") == 0
    assert printed(tmp_path, "00_opens") == "DMOS False None elsewhere"


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
def test_what_cannot_be_meant_is_said_before_anything_runs(words, said, run, tmp_path, capsys):
    write(tmp_path, "00_counts", "print(SEED)")
    write(tmp_path, "01_steps", parameters="STEPS = 0")
    with pytest.raises(SystemExit, match="2"):
        run(*words)
    assert said in capsys.readouterr().err
