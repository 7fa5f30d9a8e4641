"""Notebooks run by papermill with other parameters: another backbone, another crop protocol."""

import os
import subprocess
import sys

import nbformat
import pytest

from tests.notebooks.reading import FOLDER, LESSONS, ROOT, code_cells, shown

BACKBONE = ROOT / "tests" / "data" / "golden" / "vit.safetensors"
LIMIT = 600


def run(notebook, folder, **parameters):
    """The code cells of a notebook after papermill has run it to its end."""
    output = folder / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3"]
    command += [str(FOLDER / f"{notebook}.ipynb"), str(output), "--cwd", str(folder)]
    for name, value in parameters.items():
        command += ["-p", name, str(value)]
    paths = filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = code_cells(nbformat.read(output, as_version=4))
    assert all(cell.execution_count for cell in cells)
    return cells


def test_papermill_runs_a_notebook_on_another_backbone_and_protocol(tmp_path):
    cells = run("01_the_method_step_by_step", tmp_path, BACKBONE=BACKBONE, DATASET="SPAQ")
    text = "\n".join(shown(cell) for cell in cells)
    assert "vit.safetensors: D = 48" in text
    assert "2 rows x 2 columns + 1 thumbnail = P = 5" in text  # SPAQ is cut at 448 x 448


@pytest.mark.slow
@pytest.mark.parametrize("notebook", [path.stem for path in LESSONS])
def test_a_random_backbone_stops_no_notebook_and_agrees_with_the_paper_in_none(notebook, tmp_path):
    cells = run(notebook, tmp_path, BACKBONE=BACKBONE, DATASET="synthetic")  # no pack is of it
    text = "\n".join(shown(cell) for cell in cells)
    assert "vit.safetensors" in text
    assert "as in the paper" not in text
