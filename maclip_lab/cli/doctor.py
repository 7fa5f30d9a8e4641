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
from maclip_lab.weights import places

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
        advice = f"absent; pip install {name}"
        rows.append((name, "bad", advice) if absent else (name, "ok", version))
    device = choose_device("auto")
    cuda = device.type == "cuda"
    processor = torch.cuda.get_device_name(device) if cuda else platform.processor()
    rows.append(("device", "ok", f"{device} {processor}, {torch.get_num_threads()} threads"))
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        rows.append(("Pillow", "bad", "LOAD_TRUNCATED_IMAGES is on: cut pictures pass as whole"))
    for what, folder in (
        ("cache", places.cache_folder()),
        ("hub's cache", places.hub_folders()[0]),
    ):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        writable = nearest.is_dir() and os.access(nearest, os.W_OK)
        advice = f"; not writable, set {places.CACHE_VARIABLE} to a folder that is"
        rows.append((what, "ok", str(folder)) if writable else (what, "bad", f"{folder}{advice}"))
    names = (*places.OFFLINE_VARIABLES, "HF_ENDPOINT", "HF_HOME", places.CACHE_VARIABLE)
    settings = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
    online = "online, used only for weights that are asked for"
    state = "offline" if places.is_offline() else online
    rows += [*_weights(), ("network", "ok", ", ".join([state, *settings]))]
    return pd.DataFrame(rows, columns=["what", "verdict", "finding"])


def _weights() -> Iterator[Row]:
    for model in places.named_backbones():
        name, embedded = model.name, model.kind == "embedded"
        advice = "install this package anew" if embedded else f"maclip-lab weights fetch {name}"
        for copy in places.verify(name):
            if copy.status == "missing":
                yield name, "bad" if embedded else "note", f"absent; {advice}"
            elif copy.status == "mismatch":
                digests = f"sha256 {copy.sha256}, expected {copy.expected}"
                yield name, "bad", f"mismatch, {digests}, {copy.path}; delete it, then {advice}"
            else:
                digest = f"{copy.status}, sha256 {copy.sha256[:12]}..., {copy.path}"
                yield name, "ok" if copy.status == "ok" else "note", digest
