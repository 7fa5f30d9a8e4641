"""Where a backbone's file can lie on this machine, and what its sha256 should be there.

What the hub's client fetches stays in the client's own cache, under ``MACLIP_LAB_CACHE`` if that is
set. The package's folder holds what you put there, what came from OpenAI's own addresses, and
whatever an earlier version fetched.
"""

import os
import sys
from pathlib import Path

from maclip_lab.files.identity import data_path, is_sha256
from maclip_lab.weights.backbones import (
    HUB_PREFIX,
    OPENAI,
    BackboneSpec,
    Embedded,
    HubRepo,
    Place,
    parse_name,
)
from maclip_lab.weights.integrity import recorded_sha256

CACHE_VARIABLE = "MACLIP_LAB_CACHE"
HUB_WEIGHTS = "open_clip_model.safetensors"
HUB_CONFIG = "open_clip_config.json"
GIVEN, OURS, OPENAIS, HUBS = "weights_dir", "cache", "OpenAI's cache", "Hugging Face cache"


def cache_folder() -> Path:
    """``$MACLIP_LAB_CACHE``, or the platform's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "maclip-lab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", _home())) / "maclip-lab" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "maclip-lab"


def _home() -> Path:
    """The user's folder; a user without one, as in some containers, has nothing there."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def hub_folder() -> Path:
    """Where the hub's client is to keep what it fetches for us."""
    from huggingface_hub import constants

    own = Path(constants.HF_HUB_CACHE)
    return cache_folder() / "hub" if os.environ.get(CACHE_VARIABLE) else own


def _hub_folders() -> list[Path]:
    from huggingface_hub import constants

    return list(dict.fromkeys([hub_folder(), Path(constants.HF_HUB_CACHE)]))


def hub_cache_path(place: BackboneSpec | HubRepo, folder: Path) -> Path:
    """A backbone's file in a cache of the hub's client; the repository's folder if it is absent."""
    from huggingface_hub import try_to_load_from_cache

    hub = place.hub
    found = try_to_load_from_cache(hub.repo, HUB_WEIGHTS, folder, hub.revision)
    kept = folder / f"models--{hub.repo.replace('/', '--')}"
    return Path(found) if isinstance(found, str) else kept


def paths_in(folder: Path, place: BackboneSpec | HubRepo) -> list[Path]:
    """The files that count as this backbone in a folder, the preferred first."""
    if isinstance(place, HubRepo):
        return [folder / place.folder / HUB_WEIGHTS]
    return [folder / f"{place.stem}.safetensors", folder / f"{place.stem}.pt"]


def places_of(
    place: BackboneSpec | HubRepo, weights_dir: str | os.PathLike[str] | None = None
) -> list[tuple[str, Path]]:
    """Where a backbone's file may lie, each with whose place it is, the nearest first."""
    folders = [(OURS, cache_folder())]
    if weights_dir is not None:
        folders.insert(0, (GIVEN, Path(weights_dir).expanduser()))
    places = [(whose, path) for whose, folder in folders for path in paths_in(folder, place)]
    if isinstance(place, BackboneSpec):
        places.append((OPENAIS, _home() / ".cache" / "clip" / f"{place.stem}.pt"))
    return places + [(HUBS, hub_cache_path(place, folder)) for folder in _hub_folders()]


def local_paths(place: Place, weights_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """Every copy of a backbone's file on this machine, unchecked, the preferred first."""
    if isinstance(place, Path):
        paths = [place / HUB_WEIGHTS] if place.is_dir() else [place]
    elif isinstance(place, Embedded):
        paths = [data_path("backbones", f"{place.name}.safetensors")]
    else:
        paths = [path for _, path in places_of(place, weights_dir)]
    return [path for path in paths if path.is_file()]


def expected_sha256(place: Place, path: Path) -> str | None:
    """What a backbone's file should hash to: as published, as recorded, or as the hub names it."""
    if isinstance(place, Embedded):
        return place.sha256
    if isinstance(place, BackboneSpec):
        published = place.sha256 if path.suffix == ".pt" else place.hub_sha256
        if published:
            return published
    return recorded_sha256(path) or hub_clients_sha256(path)


def hub_clients_sha256(path: Path) -> str | None:
    """The hub's client names a large file by its sha256 and links to it, where links can be."""
    name = path.resolve().name
    return name if is_sha256(name) else None


def fetched_hub_repos() -> list[HubRepo]:
    """The hub's checkpoints on this machine, those of OpenAI's backbones left out."""
    names = {path.parent.name for path in cache_folder().glob(f"*--*/{HUB_WEIGHTS}")}
    found = {parse_name(HUB_PREFIX + name.replace("--", "/", 1)) for name in names}
    for folder in _hub_folders():
        for path in folder.glob(f"models--*--*/snapshots/*/{HUB_WEIGHTS}"):
            name = path.parents[2].name.removeprefix("models--").replace("--", "/", 1)
            latest = HubRepo(name)
            pinned = HubRepo(name, path.parent.name)
            found.add(latest if hub_cache_path(latest, folder) == path else pinned)
    known = {spec.hub_repo for spec in OPENAI}
    repos = [repo for repo in found if isinstance(repo, HubRepo) and repo.repo not in known]
    return sorted(repos, key=lambda repo: repo.name)
