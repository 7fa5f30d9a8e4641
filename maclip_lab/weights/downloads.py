"""Weights over the network, given their final name only once they are whole and right."""

import os
import urllib.request
from pathlib import Path

from tqdm.auto import tqdm

from maclip_lab.errors import IntegrityError
from maclip_lab.weights.backbones import BackboneSpec, HubRepo
from maclip_lab.weights.cache import HUB_CONFIG, HUB_WEIGHTS, cache_folder, paths_in, staging_folder
from maclip_lab.weights.integrity import first_bytes, is_sha256, move_into_place, sha256_of

TIMEOUT = 30.0  # seconds without a byte before OpenAI's server counts as stalled
_CHUNK = 1 << 20


def from_hub(place: BackboneSpec | HubRepo, *, progress: bool) -> Path:
    """Fetch an open_clip checkpoint with the hub's client; the mirror ``HF_ENDPOINT`` counts.

    Args:
        place: the pinned sha256 is demanded if it has one, else the one the hub reports.
        progress: whether to show a bar.

    Returns:
        the file in our cache.

    Raises:
        IntegrityError: the file is not the promised one.
        Exception: what the client raises; it waits ``HF_HUB_DOWNLOAD_TIMEOUT`` (10 s) on a
            stalled server and tries again a few times.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    hub = place.hub
    path = paths_in(cache_folder(), place)[0]
    promised: str | None = place.hub_sha256
    with staging_folder() as staging:
        for name in (HUB_CONFIG, HUB_WEIGHTS):
            facts = get_hf_file_metadata(hf_hub_url(hub.repo, name, revision=hub.revision))
            if name == HUB_WEIGHTS:
                promised = promised or facts.etag
            hf_hub_download(
                hub.repo,
                name,
                revision=facts.commit_hash or hub.revision,
                local_dir=staging,
                force_download=True,  # else a damaged copy in the client's own cache is reused
                tqdm_class=_Bar if progress else _NoBar,
            )
        if not is_sha256(promised):
            raise IntegrityError(f"the hub reports no sha256 for {HUB_WEIGHTS}, but {promised!r}")
        digest = _checked(staging / HUB_WEIGHTS, promised)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(place, HubRepo):
            os.replace(staging / HUB_CONFIG, path.with_name(HUB_CONFIG))
        move_into_place(staging / HUB_WEIGHTS, path, digest)
    return path


def from_openai(spec: BackboneSpec, *, progress: bool) -> Path:
    """Fetch one of OpenAI's archives from their own address into our cache.

    Raises:
        IntegrityError: the file is not the one of the address's sha256.
        OSError: no connection, an HTTP error, or a server that has stalled.
    """
    with staging_folder() as staging:
        temporary = staging / f"{spec.stem}.pt"
        _stream(spec.url, temporary, progress)
        digest = _checked(temporary, spec.sha256)
        path = cache_folder() / temporary.name
        move_into_place(temporary, path, digest)
    return path


def _stream(url: str, path: Path, progress: bool) -> None:
    # torch.hub.download_url_to_file would do, but waits for ever on a server that has stalled.
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response, path.open("wb") as stream:
        total = int(response.headers.get("Content-Length") or 0) or None
        with tqdm(
            total=total, desc=path.name, unit="B", unit_scale=True, disable=not progress
        ) as bar:
            while chunk := response.read(_CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
    if total and path.stat().st_size != total:
        raise IntegrityError(f"the connection ended after {path.stat().st_size} of {total} bytes")


def _checked(path: Path, promised: str | None) -> str:
    digest = sha256_of(path)
    if digest != promised:
        raise IntegrityError(
            f"sent a wrong file of {path.stat().st_size} bytes: sha256 {digest}, expected "
            f"{promised}; it begins with {first_bytes(path)!r}"
        )
    return digest


class _Bar(tqdm):  # type: ignore[misc]
    """A bar for the hub's client, which names its bars; tqdm knows no names."""

    def __init__(self, *args: object, **options: object) -> None:
        options.pop("name", None)
        super().__init__(*args, **options)


class _NoBar(_Bar):
    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **{**options, "disable": True})
