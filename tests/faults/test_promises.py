"""What the package promises whatever happens: where it writes, that it asks nobody, what it needs.

Promises P3 to P10 of docs/promises.md that no single fault belongs to, and faults 13 to 15 of the
list in README.md: archives, which this package leaves to others.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import maclip_lab
from maclip_lab.encoder import ImageEncoder
from tests.conftest import GOLDEN
from tests.faults.conftest import PATIENCE, inventory
from tests.store_world import ROOT, picture

VIT = str(GOLDEN / "vit.safetensors")
ALONE = """
import socket, sys
def refuse(*_):
    raise SystemExit("a socket was opened")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from maclip_lab.cli import main
main()
"""


HOMELESS = """
import pathlib
def nobody(cls):
    raise RuntimeError("Could not determine home directory.")
pathlib.Path.home = classmethod(nobody)
"""


def alone(arguments, cwd, script=ALONE, **variables):
    """What a command line without network says, in an environment of its own."""
    kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
    environment = {key: os.environ[key] for key in kept if key in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_asked_for_is_written_and_nothing_else_in_any_locale_and_nobody_is_asked(tmp_path):
    for name in ("home", "here", "temporary", "pictures", "out"):
        (tmp_path / name).mkdir()
    names = [f"p{i}; touch p #$(touch p)`touch p`.png" for i in range(6)]
    for i, name in enumerate(names):
        picture(tmp_path / "pictures" / name, i)
    lists = tmp_path / "pictures" / "list.csv"
    lists.write_text("name,mos\n" + "".join(f"{name},{i}\n" for i, name in enumerate(names)))
    before = inventory(tmp_path / "pictures")
    for locale, *command in (
        ("C", "score", tmp_path / "pictures", "-o", tmp_path / "out" / "C.csv"),
        ("de_DE.UTF-8", "score", tmp_path / "pictures", "-o", tmp_path / "out" / "de.csv"),
        ("C", "evaluate", "mine", "--annotations", lists, "--store", tmp_path / "s", "--n-boot=20"),
    ):
        variables = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
        alone([*command, "-b", VIT, "-q"], tmp_path / "here", LC_ALL=locale, **variables)
    files = inventory(tmp_path / "out")
    parts = (".csv", ".csv.provenance.json", ".parts/000000")
    made = [table + part for table in ("C", "de") for part in parts]
    assert [name.split("-")[0] for name in sorted(files)] == made
    assert files["C.csv"] == files["de.csv"]
    assert len({line.count(b",") for line in files["C.csv"].splitlines()}) == 1
    assert inventory(tmp_path / "pictures") == before
    for name in ("home", "here", "temporary"):  # not even what a file's name asks a shell for
        assert inventory(tmp_path / name) == {}, name


def test_a_user_without_a_home_can_work(tmp_path):
    """As in a container that runs under a number no account has."""
    assert "RN50" in alone(["weights", "list"], tmp_path, HOMELESS + ALONE)


FORBIDDEN = """
import tarfile
import dill
import joblib
import shelve
import requests
import urllib.request
import http.client
from shutil import unpack_archive
from huggingface_hub import hf_hub_download
socket.create_connection(address)
pickle.load(file)
marshal.loads(data)
archive.extractall()
os.system(command)
os.popen(command)
subprocess.run(command, shell=True)
eval(text)
exec(text)
"""


def lint(*arguments, text=None):
    """Lines of files that the project's security rules refuse, whatever a comment excuses."""
    command = [sys.executable, "-m", "ruff", "check", "--ignore-noqa", "--no-cache"]
    command += ["--output-format", "json", *arguments]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=ROOT, check=False
    )
    return [
        (row["filename"], row["location"]["row"])
        for row in json.loads(done.stdout)
        if re.match(r"S\d|TID", row["code"])
    ]


def test_no_module_unpacks_an_archive_asks_the_network_or_runs_what_it_reads():
    """Archives are unpacked by the user: what is not there cannot be escaped from or bombed."""
    assert lint("maclip_lab") == []
    probe = f"import marshal, os, pickle, socket, subprocess{FORBIDDEN}"
    found = lint("--stdin-filename", "maclip_lab/probe.py", "-", text=probe)
    assert {line for _, line in found} == set(range(2, probe.count("\n") + 1))


def test_pickles_are_read_as_numbers_alone_and_code_is_never_made_from_text():
    trusting = re.compile(
        r"weights_only=False|allow_pickle=True|(?<![.\w])(?:compile|__import__)\("
    )
    for path in Path(maclip_lab.__file__).parent.rglob("*.py"):
        assert not trusting.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    "page", [ROOT / "docs" / "promises.md", ROOT / "tests" / "faults" / "README.md"]
)
def test_every_promise_and_every_fault_names_tests_that_are_there(page):
    folder = ROOT / "tests" if page.parent.name == "docs" else page.parent
    rows = re.findall(r"^\| P?\d+(?:[-, \d]*) \|.*\|$", page.read_text(encoding="utf-8"), re.M)
    assert len(rows) >= 10
    for row in rows:
        named = re.findall(r"`([\w./]+(?:\.py|/))`", row)
        assert named, row
        assert [name for name in named if not (folder / name).exists()] == []


@pytest.mark.parametrize("room", [1, 3, 5])
def test_a_full_gpu_halves_the_batch_until_it_fits_and_the_features_are_the_same(
    room, golden_clips
):
    encoder = ImageEncoder(golden_clips["vit"], device=torch.device("cpu"))
    crops = torch.from_numpy(np.random.default_rng(0).normal(size=(11, 3, 224, 224))).float()
    whole, tower, asked = encoder.encode(crops), encoder._tower, []

    def hungry(crops, *rest):
        asked.append(len(crops))
        if len(crops) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return tower(crops, *rest)

    encoder._tower, encoder.micro_batch = hungry, 16
    torch.testing.assert_close(encoder.encode(crops), whole, rtol=1e-5, atol=1e-5)
    assert encoder.micro_batch <= room
    asked.clear()
    encoder.encode(crops)
    assert max(asked) <= room
    room = 0
    with pytest.raises(torch.OutOfMemoryError):
        encoder.encode(crops)
