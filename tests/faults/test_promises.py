"""What the package promises whatever happens: where it writes, that it asks nobody, what it needs.

Promises P4 to P10 of the list in README.md that no single fault belongs to.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from maclip_lab.encoder import ImageEncoder
from maclip_lab.scorer import Maclip
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


def alone(arguments, cwd, **variables):
    """A command line without network, in an empty home."""
    kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
    environment = {key: os.environ[key] for key in kept if key in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(
        [sys.executable, "-c", ALONE, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_scoring_writes_its_table_and_parts_and_nothing_else_and_asks_nobody(tmp_path):
    for name in ("home", "here", "pictures", "out", "temporary"):
        (tmp_path / name).mkdir()
    picture(tmp_path / "pictures" / "p.png", 0)
    before = inventory(tmp_path / "pictures")
    done = alone(
        ["score", tmp_path / "pictures", "-b", VIT, "-o", tmp_path / "out" / "s.csv", "-q"],
        tmp_path / "here",
        HOME=str(tmp_path / "home"),
        TMPDIR=str(tmp_path / "temporary"),
    )
    assert done.returncode == 0, done.stderr
    table, record, part = sorted(inventory(tmp_path / "out"))
    assert (table, record) == ("s.csv", "s.csv.provenance.json")
    assert part.startswith("s.parts/000000-")
    assert inventory(tmp_path / "pictures") == before
    for name in ("home", "here", "temporary"):
        assert inventory(tmp_path / name) == {}, name


def test_evaluating_writes_its_store_and_nothing_else(tmp_path):
    for name in ("home", "here", "pictures"):
        (tmp_path / name).mkdir()
    rows = ["name,mos"]
    for i in range(6):
        picture(tmp_path / "pictures" / f"p{i}.png", i)
        rows.append(f"p{i}.png,{i}")
    (tmp_path / "pictures" / "list.csv").write_text("\n".join(rows))
    before = inventory(tmp_path / "pictures")
    lists = tmp_path / "pictures" / "list.csv"
    arguments = ["--annotations", lists, "-b", VIT, "--store", tmp_path / "store", "--n-boot", "20"]
    done = alone(
        ["evaluate", "mine", *arguments, "-q"], tmp_path / "here", HOME=str(tmp_path / "home")
    )
    assert done.returncode == 0, done.stderr
    assert inventory(tmp_path / "pictures") == before
    assert inventory(tmp_path / "home") == {}
    assert inventory(tmp_path / "here") == {}


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


def test_a_user_without_a_home_can_work(tmp_path):
    """As in a container that runs under a number no account has."""
    script = (
        """
import pathlib
def nobody(cls):
    raise RuntimeError("Could not determine home directory.")
pathlib.Path.home = classmethod(nobody)
"""
        + ALONE
    )
    picture(tmp_path / "p.png", 0)
    done = subprocess.run(
        [sys.executable, "-c", script, "weights", "list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("MACLIP")},
    )
    assert done.returncode == 0, done.stderr
    assert "RN50" in done.stdout


class Hungry(torch.nn.Module):
    """An image tower that has memory for so many crops at a time."""

    def __init__(self, tower, room):
        super().__init__()
        self.tower, self.room, self.asked = tower, room, []

    def forward(self, crops, *rest):
        self.asked.append(len(crops))
        if len(crops) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.tower(crops, *rest)


def encoder_with_room_for(room, golden_clips):
    encoder = ImageEncoder(golden_clips["vit"], device=torch.device("cpu"))
    encoder.micro_batch = 16
    encoder._tower = Hungry(encoder._tower, room)
    return encoder


@pytest.mark.parametrize("room", [1, 3, 5])
def test_a_full_gpu_halves_the_batch_until_it_fits_and_the_features_are_the_same(
    room, golden_clips
):
    crops = torch.from_numpy(np.random.default_rng(0).normal(size=(11, 3, 224, 224))).float()
    whole = encoder_with_room_for(16, golden_clips).encode(crops)
    encoder = encoder_with_room_for(room, golden_clips)
    torch.testing.assert_close(encoder.encode(crops), whole, rtol=1e-5, atol=1e-5)
    assert encoder.micro_batch <= room
    learned = len(encoder._tower.asked)
    encoder.encode(crops)
    assert max(encoder._tower.asked[learned:]) <= room


def test_a_gpu_without_room_for_one_crop_says_so(golden_clips):
    with pytest.raises(torch.OutOfMemoryError):
        encoder_with_room_for(0, golden_clips).encode(torch.zeros(4, 3, 224, 224))


def test_no_file_name_reaches_a_shell(tmp_path):
    canary = tmp_path / "canary"
    name = f"a; touch {canary.name} #$(touch {canary.name})`touch {canary.name}`.png"
    picture(tmp_path / name, 0)
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert Maclip(VIT, device="cpu")(Path(name)).status == "ok"
    finally:
        os.chdir(here)
    assert not canary.exists()


@pytest.mark.parametrize("locale", ["C", "de_DE.UTF-8"])
def test_decimals_do_not_follow_the_locale(locale, tmp_path):
    picture(tmp_path / "p.png", 0)
    out = tmp_path / "s.csv"
    done = alone(["score", tmp_path / "p.png", "-b", VIT, "-o", out, "-q"], tmp_path, LC_ALL=locale)
    assert done.returncode == 0, done.stderr
    assert len(out.read_text().splitlines()[1].split(",")) == len(
        out.read_text().splitlines()[0].split(",")
    )
