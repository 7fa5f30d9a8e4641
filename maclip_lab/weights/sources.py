"""From a backbone's name to a verified file on this machine.

Looked at in turn: the folder the caller names, our cache, the files other CLIP packages keep, and
only then the network. A file's sha256 is checked before it is opened.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from maclip_lab.errors import OfflineError, WeightsError
from maclip_lab.weights.backbones import EMBEDDED, BackboneSpec, Embedded, HubRepo, Place
from maclip_lab.weights.cache import (
    HUB_CONFIG,
    HUB_WEIGHTS,
    cache_folder,
    expected_sha256,
    hub_cache_path,
    local_path,
    openai_cache_path,
    paths_in,
)
from maclip_lab.weights.downloads import from_hub, from_openai
from maclip_lab.weights.integrity import recorded_sha256, sha256_of, verified_sha256

OFFLINE_VARIABLES = ("MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class Checkpoint:
    """A verified weights file.

    Attributes:
        path: where it lies.
        sha256: what it hashed to just now.
        source: which of the places it came from.
    """

    path: Path
    sha256: str
    source: str


@dataclass
class _Search:
    """Where weights were looked for, and why each place had none."""

    tried: list[str] = field(default_factory=list)

    def note(self, place: object, reason: object) -> None:
        self.tried.append(f"{place}: {reason}")


def is_offline(offline: bool | None = None) -> bool:
    """Whether the network is forbidden: by the argument, else by the environment."""
    if offline is not None:
        return offline
    values = (os.environ.get(variable, "") for variable in OFFLINE_VARIABLES)
    return any(value.strip().lower() in ("1", "true", "yes", "on") for value in values)


def find_checkpoint(
    place: Place,
    *,
    weights_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
    progress: bool = False,
) -> Checkpoint:
    """The verified file of a backbone, fetched if it must and may be.

    Raises:
        IntegrityError: a file found on this machine is not what it should be.
        OfflineError: it is not on this machine and the network is forbidden.
        WeightsError: it cannot be had; the message says what was tried and what to do.
    """
    if isinstance(place, Path):
        return _given_file(place)
    if isinstance(place, Embedded):
        path = local_path(place)
        if path is None:
            raise WeightsError(f"the embedded backbone {place.name} is missing from this copy")
        return Checkpoint(path, sha256_of(path), "embedded")
    search = _Search()
    for found in _look_around(place, weights_dir, search):
        return found
    if is_offline(offline):
        switch = " or ".join(OFFLINE_VARIABLES)
        search.note("network", f"not tried, as offline=True, {switch} forbids")
        raise OfflineError(_advice(place, search))
    return _fetch(place, search, progress)


def _look_around(
    place: BackboneSpec | HubRepo, weights_dir: str | os.PathLike[str] | None, search: _Search
) -> Iterator[Checkpoint]:
    """Every good file of this backbone on this machine, the nearest first."""
    if weights_dir is not None:
        yield from _in_folder(Path(weights_dir).expanduser(), place, "weights_dir", search)
    yield from _in_folder(cache_folder(), place, "cache", search)
    if isinstance(place, BackboneSpec):
        path = openai_cache_path(place)
        yield from _of_others(path, place.sha256, "OpenAI's cache", search)
    hub_path = hub_cache_path(place)
    if hub_path is None:
        search.note(f"Hugging Face cache, {place.hub.repo}", "not there")
    elif isinstance(place, HubRepo) and not hub_path.with_name(HUB_CONFIG).is_file():
        search.note(hub_path, f"without its {HUB_CONFIG}")
    else:
        expected = expected_sha256(place, hub_path)
        yield from _of_others(hub_path, expected, "Hugging Face cache", search)


def _in_folder(
    folder: Path, place: BackboneSpec | HubRepo, source: str, search: _Search
) -> Iterator[Checkpoint]:
    for path in paths_in(folder, place):
        if path.is_file():
            expected = expected_sha256(place, path)
            digest = verified_sha256(path, expected, set_aside=source == "cache")
            yield Checkpoint(path, digest, source)
        search.note(path, "no such file")


def _of_others(
    path: Path, expected: str | None, source: str, search: _Search
) -> Iterator[Checkpoint]:
    """A file that belongs to another package: used when it is right, else left alone."""
    if not path.is_file():
        search.note(path, "no such file")
    elif expected is None:
        search.note(path, "there, but nothing says what its sha256 should be")
    elif (digest := sha256_of(path)) == expected:
        yield Checkpoint(path, digest, source)
    else:
        search.note(path, f"sha256 {digest}, expected {expected}; not ours, left alone")


def _given_file(path: Path) -> Checkpoint:
    found = local_path(path)
    if found is None:
        what = f"a folder without {HUB_WEIGHTS}" if path.is_dir() else "no such file"
        raise WeightsError(f"weights file {path}: {what}")
    return Checkpoint(
        found, verified_sha256(found, recorded_sha256(found), set_aside=False), "file"
    )


def _fetch(place: BackboneSpec | HubRepo, search: _Search, progress: bool) -> Checkpoint:
    hub = place.hub
    routes: list[tuple[str, Callable[[], Path]]] = [
        (f"{hub.name} at {hub.revision}", lambda: from_hub(place, progress=progress))
    ]
    if isinstance(place, BackboneSpec):
        routes.append((place.url, lambda: from_openai(place, progress=progress)))
    for source, download in routes:
        try:
            path = download()
        except WeightsError as error:
            search.note(source, error)
        except Exception as error:  # network clients raise kinds of their own
            search.note(source, _short(error))
        else:
            return Checkpoint(path, recorded_sha256(path) or sha256_of(path), source)
    raise WeightsError(_advice(place, search))


def _short(error: Exception) -> str:
    cause = error.__cause__ or error  # the hub's client wraps what happened
    text = " ".join(str(cause).split()) or "no details"
    return f"{type(cause).__name__}: {text[:300]}{'…' if len(text) > 300 else ''}"


def _advice(place: BackboneSpec | HubRepo, search: _Search) -> str:
    target = paths_in(cache_folder(), place)[0]
    lines = [f"no weights for {place.name}. Tried:", *(f"  - {line}" for line in search.tried)]
    lines.append("To go on, do one of these:")
    hashed = f" (sha256 {place.hub_sha256})" if place.hub_sha256 else ""
    lines.append(f"  - put {HUB_WEIGHTS} of hub repository {place.hub.repo}{hashed} at {target}")
    if isinstance(place, BackboneSpec):
        lines.append(f"  - put {place.stem}.pt (sha256 {place.sha256}) into {cache_folder()}")
    else:
        lines[-1] += f", its {HUB_CONFIG} beside it"
    lines.append("  - pass the path of a weights file, or weights_dir= its folder")
    ready = [name for name in EMBEDDED if local_path(Embedded(name))]
    if ready:
        lines.append(f"  - use a backbone that needs no download: {', '.join(ready)}")
    return "\n".join(lines)
