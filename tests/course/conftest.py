"""The course, built once for all its tests as ``make course`` builds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
sys.path.append(str(ROOT / "course"))


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    """The folder with all editions."""
    pytest.importorskip("nbgrader", reason="needs the extra: pip install -e '.[course]'")
    folder = tmp_path_factory.mktemp("course") / "course"
    command = [sys.executable, ROOT / "course" / "build.py", folder]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder
