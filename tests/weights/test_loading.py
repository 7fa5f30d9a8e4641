"""A backbone by name, with the real clients against a server of our own, good and bad."""

import hashlib
import json
import os
import pickle
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import close_session
from safetensors.torch import save, save_file
from torch import nn

from maclip_lab.clip.model import CLIP, CLIP_MEAN, CLIP_STD, VisionTransformer
from maclip_lab.errors import IntegrityError, OfflineError, WeightsError
from maclip_lab.scorer import ScoreConfig
from maclip_lab.weights import names, places
from maclip_lab.weights.loading import ROWS, WEIGHT, expand_token_rows, load_backbone
from maclip_lab.weights.names import ARCHIVES, EMBEDDED, OPENAI, Model, parse_name
from maclip_lab.weights.places import HUB_CONFIG, HUB_WEIGHTS, fetch, verify

from .hub_server import COMMIT, HubServer, Served, weights_below

REPO = "org/tiny-clip"
HUB_NAME = f"hf-hub:{REPO}"
CONFIG = {
    "model_cfg": {
        "quick_gelu": False,
        "vision_cfg": {"image_size": 64, "layers": 1, "width": 64, "patch_size": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1},
    },
    "preprocess_cfg": {"mean": list(CLIP_MEAN), "std": list(CLIP_STD)},
}
CONFIG["model_cfg"]["vision_cfg"] |= {"head_width": 64, "timm_model_name": None}  # the defaults


def tiny_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    sizes = {"context_length": 77, "vocab_size": 12, "text_width": 64, "text_layers": 1}
    clip = CLIP(VisionTransformer(64, 32, 64, 1, 16), **sizes)
    return {name: tensor.detach().half().float() for name, tensor in clip.state_dict().items()}


STATE = tiny_state()
BYTES = save(STATE)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def as_bytes(config: dict) -> bytes:
    return json.dumps(config).encode()


def same(clip: CLIP) -> bool:
    return save(clip.state_dict()) == BYTES


@pytest.fixture(scope="module")
def archive_bytes(tmp_path_factory) -> bytes:
    """A TorchScript archive with the tiny CLIP's tensors, as OpenAI's are."""
    extra = {name: torch.tensor(0) for name in ("input_resolution", "context_length", "vocab_size")}
    root = nn.Module()
    for name, tensor in (STATE | extra).items():
        module, (*parents, leaf) = root, name.split(".")
        for parent in parents:
            if parent not in dict(module.named_children()):
                module.add_module(parent, nn.Module())
            module = module.get_submodule(parent)
        module.register_buffer(leaf, tensor)
    path = tmp_path_factory.mktemp("archive") / "tiny.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(root).save(path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A machine that has no weights and has said nothing about the network."""
    for variable in ("MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


@pytest.fixture
def server(monkeypatch) -> Iterator[HubServer]:
    running = HubServer()
    template = running.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", running.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    running.add_repo(REPO, {HUB_WEIGHTS: Served(BYTES), HUB_CONFIG: Served(as_bytes(CONFIG))})
    yield running
    close_session()
    running.close()


@pytest.fixture
def no_sockets(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a socket was opened although the network is forbidden")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def spec(archive_bytes, server, monkeypatch) -> Model:
    """RN50, as if OpenAI and the hub published the tiny CLIP under that name."""
    spec = Model("RN50", sha256(BYTES), REPO, COMMIT, sha256(archive_bytes))
    monkeypatch.setitem(names._BY_STEM, "rn50", spec)
    monkeypatch.setitem(ARCHIVES, spec.archive, "RN50")
    return spec


def test_the_nine_backbones_are_known_by_name_repository_and_archive():
    resnets = ["RN50", "RN101", "RN50x4", "RN50x16", "RN50x64"]
    transformers = ["ViT-B/32", "ViT-B/16", "ViT-L/14", "ViT-L/14@336px"]
    assert [model.name for model in OPENAI] == resnets + transformers
    assert len({model.archive for model in OPENAI}) == len({model.repo for model in OPENAI}) == 9
    assert OPENAI[5].archive.startswith("40d365715913c9da98579312b702a82c")
    for model in OPENAI:  # what is pinned is pinned whole
        assert (model.sha256 is None) == (model.revision == "main")


def test_names_are_found_however_they_are_written_and_an_unknown_one_suggests_the_nearest():
    assert parse_name("HF-hub:org/x@abc") == Model("hf-hub:org/x@abc", None, "org/x", "abc")
    assert parse_name("hf-hub:org/x").revision == "main"
    for written in ("ViT-L/14@336px", "vit-l/14@336PX", "ViT-L-14-336px"):
        assert parse_name(written).name == "ViT-L/14@336px"
    with pytest.raises(WeightsError, match=r"called 'RN5O'.*Did you mean 'RN50'.*tiny-rn"):
        load_backbone("RN5O")
    for name in ("hf-hub:clip", "hf-hub:a/b/c", "hf-hub:../x", "hf-hub:"):
        with pytest.raises(WeightsError, match=r"org/name\[@revision\].*got"):
            load_backbone(name)


def test_a_hub_checkpoint_is_fetched_verified_and_serves_again_with_the_server_gone(server, home):
    backbone = load_backbone(HUB_NAME)
    assert same(backbone.clip)
    assert (backbone.name, backbone.sha256) == (HUB_NAME, sha256(BYTES))
    assert backbone.metadata["quick_gelu"] == "false"
    assert weights_below(home) == sorted([sha256(BYTES), HUB_WEIGHTS])
    assert verify(HUB_NAME)[0].status == "ok"
    assert verify(backbone.metadata["path"])[0].status == "ok"
    asked = len(server.requests)
    assert load_backbone(HUB_NAME).source == "Hugging Face cache"
    assert len(server.requests) == asked


@pytest.mark.parametrize("said", [True, False], ids=["where you say", "with the client's own"])
def test_a_checkpoint_lies_in_the_hub_clients_cache_and_is_found_there(
    said, server, home, monkeypatch
):
    assert places.cache_folder() == home / "cache"
    if not said:
        monkeypatch.delenv("MACLIP_LAB_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
        assert places.cache_folder() == Path("/somewhere/maclip-lab")
    path = fetch(HUB_NAME).path
    assert path.is_relative_to(home / "cache" / "hub" if said else home / "hub")
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(home / "cache"))
    assert fetch(HUB_NAME, offline=True).path == path


def test_where_no_links_can_be_made_a_file_is_compared_with_the_hub(server, home, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.are_symlinks_supported", lambda *_: False)
    monkeypatch.setattr("huggingface_hub.file_download.os.symlink", Mock(side_effect=OSError))
    path = fetch(HUB_NAME).path
    assert not path.is_symlink()
    sent = len([request for request in server.requests if "GET /cdn" in request])
    assert same(load_backbone(HUB_NAME).clip)
    assert len([request for request in server.requests if "GET /cdn" in request]) == sent
    with pytest.raises(OfflineError, match=r"nothing says what its sha256 should be.*as a path"):
        load_backbone(HUB_NAME, offline=True)
    assert same(load_backbone(path).clip)
    path.write_bytes(BYTES[:-1] + b"\7")
    assert same(load_backbone(HUB_NAME).clip)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"body": BYTES[:-1] + b"\1", "promised": BYTES}, sha256(BYTES)),
        ({"body": BYTES[:5000], "promised": BYTES}, "5000|peer closed"),
        ({"stalls": True}, "[Tt]imeout|timed out"),
        ({"status": 404}, "EntryNotFound|404"),
        ({"status": 403}, "403"),
        ({"status": 500}, "500"),
        ({"etag": "plain"}, "no sha256"),
    ],
    ids=["wrong bytes", "truncated", "stalled", "absent", "forbidden", "broken", "no sha256"],
)
def test_a_hub_that_misbehaves_leaves_nothing_and_says_why(how, reason, server, home, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    server.misbehave(HUB_WEIGHTS, **how)
    with pytest.raises(WeightsError, match=reason) as caught:
        load_backbone(HUB_NAME)
    assert f"{HUB_NAME} at main" in str(caught.value)
    assert f"{server.address}/{REPO}/resolve/main/{HUB_WEIGHTS}" in str(caught.value)
    assert weights_below(home) == []
    server.misbehave(HUB_WEIGHTS, **vars(Served(BYTES)))
    assert same(load_backbone(HUB_NAME).clip)


def test_an_openai_name_is_fetched_and_a_moved_file_does_not_pass_for_it(spec, server, home):
    whole, others = dict(server.files), b"another"
    server.misbehave(HUB_WEIGHTS, body=others)
    with pytest.raises(WeightsError, match=f"expected {spec.sha256}.*begins with b'another'"):
        load_backbone("RN50")
    assert weights_below(home) == []
    server.files = whole
    backbone = load_backbone("rn50")
    assert same(backbone.clip)
    assert (backbone.name, backbone.metadata["quick_gelu"]) == ("RN50", "true")
    assert weights_below(home) == sorted([sha256(BYTES), HUB_WEIGHTS])


def test_the_folder_given_is_looked_in_first_and_a_wrong_file_there_stays(spec, home, no_sockets):
    (home / "RN50.pt").write_bytes(b"other weights")
    with pytest.raises(IntegrityError, match=f"expected {spec.archive}.*b'other weights'.*left"):
        load_backbone("RN50", weights_dir=home)
    assert (home / "RN50.pt").read_bytes() == b"other weights"
    (home / "RN50.safetensors").write_bytes(BYTES)
    assert load_backbone("RN50", weights_dir=home).source == "weights_dir"


def test_a_hub_checkpoint_in_the_folder_given_needs_its_configuration(home, no_sockets):
    folder = home / REPO.replace("/", "--")
    folder.mkdir()
    (folder / HUB_WEIGHTS).write_bytes(BYTES)
    with pytest.raises(WeightsError, match=f"lacks its {HUB_CONFIG}"):
        load_backbone(HUB_NAME, weights_dir=home)
    (folder / HUB_CONFIG).write_bytes(as_bytes(CONFIG))
    assert load_backbone(HUB_NAME, weights_dir=home).quick_gelu is False


@pytest.mark.parametrize("name", ["RN50", "ViT-B/32", HUB_NAME])
@pytest.mark.parametrize("switch", ["argument", "MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_opens_no_socket_and_says_what_to_do(name, switch, home, monkeypatch, no_sockets):
    offline = True if switch == "argument" else None
    if offline is None:
        monkeypatch.setenv(switch, "1")
    with pytest.raises(OfflineError, match="not tried") as caught:
        load_backbone(name, offline=offline)
    assert str(home / "cache") in str(caught.value)
    if name == "RN50":
        for fact in (OPENAI[0].archive, OPENAI[0].sha256, OPENAI[0].repo, "RN50.safetensors"):
            assert fact in str(caught.value)
    assert not (home / "cache").exists()


@pytest.mark.parametrize("damage", ["bit flip", "truncation"])
@pytest.mark.parametrize("name", ["RN50", HUB_NAME])
def test_a_damaged_cached_file_is_never_loaded_and_fetched_anew(damage, name, spec, home):
    path = fetch(name).path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data if damage == "bit flip" else data[:-100])
    assert verify(name)[0].status == "mismatch"
    digests = f"{sha256(path.read_bytes())}, expected {sha256(BYTES)}"
    with pytest.raises(IntegrityError, match=digests):
        load_backbone(name, offline=True)
    assert path.exists()
    assert same(load_backbone(name).clip)
    assert verify(name)[0].status == "ok"


def test_a_cache_that_cannot_be_written_names_the_variable(server, home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(home / "file" / "cache"))
    with pytest.raises(WeightsError, match=r"(?s)NotADirectory.*set MACLIP_LAB_CACHE"):
        load_backbone(HUB_NAME)


TEXT = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_proj")
SPELLINGS = {
    "in half precision": {name: tensor.half() for name, tensor in STATE.items()},
    "open_clip's": {f"text.{n}" if n.startswith(TEXT) else n: t for n, t in STATE.items()},
    **{key: {key: STATE, "epoch": 3} for key in ("state_dict", "model_state_dict", "model")},
    **{
        prefix: {prefix + name: tensor for name, tensor in STATE.items()}
        for prefix in ("module.", "model.", "clip_model.", "module.model.")
    },
}


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth", "bin"])
def test_a_state_dict_in_a_file_is_loaded_of_which_nothing_is_on_record_and_noise_is_not(
    suffix, home
):
    path = home / f"clip.{suffix}"
    with pytest.raises(WeightsError, match=rf"clip\.{suffix}: no such file"):
        load_backbone(path)
    for noise in (b"", b"noise" * 50, BYTES[:300]):
        path.write_bytes(noise)
        with pytest.raises(WeightsError, match=path.name):
            load_backbone(path)
    save_file(STATE, path) if suffix == "safetensors" else torch.save(STATE, path)
    backbone, (copy,) = load_backbone(path), verify(path)
    assert same(backbone.clip)
    assert (backbone.source, backbone.sha256) == ("file", sha256(path.read_bytes()))
    assert (copy.status, copy.sha256) == ("unrecorded", backbone.sha256)
    with pytest.raises(WeightsError, match=f"{HUB_WEIGHTS}: no such file"):
        load_backbone(home)


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_clip_is_recognised_however_it_is_spelt(how, home):
    torch.save(SPELLINGS[how], home / "x.pt")
    clip = load_backbone(home / "x.pt").clip
    assert same(clip)
    assert {p.dtype for p in clip.parameters()} == {torch.float32}
    assert not clip.training


def test_every_row_that_was_not_kept_is_the_mean_of_those_that_were():
    def sparse(rows):
        known = torch.tensor([[1.0, 3.0], [3.0, 5.0]])
        return {WEIGHT: known, ROWS: torch.tensor(rows, dtype=torch.int32)}

    full = expand_token_rows(sparse([0, 2]), vocabulary=4)
    assert set(full) == {WEIGHT}
    assert full[WEIGHT].tolist() == [[1.0, 3.0], [2.0, 4.0], [3.0, 5.0], [2.0, 4.0]]
    assert expand_token_rows(full)[WEIGHT] is full[WEIGHT]
    for rows in ([0], [0, 9], [-1, 0]):
        with pytest.raises(ValueError, match=r"token_embedding\.rows"):
            expand_token_rows(sparse(rows), vocabulary=5)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"vision_model.x": torch.ones(1)}, r"found 0 of them.*1 other tensors: vision_model\.x"),
        ({}, "found 0 of them"),
        ({**STATE, **{f"ema.{n}": t for n, t in STATE.items()}}, r"2 of them \(\['', 'ema\.'\]\)"),
        ({**{f"m.{n}": t for n, t in STATE.items()}, "head": torch.ones(1)}, "1 other.*head"),
        ({n: t for n, t in STATE.items() if n != "logit_scale"}, "logit_scale"),
        ({n: t for n, t in STATE.items() if n != "visual.ln_post.bias"}, r"ln_post\.bias"),
        ({**STATE, "visual.surprise": torch.ones(1)}, r"visual\.surprise"),
        ({**STATE, "visual.proj": torch.ones(3, 3)}, r"visual\.proj"),
    ],
    ids=["transformers", "empty", "two", "beside", "missing", "missing deep", "extra", "shape"],
)
def test_tensors_that_are_no_clip_are_named(state, message, home):
    torch.save(state, home / "odd.pt")
    with pytest.raises(WeightsError, match=message) as caught:
        load_backbone(home / "odd.pt")
    assert "odd.pt" in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_a_folder_copied_from_the_hub_is_enough_and_its_activation_is_honoured(home):
    (home / HUB_WEIGHTS).write_bytes(BYTES)
    (home / HUB_CONFIG).write_bytes(b"{]")
    with pytest.raises(WeightsError, match="is not an open_clip configuration"):
        load_backbone(home)
    for quick in (False, True):
        config = {**CONFIG, "model_cfg": {**CONFIG["model_cfg"], "quick_gelu": quick}}
        (home / HUB_CONFIG).write_bytes(as_bytes(config))
        backbone = load_backbone(home)
        assert same(backbone.clip)
        assert backbone.metadata["quick_gelu"] == str(quick).lower()
        assert backbone.clip.quick_gelu is quick


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("vision_cfg", "timm_model_name", "convnext_base"),
        ("vision_cfg", "head_width", 80),
        ("text_cfg", "hf_model_name", "roberta-base"),
        ("text_cfg", "vocab_size", 32000),
        ("text_cfg", "heads", 3),
        ("preprocess_cfg", "mean", [0.5] * 3),
        ("preprocess_cfg", "std", [0.5] * 3),
    ],
)
def test_an_unsupported_configuration_is_named(part, key, value, home):
    config = json.loads(json.dumps(CONFIG))
    (config if part in config else config["model_cfg"])[part][key] = value
    (home / HUB_WEIGHTS).write_bytes(BYTES)
    (home / HUB_CONFIG).write_bytes(as_bytes(config))
    with pytest.raises(WeightsError, match=re.escape(f"{key}={value!r}")):
        load_backbone(home)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("name", ["RN50.pt", "evil.bin", "evil.safetensors"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_malicious_pickle_never_runs(name, wrapped, home):
    canary = home / "canary"
    path = home / name
    if wrapped:
        torch.save({"visual.conv1.weight": Canary(canary)}, path)
    else:
        path.write_bytes(pickle.dumps(Canary(canary), protocol=2))
    for trust in (False, True):
        with pytest.raises(WeightsError, match=name):
            load_backbone(path, trust=trust)
    with pytest.raises((WeightsError, IntegrityError)):
        load_backbone("RN50", weights_dir=home, offline=True)
    assert not canary.exists()


def test_an_archive_needs_a_known_sha256_or_trust(archive_bytes, home, monkeypatch):
    path = home / "mine.pt"
    path.write_bytes(archive_bytes)
    with pytest.raises(WeightsError, match=r"TorchScript archive.*none of OpenAI's.*trust=True"):
        load_backbone(path)
    assert same(load_backbone(path, trust=True).clip)
    monkeypatch.setitem(ARCHIVES, sha256(archive_bytes), "RN50")
    assert same(load_backbone(path).clip)


def test_the_list_has_every_name_and_what_is_here(spec, home):
    fetch("RN50")
    fetch(HUB_NAME)
    copies = {model.name: verify(model.name)[0] for model in places.named_backbones()}
    pinned = f"{HUB_NAME}@{COMMIT}"
    assert list(copies) == [*EMBEDDED, *(s.name for s in OPENAI), pinned]
    assert copies["RN101"].status == "missing"
    assert (copies[pinned].status, copies[pinned].expected) == ("ok", sha256(BYTES))


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_backbones_are_those_on_record_and_no_bit_of_one_may_flip(
    name, home, no_sockets, monkeypatch
):
    (copy,) = verify(name)
    assert copy.status == "ok", f"{copy}: update data/backbones.toml"
    backbone = load_backbone(name, offline=True)
    assert (backbone.source, backbone.sha256) == ("embedded", EMBEDDED[name].sha256)
    assert backbone.clip.token_embedding.weight.shape[0] == 49408
    assert backbone.clip.context_length == 77
    whole, path = copy.path.read_bytes(), home / "flipped.safetensors"
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    monkeypatch.setattr(places, "data_path", lambda *parts: path)
    digests = f"{sha256(path.read_bytes())}, expected {sha256(whole)}"
    with pytest.raises(IntegrityError, match=f"{digests}.*install the package anew"):
        load_backbone(name)
    assert verify(name)[0].status == "mismatch"


def test_an_activation_is_asked_about_where_nobody_states_it_and_else_not_overruled(home, caplog):
    silent, stated = home / "silent.safetensors", home / "stated.safetensors"
    save_file(STATE, silent)
    assert load_backbone(silent).metadata["quick_gelu"] == "true"
    assert "which activation" in caplog.text
    assert "quick_gelu=True or quick_gelu=False" in caplog.text
    caplog.clear()
    for said in (True, False):
        backbone = load_backbone(silent, quick_gelu=said)
        assert backbone.clip.quick_gelu is said
        assert backbone.metadata["quick_gelu"] == str(said).lower()
    metadata = {"quick_gelu": "false", "note": "x"}
    save_file(STATE, stated, metadata=metadata)
    backbone = load_backbone(stated)
    assert metadata.items() < backbone.metadata.items()
    assert backbone.clip.quick_gelu is False
    with pytest.raises(WeightsError, match="says quick_gelu=False of its activation"):
        load_backbone(stated, quick_gelu=True)
    assert not caplog.text


def test_the_advice_of_torch_to_switch_safety_off_is_not_passed_on(home):
    torch.save({"a": Path("x")}, home / "x.pt")
    (home / "random.pt").write_bytes(np.random.default_rng(0).bytes(3000))
    for name in ("x.pt", "random.pt"):
        with pytest.raises(WeightsError) as caught:
            load_backbone(home / name)
        assert not re.search("weights_only|trust|safe_globals|two options", str(caught.value))
    with pytest.raises(WeightsError, match=r"it asks for pathlib\.\w*Path"):
        load_backbone(home / "x.pt")


def test_an_untrained_network_has_the_shape_of_its_name_and_is_drawn_by_its_seed():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    trained, one, again, other = (
        load_backbone(name)
        for name in ("tiny-rn", *["tiny-rn-untrained-0"] * 2, "tiny-rn-untrained-1")
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (one.name, one.source, one.quick_gelu) == ("tiny-rn-untrained-0", "drawn", True)
    assert one.sha256 == again.sha256 != other.sha256
    trained.clip.load_state_dict(one.clip.state_dict())  # one name and shape after the other
    assert not any(parameter.requires_grad for parameter in one.clip.parameters())
    pinned = ScoreConfig("tiny-rn-untrained-1").pinned()
    assert (pinned.weights_sha256, pinned.quick_gelu) == (other.sha256, True)
    with pytest.raises(WeightsError, match="no backbone is called 'nobody'"):
        load_backbone("nobody-untrained-0")
