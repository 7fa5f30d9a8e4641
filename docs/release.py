"""What a release consists of: wheel, sdist, notebooks and site in ``dist``, checked by using them.

``make release`` builds the site and runs this. Only what is committed is released.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST, ELSEWHERE = ROOT / "dist", ROOT / "build" / "release"
CHECKED = "00_quickstart.ipynb"
NOTEBOOKS = ("notebooks", "data/photos/README.md", "LICENSE", "NOTICE", "CITATION.cff")


def run(*command: str | Path, cwd: Path = ROOT, **settings: str) -> None:
    """Runs a command, and stops everything where it fails."""
    print("+", *command, flush=True)
    subprocess.run(command, cwd=cwd, check=True, env={**os.environ, **settings})


def version() -> str:
    """The version, which stands in ``pyproject.toml`` alone; refused without a changelog entry."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(project['version'])}\] - \d{{4}}", changes, re.MULTILINE):
        sys.exit(f"CHANGELOG.md has no dated entry for version {project['version']}")
    if re.search(r"## \[Unreleased\]\s+(?!## )\S", changes):
        print(f"note: CHANGELOG.md has changes under Unreleased, not in {project['version']}")
    return str(project["version"])


def build(number: str) -> None:
    """Fills ``dist``."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST)
    name = f"maclip_lab-{number}-notebooks"
    archive = DIST / f"{name}.zip"
    run("git", "archive", f"--prefix={name}/", f"--output={archive}", "HEAD", *NOTEBOOKS)
    shutil.make_archive(str(DIST / f"maclip_lab-{number}-site"), "zip", ROOT / "build" / "site")


def check(number: str) -> None:
    """Installs the wheel where nothing of the checkout is seen; runs the demo and a notebook."""
    shutil.rmtree(ELSEWHERE, ignore_errors=True)
    run(sys.executable, "-m", "venv", ELSEWHERE / "venv")
    scripts = ELSEWHERE / "venv" / ("Scripts" if os.name == "nt" else "bin")
    wheel = next(DIST.glob("*.whl"))
    run(scripts / "pip", "install", "-qc", ROOT / "constraints.txt", f"{wheel}[lab]")
    run(scripts / "maclip-lab", "demo", "-q", "-o", ELSEWHERE / "demo", cwd=ELSEWHERE)
    with zipfile.ZipFile(DIST / f"maclip_lab-{number}-notebooks.zip") as archive:
        archive.extractall(ELSEWHERE)
    notebooks = ELSEWHERE / f"maclip_lab-{number}-notebooks" / "notebooks"
    run(scripts / "jupyter-execute", CHECKED, cwd=notebooks, MACLIP_LAB_OFFLINE="1")


if __name__ == "__main__":
    this = version()
    build(this)
    check(this)
    print(
        f"{DIST} holds version {this}:", *sorted(path.name for path in DIST.iterdir()), sep="\n  "
    )
