"""The doctor finds what is wrong with a set-up, and changes nothing."""

import re
from hashlib import sha256

import pytest
from PIL import ImageFile

from maclip_lab.cli.explain import examine
from maclip_lab.files.identity import data_path
from maclip_lab.weights.names import OPENAI
from maclip_lab.weights.places import HUB_WEIGHTS
from tests.cli.conftest import run
from tests.faults.conftest import inventory


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with a cache of its own and no switches set."""
    for name in ("MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def verdicts():
    return {row.what: (row.verdict, row.finding) for row in examine().itertuples()}


def test_a_sound_set_up_has_nothing_bad_and_nothing_is_made(machine):
    findings, found = examine(), verdicts()
    assert list(findings) == ["what", "verdict", "finding"]
    assert set(findings["verdict"]) == {"ok", "note"}
    code, output, _ = run("doctor")
    assert (code, len(output.splitlines())) == (0, len(findings))
    for what in ("python", "torch", "numpy", "pillow", "device", "cache", "hub's cache", "network"):
        assert found[what][0] == "ok", found[what]
    assert "online, used only for weights that are asked for" in found["network"][1]
    assert inventory(machine) == {}
    assert not (machine / "cache").exists()


def test_a_package_that_is_absent_or_a_switched_off_check_is_bad(monkeypatch):
    assert verdicts()["RN50"] == ("note", "absent; maclip-lab weights fetch RN50")
    monkeypatch.setattr("maclip_lab.cli.explain.versions", lambda: {"scipy": "absent"})
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert verdicts()["scipy"] == ("bad", "absent; pip install scipy")
    assert verdicts()["Pillow"][0] == "bad"


@pytest.mark.parametrize("content", [None, b"cut short"], ids=["absent", "damaged"])
def test_an_embedded_backbone_must_be_there_and_whole(content, machine, monkeypatch):
    path = machine / "tiny-rn.safetensors"
    if content:
        path.write_bytes(content)
    monkeypatch.setattr("maclip_lab.weights.places.data_path", lambda *parts: path)
    verdict, finding = verdicts()["tiny-rn"]
    assert verdict == "bad"
    assert "install this package anew" in finding
    whole = sha256(data_path("backbones", "tiny-rn.safetensors").read_bytes()).hexdigest()
    assert content is None or f"expected {whole}" in finding


def test_a_cache_in_place_of_which_a_file_lies_is_bad(machine, monkeypatch):
    (machine / "file").touch()
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(machine / "file" / "cache"))
    for what in ("cache", "hub's cache"):
        verdict, finding = verdicts()[what]
        assert verdict == "bad"
        assert "set MACLIP_LAB_CACHE to a folder" in finding
    code, output, _ = run("doctor")
    assert code == 1
    assert re.search("^bad +cache +.*to a folder", output, re.M)


@pytest.fixture
def copies(machine, monkeypatch):
    """Two copies of what passes for RN101, both whole: in our cache and in the hub client's own."""
    model = next(model for model in OPENAI if model.name == "RN101")
    blobs = []
    for folder in ("cache/hub", "hub"):
        repo = machine / folder / f"models--{model.repo.replace('/', '--')}"
        blobs.append(repo / "blobs" / sha256(b"tensors").hexdigest())
        link = repo / "snapshots" / "main" / HUB_WEIGHTS
        for path in (blobs[-1], link):
            path.parent.mkdir(parents=True)
        blobs[-1].write_bytes(b"tensors")
        link.symlink_to(blobs[-1])
    return blobs


@pytest.mark.parametrize("damaged", range(2))
def test_every_copy_of_a_backbone_is_hashed_and_the_one_in_which_a_bit_flipped_is_bad(
    damaged, copies
):
    assert examine().query("what == 'RN101'")["verdict"].tolist() == ["ok"] * len(copies)
    path = copies[damaged]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    bad = examine().query("verdict == 'bad'")
    assert bad["what"].tolist() == ["RN101"]
    for part in ("mismatch", sha256(content).hexdigest(), "maclip-lab weights fetch RN101"):
        assert part in bad["finding"].item()
    assert path.read_bytes() == content


def test_weights_of_which_nothing_is_on_record_are_a_note(copies):
    for blob in copies:  # where no links can be made, the client's file has no sha256 for a name
        link = next(blob.parents[1].rglob(HUB_WEIGHTS))
        link.unlink()
        blob.rename(link)
    verdict, finding = verdicts()["RN101"]
    assert (verdict, finding.split(",")[0]) == ("note", "unrecorded")


@pytest.mark.parametrize("switch", ["MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE"])
def test_a_machine_that_is_offline_says_by_which_switch(switch, monkeypatch):
    monkeypatch.setenv(switch, "1")
    finding = verdicts()["network"][1]
    assert finding.startswith("offline")
    assert f"{switch}=1" in finding
