"""Notebooks run with other parameters: another backbone, another crop protocol."""

import itertools
import subprocess
import sys

import nbformat
import pytest
from PIL import Image, ImageFilter

from tests.notebooks.reading import FOLDER, LESSONS, ROOT, code_cells, shown

BACKBONE = ROOT / "tests" / "data" / "golden" / "vit.safetensors"
LIMIT = 600


def run(notebook, folder, **parameters):
    """The code cells of a notebook after the script has run it to its end."""
    command = [sys.executable, str(FOLDER / "run.py"), notebook, "--out", "out"]
    for name, value in parameters.items():
        command += ["-p", name, str(value)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    cells = code_cells(nbformat.read(folder / "out" / f"{notebook}.ipynb", as_version=4))
    assert all(cell.execution_count for cell in cells)
    return cells


def test_papermill_runs_a_notebook_on_another_backbone(tmp_path):
    text = "\n".join(shown(cell) for cell in run("01_the_method", tmp_path, BACKBONE=BACKBONE))
    assert "vit.safetensors: D = 48" in text
    assert "= the six steps derived here give the package's score" in text


@pytest.fixture
def own(tmp_path):
    """Forty photographs under four levels of blur: a folder, a list, and a set as published."""
    sources = sorted((ROOT / "data" / "photos").glob("*.jpg"))[:10]
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = ["image,mos"]
    for source, level in itertools.product(sources, range(4)):
        with Image.open(source) as image:
            small = image.convert("RGB").resize((240, 232))
            name = f"{source.stem}.{level}.png"
            small.filter(ImageFilter.GaussianBlur(level)).save(folder / name)
        lines.append(f"photos/{name},{5 - level}")
    (tmp_path / "own.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("notebook", ["00_quickstart", "01_the_method"])
@pytest.mark.parametrize("name", ["photos", "own.csv", "mine=own.csv"])
def test_pictures_of_ones_own_are_taken_apart_from_a_folder_or_a_list(notebook, name, own):
    cells = run(notebook, own, DATASET=name)
    text = "\n".join(shown(cell) for cell in cells)
    assert "240 x 232 pixels" in text or "40 pictures, seen by tiny-rn" in text


@pytest.mark.slow
@pytest.mark.parametrize("notebook", [path.stem for path in LESSONS[2:]])
def test_a_rated_list_of_ones_own_runs_every_notebook(notebook, own):
    run(notebook, own, DATASET="mine=own.csv")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", [path.stem for path in LESSONS])
def test_a_random_backbone_stops_no_notebook_and_agrees_with_the_paper_in_none(notebook, tmp_path):
    cells = run(notebook, tmp_path, BACKBONE=BACKBONE, DATASET="synthetic")  # no pack is of it
    text = "\n".join(shown(cell) for cell in cells)
    assert "vit.safetensors" in text
    assert "as in the paper" not in text
