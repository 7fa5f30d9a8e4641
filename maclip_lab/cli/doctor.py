"""Is this set-up sound? Versions, device, weights, data, switches: one row a finding."""

import importlib.metadata
import os
import platform
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import PIL
import torch
from packaging.requirements import Requirement
from packaging.version import Version

from maclip_lab.datasets import find_datasets, load_dataset
from maclip_lab.datasets.errors import DatasetError, DatasetWarning
from maclip_lab.encoder import choose_device
from maclip_lab.weights.cache import cache_folder
from maclip_lab.weights.loading import Verification, list_backbones, verify, verify_copies
from maclip_lab.weights.sources import is_offline

Finding = tuple[str, str, str]


def examine(
    data_root: str | os.PathLike[str] | None = None, *, checksums: bool = False
) -> pd.DataFrame:
    """Looks the set-up over; nothing is fetched or changed.

    Args:
        data_root: folder under which to look for data sets; None looks for none.
        checksums: hash every weights file on this machine, other copies of a backbone and files
            without a name included, not only the one of each backbone that would be loaded.

    Returns:
        One row a finding: ``what, verdict, finding``, the verdict ``"ok"``, ``"note"`` or
        ``"bad"``.
    """
    rows = [*_versions(), *_device(), *_cache(), *_weights(), *_switches()]
    if checksums:
        rows += _checksums()
    if data_root is not None:
        rows += _datasets(Path(data_root))
    return pd.DataFrame(rows, columns=["what", "verdict", "finding"])


def _versions() -> Iterator[Finding]:
    yield "python", "ok", platform.python_version()
    for line in importlib.metadata.requires("maclip-lab") or []:
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            yield needed.name, "bad", f"absent; pip install '{needed}'"
            continue
        fits = needed.specifier.contains(Version(found), prereleases=True)
        yield needed.name, "ok" if fits else "bad", found if fits else f"{found}, needs {needed}"
    if find_spec("clip") is not None:
        yield "clip", "note", "a package called clip is installed; it is not used here"


def _device() -> Iterator[Finding]:
    device = choose_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    yield "device", "ok", f"{device} {name}, {torch.get_num_threads()} threads".strip()
    if PIL.ImageFile.LOAD_TRUNCATED_IMAGES:
        yield "Pillow", "bad", "LOAD_TRUNCATED_IMAGES is on: cut pictures would pass as whole"


def _cache() -> Iterator[Finding]:
    folder = cache_folder()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    advice = "" if writable else "; not writable, set MACLIP_LAB_CACHE to a folder that is"
    yield "cache", "ok" if writable else "bad", f"{folder}{advice}"
    for path in sorted(folder.rglob("*.corrupt")) if folder.is_dir() else []:
        yield "cache", "note", f"{path} was set aside as damaged and may be deleted"


def _weights() -> Iterator[Finding]:
    for row in list_backbones():
        name = str(row["name"])
        if not row["present"]:
            embedded = row["kind"] == "embedded"
            advice = (
                "it ships with this package" if embedded else f"maclip-lab weights fetch {name}"
            )
            yield name, "bad" if embedded else "note", f"absent; {advice}"
            continue
        yield name, *_verdict(verify(name))


def _checksums() -> Iterator[Finding]:
    for found in verify_copies():
        yield "checksum", *_verdict(found)


def _verdict(found: Verification) -> tuple[str, str]:
    verdict = {"ok": "ok", "unrecorded": "note"}.get(found.status, "bad")
    return verdict, f"{found.status}, sha256 {str(found.sha256)[:12]}..., {found.path}"


def _switches() -> Iterator[Finding]:
    names = ("MACLIP_LAB_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "MACLIP_LAB_CACHE")
    settings = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
    state = "offline" if is_offline() else "online, used only for weights that are asked for"
    yield "network", "ok", ", ".join([state, *settings])


def _datasets(root: Path) -> Iterator[Finding]:
    found = find_datasets(root)
    if not found:
        yield "data sets", "note", f"none found under {root}"
    for name, folder in found.items():
        try:
            with warnings.catch_warnings(record=True) as gaps:
                warnings.simplefilter("always", DatasetWarning)
                manifest = load_dataset(name, folder, missing="keep")
        except DatasetError as error:
            yield name, "bad", str(error)
            continue
        absent = sum(not path.is_file() for path in manifest.paths)
        held = f"{len(manifest) - absent} of {len(manifest)} pictures, {folder}"
        finding = "; ".join([held, *(str(gap.message) for gap in gaps)])
        yield name, "note" if absent or gaps else "ok", finding
