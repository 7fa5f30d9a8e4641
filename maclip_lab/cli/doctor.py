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
from maclip_lab.weights.loading import verify
from maclip_lab.weights.places import (
    CACHE_VARIABLE,
    OFFLINE_VARIABLES,
    cache_folder,
    hub_folders,
    is_offline,
    named_backbones,
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
    rows: list[Row] = []
    for name, version in versions().items():
        absent = version == "absent"
        advice = f"; pip install {name}" if absent else ""
        rows.append((name, "bad" if absent else "ok", version + advice))
    device = choose_device("auto")
    processor = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    )
    rows.append(("device", "ok", f"{device} {processor}, {torch.get_num_threads()} threads"))
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        rows.append(("Pillow", "bad", "LOAD_TRUNCATED_IMAGES is on: cut pictures pass as whole"))
    for what, folder in (("cache", cache_folder()), ("hub's cache", hub_folders()[0])):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        writable = nearest.is_dir() and os.access(nearest, os.W_OK)
        advice = "" if writable else f"; not writable, set {CACHE_VARIABLE} to a folder that is"
        rows.append((what, "ok" if writable else "bad", f"{folder}{advice}"))
    names = (*OFFLINE_VARIABLES, "HF_ENDPOINT", "HF_HOME", CACHE_VARIABLE)
    settings = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
    state = "offline" if is_offline() else "online, used only for weights that are asked for"
    rows += [*_weights(), ("network", "ok", ", ".join([state, *settings]))]
    return pd.DataFrame(rows, columns=["what", "verdict", "finding"])


def _weights() -> Iterator[Row]:
    for name, embedded in ((model.name, model.kind == "embedded") for model in named_backbones()):
        advice = "install this package anew" if embedded else f"maclip-lab weights fetch {name}"
        for copy in verify(name):
            if copy.status == "missing":
                yield name, "bad" if embedded else "note", f"absent; {advice}"
            elif copy.status == "mismatch":
                digests = f"sha256 {copy.sha256}, expected {copy.expected}"
                yield name, "bad", f"mismatch, {digests}, {copy.path}; delete it, then {advice}"
            else:
                digest = f"{copy.status}, sha256 {copy.sha256[:12]}..., {copy.path}"
                yield name, "ok" if copy.status == "ok" else "note", digest
