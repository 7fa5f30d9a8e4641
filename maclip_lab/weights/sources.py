"""From a backbone's name to a verified file on this machine.

Looked at in turn: the folder the caller names, our cache, the files other CLIP packages keep, and
only then the network. A file's sha256 is checked before it is opened.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from maclip_lab.errors import IntegrityError, OfflineError, WeightsError
from maclip_lab.weights.backbones import EMBEDDED, BackboneSpec, Embedded, HubRepo, Place
from maclip_lab.weights.cache import (
    GIVEN,
    HUB_CONFIG,
    HUB_WEIGHTS,
    HUBS,
    cache_folder,
    expected_sha256,
    local_paths,
    paths_in,
    places_of,
)
from maclip_lab.weights.downloads import from_hub, from_openai
from maclip_lab.weights.integrity import verified_sha256

OFFLINE_VARIABLES = ("MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class Checkpoint:
    """A verified weights file, what it hashed to just now, and which of the places it came from."""

    path: Path
    sha256: str
    source: str


@dataclass
class _Search:
    """Where weights were looked for, why each place had none, and whether one had wrong ones."""

    tried: list[str] = field(default_factory=list)
    damaged: bool = False

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

    A damaged file is passed over for a good copy or a fresh one, but not in the caller's folder.

    Raises:
        IntegrityError: a file on this machine is not what it should be, and no other is to be had.
        OfflineError: it is not on this machine and the network is forbidden.
        WeightsError: it cannot be had; the message says what was tried and what to do.
    """
    if isinstance(place, Path | Embedded):
        return _given_file(place)
    search = _Search()
    for whose, path in places_of(place, weights_dir):
        if found := _good_copy(place, whose, path, search):
            return found
    if is_offline(offline):
        switch = " or ".join(OFFLINE_VARIABLES)
        search.note("network", f"not tried, as offline=True, {switch} forbids")
        raise (IntegrityError if search.damaged else OfflineError)(_advice(place, search))
    return _fetch(place, search, progress)


def _good_copy(
    place: BackboneSpec | HubRepo, whose: str, path: Path, search: _Search
) -> Checkpoint | None:
    expected = expected_sha256(place, path)
    if not path.is_file():
        search.note(path, "not there")
    elif whose == HUBS and isinstance(place, HubRepo) and not path.with_name(HUB_CONFIG).is_file():
        search.note(path, f"without its {HUB_CONFIG}")
    elif whose == HUBS and expected is None:
        search.note(path, "there, but nothing says what its sha256 should be")
    else:
        try:
            return Checkpoint(path, verified_sha256(path, expected), whose)
        except IntegrityError as error:
            if whose == GIVEN:
                raise
            search.damaged = True
            search.tried.append(str(error))
    return None


def _given_file(place: Path | Embedded) -> Checkpoint:
    found = next(iter(local_paths(place)), None)
    if isinstance(place, Embedded):
        if found is None:
            raise WeightsError(f"the embedded backbone {place.name} is missing from this copy")
        fate = "It ships with this package; install the package anew"
        return Checkpoint(found, verified_sha256(found, place.sha256, fate=fate), "embedded")
    if found is None:
        what = f"a folder without {HUB_WEIGHTS}" if place.is_dir() else "no such file"
        raise WeightsError(f"weights file {place}: {what}")
    return Checkpoint(found, verified_sha256(found, expected_sha256(place, found)), "file")


def _fetch(place: BackboneSpec | HubRepo, search: _Search, progress: bool) -> Checkpoint:
    hub = place.hub
    routes: list[tuple[str, Callable[[], tuple[Path, str]]]] = [
        (f"{hub.name} at {hub.revision}", lambda: from_hub(place, progress=progress))
    ]
    if isinstance(place, BackboneSpec):
        routes.append((place.url, lambda: from_openai(place)))
    for source, download in routes:
        try:
            path, digest = download()
        except WeightsError as error:
            search.note(source, error)
        except Exception as error:  # network clients raise kinds of their own
            search.note(source, _short(error))
        else:
            return Checkpoint(path, digest, source)
    raise (IntegrityError if search.damaged else WeightsError)(_advice(place, search))


def _short(error: Exception) -> str:
    cause = error.__cause__ or error  # the hub's client wraps what happened
    text = " ".join(str(cause).split()) or "no details"
    return f"{type(cause).__name__}: {text[:300]}{'…' if len(text) > 300 else ''}"


def _advice(place: BackboneSpec | HubRepo, search: _Search) -> str:
    from huggingface_hub import hf_hub_url

    hub, target = place.hub, paths_in(cache_folder(), place)[0]
    address = hf_hub_url(hub.repo, HUB_WEIGHTS, revision=hub.revision)
    hashed = f", sha256 {place.hub_sha256}" if place.hub_sha256 else ""
    lines = [f"no weights for {place.name}. Tried:", *(f"  - {line}" for line in search.tried)]
    lines.append("To go on, do one of these:")
    lines.append(f"  - put {address} (hub repository {hub.repo}{hashed}) at {target}")
    if isinstance(place, BackboneSpec):
        lines.append(f"  - put {place.stem}.pt (sha256 {place.sha256}) into {cache_folder()}")
    else:
        lines[-1] += f", its {HUB_CONFIG} beside it"
    lines.append("  - pass the path of a weights file, or weights_dir= its folder")
    ready = [name for name in EMBEDDED if local_paths(Embedded(name))]
    if ready:
        lines.append(f"  - use a backbone that needs no download: {', '.join(ready)}")
    return "\n".join(lines)
