"""Is this set-up sound? Versions, device, cache, weights, switches: one row of a table each.

Whether the installed packages fit together is ``pip check``'s to say, and whether a data set is
whole ``maclip-lab datasets check``'s.
"""

import os
import platform
from collections.abc import Iterator

import pandas as pd
import torch
import typer
from PIL import ImageFile

from maclip_lab.encoder import choose_device
from maclip_lab.files.provenance import versions
from maclip_lab.weights.loading import Verification, list_backbones, verify_copies
from maclip_lab.weights.places import (
    CACHE_VARIABLE,
    OFFLINE_VARIABLES,
    cache_folder,
    hub_folders,
    is_offline,
)

Row = tuple[str, str, str]


def doctor() -> None:
    """Check this set-up: versions, device, caches, weights; exit status 0 if all is well."""
    findings = examine()
    for row in findings.itertuples():
        typer.echo(f"{row.verdict:4}  {row.what:18} {row.finding}")
    if (findings["verdict"] == "bad").any():
        raise typer.Exit(1)


def examine() -> pd.DataFrame:
    """Looks the set-up over; nothing is fetched or changed.

    Every copy of every backbone on this machine is hashed anew.

    Returns:
        ``what, verdict, finding`` a row, the verdict ``"ok"``, ``"note"`` or ``"bad"``.
    """
    rows = [*_versions(), *_device(), *_caches(), *_weights(), _network()]
    return pd.DataFrame(rows, columns=["what", "verdict", "finding"])


def _versions() -> Iterator[Row]:
    for name, version in versions().items():
        absent = version == "absent"
        yield name, "bad" if absent else "ok", version + absent * f"; pip install {name}"


def _device() -> Iterator[Row]:
    device = choose_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    yield "device", "ok", f"{device} {name}, {torch.get_num_threads()} threads".strip()
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        yield "Pillow", "bad", "LOAD_TRUNCATED_IMAGES is on: cut pictures would pass as whole"


def _caches() -> Iterator[Row]:
    for what, folder in (("cache", cache_folder()), ("hub's cache", hub_folders()[0])):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        writable = nearest.is_dir() and os.access(nearest, os.W_OK)
        advice = "" if writable else f"; not writable, set {CACHE_VARIABLE} to a folder that is"
        yield what, "ok" if writable else "bad", f"{folder}{advice}"


def _weights() -> Iterator[Row]:
    for row in list_backbones():
        name, embedded = str(row["name"]), row["kind"] == "embedded"
        advice = "install this package anew" if embedded else f"maclip-lab weights fetch {name}"
        if not row["present"]:
            yield name, "bad" if embedded else "note", f"absent; {advice}"
            continue
        for found in verify_copies(name):
            yield name, *_verdict(found, advice)


def _verdict(found: Verification, advice: str) -> tuple[str, str]:
    if found.status == "mismatch":
        digests = f"sha256 {found.sha256}, expected {found.expected}"
        return "bad", f"mismatch, {digests}, {found.path}; delete it, then {advice}"
    verdict = "ok" if found.status == "ok" else "note"
    return verdict, f"{found.status}, sha256 {str(found.sha256)[:12]}..., {found.path}"


def _network() -> Row:
    names = (*OFFLINE_VARIABLES, "HF_ENDPOINT", "HF_HOME", CACHE_VARIABLE)
    settings = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
    state = "offline" if is_offline() else "online, used only for weights that are asked for"
    return "network", "ok", ", ".join([state, *settings])
