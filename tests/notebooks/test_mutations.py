"""The notebooks' tests tested: a fault put into the package must turn each of them red."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.notebooks.reading import FOLDER, LESSONS, ROOT

LIMIT = 900
ALL_PASSED, SOME_FAILED = 0, 1


@dataclass(frozen=True)
class Mutation:
    """One fault: in ``module``, ``old`` becomes ``new``; the notebook must notice."""

    notebook: str
    module: str
    old: str
    new: str


MUTATIONS = (
    Mutation(
        "00_quickstart",
        "fusion.py",
        "lead = settings.alpha * (q_cos - q_mag)",
        "lead = settings.alpha * (q_mag - q_cos)",
    ),
    Mutation(
        "01_the_method",
        "crops.py",
        "product(self._places(self.height), self._places(self.width))",
        "product(self._places(self.height), self._places(self.width)[1:])",
    ),
    Mutation(
        "02_statistics_by_hand",
        "evaluation/intervals.py",
        "np.sqrt((left_out.size - 1) * left_out.var())",
        "np.sqrt(left_out.var())",
    ),
    Mutation(
        "03_magnitude_and_why",
        "cues.py",
        "magnitude / (magnitude.std(-1, keepdim=True) + STD_EPSILON)",
        "magnitude / (magnitude.mean(-1, keepdim=True) + STD_EPSILON)",
    ),
    Mutation(
        "04_box_cox",
        "cues.py",
        "return ((1 + x) ** lam - 1) / lam",
        "return ((1 + x) ** lam - 1) * lam",
    ),
    Mutation(
        "05_fusion",
        "fusion.py",
        "settings.base_cos - settings.base_norm + 2 * lead",
        "settings.base_cos - settings.base_norm + lead",
    ),
    Mutation(
        "06_prompts_and_crops",
        "ablations/rated.py",
        "np.bincount(self.picture, numbers, self.n) / counts",
        "np.bincount(self.picture, numbers, self.n) / (counts + 1)",
    ),
    Mutation(
        "07_backbone_comparison",
        "cues.py",
        "pairs.softmax(-1)[..., 0]",
        "pairs.softmax(-1)[..., 1]",
    ),
    Mutation(
        "08_full_evaluation",
        "evaluation/table.py",
        '"srcc": srcc.value,',
        '"srcc": -srcc.value,',
    ),
    Mutation(
        "09_training_a_tiny_clip",
        "datasets/degradations.py",
        "else severity or 0)",
        "else 0.5 if severity else 0)",
    ),
    Mutation(
        "10_reproduce",
        "ablations/claims.py",
        "self._correlations.lead(one, other)",
        "self._correlations.lead(other, one)",
    ),
)


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
    return subprocess.run(
        [*command, "-o", "addopts=", f"notebooks/{notebook}.ipynb"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_every_notebook_has_a_mutation():
    assert {mutation.notebook for mutation in MUTATIONS} == {path.stem for path in LESSONS}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.notebook)
def test_a_mutation_changes_one_place(mutation):
    text = (ROOT / "maclip_lab" / mutation.module).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    assert mutation.new not in text
    assert (FOLDER / f"{mutation.notebook}.ipynb").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.notebook)
def test_a_notebook_is_green_as_it_is_and_red_when_mutated(mutation, checkout):
    untouched = validate(checkout, mutation.notebook)
    assert untouched.returncode == ALL_PASSED, untouched.stdout
    module = checkout / "maclip_lab" / mutation.module
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    mutated = validate(checkout, mutation.notebook)
    assert mutated.returncode == SOME_FAILED, mutated.stdout
    assert "NbCellError" in mutated.stdout or "Notebook cell" in mutated.stdout, mutated.stdout
