"""The notebooks' tests tested: a fault put into the package must turn each of them red."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks.reading import LESSONS, ROOT

LIMIT = 900
ALL_PASSED, SOME_FAILED = 0, 1
MUTATIONS = {
    "00_quickstart": ("fusion.py", "(q_cos - q_mag)", "(q_mag - q_cos)"),
    "01_the_method": ("crops.py", "self.width)))", "self.width)[1:]))"),
    "02_statistics_by_hand": ("evaluation/intervals.py", "(left_out.size - 1) * left", "1 * left"),
    "03_magnitude_and_why": ("cues.py", "magnitude.std(-1,", "magnitude.mean(-1,"),
    "04_box_cox": ("cues.py", "** lam - 1) / lam", "** lam - 1) * lam"),
    "05_fusion": ("fusion.py", "base_norm + 2 * lead", "base_norm + lead"),
    "06_prompts_and_crops": ("ablations/rated.py", "self.n) / counts", "self.n) / (counts + 1)"),
    "07_backbone_comparison": ("cues.py", "softmax(-1)[..., 0]", "softmax(-1)[..., 1]"),
    "08_full_evaluation": ("evaluation/table.py", '"srcc": srcc.value', '"srcc": -srcc.value'),
    "09_training_a_tiny_clip": (
        "datasets/degradations.py",
        "severity or 0)",
        "bool(severity) / 2)",
    ),
    "10_reproduce": ("ablations/claims.py", ".lead(one, other)", ".lead(other, one)"),
}
"""By notebook the module with its fault, what stands there, and what is put there."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the notebooks need; the data are not copied but linked."""
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for folder in ("maclip_lab", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for file in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data", target_is_directory=True)
    return tmp_path


def validate(checkout: Path, notebook: str) -> subprocess.CompletedProcess[str]:
    """nbval's verdict on one notebook of a checkout, with that checkout's package."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["MACLIP_LAB_CACHE"] = str(checkout / "cache")
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["-o", "addopts=", f"notebooks/{notebook}.ipynb"]
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=LIMIT
    )


def test_every_notebook_has_a_mutation_that_changes_one_place():
    assert list(MUTATIONS) == [path.stem for path in LESSONS]
    for module, old, new in MUTATIONS.values():
        text = (ROOT / "maclip_lab" / module).read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        assert new not in text, new


@pytest.mark.slow
@pytest.mark.parametrize("notebook", MUTATIONS)
def test_a_notebook_is_green_as_it_is_and_red_when_mutated(notebook, checkout):
    untouched = validate(checkout, notebook)
    assert untouched.returncode == ALL_PASSED, untouched.stdout
    module, old, new = MUTATIONS[notebook]
    path = checkout / "maclip_lab" / module
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    mutated = validate(checkout, notebook)
    assert mutated.returncode == SOME_FAILED, mutated.stdout
    assert "NbCellError" in mutated.stdout or "Notebook cell" in mutated.stdout, mutated.stdout
