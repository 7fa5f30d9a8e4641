"""From a backbone's name or file to tensors under OpenAI's names to a CLIP; no code in it is run.

CLIP's vocabulary has 49,408 tokens; a small CLIP meets some hundreds of them in training. Its file
holds those rows of the token embedding and their ids, and every other row is filled with the mean
of the trained ones: an unknown word then reads as an average word.
"""

import json
import logging
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from maclip_lab.clip.foreign import ForeignClip, weights_sha256
from maclip_lab.clip.model import CLIP, CLIP_MEAN, CLIP_STD, build_clip, untrained_clip
from maclip_lab.errors import WeightsError
from maclip_lab.weights.names import ARCHIVES, UNTRAINED, shape_and_seed
from maclip_lab.weights.places import HUB_CONFIG, Copy, fetch

VOCABULARY = 49_408
ROWS, WEIGHT = "token_embedding.rows", "token_embedding.weight"
_LANDMARK = "visual.conv1.weight"  # every CLIP of these architectures has exactly one
_NESTED = ("state_dict", "model_state_dict", "model")
_READ_OFF_TENSORS = {"image_size", "layers", "width", "patch_size", "context_length"}
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backbone:
    """A loaded CLIP, in float32 on the CPU, in evaluation mode, and where it came from.

    ``sha256`` is of the file, ``source`` the place it came from, ``metadata`` what it says of
    itself, and ``path`` and ``quick_gelu``; ``crop`` the one side of crops it takes, None for any.
    """

    name: str
    sha256: str
    source: str
    clip: CLIP | ForeignClip
    metadata: Mapping[str, str] = field(default_factory=dict)
    crop: int | None = None

    @property
    def quick_gelu(self) -> bool:
        """The activation, OpenAI's where nothing says."""
        return self.metadata.get("quick_gelu", "true") == "true"


def load_backbone(
    name: str | os.PathLike[str] = "RN50",
    *,
    weights_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
    trust: bool = False,
    quick_gelu: bool | None = None,
) -> Backbone:
    """A CLIP by name, its file verified, fetched first if this machine lacks it.

    The other arguments are those of `Maclip`: ``weights_dir`` is looked in first; ``offline=None``
    asks ``MACLIP_LAB_OFFLINE`` and ``HF_HUB_OFFLINE``; ``trust`` opens a TorchScript archive
    although its sha256 is none of OpenAI's; ``quick_gelu`` counts where nothing else says.

    Raises:
        IntegrityError: a file is not what its sha256 promises.
        OfflineError: it is not on this machine and the network is forbidden.
        WeightsError: it cannot be had, read, or made a CLIP of; the message says what to do.
    """
    shape, seed = shape_and_seed(os.fspath(name))
    file = fetch(shape, weights_dir=weights_dir, offline=offline)
    tensors = _read_tensors(file.path, trust_archive=trust or file.sha256 in ARCHIVES)
    quick_gelu = _activation(file, quick_gelu)
    try:
        clip = build_clip(_openai_names(tensors, file.path), quick_gelu=quick_gelu)
    except (ValueError, KeyError, IndexError, ArithmeticError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {str(error)[:800]}"
        raise WeightsError(f"{file.path} does not make a CLIP: {reason}") from error
    facts = {"quick_gelu": str(quick_gelu).lower()}
    if seed is None:
        facts = _metadata(file.path) | {"path": str(file.path)} | facts
        return Backbone(file.model.name, file.sha256, file.source, clip, facts)
    clip = untrained_clip(clip.state_dict(), seed, quick_gelu=quick_gelu)
    digest = weights_sha256(clip.state_dict())
    return Backbone(f"{file.model.name}{UNTRAINED}{seed}", digest, "drawn", clip, facts)


def _activation(file: Copy, quick_gelu: bool | None) -> bool:
    """Whether it is QuickGELU, as the file, a configuration or the caller says."""
    openai = file.model.kind == "openai" or file.sha256 in ARCHIVES
    stated = True if openai else _stated_activation(file.path)
    if stated is None and quick_gelu is None:
        _LOGGER.warning(
            "%s: nothing says which activation it was trained with; QuickGELU, OpenAI's, is taken, "
            "where open_clip's own models have GELU. Say quick_gelu=True or quick_gelu=False "
            "(--quick-gelu or --gelu)",
            file.path,
        )
        return True
    if stated is not None and quick_gelu not in (None, stated):
        raise WeightsError(
            f"{file.path} says quick_gelu={stated} of its activation, not quick_gelu={quick_gelu}"
        )
    return bool(stated or quick_gelu)


def _read_tensors(path: Path, *, trust_archive: bool) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, a state dict, or OpenAI's archive; else WeightsError.

    A TorchScript archive can hold code; it is opened only with ``trust_archive``.
    """
    archive = _is_torchscript(path)
    if archive and not trust_archive:
        raise WeightsError(
            f"{path} is a TorchScript archive, which can carry code, and its sha256 is none of "
            "OpenAI's. Save its state dict as .safetensors, or, in Python and if you know where it "
            "comes from, say trust=True"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if archive:
            with warnings.catch_warnings():
                # deprecated, yet the only reader of the format OpenAI chose
                warnings.filterwarnings("ignore", ".*torch.jit.load", DeprecationWarning)
                return dict(torch.jit.load(path, map_location="cpu").state_dict())
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises to switch this check off
        asked = re.search(r"GLOBAL (\S+)", str(error))
        wants = f"it asks for {asked[1]}; " if asked else ""
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged, and was not opened: {wants}a pickle "
            "can run code. Save its state dict alone, best as .safetensors"
        ) from error
    except Exception as error:  # the readers of damaged bytes raise anything
        said = str(error).partition("\n")[0][:200]
        raise WeightsError(
            f"{path} is not a {path.suffix[1:]} file, or damaged: {type(error).__name__}: {said}"
        ) from error
    for key in _NESTED:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}, expected a state dict")
    return {str(key): t for key, t in loaded.items() if isinstance(t, Tensor)}


def _openai_names(state: Mapping[str, Tensor], where: object) -> dict[str, Tensor]:
    """Tensors of another library under OpenAI's names; WeightsError if they are not one CLIP's.

    A common prefix (``module.``, ``model.`` ...) and open_clip's ``text.`` are taken off, token
    embeddings stored by row are expanded, and batch counters are filled in.
    """
    odd = [
        key
        for key, t in state.items()
        if t.layout != torch.strided or t.is_complex() or t.is_quantized or t.is_meta
    ]
    if odd:
        raise WeightsError(f"{where}: expected plain tensors of real numbers, not {_some(odd)}")
    prefixes = [key.removesuffix(_LANDMARK) for key in state if f".{key}".endswith(f".{_LANDMARK}")]
    outside = [key for key in state if not key.startswith(tuple(prefixes))]
    if len(prefixes) != 1 or outside:
        raise WeightsError(
            f"{where}: expected the tensors of one CLIP under OpenAI's names, recognised by "
            f"{_LANDMARK!r}, found {len(prefixes)} of them ({prefixes}) and {len(outside)} other "
            f"tensors: {_some(outside)}; save the CLIP's own state dict"
        )
    named = {key.removeprefix(prefixes[0]).removeprefix("text."): state[key] for key in state}
    named.pop("attn_mask", None)
    means = [name for name in named if name.endswith(".running_mean")]
    counters = {
        name.replace("running_mean", "num_batches_tracked"): torch.tensor(0) for name in means
    }
    return expand_token_rows(counters | named)


def expand_token_rows(
    state: Mapping[str, Tensor], vocabulary: int = VOCABULARY
) -> dict[str, Tensor]:
    """The state with a full token embedding; unchanged where it has one already.

    Of tensors under OpenAI's names, ``token_embedding.rows`` holds the ids ``(R,)`` of the rows
    ``(R, width)`` in ``token_embedding.weight``.
    """
    if ROWS not in state:
        return dict(state)
    ids, rows = state[ROWS].long(), state[WEIGHT]
    if not len(ids) or ids.shape != rows.shape[:1] or ids.min() < 0 or ids.max() >= vocabulary:
        raise ValueError(
            f"{ROWS} must list ids from 0 to {vocabulary - 1}, one for each of {len(rows)} rows, "
            f"got {ids.tolist()[:5]}"
        )
    full = rows.float().mean(0).to(rows.dtype).repeat(vocabulary, 1)
    full[ids] = rows
    return {name: tensor for name, tensor in state.items() if name != ROWS} | {WEIGHT: full}


def _metadata(path: Path) -> dict[str, str]:
    """What a ``.safetensors`` file says of itself; nothing of a file of another suffix."""
    if path.suffix != ".safetensors":
        return {}
    try:
        opened: Any = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from error
    return dict(opened.metadata() or {})


def _stated_activation(path: Path) -> bool | None:
    """Whether an open_clip configuration beside a file, or itself, says QuickGELU.

    None where neither says anything; WeightsError for a configuration that is not supported.
    """
    config_path = path.with_name(HUB_CONFIG)
    if not config_path.is_file():
        said = _metadata(path).get("quick_gelu")
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
            f"{config_path} describes a model that is not supported: {'; '.join(reasons)}. They "
            "have ResNet or ViT towers, CLIP's own text transformer, tokenizer and normalisation"
        )
    return bool(config["model_cfg"].get("quick_gelu"))


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:  # no archive, or a damaged one; whoever reads it will say so
        return False


def _unsupported(model: dict[str, Any], preprocess: dict[str, Any]) -> list[str]:
    """What of a configuration differs from ours, beside the sizes that the tensors show."""
    text = {"heads": 8} | model["text_cfg"]  # open_clip's default
    ours = {"head_width": 64, "mlp_ratio": 4.0, "heads": text["width"] / 64}
    ours |= {"vocab_size": VOCABULARY, "mean": [*CLIP_MEAN], "std": [*CLIP_STD]}
    normalisation = {key: preprocess.get(key) for key in ("mean", "std")}
    return [
        f"{key}={value!r}"
        for part in (model["vision_cfg"], text, normalisation)
        for key, value in sorted(part.items())
        if key not in _READ_OFF_TENSORS and value not in (None, ours.get(key))
    ]


def _some(keys: object) -> str:
    shown = sorted(keys)  # type: ignore[call-overload]
    return ", ".join(shown[:5]) + (" ..." if len(shown) > 5 else "")
