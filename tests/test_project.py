"""The files around the package say one thing."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import maclip_lab

ROOT = Path(maclip_lab.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def first(pattern, file):
    return re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)[1]


def test_the_version_is_the_same_wherever_it_stands():
    assert maclip_lab.__version__ == PROJECT["version"]
    assert first(r"^version: (.+)$", "CITATION.cff") == PROJECT["version"]
    assert first(r"^## \[(\d.*)\]", "CHANGELOG.md") == PROJECT["version"]


def test_a_checkout_that_is_not_installed_has_no_version(monkeypatch):
    monkeypatch.setattr("maclip_lab.version", lambda name: version("no-such-" + name))
    assert maclip_lab.__version__ == "0+not.installed"


def test_every_dependency_is_pinned_to_a_version_that_is_admitted():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if "==" in line)
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for needed in map(Requirement, chain(*lists)):
        if needed.name != PROJECT["name"]:
            pin = pins.get(needed.name) or pins[needed.name.replace("-", "_")]
            assert pin in needed.specifier, needed


SCHEMAS = {"citation-file-format": "CITATION.cff", "github-workflows": ".github/workflows/*.yml"}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_that_others_read_follow_their_schema(schema):
    pytest.importorskip("check_jsonschema", reason="needs the extra: pip install -e '.[site]'")
    files = list(ROOT.glob(SCHEMAS[schema]))
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_papers_authors_are_people():
    names = re.findall(r"(?:family|given)-names: (.+)", (ROOT / "CITATION.cff").read_text("utf-8"))
    assert len(names) == 16
    assert all(re.fullmatch(r"[A-Z][a-z]+", name) for name in names)


def test_types_are_there_for_users():
    assert (ROOT / "maclip_lab" / "py.typed").is_file()


ELSEWHERE = {"torch": "pytorch", "huggingface-hub": "huggingface_hub"}
"""What conda-forge calls a package by another name."""


def test_the_conda_environment_lists_the_same_packages_and_pip_adds_the_project_alone():
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    listed = {line.strip(" -") for line in lines if line.startswith("  - ")}
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *extras["lab"], *extras["scale"], *extras["test"]]
    wanted = {
        ELSEWHERE.get(package.name, package.name) + str(package.specifier)
        for package in map(Requirement, needed)
        if package.name not in ("maclip-lab", "playwright")  # whose tests skip where it is absent
    }
    assert listed == wanted | {"conda-forge", "python=3.11", "pip", "pip:"}
    assert [line.strip() for line in lines if line.startswith("      ")] == ["- --editable ."]
