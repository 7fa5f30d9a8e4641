"""From a weights file to tensors under OpenAI's names, without running anything in the file.

CLIP's vocabulary has 49,408 tokens; a small CLIP meets some hundreds of them in training. Its file
holds those rows of the token embedding and their ids, and every other row is filled with the mean
of the trained ones: an unknown word then reads as an average word.
"""

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from maclip_lab.clip.model import CLIP_MEAN, CLIP_STD
from maclip_lab.errors import WeightsError
from maclip_lab.weights.places import HUB_CONFIG

VOCABULARY = 49_408
ROWS, WEIGHT = "token_embedding.rows", "token_embedding.weight"
_LANDMARK = "visual.conv1.weight"  # every CLIP of these architectures has exactly one
_NESTED = ("state_dict", "model_state_dict", "model")
_READ_OFF_TENSORS = {"image_size", "layers", "width", "patch_size", "context_length"}
_CHECKED = {"vocab_size", "heads"}
_DEFAULTS = {"head_width": 64, "mlp_ratio": 4.0}


def read_tensors(path: Path, *, trust_archive: bool) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata of a ``.safetensors``, a state dict, or OpenAI's archive.

    A TorchScript archive can hold code; it is opened only with ``trust_archive``.

    Raises:
        WeightsError: it cannot be read, or not without running code it brings along.
    """
    if path.suffix == ".safetensors":
        opened = _opened(path)
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        return tensors, dict(opened.metadata() or {})
    if not _is_torchscript(path):
        return _read_pickle(path), {}
    if not trust_archive:
        raise WeightsError(
            f"{path} is a TorchScript archive, which can carry code, and its sha256 is none of "
            "OpenAI's. Save its state dict as .safetensors, or, in Python and if you know where it "
            "comes from, say trust=True"
        )
    with warnings.catch_warnings():
        # deprecated, yet the only reader of the format OpenAI chose
        warnings.filterwarnings("ignore", message=".*torch.jit.load", category=DeprecationWarning)
        try:
            return dict(torch.jit.load(path, map_location="cpu").state_dict()), {}
        except RuntimeError as error:
            raise WeightsError(f"{path} is a damaged archive: {_first_line(error)}") from error


def openai_names(state: Mapping[str, Tensor], where: object) -> dict[str, Tensor]:
    """Tensors of another library under OpenAI's names.

    A common prefix (``module.``, ``model.`` ...) and open_clip's ``text.`` are taken off, token
    embeddings stored by row are expanded, and batch counters that inference does not need are
    filled in.

    Raises:
        WeightsError: no CLIP, or more than one, is in there.
    """
    odd = [
        key
        for key, t in state.items()
        if t.layout != torch.strided or t.is_complex() or t.is_quantized or t.is_meta
    ]
    if odd:
        message = f"{where}: expected plain tensors of real numbers, got others: {_some(odd)}"
        raise WeightsError(message)
    prefixes = [key.removesuffix(_LANDMARK) for key in state if key.endswith(_LANDMARK)]
    prefixes = [prefix for prefix in prefixes if prefix == "" or prefix.endswith(".")]
    if len(prefixes) != 1:
        found = f"{len(prefixes)} of them ({prefixes})" if prefixes else "none"
        raise WeightsError(
            f"{where}: expected the tensors of one CLIP under OpenAI's names, recognised by "
            f"{_LANDMARK!r}, found {found} among {len(state)} tensors: {_some(state)}"
        )
    prefix = prefixes[0]
    outside = [key for key in state if not key.startswith(prefix)]
    if outside:
        raise WeightsError(
            f"{where}: beside the CLIP under {prefix!r} there are {len(outside)} other tensors: "
            f"{_some(outside)}; save the CLIP's own state dict"
        )
    named = {key.removeprefix(prefix).removeprefix("text."): state[key] for key in state}
    named.pop("attn_mask", None)
    for name in list(named):
        if name.endswith(".running_mean"):
            counter = name.replace("running_mean", "num_batches_tracked")
            named.setdefault(counter, torch.tensor(0))
    return expand_token_rows(named)


def expand_token_rows(
    state: Mapping[str, Tensor], vocabulary: int = VOCABULARY
) -> dict[str, Tensor]:
    """The state with a full token embedding; unchanged where it has one already.

    Of tensors under OpenAI's names, ``token_embedding.rows`` holds the ids ``(R,)`` of the rows
    ``(R, width)`` in ``token_embedding.weight``.
    """
    if ROWS not in state:
        return dict(state)
    rows, known = state[ROWS].long(), state[WEIGHT]
    if rows.shape != known.shape[:1]:
        raise ValueError(
            f"{ROWS} lists {tuple(rows.shape)} ids for {tuple(known.shape)} rows of {WEIGHT}"
        )
    if len(rows) == 0 or int(rows.min()) < 0 or int(rows.max()) >= vocabulary:
        raise ValueError(
            f"{ROWS} must list ids from 0 to {vocabulary - 1}, got {rows.tolist()[:5]}"
        )
    full = known.float().mean(0).to(known.dtype).repeat(vocabulary, 1)
    full[rows] = known
    return {name: tensor for name, tensor in state.items() if name != ROWS} | {WEIGHT: full}


def stated_activation(path: Path) -> bool | None:
    """Whether an open_clip configuration beside a file, or itself, says that it has QuickGELU.

    None where neither says anything.

    Raises:
        WeightsError: the configuration is none, or describes an architecture or preprocessing that
            this package does not have; or it is no safetensors file, whatever its name.
    """
    config_path = path.with_name(HUB_CONFIG)
    if not config_path.is_file():
        said = _opened(path).metadata() if path.suffix == ".safetensors" else None
        said = (said or {}).get("quick_gelu")
        return None if said is None else said.lower() != "false"
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
        reasons = _unsupported(config["model_cfg"], config.get("preprocess_cfg", {}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{config_path} is not an open_clip configuration: {type(error).__name__}: {error}"
        ) from error
    if reasons:
        raise WeightsError(
            f"{config_path} describes a model that is not supported: {'; '.join(reasons)}. "
            "Supported are open_clip's ResNet and ViT towers with CLIP's own text transformer, "
            "tokenizer and normalisation"
        )
    return bool(config["model_cfg"].get("quick_gelu"))


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from error


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:  # no archive, or a damaged one; whoever reads it will say so
        return False


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises to switch this check off
        asked = re.search(r"GLOBAL (\S+)", str(error))
        wants = f"it asks for {asked[1]}; " if asked else ""
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged, and was not opened: {wants}a pickle "
            "can run code. Save its state dict alone, best as .safetensors"
        ) from error
    except Exception as error:  # the reader of damaged bytes raises anything
        raise WeightsError(f"{path} is not a PyTorch file: {_first_line(error)}") from error
    for key in _NESTED:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}, expected a state dict")
    return {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}


def _unsupported(model: dict[str, Any], preprocess: dict[str, Any]) -> list[str]:
    reasons = [
        f"{part}.{key}={value!r}"
        for part in ("vision_cfg", "text_cfg")
        for key, value in sorted(model[part].items())
        if key not in _READ_OFF_TENSORS | _CHECKED and value not in (None, _DEFAULTS.get(key))
    ]
    text = model["text_cfg"]
    if reasons:
        return reasons
    if text["heads"] * 64 != text["width"]:
        reasons.append(f"{text['heads']} text heads for a width of {text['width']}")
    if text["vocab_size"] != VOCABULARY:
        reasons.append(f"a vocabulary of {text['vocab_size']} tokens")
    for key, ours in (("mean", CLIP_MEAN), ("std", CLIP_STD)):
        theirs = preprocess.get(key, ours)
        if any(abs(a - b) > 1e-6 for a, b in zip(theirs, ours, strict=True)):
            reasons.append(f"pictures normalised with {key} {theirs}")
    return reasons


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _some(keys: object) -> str:
    shown = sorted(keys)  # type: ignore[call-overload]
    return ", ".join(shown[:5]) + (" ..." if len(shown) > 5 else "")
