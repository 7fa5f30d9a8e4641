"""``maclip-lab explain|doctor``: would a result come out again here, and is this set-up sound?

Whether the installed packages fit together is ``pip check``'s to say, and whether a data set is
whole ``maclip-lab datasets check``'s.
"""

import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from PIL import ImageFile

from maclip_lab.cli import options
from maclip_lab.datasets import EDITIONS, open_dataset
from maclip_lab.encoder import choose_device
from maclip_lab.errors import MaclipError, WeightsError
from maclip_lab.files.identity import content_sha256, joint_sha256
from maclip_lab.files.provenance import differences, read_record, record_parts, versions
from maclip_lab.images import find_pictures
from maclip_lab.weights import places
from maclip_lab.weights.loading import load_backbone
from maclip_lab.weights.names import shape_and_seed


def explain(
    result: Annotated[Path, typer.Argument(help="A result written by this command line.")],
    backbone: Annotated[
        str | None, options.backbone_option("Compare with these weights; else the recorded ones.")
    ] = None,
) -> None:
    """Say what a result was made from, and whether this set-up would reproduce it."""
    record = read_record(result)
    differing = differences(result, record)
    for part in record_parts(record):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a data set's state, which is judged by its rows
            differing += [*_other_weights(part, backbone), *_other_data(part, result)]
    for key, value in record.items():
        typer.echo(f"{key}: {_in_words(value)}")
    verdict = "may not reproduce this result:" if differing else "would reproduce it."
    typer.echo(f"The present set-up {verdict}")
    for difference in dict.fromkeys(differing):
        typer.echo(f"  {difference}")
    if differing:
        raise typer.Exit(1)


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_words(item)}" for key, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _other_weights(record: Mapping[str, Any], backbone: str | None) -> Iterator[str]:
    """What keeps the weights found here from being those that made a result."""
    name, then = backbone or record.get("backbone"), record.get("weights_sha256")
    packed = "pack_sha256" in record["config"]  # no weights were needed
    if not name or not then or (packed and backbone is None):
        return
    try:
        drawn = shape_and_seed(name)[1] is not None
        here = load_backbone(name, offline=True).sha256 if drawn else places.verify(name)[0].sha256
    except WeightsError:  # a name that another version recorded
        here = ""
    if not here:
        yield f"the weights of {name} are not on this machine"
    elif here != then:
        yield f"the weights differ: their sha256 was {then} and is {here}"


def _other_data(record: Mapping[str, Any], result: Path) -> Iterator[str]:
    """What keeps the rows and pictures found here from being those that made a result."""
    data = record.get("data") or {}
    opened = data.get("opened")
    if "folder" in data:
        yield from _other_scored(result, data)
    elif opened is None:
        yield "its data were not looked at: the record does not say where they come from"
    elif opened["name"].lower() not in EDITIONS or "annotations" in opened:  # else made anew
        try:
            manifest = open_dataset(**opened)
        except (MaclipError, OSError, ValueError, TypeError) as error:
            yield f"the data set cannot be read as it was: {error}"
            return
        if manifest.sha256 != record.get("manifest_sha256"):
            gone = f"; {len(manifest.missing)} pictures are gone" if manifest.missing else ""
            yield f"the data set's rows differ from those of then{gone}"
        elif manifest.has_pictures:
            yield from _other_pictures(list(manifest.table["path"]), manifest.root, data)


def _other_scored(result: Path, data: Mapping[str, Any]) -> Iterator[str]:
    """Of pictures that were scored: changed, gone, or new in a folder that was searched."""
    try:
        if result.suffix.lower() == ".parquet":
            names = list(pd.read_parquet(result)["path"])
        else:
            names = list(pd.read_csv(result, dtype=str, keep_default_na=False)["path"])
    except (OSError, ValueError, KeyError):
        yield "its pictures were not looked at: the result is no table of them"
        return
    folder = Path(data["folder"])
    yield from _other_pictures(names, folder, data)
    scored = {folder / name for name in names}
    for place in (folder / searched for searched in data.get("searched", ())):
        there = find_pictures(place) if place.is_dir() else []
        if added := [path for path in there if path not in scored]:
            yield f"{len(added)} pictures are new in {place}, the first {added[0].name}"


def _other_pictures(names: Sequence[str], folder: Path, data: Mapping[str, Any]) -> Iterator[str]:
    digests = [(name, content_sha256(folder / name)) for name in names]
    if joint_sha256(digests) == data.get("pictures_sha256"):
        return
    gone = [name for name in names if not (folder / name).exists()]
    if gone:
        yield f"{len(gone)} of {len(names)} pictures are gone from {folder}, the first {gone[0]}"
    else:
        yield f"pictures in {folder} have been changed or replaced"


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
    caches = {"cache": places.cache_folder(), "hub's cache": places.hub_folders()[0]}
    for what, folder in caches.items():
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
