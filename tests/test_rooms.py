"""The plan of the package: what each room may know, so that no arrow runs back."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import maclip_lab

PACKAGE = Path(maclip_lab.__file__).parent
METHOD = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
LINES = 12_000
"""A ceiling that only comes down."""
MAY_KNOW = {
    "method": {"clip", "weights", "files"},
    "clip": set(),
    "weights": {"clip", "files", "method"},  # of the method its errors alone
    "files": {"method"},  # its errors alone
    "datasets": {"method", "files"},
    "features": {"method", "files", "datasets"},
    "evaluation": set(),
    "ablations": {"method", "files", "datasets", "features", "evaluation"},
    "scale": {"method", "files"},
    "plots": {"method", "evaluation"},
    "lessons": {
        *("method", "files", "weights", "datasets", "features", "evaluation", "ablations", "plots"),
    },
    "cli": {
        *("method", "files", "weights", "datasets", "features", "evaluation", "ablations", "plots"),
        *("scale", "lessons"),
    },
}


def room_of(module):
    """The room of ``maclip_lab.x.y``: a folder's name, or the method where x is a file."""
    first = module.split(".")[1] if "." in module else "__init__"
    return "method" if first in METHOD else first


@cache
def imports():
    """(file, room, module imported) of every import of the package's own."""
    rows = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(["maclip_lab", *path.relative_to(PACKAGE).with_suffix("").parts])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("maclip_lab"):
                names = [f"maclip_lab.{alias.name}" for alias in node.names]
                for name in names if node.module == "maclip_lab" else [node.module]:
                    rows.append((path.relative_to(PACKAGE).as_posix(), room_of(module), name))
    return rows


def test_the_package_does_not_know_what_made_its_backbones():
    words = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert not [text for text in words if re.search(r"^\s*(from|import) backbones\b", text, re.M)]


def test_every_folder_is_a_room_of_the_plan():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms | {"method"} == set(MAY_KNOW)


def test_the_root_is_the_method_and_the_package_has_few_files_and_does_not_grow():
    assert len(METHOD) <= 14
    files = list(PACKAGE.rglob("*.py"))
    assert len(files) <= 90
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= LINES


@pytest.mark.parametrize("room", sorted(MAY_KNOW))
def test_a_room_knows_only_what_lies_below_it(room):
    below = {room, "__init__"} | MAY_KNOW[room]
    known = {(file, name) for file, here, name in imports() if here == room}
    assert not {(file, name) for file, name in known if room_of(name) not in below}


@pytest.mark.parametrize("room", ["weights", "files"])
def test_what_lies_below_the_method_knows_its_errors_alone(room):
    names = {name for _, here, name in imports() if here == room and room_of(name) == "method"}
    assert names <= {"maclip_lab.errors"}
