"""Backbones by name: find, fetch, verify and load their weights.

A name is one of OpenAI's nine (``RN50`` ... ``ViT-L/14@336px``), ``tiny-rn`` or ``tiny-vit``
(shipped with the package), ``hf-hub:org/name`` (an open_clip checkpoint) or a file. With
``-untrained-SEED`` behind it, it is a new network of that one's shape, drawn by this seed.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from maclip_lab.clip.foreign import ForeignClip, weights_sha256
from maclip_lab.clip.model import CLIP, build_clip, untrained_clip
from maclip_lab.errors import WeightsError
from maclip_lab.weights.checkpoints import metadata, openai_names, read_tensors, stated_activation
from maclip_lab.weights.names import ARCHIVES, UNTRAINED, shape_and_seed
from maclip_lab.weights.places import Copy, fetch

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
    tensors = read_tensors(file.path, trust_archive=trust or file.sha256 in ARCHIVES)
    quick_gelu = _activation(file, quick_gelu)
    try:
        clip = build_clip(openai_names(tensors, file.path), quick_gelu=quick_gelu)
    except (ValueError, KeyError, IndexError, ArithmeticError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {str(error)[:800]}"
        raise WeightsError(f"{file.path} does not make a CLIP: {reason}") from error
    facts = {"quick_gelu": str(quick_gelu).lower()}
    if seed is None:
        facts = metadata(file.path) | {"path": str(file.path)} | facts
        return Backbone(file.model.name, file.sha256, file.source, clip, facts)
    clip = untrained_clip(clip.state_dict(), seed, quick_gelu=quick_gelu)
    digest = weights_sha256(clip.state_dict())
    return Backbone(f"{file.model.name}{UNTRAINED}{seed}", digest, "drawn", clip, facts)


def _activation(file: Copy, quick_gelu: bool | None) -> bool:
    """Whether it is QuickGELU, as the file, a configuration or the caller says."""
    openai = file.model.kind == "openai" or file.sha256 in ARCHIVES
    stated = True if openai else stated_activation(file.path)
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
