"""The names a backbone can have; the facts behind them stand in ``data/backbones.toml``."""

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from maclip_lab.errors import UnknownBackboneError
from maclip_lab.files.identity import data_path

HUB_PREFIX = "hf-hub:"
UNTRAINED = "-untrained-"
FILE_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Model:
    """A backbone that can be had: shipped with this project, open_clip's on the hub, or a file.

    ``name`` is such as ``"tiny-rn"``, ``"ViT-B/32"``, ``"hf-hub:org/name[@revision]"`` or a path;
    ``sha256`` of its safetensors file, where that is on record; ``repo`` and ``revision`` (a
    commit, branch or tag) of the hub; ``archive`` the sha256 of OpenAI's TorchScript archive of the
    same tensors, of their nine; ``path`` of one that is a file.
    """

    name: str
    sha256: str | None = None
    repo: str = ""
    revision: str = "main"
    archive: str | None = None
    path: Path | None = None

    @property
    def kind(self) -> str:
        """``"file"``, ``"embedded"``, ``"openai"`` or ``"hf-hub"``."""
        if self.path is not None:
            return "file"
        if not self.repo:
            return "embedded"
        return "openai" if self.archive else "hf-hub"

    @property
    def stem(self) -> str:
        """The name as a file's or a folder's, such as ``ViT-L-14-336px``."""
        if self.kind == "hf-hub":
            return self.name.removeprefix(HUB_PREFIX).replace("/", "--")
        return self.name.replace("/", "-").replace("@", "-")


_FACTS = tomllib.loads(data_path("backbones.toml").read_text(encoding="utf-8"))
OPENAI = tuple(Model(name, **facts) for name, facts in _FACTS["openai"].items())
EMBEDDED = {name: Model(name, sha256) for name, sha256 in _FACTS["embedded"].items()}
ARCHIVES = {str(model.archive): model.name for model in OPENAI}
"""OpenAI's names by the sha256 of their archives."""

_BY_STEM = {model.stem.lower(): model for model in (*OPENAI, *EMBEDDED.values())}


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
        address = name[len(HUB_PREFIX) :].strip("/")
        repo, _, revision = address.partition("@")
        if repo.count("/") == 1 and ".." not in address:
            return Model(HUB_PREFIX + address, repo=repo, revision=revision or "main")
        raise UnknownBackboneError(
            f"a hub backbone is '{HUB_PREFIX}org/name[@revision]', got {name!r}"
        )
    stem = name.lower().replace("/", "-").replace("@", "-")
    if stem in _BY_STEM:
        return _BY_STEM[stem]
    path = Path(name).expanduser()
    if path.suffix.lower() in FILE_SUFFIXES or path.exists():
        return Model(str(path), path=path)
    names = {model.name.lower(): model.name for model in _BY_STEM.values()}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f" Did you mean {names[close[0]]!r}?" if close else ""
    raise UnknownBackboneError(
        f"no backbone is called {name!r}.{hint} It can be one of {', '.join(names.values())}, "
        f"'{HUB_PREFIX}org/name', or a file ending in {', '.join(FILE_SUFFIXES)}"
    )
