"""``maclip-lab explain``: what a result was made from, and whether it would come out again here."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from maclip_lab.cli import options
from maclip_lab.datasets import EDITIONS, open_dataset
from maclip_lab.errors import MaclipError, UnknownBackboneError
from maclip_lab.files.identity import content_sha256, joint_sha256
from maclip_lab.files.provenance import Explanation, record_parts
from maclip_lab.files.provenance import explain as explain_result
from maclip_lab.images import find_pictures
from maclip_lab.weights.loading import verify


def explain(
    result: Annotated[Path, typer.Argument(help="A result written by this command line.")],
    backbone: Annotated[
        str | None,
        typer.Option(
            *("--backbone", "-b"),
            help="Compare with these weights; else the recorded ones.",
            callback=options.known_backbones,
        ),
    ] = None,
) -> None:
    """Say what a result was made from, and whether this set-up would reproduce it."""
    explanation = explain_result(result)
    doubts = (*_other_weights(explanation.record, backbone), *_other_data(explanation, result))
    explanation = replace(explanation, differences=(*explanation.differences, *doubts))
    typer.echo(str(explanation))
    if not explanation.reproduces:
        raise typer.Exit(1)


def _other_weights(record: Mapping[str, object], backbone: str | None) -> Iterator[str]:
    """What keeps the weights found here from being those that made a result."""
    for part in record_parts(record):
        name, then = backbone or part.get("backbone"), part.get("weights_sha256")
        config = part.get("config")
        packed = isinstance(config, dict) and "pack_sha256" in config  # no weights were needed
        if not name or not then or (packed and backbone is None):
            continue
        try:
            here = verify(str(name))[0].sha256
        except UnknownBackboneError:  # recorded by another version
            here = ""
        if not here:
            yield f"the weights of {name} are not on this machine"
        elif here != then:
            yield f"the weights differ: their sha256 was {then} and is {here}"


def _other_data(explanation: Explanation, result: Path) -> Iterator[str]:
    """What keeps the rows and pictures found here from being those that made a result."""
    for part in record_parts(explanation.record):
        data = part.get("data")
        opened = data.get("opened") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not (data or part.get("manifest_sha256")):
            yield "its pictures were not looked at: the record does not say which they are"
        elif opened is not None:
            yield from _other_rows(opened, part, data)
        elif "folder" in data:
            try:
                is_parquet = result.suffix.lower() == ".parquet"
                read = (
                    pd.read_parquet
                    if is_parquet
                    else partial(pd.read_csv, dtype=str, keep_default_na=False)
                )
                names = list(read(result)["path"])
            except (OSError, ValueError, KeyError):  # it has been changed, which is told already
                names = []
            yield from _other_scored(names, data)
        else:
            yield "its rows were not looked at: the record does not say where they come from"


def _other_rows(
    opened: dict[str, Any], record: Mapping[str, object], data: Mapping[str, object]
) -> Iterator[str]:
    made = str(opened.get("name")).lower() in EDITIONS
    if made and "annotations" not in opened:  # made anew where it is not as it was
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            manifest = open_dataset(**opened)
    except (MaclipError, OSError, ValueError, TypeError) as error:
        yield f"the data set cannot be read as it was: {error}"
        return
    if manifest.sha256 != record.get("manifest_sha256"):
        gone = f"; {len(manifest.missing)} pictures are gone" if manifest.missing else ""
        yield f"the data set's rows differ from those of then{gone}"
    elif manifest.has_pictures:
        yield from _other_pictures(manifest.table["path"], manifest.root, data)


def _other_scored(names: Sequence[str], data: Mapping[str, Any]) -> Iterator[str]:
    """Of pictures that were scored: changed, gone, or new in a folder that was searched."""
    folder = Path(data["folder"])
    yield from _other_pictures(names, folder, data)
    known = {folder / name for name in names}
    for searched in data.get("searched", ()):
        place = folder / searched
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            there = find_pictures(place) if place.is_dir() else []
        if added := [path for path in there if path not in known]:
            yield f"{len(added)} pictures are new in {place}, the first {added[0].name}"


def _other_pictures(
    names: Sequence[str], folder: Path, data: Mapping[str, object]
) -> Iterator[str]:
    digests = [(name, content_sha256(folder / name)) for name in names]
    if joint_sha256(digests) == data.get("pictures_sha256"):
        return
    gone = [name for name in names if not (folder / name).exists()]
    if gone:
        yield f"{len(gone)} of {len(names)} pictures are gone from {folder}, the first {gone[0]}"
    else:
        yield f"pictures in {folder} have been changed or replaced"
