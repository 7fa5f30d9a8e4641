"""What a release consists of: wheel, sdist, notebooks and site in ``dist``, checked by using them.

``make release`` builds the site and runs this. Only what is committed is released, and only under
a version that ``CHANGELOG.md`` and ``CITATION.cff`` date alike.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST, ELSEWHERE = ROOT / "dist", ROOT / "build" / "release"
CHECKED = "00_quickstart.ipynb"
NOTEBOOKS = ("notebooks", "data/photos/README.md", "LICENSE", "NOTICE", "CITATION.cff")
WANTED = {
    "wheel": (
        "maclip_lab/py.typed",
        "maclip_lab/data/backbones/tiny-rn.safetensors",
        "maclip_lab/data/10_reproduce.ipynb",
        "LICENSE",
    ),
    "sdist": (
        "pyproject.toml",
        "constraints.txt",
        "backbones/train.py",
        f"notebooks/{CHECKED}",
        "docs/conf.py",
        "NOTICE",
    ),
    "notebooks": (f"notebooks/{CHECKED}", "notebooks/solutions/", "LICENSE"),
    "site": ("README.html", "search.html", "searchindex.js", "notebooks/00_quickstart.html"),
}
"""Endings or folders of files that each archive must hold."""
UNWANTED = re.compile(r"(^|/)(__pycache__|\.git|\.venv[^/]*|\.ipynb_checkpoints|shared|dist)/")


def main() -> None:
    """Makes the archives and uses them; any failure ends it."""
    started = time.monotonic()
    number = version(ROOT)
    refuse_uncommitted(ROOT)
    build(number)
    archives = check_contents(number)
    check(archives)
    sizes = (f"{path.name}  {path.stat().st_size / 2**20:.1f} MiB" for path in archives.values())
    print(f"{DIST} holds version {number}:", *sizes, sep="\n  ")
    print(f"made and checked in {time.monotonic() - started:.0f} s")


def run(*command: str | Path, cwd: Path = ROOT, **settings: str) -> None:
    """Runs a command, and stops everything where it fails."""
    print("+", *command, flush=True)
    subprocess.run(command, cwd=cwd, check=True, env={**os.environ, **settings})


def version(root: Path) -> str:
    """The version, which stands in ``pyproject.toml`` alone; refused where the release is undated.

    Raises:
        SystemExit: ``CHANGELOG.md`` does not date it, or ``CITATION.cff`` dates it otherwise.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    number = str(project["version"])
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    dated = re.search(rf"^## \[{re.escape(number)}\] - (\d{{4}}-\d\d-\d\d)$", changes, re.MULTILINE)
    if not dated:
        sys.exit(f"CHANGELOG.md has no dated entry for version {number}: write one")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    for line in (f"version: {number}", f'date-released: "{dated[1]}"'):
        if line not in citation.splitlines():
            sys.exit(f"CITATION.cff does not say {line!r}, as CHANGELOG.md does")
    if re.search(r"## \[Unreleased\]\s+(?!## )\S", changes):
        print(f"note: CHANGELOG.md has changes under Unreleased, not in {number}")
    return number


def refuse_uncommitted(root: Path) -> None:
    """The sdist and the site come from the working tree, so it has to be what is committed.

    Raises:
        SystemExit: it is not.
    """
    command = ["git", "-C", str(root), "status", "--porcelain"]
    edited = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if edited:
        sys.exit(f"commit first; only what is committed is released:\n{edited.rstrip()}")


def build(number: str) -> None:
    """Fills ``dist``."""
    schema = ("-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format")
    run(sys.executable, *schema, ROOT / "CITATION.cff")
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST)  # the wheel is made of the sdist
    name = f"maclip_lab-{number}-notebooks"
    run("git", "archive", f"--prefix={name}/", f"--output={DIST / name}.zip", "HEAD", *NOTEBOOKS)
    shutil.make_archive(str(DIST / f"maclip_lab-{number}-site"), "zip", ROOT / "build" / "site")


def check_contents(number: str) -> dict[str, Path]:
    """The archives by their kind, each with what it must hold and without what it must not.

    Raises:
        SystemExit: one is otherwise.
    """
    archives = {
        "wheel": DIST / f"maclip_lab-{number}-py3-none-any.whl",
        "sdist": DIST / f"maclip_lab-{number}.tar.gz",
        "notebooks": DIST / f"maclip_lab-{number}-notebooks.zip",
        "site": DIST / f"maclip_lab-{number}-site.zip",
    }
    for kind, path in archives.items():
        if path.suffix == ".gz":
            with tarfile.open(path) as archive:
                wrong = faults(kind, archive.getnames())
        else:
            with zipfile.ZipFile(path) as archive:
                wrong = faults(kind, archive.namelist())
        if wrong:
            sys.exit(f"{path.name} {'; '.join(wrong)}")
    return archives


def faults(kind: str, names: Iterable[str]) -> list[str]:
    """What is wrong with the list of an archive's files, in words."""
    held = list(names)
    lacking = [
        wanted
        for wanted in WANTED[kind]
        if not any(name.endswith(wanted) or f"/{wanted}" in name for name in held)
    ]
    found = [name for name in held if UNWANTED.search(name)]
    return [f"lacks {name}" for name in lacking] + [f"holds {name}" for name in found[:3]]


def check(archives: dict[str, Path]) -> None:
    """Installs the wheel where nothing of the checkout is seen; runs the demo and a notebook."""
    shutil.rmtree(ELSEWHERE, ignore_errors=True)
    run(sys.executable, "-m", "venv", ELSEWHERE / "venv")
    scripts = ELSEWHERE / "venv" / ("Scripts" if os.name == "nt" else "bin")
    wheel = f"maclip-lab[lab] @ {archives['wheel'].as_uri()}"
    run(scripts / "pip", "install", "-qc", ROOT / "constraints.txt", wheel)
    alone = {"MACLIP_LAB_OFFLINE": "1", "PYTHONPATH": ""}
    run(scripts / "maclip-lab", "demo", "-q", "-o", "demo", cwd=ELSEWHERE, **alone)
    with zipfile.ZipFile(archives["notebooks"]) as archive:
        archive.extractall(ELSEWHERE)
    notebooks = ELSEWHERE / archives["notebooks"].stem / "notebooks"
    run(scripts / "jupyter-execute", CHECKED, cwd=notebooks, **alone)


if __name__ == "__main__":
    main()
