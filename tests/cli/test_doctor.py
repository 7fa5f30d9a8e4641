"""The doctor finds what is wrong with a set-up, and changes nothing."""

from dataclasses import replace
from hashlib import sha256

import pytest
from PIL import ImageFile

from maclip_lab.cli.doctor import examine
from maclip_lab.weights.backbones import OPENAI
from maclip_lab.weights.integrity import record_sha256
from maclip_lab.weights.loading import Verification
from tests.datasets.facsimile import build
from tests.faults.conftest import inventory


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with a cache of its own and no switches set."""
    for name in ("MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def verdicts(root=None):
    return {row.what: (row.verdict, row.finding) for row in examine(root).itertuples()}


def test_every_finding_has_a_verdict_and_nothing_is_made(machine):
    findings = examine()
    assert list(findings) == ["what", "verdict", "finding"]
    assert set(findings["verdict"]) <= {"ok", "note", "bad"}
    assert inventory(machine) == {}
    assert not (machine / "cache").exists()


def test_versions_device_cache_and_network_are_told():
    found = verdicts()
    for what in ("python", "torch", "numpy", "pillow", "device", "cache", "network"):
        assert found[what][0] == "ok", found[what]
    assert "online, used only for weights that are asked for" in found["network"][1]


def test_absent_weights_are_a_note_with_the_command_that_fetches_them():
    assert verdicts()["RN50"] == ("note", "absent; maclip-lab weights fetch RN50")


def test_weights_that_are_not_what_they_should_be_are_bad(machine):
    (machine / "cache").mkdir()
    (machine / "cache" / "RN50.pt").write_bytes(b"not the archive")
    verdict, finding = verdicts()["RN50"]
    assert verdict == "bad"
    assert "mismatch" in finding
    assert (machine / "cache" / "RN50.pt").exists()


def test_an_embedded_backbone_must_be_there(monkeypatch):
    def absent():
        return [{"name": "tiny-rn", "present": False, "kind": "embedded"}]

    monkeypatch.setattr("maclip_lab.cli.doctor.list_backbones", absent)
    assert verdicts()["tiny-rn"] == ("bad", "absent; it ships with this package")


@pytest.mark.parametrize(
    ("status", "verdict"), [("ok", "ok"), ("unrecorded", "note"), ("mismatch", "bad")]
)
def test_the_verdict_on_weights_follows_their_verification(status, verdict, monkeypatch, tmp_path):
    def present():
        return [{"name": "RN50", "present": True, "kind": "openai"}]

    checked = Verification("RN50", status, tmp_path / "RN50.pt", "a" * 64)
    monkeypatch.setattr("maclip_lab.cli.doctor.list_backbones", present)
    monkeypatch.setattr("maclip_lab.cli.doctor.verify", lambda name: checked)
    assert verdicts()["RN50"][0] == verdict


def test_a_requirement_that_is_too_old_or_absent_is_bad(monkeypatch):
    needed = ["pillow>=999", "no-such-package>=1", 'pytest>=999; extra == "test"']
    monkeypatch.setattr("importlib.metadata.requires", lambda name: needed)
    found = verdicts()
    assert found["pillow"][0] == "bad"
    assert "needs pillow>=999" in found["pillow"][1]
    assert found["no-such-package"] == ("bad", "absent; pip install 'no-such-package>=1'")
    assert "pytest" not in found


def test_a_cache_in_place_of_which_a_file_lies_is_bad(machine, monkeypatch):
    (machine / "file").touch()
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(machine / "file" / "cache"))
    verdict, finding = verdicts()["cache"]
    assert verdict == "bad"
    assert "set MACLIP_LAB_CACHE to a folder" in finding


@pytest.fixture
def copies(machine, monkeypatch):
    """Four copies of what passes for RN101, and a file without a name, all of them whole."""
    spec = next(spec for spec in OPENAI if spec.name == "RN101")
    whole = replace(spec, sha256=sha256(b"archive").hexdigest())
    monkeypatch.setattr("maclip_lab.weights.loading.OPENAI", (whole,))
    blob = machine / "hub" / "blobs" / sha256(b"hub").hexdigest()
    places = {
        machine / "cache" / "RN101.safetensors": b"tensors",
        machine / "cache" / "RN101.pt": b"archive",
        machine / ".cache" / "clip" / "RN101.pt": b"archive",
        blob: b"hub",
        machine / "cache" / "mine.safetensors": b"mine",
    }
    for path, content in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name in ("RN101.safetensors", "mine.safetensors"):
        path = machine / "cache" / name
        record_sha256(path, sha256(path.read_bytes()).hexdigest())
    (machine / "hub" / "open_clip_model.safetensors").symlink_to(blob)
    found = machine / "hub" / "open_clip_model.safetensors"
    monkeypatch.setattr("maclip_lab.weights.cache.hub_cache_path", lambda place: found)
    return list(places)


def checked(checksums=True):
    return examine(checksums=checksums).query("what == 'checksum'")


def test_checksums_hash_every_copy_and_find_all_of_them_whole(copies):
    assert checked(checksums=False).empty
    rows = checked()
    here = rows[~rows["finding"].str.contains("tiny-")]
    assert len(here) == len(copies)
    assert (here["verdict"] == "ok").all()


@pytest.mark.parametrize("damaged", range(5))
def test_checksums_find_the_one_copy_in_which_a_bit_flipped(damaged, copies):
    path = copies[damaged]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    bad = checked().query("verdict == 'bad'")
    assert len(bad) == 1
    assert bad["finding"].str.startswith("mismatch").all()
    assert path.read_bytes() == content


def test_files_set_aside_as_damaged_are_mentioned(machine):
    (machine / "cache").mkdir()
    (machine / "cache" / "RN50.pt.corrupt").touch()
    notes = examine().query("what == 'cache' and verdict == 'note'")
    assert notes["finding"].str.contains("RN50.pt.corrupt").all()
    assert len(notes) == 1


@pytest.mark.parametrize("switch", ["MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE"])
def test_a_machine_that_is_offline_says_by_which_switch(switch, monkeypatch):
    monkeypatch.setenv(switch, "1")
    finding = verdicts()["network"][1]
    assert finding.startswith("offline")
    assert f"{switch}=1" in finding


def test_a_switched_off_check_of_pillow_is_bad(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert verdicts()["Pillow"][0] == "bad"


def test_data_sets_are_found_and_their_gaps_counted(tmp_path):
    assert verdicts(tmp_path)["data sets"][0] == "note"
    build("CSIQ", tmp_path / "sets", rows=9)
    verdict, finding = verdicts(tmp_path / "sets")["CSIQ"]
    assert verdict == "note"
    assert "9 of 9 pictures" in finding
    assert "9 rows where a whole copy has 866" in finding
    next((tmp_path / "sets").rglob("dst_imgs/*/*.png")).unlink()
    verdict, finding = verdicts(tmp_path / "sets")["CSIQ"]
    assert verdict == "note"
    assert "8 of 9 pictures" in finding


def test_a_data_set_that_cannot_be_read_is_bad(tmp_path):
    build("kadid", tmp_path / "sets", rows=9)
    path = next((tmp_path / "sets").rglob("dmos.csv"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].rsplit(",", 2)[0] + ",bad,0.1", *lines[2:]]))
    verdict, finding = verdicts(tmp_path / "sets")["kadid"]
    assert verdict == "bad"
    assert "bad" in finding
