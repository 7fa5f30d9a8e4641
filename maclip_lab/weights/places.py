"""From a backbone's name to a verified file on this machine.

Looked at in turn: the folder the caller names, the cache of the hub's client (under
``MACLIP_LAB_CACHE`` where that is set), and only then the network. A file's sha256 is checked
before it is opened: the pinned one, or the one by which the client names what it keeps.
"""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import platformdirs
from tqdm.auto import tqdm

from maclip_lab.errors import IntegrityError, OfflineError, WeightsError
from maclip_lab.files.atomic import try_to_write
from maclip_lab.files.identity import data_path, is_sha256, sha256_of
from maclip_lab.weights.names import (
    ARCHIVES,
    EMBEDDED,
    OPENAI,
    Embedded,
    HubModel,
    Model,
    hub_model,
)

CACHE_VARIABLE = "MACLIP_LAB_CACHE"
OFFLINE_VARIABLES = ("MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE")
WEIGHTS_VARIABLE = "MACLIP_LAB_WEIGHTS"
"""The folder looked in first where nobody names one: a notebook has no such parameter."""
HUB_WEIGHTS = "open_clip_model.safetensors"
HUB_CONFIG = "open_clip_config.json"


@dataclass(frozen=True)
class Checkpoint:
    """A verified weights file, what it hashed to just now, and which of the places it came from."""

    path: Path
    sha256: str
    source: str


def cache_folder() -> Path:
    """``$MACLIP_LAB_CACHE``, or the platform's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(os.path.expanduser(chosen))
    return Path(platformdirs.user_cache_dir("maclip-lab", appauthor=False))


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


def local_paths(model: Model, weights_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """Every copy of a backbone's file on this machine, unchecked, the preferred first."""
    if isinstance(model, Path):
        paths = [model / HUB_WEIGHTS] if model.is_dir() else [model]
    elif isinstance(model, Embedded):
        paths = [data_path("backbones", f"{model.name}.safetensors")]
    else:
        cached = [_cached(model, folder) for folder in hub_folders()]
        paths = [*_given_paths(model, weights_dir), *cached]
    return [path for path in paths if path.is_file()]


def expected_sha256(model: Model, path: Path) -> str | None:
    """What a backbone's file should hash to: as published, or as the hub's client names it."""
    published = model.sha256 if isinstance(model, Embedded | HubModel) else None
    if isinstance(model, HubModel) and path.suffix == ".pt":
        published = model.archive
    if published or isinstance(model, Embedded):
        return published
    name = path.resolve().name  # the client links to a large file that it calls by its sha256
    return name if is_sha256(name) else None


def verified_sha256(
    path: Path, expected: str | None, fate: str = "It was left where it is; replace it"
) -> str:
    """The file's sha256, if it is the expected one; where none is expected, any will do.

    Raises:
        IntegrityError: it is another; the message ends in ``fate``: what became of it.
    """
    actual = sha256_of(path)
    if expected in (None, actual):
        return actual
    with path.open("rb") as stream:
        start = stream.read(40)  # an error page betrays itself here
    whose = f", that of {ARCHIVES[actual]}," if actual in ARCHIVES else ","
    raise IntegrityError(
        f"{path} is damaged or another file: its {path.stat().st_size:,} bytes have the sha256 "
        f"{actual}{whose} expected {expected}; it begins with {start!r}. {fate}"
    )


def find_checkpoint(
    model: Model,
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
    if isinstance(model, Path | Embedded):
        return _at_hand(model)
    tried, damaged = list[str](), False
    for path in _given_paths(model, weights_dir):
        if path.is_file():
            digest = verified_sha256(path, expected_sha256(model, path))
            return Checkpoint(path, digest, "weights_dir")
        tried.append(f"{path}: not there")
    for path in (_cached(model, folder) for folder in hub_folders()):
        expected = expected_sha256(model, path)
        if not path.is_file():
            tried.append(f"{path}: not there")
        elif not model.archive and not path.with_name(HUB_CONFIG).is_file():
            tried.append(f"{path}: without its {HUB_CONFIG}")
        elif expected is None:  # where no links can be made, the client's file bears no sha256
            tried.append(
                f"{path}: there, but nothing says what its sha256 should be; it can be given as a "
                "path"
            )
        else:
            try:
                return Checkpoint(path, verified_sha256(path, expected), "Hugging Face cache")
            except IntegrityError as error:
                damaged = True
                tried.append(str(error))
    failure: type[WeightsError] = OfflineError
    source = f"{model.address} at {model.revision}"
    if is_offline(offline):
        switches = " or ".join(OFFLINE_VARIABLES)
        tried.append(f"network: not tried, as offline=True, {switches} forbids")
    else:
        failure = WeightsError
        try:
            return Checkpoint(*_fetch(model, progress), source)
        except WeightsError as error:
            tried.append(f"{source}: {error}")
        except Exception as error:  # the hub's client wraps what happened, in kinds of its own
            cause = error.__cause__ or error
            text = " ".join(str(cause).split()) or "no details"
            cut = "…" if len(text) > 300 else ""
            tried.append(f"{source}: {type(cause).__name__}: {text[:300]}{cut}")
    raise (IntegrityError if damaged else failure)(_advice(model, tried))


def fetched_hub_models() -> list[HubModel]:
    """The hub's checkpoints on this machine, those of OpenAI's backbones left out."""
    models = set()
    for folder in hub_folders():
        for path in folder.glob(f"models--*--*/snapshots/*/{HUB_WEIGHTS}"):
            repo = path.parents[2].name.removeprefix("models--").replace("--", "/", 1)
            latest = hub_model(repo)
            pinned = hub_model(f"{repo}@{path.parent.name}")
            models.add(latest if _cached(latest, folder) == path else pinned)
    openai = {model.repo for model in OPENAI}
    return sorted((m for m in models if m.repo not in openai), key=lambda model: model.name)


def _given_paths(model: HubModel, folder: str | os.PathLike[str] | None) -> list[Path]:
    """The files that count as this backbone in the caller's folder, the preferred first."""
    folder = folder or os.environ.get(WEIGHTS_VARIABLE)
    if not folder:
        return []
    given = Path(folder).expanduser()
    if model.archive:
        return [given / f"{model.stem}.safetensors", given / f"{model.stem}.pt"]
    return [given / model.stem / HUB_WEIGHTS]


def _cached(model: HubModel, folder: Path) -> Path:
    """A backbone's file in a cache of the hub's client; the repository's folder if it is absent."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model.repo, HUB_WEIGHTS, folder, model.revision)
    absent = folder / f"models--{model.repo.replace('/', '--')}"
    return Path(path) if isinstance(path, str) else absent


def _at_hand(model: Path | Embedded) -> Checkpoint:
    path = next(iter(local_paths(model)), None)
    if isinstance(model, Embedded):
        if path is None:
            raise WeightsError(f"the embedded backbone {model.name} is missing from this copy")
        fate = "It ships with this package; install the package anew"
        return Checkpoint(path, verified_sha256(path, model.sha256, fate), "embedded")
    if path is None:
        what = f"a folder without {HUB_WEIGHTS}" if model.is_dir() else "no such file"
        raise WeightsError(f"weights file {model}: {what}")
    return Checkpoint(path, verified_sha256(path, expected_sha256(model, path)), "file")


def _fetch(model: HubModel, progress: bool) -> tuple[Path, str]:
    """Fetches a checkpoint into the cache of the hub's client, with its locks and retries.

    The client compares sizes, not hashes; the sha256 is checked here, and a wrong file removed. The
    mirror ``HF_ENDPOINT`` counts, as do the client's waits (``HF_HUB_DOWNLOAD_TIMEOUT``). The
    pinned sha256 is demanded where there is one, else the one the hub reports.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    folder = hub_folders()[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try_to_write(folder / "weights")
    except OSError as error:
        raise WeightsError(
            f"cannot write to the weights cache {folder}: {error.strerror or error}; set "
            f"{CACHE_VARIABLE} to a folder that can be written"
        ) from error
    promised = model.sha256
    if promised is None:
        url = hf_hub_url(model.repo, HUB_WEIGHTS, revision=model.revision)
        promised = get_hf_file_metadata(url).etag
    if not is_sha256(promised):
        raise IntegrityError(f"the hub reports no sha256 for {HUB_WEIGHTS}, but {promised!r}")
    download = partial(
        hf_hub_download,
        model.repo,
        revision=model.revision,
        cache_dir=folder,
        tqdm_class=None if progress else _NoBar,
    )
    if not model.archive:
        download(HUB_CONFIG)
    kept = _cached(model, folder)
    if kept.is_file() and sha256_of(kept) == promised:
        return kept, promised
    spoilt = kept.is_file()
    if spoilt and not kept.is_symlink():  # the client would leave it as it is
        kept.unlink()
    path = Path(download(HUB_WEIGHTS, force_download=spoilt))
    try:
        return path, verified_sha256(path, promised, "The server sent it so; it was not kept")
    except IntegrityError:
        for name in (path.resolve(), path):
            name.unlink(missing_ok=True)
        raise


def _advice(model: HubModel, tried: list[str]) -> str:
    from huggingface_hub import hf_hub_url

    address = hf_hub_url(model.repo, HUB_WEIGHTS, revision=model.revision)
    hashed = f", sha256 {model.sha256}" if model.sha256 else ""
    lines = [f"no weights for {model.name}. Tried:", *(f"  - {line}" for line in tried)]
    lines.append("To go on, do one of these:")
    if model.archive:
        lines.append(f"  - download {address} (hub repository {model.repo}{hashed})")
        lines.append(
            f"    as {model.stem}.safetensors into a folder, and give that as weights_dir="
        )
        lines.append("    (--weights-dir)")
        lines.append(f"  - the same with OpenAI's {model.stem}.pt (sha256 {model.archive})")
    else:
        lines.append(f"  - download {address} and its {HUB_CONFIG} into {model.stem}/ of a folder,")
        lines.append("    and give that as weights_dir= (--weights-dir)")
    lines.append(f"  - copy {hub_folders()[0]} of a machine that has fetched it")
    lines.append("  - pass the path of a weights file")
    ready = [name for name, embedded in EMBEDDED.items() if local_paths(embedded)]
    if ready:
        lines.append(f"  - use a backbone that needs no download: {', '.join(ready)}")
    return "\n".join(lines)


class _NoBar(tqdm):  # type: ignore[misc]
    """The hub's client shows a bar unless it is given one that does not show."""

    def __init__(self, *args: object, **options: object) -> None:
        options.pop("name", None)  # the client names its bars; tqdm knows no names
        super().__init__(*args, **{**options, "disable": True})
