"""Whole processes fetching weights: killed, out of room, lied to, and two at once.

Faults 7 to 12 of the list in README.md. Every way in which a file or a server can be wrong, and
that no pickle runs, is in tests/weights/test_loading.py, inside one process.
"""

import hashlib
import json
import os
import resource
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from maclip_lab.errors import IntegrityError, WeightsError
from maclip_lab.weights import places
from maclip_lab.weights.loading import load_backbone
from maclip_lab.weights.names import OPENAI
from tests.conftest import GOLDEN
from tests.faults.conftest import PATIENCE, wait_for
from tests.store_world import ROOT
from tests.weights.hub_server import HubServer, Served, weights_below

REPO, NAME = "org/tiny-clip", "hf-hub:org/tiny-clip"
WEIGHTS, CONFIG = "open_clip_model.safetensors", "open_clip_config.json"
BODY = os.urandom(300_000)
FETCH = """
import sys
from huggingface_hub import constants, file_download
constants.HF_HUB_DOWNLOAD_TIMEOUT = 1
file_download.time.sleep = lambda _: None
from maclip_lab.cli import main
main()
"""


@pytest.fixture
def hub():
    server = HubServer()
    server.add_repo(REPO, {WEIGHTS: Served(BODY), CONFIG: Served(json.dumps({}).encode())})
    yield server
    server.close()


@pytest.fixture
def fetch(hub, tmp_path):
    """Starts ``maclip-lab weights fetch`` with the hub as its only network."""
    (tmp_path / "home").mkdir()
    dropped = ("PROXY", "MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE")
    kept = {k: v for k, v in os.environ.items() if not any(part in k.upper() for part in dropped)}
    environment = kept | {
        "HOME": str(tmp_path / "home"),
        "HF_HOME": str(tmp_path / "home" / "hf"),
        "HF_ENDPOINT": hub.address,
        "MACLIP_LAB_CACHE": str(tmp_path / "cache"),
    }
    started = []

    def run(*arguments, **options):
        command = [sys.executable, "-c", FETCH, "weights", "fetch", NAME, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, cwd=ROOT, **pipes, **options))
        return started[-1]

    yield run
    for child in started:
        child.kill()
        child.communicate()


def finished(child):
    output, errors = child.communicate(timeout=PATIENCE)
    return child.returncode, output + errors


WHOLE = sorted([WEIGHTS, hashlib.sha256(BODY).hexdigest()])
"""The file in the client's cache, and the client's link to it."""


def final(cache):
    return [name for name in weights_below(cache) if not name.endswith(".incomplete")]


def test_a_download_killed_midway_leaves_no_final_name_and_the_next_two_at_once_one_whole_file(
    fetch, hub, tmp_path
):
    hub.misbehave(WEIGHTS, stalls=True)
    child = fetch()
    asked = f"GET /cdn/{REPO}/resolve/"
    wait_for(lambda: any(one.startswith(asked) and WEIGHTS in one for one in hub.requests))
    child.kill()
    child.communicate()
    assert final(tmp_path / "cache") == []
    hub.misbehave(WEIGHTS, stalls=False)
    for child in [fetch(), fetch()]:
        code, said = finished(child)
        assert code == 0, said
    assert final(tmp_path / "cache") == WHOLE
    assert next((tmp_path / "cache").rglob(WEIGHTS)).read_bytes() == BODY


def test_no_room_for_a_download_is_said_and_nothing_is_left(fetch, tmp_path):
    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    code, said = finished(fetch(preexec_fn=no_room))
    assert code == 1
    assert "File too large" in said
    assert "Traceback" not in said
    assert weights_below(tmp_path / "cache") == []


def test_offline_asks_the_server_nothing(fetch, hub):
    code, said = finished(fetch("--offline"))
    assert code == 1
    assert "not tried" in said
    assert hub.requests == []


def test_the_wrong_models_file_under_a_right_name_is_recognised(tmp_path, monkeypatch):
    """ViT-B/32's archive saved as RN50.pt: both digests, and whose the file is."""
    spec = next(spec for spec in OPENAI if spec.name == "ViT-B/32")
    (tmp_path / "RN50.pt").write_bytes(b"the archive of another model")
    monkeypatch.setattr(places, "sha256_of", lambda path: spec.archive)
    with pytest.raises(IntegrityError, match=rf"{spec.archive}, that of ViT-B/32, expected"):
        load_backbone("RN50", weights_dir=tmp_path, offline=True)


CONVOLUTION = "visual.conv1.weight"
PLAIN = "plain tensors of real numbers"
STRANGE = {
    "complex": (lambda tensor: tensor.to(torch.complex64), PLAIN),
    "sparse": (lambda tensor: tensor.to_sparse(), PLAIN),
    "without data": (lambda tensor: tensor.to("meta"), PLAIN),
    "of no size": (lambda tensor: tensor[:0], "does not make a CLIP"),
}


@pytest.mark.parametrize("what", STRANGE)
def test_a_tensor_that_is_no_weight_is_refused(what, tmp_path):
    state = load_file(GOLDEN / "vit.safetensors")
    spoil, said = STRANGE[what]
    state[CONVOLUTION] = spoil(state[CONVOLUTION].float())
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match=said):
        load_backbone(str(tmp_path / "weights.pt"))


FOREIGN = {
    "half a zip": b"PK\x03\x04" + bytes(100) + b"PK\x05\x06" + b"\xff" * 18,
    "a safetensors file": (GOLDEN / "vit.safetensors").read_bytes(),
    "a pickle that pops what it never pushed": b"\x80\x02u.",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_bytes_of_another_format_are_refused(what, tmp_path):
    (tmp_path / "weights.pt").write_bytes(FOREIGN[what])
    with pytest.raises(WeightsError, match=r"weights\.pt"):
        load_backbone(str(tmp_path / "weights.pt"))


def test_a_configuration_without_end_is_refused(tmp_path):
    (tmp_path / WEIGHTS).write_bytes((GOLDEN / "vit.safetensors").read_bytes())
    (tmp_path / CONFIG).write_text("[" * 200_000)
    with pytest.raises(WeightsError, match="is not an open_clip configuration"):
        load_backbone(str(tmp_path))
