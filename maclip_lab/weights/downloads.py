"""Weights over the network: what arrives is checked at once, and kept only if it is right."""

import os
import shutil
import urllib.request
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from maclip_lab.errors import IntegrityError, WeightsError
from maclip_lab.files.atomic import sweep, temporary_beside, try_to_write
from maclip_lab.files.identity import is_sha256
from maclip_lab.weights.backbones import BackboneSpec, HubRepo
from maclip_lab.weights.cache import (
    CACHE_VARIABLE,
    HUB_CONFIG,
    HUB_WEIGHTS,
    cache_folder,
    hub_cache_path,
    hub_clients_sha256,
    hub_folder,
)
from maclip_lab.weights.integrity import record_sha256, verified_sha256

TIMEOUT = 30.0  # seconds without a byte before OpenAI's server counts as stalled


def from_hub(place: BackboneSpec | HubRepo, *, progress: bool) -> tuple[Path, str]:
    """Fetch an open_clip checkpoint into the cache of the hub's client, with its locks and retries.

    The client compares sizes, not hashes; the sha256 is checked here, and a wrong file removed.
    The mirror ``HF_ENDPOINT`` counts. The pinned sha256 is demanded where there is one, else
    the one the hub reports.

    Returns:
        The file and its sha256.

    Raises:
        IntegrityError: the file is not the promised one.
        WeightsError: the cache cannot be written to.
        Exception: what the client raises; it waits ``HF_HUB_DOWNLOAD_TIMEOUT`` (10 s) on a
            stalled server and tries again a few times.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    hub, folder = place.hub, _writable(hub_folder())
    promised = place.hub_sha256
    if promised is None:
        url = hf_hub_url(hub.repo, HUB_WEIGHTS, revision=hub.revision)
        promised = get_hf_file_metadata(url).etag
    if not is_sha256(promised):
        raise IntegrityError(f"the hub reports no sha256 for {HUB_WEIGHTS}, but {promised!r}")
    bar = None if progress else _NoBar
    download = partial(
        hf_hub_download, hub.repo, revision=hub.revision, cache_dir=folder, tqdm_class=bar
    )
    if isinstance(place, HubRepo):
        download(HUB_CONFIG)
    spoilt = hub_cache_path(place, folder).is_file()  # a good copy would have been used
    path = Path(download(HUB_WEIGHTS, force_download=spoilt))
    digest = _received(path, promised)
    if hub_clients_sha256(path) is None:
        record_sha256(path, digest)
    return path, digest


def from_openai(spec: BackboneSpec) -> tuple[Path, str]:
    """Fetch one of OpenAI's archives from their own address into our cache.

    Returns:
        The file and its sha256.

    Raises:
        IntegrityError: the file is not the one of the address's sha256.
        OSError: no connection, an HTTP error, or a server that has stalled.
    """
    path = _writable(cache_folder()) / f"{spec.stem}.pt"
    sweep(path.parent)
    temporary = temporary_beside(path)
    try:
        # torch.hub.download_url_to_file would do, but waits for ever on a server that has stalled.
        with urllib.request.urlopen(spec.url, timeout=TIMEOUT) as sent, temporary.open("xb") as to:
            shutil.copyfileobj(sent, to)
        digest = _received(temporary, spec.sha256)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path, digest


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try_to_write(folder / "weights")
    except OSError as error:
        raise WeightsError(
            f"cannot write to the weights cache {folder}: {error.strerror or error}; set "
            f"{CACHE_VARIABLE} to a folder that can be written"
        ) from error
    return folder


def _received(path: Path, promised: str) -> str:
    try:
        return verified_sha256(path, promised, fate="The server sent it so; it was not kept")
    except IntegrityError:
        for name in (path.resolve(), path):
            name.unlink(missing_ok=True)
        raise


class _NoBar(tqdm):  # type: ignore[misc]
    """The hub's client shows a bar unless it is given one that does not show."""

    def __init__(self, *args: object, **options: object) -> None:
        options.pop("name", None)  # the client names its bars; tqdm knows no names
        super().__init__(*args, **{**options, "disable": True})
