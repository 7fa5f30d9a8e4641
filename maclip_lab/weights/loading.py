"""Backbones by name: find, fetch, verify and load their weights.

A name is one of OpenAI's nine (``RN50`` ... ``ViT-L/14@336px``), ``tiny-rn`` or ``tiny-vit``
(shipped with the package), ``hf-hub:org/name`` (an open_clip checkpoint) or a file. With
``-untrained-SEED`` behind it, it is a new network of that one's shape, drawn by this seed.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from maclip_lab.errors import WeightsError
from maclip_lab.files.identity import sha256_of
from maclip_lab.weights.names import (
    ARCHIVES,
    EMBEDDED,
    OPENAI,
    UNTRAINED,
    Embedded,
    HubModel,
    Model,
    parse_name,
    shape_and_seed,
)
from maclip_lab.weights.places import (
    HUB_CONFIG,
    Checkpoint,
    expected_sha256,
    fetched_hub_models,
    find_checkpoint,
    local_paths,
)

if TYPE_CHECKING:
    from maclip_lab.clip.foreign import ForeignClip
    from maclip_lab.clip.model import CLIP


_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backbone:
    """A loaded CLIP, in float32 on the CPU, in evaluation mode, and where it came from.

    ``sha256`` is of the file, ``source`` the place it came from, ``metadata`` what it says of
    itself, and ``path`` and ``quick_gelu``; ``crop`` the side in pixels of the only crops it takes,
    None where it takes any.
    """

    name: str
    sha256: str
    source: str
    clip: "CLIP | ForeignClip"
    metadata: Mapping[str, str] = field(default_factory=dict)
    crop: int | None = None

    @property
    def quick_gelu(self) -> bool:
        """The activation, OpenAI's where nothing says."""
        return self.metadata.get("quick_gelu", "true") == "true"


@dataclass(frozen=True)
class Verification:
    """The outcome of looking a weights file over.

    ``status`` is ``"ok"``, ``"mismatch"``, ``"missing"``, or ``"unrecorded"`` where nothing says
    what the sha256 should be, ``expected``.
    """

    name: str
    status: str
    path: Path | None = None
    sha256: str | None = None
    expected: str | None = None


def load_backbone(
    name: str | os.PathLike[str] = "RN50",
    *,
    weights_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
    trust: bool = False,
    quick_gelu: bool | None = None,
    progress: bool = False,
) -> Backbone:
    """A CLIP by name, its file verified, fetched first if this machine lacks it.

    Args:
        name: see the module's docstring.
        weights_dir: folder to look in first.
        offline: True never touches the network; None asks ``MACLIP_LAB_OFFLINE`` and
            ``HF_HUB_OFFLINE``.
        trust: open a TorchScript archive although its sha256 is none of OpenAI's.
        quick_gelu: the activation, where neither the file nor a configuration beside it says;
            None takes QuickGELU, OpenAI's, and logs a warning.
        progress: show a bar while downloading.

    Raises:
        IntegrityError: a file is not what its sha256 promises.
        OfflineError: it is not on this machine and the network is forbidden.
        WeightsError: it cannot be had, read, or made a CLIP of; the message says what to do.
    """
    from maclip_lab.clip.foreign import weights_sha256
    from maclip_lab.clip.model import build_clip, untrained_clip
    from maclip_lab.weights.checkpoints import openai_names, read_tensors

    shape, seed = shape_and_seed(os.fspath(name))
    if seed is not None:
        trained = load_backbone(
            shape,
            weights_dir=weights_dir,
            offline=offline,
            trust=trust,
            quick_gelu=quick_gelu,
            progress=progress,
        )
        state, gelu = trained.clip.state_dict(), trained.quick_gelu
        clip = untrained_clip(state, seed, quick_gelu=gelu)
        digest, facts = weights_sha256(clip.state_dict()), {"quick_gelu": str(gelu).lower()}
        return Backbone(f"{trained.name}{UNTRAINED}{seed}", digest, "drawn", clip, facts)
    model = parse_name(os.fspath(name))
    file = find_checkpoint(model, weights_dir=weights_dir, offline=offline, progress=progress)
    hubs = isinstance(model, HubModel) and not model.archive
    if hubs and not file.path.with_name(HUB_CONFIG).is_file():
        raise WeightsError(
            f"{file.path} lacks its {HUB_CONFIG}, which names the activation; put it beside"
        )
    tensors, metadata = read_tensors(file.path, trust_archive=trust or file.sha256 in ARCHIVES)
    quick_gelu = activation(name, file, quick_gelu)
    try:
        clip = build_clip(openai_names(tensors, file.path), quick_gelu=quick_gelu)
    except (ValueError, KeyError, IndexError, ArithmeticError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{file.path} does not make a CLIP: {reason[:800]}") from error
    facts = {**metadata, "path": str(file.path), "quick_gelu": str(quick_gelu).lower()}
    return Backbone(_shown(model), file.sha256, file.source, clip, facts)


def activation(
    name: str | os.PathLike[str], file: Checkpoint, quick_gelu: bool | None = None
) -> bool:
    """Whether a backbone's activation is QuickGELU, by its file, its configuration, or the caller.

    ``quick_gelu`` is what the caller says, None for nothing.

    Raises:
        WeightsError: the caller says one thing and the file another.
    """
    from maclip_lab.weights.checkpoints import read_hub_config, stated_activation

    model = parse_name(os.fspath(name))
    stated: bool | None = True
    if not (isinstance(model, HubModel) and model.archive):
        config = read_hub_config(file.path)
        stated = stated_activation(file.path)
        if config:
            stated = bool(config.get("quick_gelu", False))
        elif file.sha256 in ARCHIVES:
            stated = True
    if stated is None and quick_gelu is None:
        _LOGGER.warning(
            "%s: neither the file nor a configuration beside it says which activation it was "
            "trained with; QuickGELU, OpenAI's, is taken, where open_clip's own models have GELU. "
            "Say quick_gelu=True or quick_gelu=False (--quick-gelu or --gelu)",
            file.path,
        )
        return True
    if stated is None or quick_gelu is None:
        return bool(stated or quick_gelu)
    if quick_gelu != stated:
        raise WeightsError(
            f"{file.path} says quick_gelu={stated} of its activation, not quick_gelu={quick_gelu}"
        )
    return stated


def fetch(
    name: str,
    *,
    weights_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
    progress: bool = True,
) -> Checkpoint:
    """Have a backbone's file on this machine, verified, without loading it.

    Raises:
        WeightsError: as ``load_backbone``.
    """
    return find_checkpoint(
        parse_name(name), weights_dir=weights_dir, offline=offline, progress=progress
    )


def verify(
    name: str | os.PathLike[str], weights_dir: str | os.PathLike[str] | None = None
) -> Verification:
    """Hash a backbone's file anew and compare; no network, nothing is changed.

    Raises:
        WeightsError: the name means nothing.
    """
    copies = verify_copies(name, weights_dir)
    return copies[0] if copies else Verification(_shown(parse_name(os.fspath(name))), "missing")


def verify_copies(
    name: str | os.PathLike[str], weights_dir: str | os.PathLike[str] | None = None
) -> list[Verification]:
    """Hash every copy of a backbone on this machine anew, the preferred first.

    Raises:
        WeightsError: the name means nothing.
    """
    model, copies = parse_name(os.fspath(name)), []
    for path in local_paths(model, weights_dir):
        expected, digest = expected_sha256(model, path), sha256_of(path)
        status = "ok" if digest == expected else "mismatch"
        if expected is None:
            status = "ok" if digest in ARCHIVES else "unrecorded"
        copies.append(Verification(_shown(model), status, path, digest, expected))
    return copies


def list_backbones() -> list[dict[str, str | int | bool | None]]:
    """A row for each backbone that has a name: ``name, kind, where, present, sha256, size``.

    ``where`` is the file, or the hub repository it would come from; ``sha256`` is what it should
    be, of OpenAI's archive where it is absent; ``size`` is in bytes, None if absent.
    """
    rows: list[dict[str, str | int | bool | None]] = []
    models: list[HubModel | Embedded] = [*EMBEDDED.values(), *OPENAI, *fetched_hub_models()]
    for model in models:
        path = next(iter(local_paths(model)), None)
        kind, origin = "embedded", ""
        if isinstance(model, HubModel):
            kind, origin = "openai" if model.archive else "hf-hub", model.address
        rows.append(
            {
                "name": model.name,
                "kind": kind,
                "where": str(path) if path else origin,
                "present": path is not None,
                "sha256": expected_sha256(model, path or Path("archive.pt")),
                "size": path.stat().st_size if path else None,
            }
        )
    return rows


def _shown(model: Model) -> str:
    return str(model) if isinstance(model, Path) else model.name
