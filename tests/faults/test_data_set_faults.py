"""Annotation files that are wrong, and archives, which this package leaves to others.

Faults 13 to 15 and 24 of the list in README.md. Every layout, letter case, Unicode form and
direction of the nine sets is in tests/datasets/.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import maclip_lab
from maclip_lab.datasets import DatasetError
from maclip_lab.errors import DatasetWarning
from tests.datasets.facsimile import open_list
from tests.faults.conftest import inventory
from tests.store_world import ROOT, picture


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Bilder").mkdir()
    for i in range(3):
        picture(tmp_path / "Bilder" / f"{i}.png", i)
    return tmp_path


def annotations(folder, rows):
    path = folder / "list.json"
    path.write_text(json.dumps([{"img_path": p, "gt_score": s} for p, s in rows]))
    return path


NO_NUMBERS = (float("nan"), float("inf"), None, True, [1], "", "1_0")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("0.png", "good"), ("1.png", 2)], "'good' in row 1"),
        *([([("0.png", no), ("1.png", 2)], "no finite numbers") for no in NO_NUMBERS]),
        ([("", 1)], "no name of a picture in row 1"),
        ([(None, 1)], "no name of a picture in row 1"),
        ([("../nowhere.png", 1)], "none of 1 pictures"),
    ],
)
def test_a_wrong_row_is_an_error_that_names_it(rows, message, folder):
    with pytest.raises(DatasetError, match=message):
        open_list(annotations(folder, rows))


def test_a_list_may_name_the_very_path_of_a_picture_outside_its_folder(folder):
    outside = folder.parent / "outside.png"
    outside.write_bytes((folder / "Bilder" / "0.png").read_bytes())
    assert open_list(annotations(folder, [("../outside.png", 1)])).paths == [outside]


def test_a_missing_picture_is_left_out_aloud_and_no_file_changes(folder):
    path = annotations(folder, [("0.png", 1), ("nowhere.png", 2), ("1.png", 3)])
    before = inventory(folder)
    with pytest.warns(DatasetWarning, match=r"1 of 3 pictures .*nowhere\.png"):
        manifest = open_list(path)
    assert len(manifest) == 2
    assert manifest.missing == ("nowhere.png",)
    assert inventory(folder) == before


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
