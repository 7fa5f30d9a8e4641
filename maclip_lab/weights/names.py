"""The names a backbone can have; the facts behind them stand in ``data/backbones.toml``."""

import difflib
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from maclip_lab.errors import UnknownBackboneError
from maclip_lab.files.identity import data_path

HUB_PREFIX = "hf-hub:"
FILE_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Embedded:
    """A small backbone trained by this project and shipped with it, and its file's sha256."""

    name: str
    sha256: str


@dataclass(frozen=True)
class HubModel:
    """An open_clip checkpoint on the Hugging Face hub, one of OpenAI's nine among them.

    ``name`` is such as ``"ViT-B/32"`` or ``"hf-hub:org/name[@revision]"``; ``revision`` a commit,
    branch or tag; ``sha256`` of its ``open_clip_model.safetensors``, where that is on record;
    ``archive`` of OpenAI's TorchScript archive of the same tensors, of their nine.
    """

    name: str
    repo: str
    revision: str = "main"
    sha256: str | None = None
    archive: str | None = None

    @property
    def stem(self) -> str:
        """The name as a file's or a folder's, such as ``ViT-L-14-336px``."""
        if self.archive:
            return self.name.replace("/", "-").replace("@", "-")
        return self.name.removeprefix(HUB_PREFIX).replace("/", "--")

    @property
    def address(self) -> str:
        """Where the hub has it, in this package's grammar."""
        return HUB_PREFIX + self.repo + ("" if self.revision == "main" else f"@{self.revision}")


Model = HubModel | Embedded | Path

_FACTS = tomllib.loads(data_path("backbones.toml").read_text(encoding="utf-8"))
OPENAI = tuple(HubModel(name, **facts) for name, facts in _FACTS["openai"].items())
EMBEDDED = {name: Embedded(name, sha256) for name, sha256 in _FACTS["embedded"].items()}
ARCHIVES = {str(model.archive): model.name for model in OPENAI}
"""OpenAI's names by the sha256 of their archives."""

_BY_STEM: dict[str, HubModel | Embedded] = {model.stem.lower(): model for model in OPENAI}
_BY_STEM |= EMBEDDED


UNTRAINED = "-untrained-"


def shape_and_seed(name: str) -> tuple[str, int | None]:
    """Of an untrained network's name whose shape it has, and the seed its weights are drawn by.

    >>> shape_and_seed("tiny-rn-untrained-3"), shape_and_seed("RN50")
    (('tiny-rn', 3), ('RN50', None))
    """
    shape, marker, seed = name.rpartition(UNTRAINED)
    return (shape, int(seed)) if marker and seed.isdecimal() else (name, None)


def parse_name(name: str) -> Model:
    """What a backbone's name means; letter case does not matter for names, it does for paths.

    >>> parse_name("vit-b/32").name
    'ViT-B/32'
    >>> parse_name("hf-hub:org/model@1a2b3c").revision
    '1a2b3c'

    Raises:
        UnknownBackboneError: it is no name, and no file either.
    """
    if name.lower().startswith(HUB_PREFIX):
        return hub_model(name[len(HUB_PREFIX) :])
    stem = name.lower().replace("/", "-").replace("@", "-")
    if stem in _BY_STEM:
        return _BY_STEM[stem]
    path = Path(name).expanduser()
    if path.suffix.lower() in FILE_SUFFIXES or path.exists():
        return path
    names = {model.name.lower(): model.name for model in _BY_STEM.values()}
    close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    nearest = " or ".join(repr(names[match]) for match in close)
    hint = f" Did you mean {nearest}?" if close else ""
    raise UnknownBackboneError(
        f"no backbone is called {name!r}.{hint} It can be one of {', '.join(names.values())}, "
        f"'{HUB_PREFIX}org/name', or a file ending in {', '.join(FILE_SUFFIXES)}"
    )


def hub_model(address: str) -> HubModel:
    """The checkpoint of ``org/name[@revision]``.

    Raises:
        UnknownBackboneError: that is no address of a repository.
    """
    repo, _, revision = address.strip("/").partition("@")
    if repo.count("/") != 1 or ".." in address:
        raise UnknownBackboneError(
            f"a hub backbone is '{HUB_PREFIX}org/name[@revision]', got {HUB_PREFIX + address!r}"
        )
    model = HubModel("", repo, revision or "main")
    return replace(model, name=model.address)
