"""The folder of fetched weights: where it is, what counts as what in it, how files enter it."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maclip_lab.errors import WeightsError
from maclip_lab.files.shipped import data_path
from maclip_lab.weights.backbones import BackboneSpec, Embedded, HubRepo, Place
from maclip_lab.weights.integrity import is_sha256, recorded_sha256

CACHE_VARIABLE = "MACLIP_LAB_CACHE"
HUB_WEIGHTS = "open_clip_model.safetensors"
HUB_CONFIG = "open_clip_config.json"
_STAGING = ".incoming-"
_ABANDONED = 24 * 3600.0  # seconds


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


def openai_cache_path(spec: BackboneSpec) -> Path:
    """Where OpenAI's own package keeps this backbone."""
    return _home() / ".cache" / "clip" / f"{spec.stem}.pt"


def hub_cache_path(place: BackboneSpec | HubRepo) -> Path | None:
    """Where the hub's client keeps this backbone, if it has fetched it whole."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(place.hub.repo, HUB_WEIGHTS, revision=place.hub.revision)
    return Path(found) if isinstance(found, str) else None


def paths_in(folder: Path, place: BackboneSpec | HubRepo) -> list[Path]:
    """The files that count as this backbone in a folder, the preferred first."""
    if isinstance(place, HubRepo):
        return [folder / place.folder / HUB_WEIGHTS]
    return [folder / f"{place.stem}.safetensors", folder / f"{place.stem}.pt"]


def expected_sha256(place: BackboneSpec | HubRepo, path: Path) -> str | None:
    """What a backbone's file should hash to, by publication or by the record beside it."""
    if isinstance(place, BackboneSpec) and path.suffix == ".pt":
        return place.sha256
    return place.hub_sha256 or recorded_sha256(path) or _hub_clients_sha256(path)


def _hub_clients_sha256(path: Path) -> str | None:
    """The hub's client names a large file by its sha256 and links to it."""
    name = path.resolve().name
    return name if is_sha256(name) else None


def local_path(place: Place) -> Path | None:
    """Where a backbone's file lies on this machine, without checking it; None if nowhere."""
    return next(iter(local_paths(place)), None)


def local_paths(place: Place) -> list[Path]:
    """Every copy of a backbone's file on this machine, unchecked, the preferred first."""
    if isinstance(place, Path):
        paths = [place / HUB_WEIGHTS] if place.is_dir() else [place]
    elif isinstance(place, Embedded):
        paths = [data_path("backbones", f"{place.name}.safetensors")]
    else:
        paths = paths_in(cache_folder(), place)
        if isinstance(place, BackboneSpec):
            paths.append(openai_cache_path(place))
        hub_path = hub_cache_path(place)
        paths += [hub_path] if hub_path else []
    return [path for path in paths if path.is_file()]


@contextmanager
def staging_folder() -> Iterator[Path]:
    """A folder inside the cache, so that the last step is a rename; removed afterwards.

    Raises:
        WeightsError: the cache cannot be written to.
    """
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=cache))
    except OSError as error:
        raise WeightsError(
            f"cannot write to the weights cache {cache}: {error.strerror or error}; set "
            f"{CACHE_VARIABLE} to a folder that can be written"
        ) from error
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Remove what killed downloads left behind; a living one is younger than a day."""
    for folder in cache.glob(f"{_STAGING}*"):
        if time.time() - folder.stat().st_mtime > _ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)
