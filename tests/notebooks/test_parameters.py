"""A notebook run by papermill with other parameters: another backbone, another crop protocol."""

import os
import subprocess
import sys

import nbformat

from tests.notebooks.reading import FOLDER, ROOT, code_cells, shown

BACKBONE = ROOT / "tests" / "data" / "golden" / "vit.safetensors"
LIMIT = 600


def test_papermill_runs_a_notebook_on_another_backbone_and_protocol(tmp_path):
    output = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3"]
    command += [
        str(FOLDER / "01_the_method_step_by_step.ipynb"),
        str(output),
        "--cwd",
        str(tmp_path),
    ]
    command += ["-p", "BACKBONE", str(BACKBONE), "-p", "DATASET", "SPAQ"]
    paths = filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    cells = code_cells(nbformat.read(output, as_version=4))
    text = "\n".join(shown(cell) for cell in cells)
    assert "vit.safetensors: D = 48" in text
    assert "2 rows x 2 columns + 1 thumbnail = P = 5" in text  # SPAQ is cut at 448 x 448
    assert all(cell.execution_count for cell in cells)
