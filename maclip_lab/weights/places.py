"""From a backbone's name to a verified file on this machine.

Looked at in turn: the folder the caller names, the cache of the hub's client (under
``MACLIP_LAB_CACHE`` where that is set), and only then the network. A file's sha256 is checked
before it is opened: the pinned one, or the one by which the client names what it keeps.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import platformdirs

from maclip_lab.errors import IntegrityError, OfflineError, WeightsError
from maclip_lab.files.identity import data_path, is_sha256, sha256_of
from maclip_lab.weights.names import ARCHIVES, EMBEDDED, HUB_PREFIX, OPENAI, Model, parse_name

CACHE_VARIABLE = "MACLIP_LAB_CACHE"
OFFLINE_VARIABLES = ("MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE")
WEIGHTS_VARIABLE = "MACLIP_LAB_WEIGHTS"
"""The folder looked in first where nobody names one: a notebook has no such parameter."""
HUB_WEIGHTS = "open_clip_model.safetensors"
HUB_CONFIG = "open_clip_config.json"
_CACHE = "Hugging Face cache"


@dataclass(frozen=True)
class Copy:
    """A backbone's file, there or not: in which of the places, and what a server promised of it."""

    model: Model
    path: Path
    source: str
    promised: str | None = None

    @cached_property
    def sha256(self) -> str:
        """What the file hashes to; empty where there is none."""
        return sha256_of(self.path) if self.path.is_file() else ""

    @property
    def expected(self) -> str | None:
        """What it should hash to: as promised, as published, or as the hub's client names it."""
        published = self.model.archive if self.path.suffix == ".pt" else self.model.sha256
        name = self.path.resolve().name  # of a large file that the client keeps: its sha256
        return self.promised or published or (name if is_sha256(name) else None)

    @property
    def status(self) -> str:
        """``"ok"``, ``"mismatch"``, ``"missing"``; ``"unrecorded"`` where nothing is expected."""
        if not self.sha256:
            return "missing"
        if self.expected is None:
            return "ok" if self.sha256 in ARCHIVES else "unrecorded"
        return "ok" if self.sha256 == self.expected else "mismatch"

    def check(self) -> None:
        """Nothing, if the file may be opened.

        Raises:
            IntegrityError: it is another than expected.
            WeightsError: it is absent or lacks what belongs to it.
        """
        if self.status == "missing":
            raise WeightsError(f"{self.path}: no such file")
        if self.model.kind == "hf-hub" and not self.path.with_name(HUB_CONFIG).is_file():
            said = f"lacks its {HUB_CONFIG}, which names the activation; put it beside"
            raise WeightsError(f"{self.path} {said}")
        if self.status == "unrecorded" and self.source == _CACHE:  # a system without links
            said = "nothing says what its sha256 should be; it can be given as a path"
            raise WeightsError(f"{self.path}: there, but {said}")
        if self.status == "mismatch":
            with self.path.open("rb") as stream:
                start = stream.read(40)  # an error page betrays itself here
            whose = f", that of {ARCHIVES[self.sha256]}," if self.sha256 in ARCHIVES else ","
            fate = "It was left where it is; replace it"
            if self.model.kind == "embedded":
                fate = "It ships with this package; install the package anew"
            elif self.promised:
                fate = "The server sent it so; it was not kept"
            raise IntegrityError(
                f"{self.path} is damaged or another file: its {self.path.stat().st_size:,} bytes "
                f"have the sha256 {self.sha256}{whose} expected {self.expected}; it begins with "
                f"{start!r}. {fate}"
            )


def cache_folder() -> Path:
    """``$MACLIP_LAB_CACHE``, or the platform's cache folder."""
    usual = platformdirs.user_cache_dir("maclip-lab", appauthor=False)
    return Path(os.environ.get(CACHE_VARIABLE) or usual).expanduser()


def hub_folders() -> list[Path]:
    """The caches of the hub's client; what it fetches for us goes into the first."""
    from huggingface_hub import constants

    own = Path(constants.HF_HUB_CACHE)
    return [cache_folder() / "hub", own] if os.environ.get(CACHE_VARIABLE) else [own]


def is_offline(offline: bool | None = None) -> bool:
    """Whether the network is forbidden: by the argument, else by the environment."""
    if offline is not None:
        return offline
    values = (os.environ.get(variable, "") for variable in OFFLINE_VARIABLES)
    return any(value.strip().lower() in ("1", "true", "yes", "on") for value in values)


def verify(
    name: str | os.PathLike[str], weights_dir: str | os.PathLike[str] | None = None
) -> list[Copy]:
    """Every copy of a backbone on this machine, the preferred first, or the place that lacks one.

    Each is hashed anew as its ``status`` is asked for; no network, nothing is changed.

    Raises:
        WeightsError: the name means nothing.
    """
    model = parse_name(os.fspath(name))
    if model.path is not None:
        path = model.path / HUB_WEIGHTS if model.path.is_dir() else model.path
        return [Copy(model, path, "file")]
    if model.kind == "embedded":
        return [Copy(model, data_path("backbones", f"{model.name}.safetensors"), "embedded")]
    copies = []
    folder = weights_dir or os.environ.get(WEIGHTS_VARIABLE)
    if folder:
        names = [f"{model.stem}/{HUB_WEIGHTS}"]
        if model.kind == "openai":
            names = [f"{model.stem}.safetensors", f"{model.stem}.pt"]
        copies = [Copy(model, Path(folder).expanduser() / n, "weights_dir") for n in names]
    copies += [Copy(model, _cached(model, cache), _CACHE) for cache in hub_folders()]
    return [copy for copy in copies if copy.path.is_file()] or copies[:1]


def fetch(
    name: str | os.PathLike[str],
    *,
    weights_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
) -> Copy:
    """The verified file of a backbone, fetched if it must and may be, not loaded.

    A damaged file is passed over for a good copy or a fresh one, but not in the caller's folder.

    Raises:
        IntegrityError: a file on this machine is not what it should be, and no other is to be had.
        OfflineError: it is not on this machine and the network is forbidden.
        WeightsError: it cannot be had; the message says what was tried and what to do.
    """
    tried, failure = list[str](), OfflineError if is_offline(offline) else WeightsError
    copies = verify(name, weights_dir)
    for copy in copies:
        try:
            copy.check()
            return copy
        except WeightsError as error:
            if copy.source != _CACHE and (copy.source != "weights_dir" or copy.sha256):
                raise
            tried.append(str(error))
            failure = IntegrityError if isinstance(error, IntegrityError) else failure
    model = copies[0].model
    source = f"{HUB_PREFIX}{model.repo} at {model.revision}"
    if is_offline(offline):
        switches = " or ".join(OFFLINE_VARIABLES)
        tried.append(f"network: not tried, as offline=True, {switches} forbids")
    else:
        try:
            return _download(model, source)
        except Exception as error:  # the hub's client wraps what happened, in kinds of its own
            cause = error.__cause__ or error
            tried.append(f"{source}: {type(cause).__name__}: {' '.join(str(cause).split())[:600]}")
    raise failure(_advice(model, tried))


def named_backbones() -> list[Model]:
    """The backbones that are shipped, OpenAI's, and those of the hub that are on this machine."""
    openai = {model.repo for model in OPENAI}
    snapshots = {
        (path.parents[2].name.removeprefix("models--").replace("--", "/", 1), path.parent.name)
        for folder in hub_folders()
        for path in folder.glob(f"models--*--*/snapshots/*/{HUB_WEIGHTS}")
    }
    hub = [f"{HUB_PREFIX}{repo}@{commit}" for repo, commit in snapshots if repo not in openai]
    return [*EMBEDDED.values(), *OPENAI, *map(parse_name, sorted(hub))]


def _cached(model: Model, folder: Path) -> Path:
    """A backbone's file in a cache of the hub's client; the repository's folder if it is absent."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model.repo, HUB_WEIGHTS, folder, model.revision)
    absent = folder / f"models--{model.repo.replace('/', '--')}"
    return Path(path) if isinstance(path, str) else absent


def _download(model: Model, source: str) -> Copy:
    """Fetches a checkpoint into the cache of the hub's client, with its locks, retries and mirror.

    The client compares sizes, not hashes; the sha256 is checked here, and a wrong file removed: the
    pinned one is demanded, or the one the hub reports.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    folder, revision, promised = hub_folders()[0], model.revision, model.sha256
    if promised is None:
        promised = get_hf_file_metadata(hf_hub_url(model.repo, HUB_WEIGHTS, revision=revision)).etag
    if not is_sha256(promised):
        raise IntegrityError(f"the hub reports no sha256 for {HUB_WEIGHTS}, but {promised!r}")
    if model.kind == "hf-hub":
        hf_hub_download(model.repo, HUB_CONFIG, revision=revision, cache_dir=folder)
    kept = Copy(model, _cached(model, folder), source, promised)
    if kept.status == "mismatch":  # the client would leave it so
        _remove(kept.path)
    path = hf_hub_download(model.repo, HUB_WEIGHTS, revision=revision, cache_dir=folder)
    fetched = Copy(model, Path(path), source, promised)
    try:
        fetched.check()
    except IntegrityError:
        _remove(fetched.path)
        raise
    return fetched


def _remove(path: Path) -> None:
    """A file in the cache of the hub's client, and what it links to."""
    for name in (path.resolve(), path):
        name.unlink(missing_ok=True)


def _advice(model: Model, tried: list[str]) -> str:
    from huggingface_hub import hf_hub_url

    address = hf_hub_url(model.repo, HUB_WEIGHTS, revision=model.revision)
    download = f"{address} and its {HUB_CONFIG} into {model.stem}/ of a folder"
    if model.kind == "openai":
        download = (
            f"{address} (hub repository {model.repo}, sha256 {model.sha256 or 'not on record'}) as "
            f"{model.stem}.safetensors or OpenAI's {model.stem}.pt (sha256 {model.archive}) into a "
            "folder"
        )
    lines = [
        f"no weights for {model.name}. Tried:",
        *(f"  - {line}" for line in tried),
        "To go on, do one of these:",
        f"  - download {download}, and give that as weights_dir= (--weights-dir)",
        f"  - copy {hub_folders()[0]} of a machine that has fetched it",
        f"  - set {CACHE_VARIABLE} to a folder that has it, or that can be written",
        "  - pass the path of a weights file",
        f"  - use a backbone that needs no download: {', '.join(EMBEDDED)}",
    ]
    return "\n".join(lines)
