"""The names a backbone can have, and the published facts behind each.

Weights of OpenAI's nine models: Radford et al., "Learning Transferable Visual Models From Natural
Language Supervision", ICML 2021. Their archives carry the sha256 in their address; the same
tensors lie on the Hugging Face hub as safetensors in open_clip's layout.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

from maclip_lab.errors import UnknownBackboneError

OPENAI_ADDRESS = "https://openaipublic.azureedge.net/clip/models"
HUB_PREFIX = "hf-hub:"
FILE_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")

# to update whenever data/backbones/ is made anew, from `sha256sum data/backbones/*.safetensors`
EMBEDDED_SHA256 = {
    "tiny-rn": "ac8f008f97054efa63e35bd8db25b51d4f980bec6e3645bb73d8c50d83dfb3ec",
    "tiny-vit": "5528bfd01be272168ee340a9cf043af8997be30c121f8aff28be8e56bcf7df37",
}
EMBEDDED = tuple(EMBEDDED_SHA256)


@dataclass(frozen=True)
class HubRepo:
    """An open_clip checkpoint on the Hugging Face hub: ``hf-hub:org/name[@revision]``."""

    repo: str
    revision: str = "main"

    @property
    def name(self) -> str:
        """The backbone's name in this package's grammar."""
        suffix = "" if self.revision == "main" else f"@{self.revision}"
        return f"{HUB_PREFIX}{self.repo}{suffix}"

    @property
    def folder(self) -> str:
        """Name of its folder in the package's own cache."""
        return self.name.removeprefix(HUB_PREFIX).replace("/", "--")

    @property
    def hub(self) -> "HubRepo":
        """The repository itself, as ``BackboneSpec.hub``."""
        return self

    @property
    def hub_sha256(self) -> None:
        """Not published here; the hub reports it at download."""
        return None


@dataclass(frozen=True)
class BackboneSpec:
    """One of OpenAI's backbones.

    Attributes:
        name: as in OpenAI's release, such as ``"ViT-B/32"``.
        sha256: of OpenAI's TorchScript archive.
        hub_repo: where the hub has the same tensors.
        hub_revision: commit of that repository; ``"main"`` where none is on record.
        hub_sha256: of its ``open_clip_model.safetensors`` at that commit, where on record.
    """

    name: str
    sha256: str
    hub_repo: str
    hub_revision: str = "main"
    hub_sha256: str | None = None

    @property
    def stem(self) -> str:
        """The name as a file's, such as ``ViT-L-14-336px``."""
        return self.name.replace("/", "-").replace("@", "-")

    @property
    def hub(self) -> HubRepo:
        """Its repository on the hub."""
        return HubRepo(self.hub_repo, self.hub_revision)

    @property
    def url(self) -> str:
        """OpenAI's own address of the archive."""
        return f"{OPENAI_ADDRESS}/{self.sha256}/{self.stem}.pt"


@dataclass(frozen=True)
class Embedded:
    """A small backbone trained by this project and shipped with it."""

    name: str

    @property
    def sha256(self) -> str:
        """Of the file that ships."""
        return EMBEDDED_SHA256[self.name]


OPENAI = (
    BackboneSpec(
        "RN50",
        "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
        "timm/resnet50_clip.openai",
        "ec3d92cf63a5f9d591f0d611b736895966c73076",
        "da0baa37fb2211eee5729ab69ed587eb10d48f5b7076ceeed01552fc3d4cb4ee",
    ),
    BackboneSpec(
        "RN101",
        "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599",
        "timm/resnet101_clip.openai",
    ),
    BackboneSpec(
        "RN50x4",
        "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd",
        "timm/resnet50x4_clip.openai",
    ),
    BackboneSpec(
        "RN50x16",
        "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa",
        "timm/resnet50x16_clip.openai",
    ),
    BackboneSpec(
        "RN50x64",
        "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c",
        "timm/resnet50x64_clip.openai",
    ),
    BackboneSpec(
        "ViT-B/32",
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        "timm/vit_base_patch32_clip_224.openai",
        "a6f597a30f7b82c51704746581f9a4e41421e878",
        "e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
    ),
    BackboneSpec(
        "ViT-B/16",
        "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
        "timm/vit_base_patch16_clip_224.openai",
        "977e3dd0ec55ab8da155f2fbeb6b5f54948b6e3d",
        "4b8699299b1e8997753c64b052ba32031449d5d853f55a039148560ee02b820f",
    ),
    BackboneSpec(
        "ViT-L/14",
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        "timm/vit_large_patch14_clip_224.openai",
    ),
    BackboneSpec(
        "ViT-L/14@336px",
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
        "timm/vit_large_patch14_clip_336.openai",
    ),
)
OPENAI_SHA256 = {spec.sha256: spec.name for spec in OPENAI}
_BY_STEM = {spec.stem.lower(): spec for spec in OPENAI}

Place = BackboneSpec | HubRepo | Embedded | Path


def parse_name(name: str) -> Place:
    """What a backbone's name means; letter case does not matter for names, it does for paths.

    >>> parse_name("vit-b/32").name
    'ViT-B/32'
    >>> parse_name("hf-hub:org/model@1a2b3c")
    HubRepo(repo='org/model', revision='1a2b3c')

    Raises:
        UnknownBackboneError: it is no name, and no file either.
    """
    if name.lower().startswith(HUB_PREFIX):
        return _parse_hub_name(name)
    stem = name.lower().replace("/", "-").replace("@", "-")
    if stem in _BY_STEM:
        return _BY_STEM[stem]
    if name.lower() in EMBEDDED:
        return Embedded(name.lower())
    path = Path(name).expanduser()
    if path.suffix.lower() in FILE_SUFFIXES or path.exists():
        return path
    known = [spec.name for spec in OPENAI] + list(EMBEDDED)
    stems = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), stems, n=3, cutoff=0.5)
    nearest = " or ".join(repr(stems[stem]) for stem in close)
    hint = f" Did you mean {nearest}?" if close else ""
    raise UnknownBackboneError(
        f"no backbone is called {name!r}.{hint} It can be one of {', '.join(known)}, "
        f"'{HUB_PREFIX}org/name', or a file ending in {', '.join(FILE_SUFFIXES)}"
    )


def _parse_hub_name(name: str) -> HubRepo:
    repo, _, revision = name[len(HUB_PREFIX) :].strip("/").partition("@")
    if repo.count("/") != 1 or ".." in name:
        raise UnknownBackboneError(
            f"a hub backbone is '{HUB_PREFIX}org/name[@revision]', got {name!r}"
        )
    return HubRepo(repo, revision or "main")
