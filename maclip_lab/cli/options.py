"""Options: those of the package's settings objects, made of their fields, and those of commands.

A command takes a settings object, a dataclass, as one argument; each of its fields whose metadata
has a ``help`` is an option. `spread` shows Typer the options and hands the command the object.
"""

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pandas as pd
import typer

from maclip_lab.datasets import Choices, Manifest, find_datasets, open_dataset
from maclip_lab.features import Pack, open_pack
from maclip_lab.files.atomic import try_to_write
from maclip_lab.files.provenance import record_path
from maclip_lab.scorer import Maclip, ScoreConfig
from maclip_lab.weights.names import parse_name, shape_and_seed

ENCODER = ("device", "precision", "weights_dir", "offline", "quick_gelu")
"""Fields of `ScoreConfig` that say where and how a backbone runs, and where its weights lie."""


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer takes it, settings objects spread out into options.

    Of ``Annotated[Settings, names]`` the fields named are options, of ``partial[Settings]`` the
    command gets a partial that lacks the other fields.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    behind: list[inspect.Parameter] = []
    groups: dict[str, tuple[bool, Any, list[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        hint, names = hints[parameter.name], None
        if get_origin(hint) is Annotated and isinstance(get_args(hint)[1], tuple):
            hint, names = get_args(hint)
        settings: Any = get_args(hint)[0] if get_origin(hint) is partial else hint
        if not is_dataclass(settings):
            parameters.append(parameter.replace(annotation=hint, kind=parameter.KEYWORD_ONLY))
            continue
        kinds = get_type_hints(settings)
        shown = [
            field
            for field in fields(settings)
            if "help" in field.metadata and (names is None or field.name in names)
        ]
        groups[parameter.name] = hint is not settings, settings, [field.name for field in shown]
        behind += [_option(field, kinds[field.name]) for field in shown]

    parameters += behind

    @functools.wraps(command)
    def spreading(**given: object) -> None:
        objects: dict[str, object] = {}
        for name, (lacking, settings, names) in groups.items():
            values = {field: given.pop(field) for field in names}
            objects[name] = partial(settings, **values) if lacking else settings(**values)
        command(**given, **objects)

    spreading.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spreading.__annotations__ = {each.name: each.annotation for each in parameters}
    return spreading


def _option(field: "Field[Any]", kind: object) -> inspect.Parameter:
    """A field of a settings object as the parameter that Typer makes an option of.

    Metadata: ``help``, ``flags`` where the name is not the field's, ``type`` where Typer cannot
    take the field's, ``min``.
    """
    flags = [field.metadata["flags"]] if "flags" in field.metadata else []
    default = None if field.default is MISSING else field.default
    option = typer.Option(
        *flags,
        help=field.metadata["help"],
        min=field.metadata.get("min"),
        show_default=default is not None,
    )
    annotation: Any = Annotated[field.metadata.get("type", kind), option]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, keyword, default=default, annotation=annotation)


def known_backbones(value: str | list[str] | None) -> str | list[str] | None:
    """The names as given, refused before any work is done where one of them means nothing.

    Raises:
        UnknownBackboneError: a name is no backbone's; the message has the nearest.
    """
    for name in [value] if isinstance(value, str) else value or ():
        parse_name(shape_and_seed(name)[0])
    return value


Dataset = Annotated[
    str, typer.Argument(help='koniq, ..., "all", what your own list is called, or a pack.')
]
Root = Annotated[
    Path | None, typer.Option(help="Folder of the data set, or one above it.", exists=True)
]
Backbone = Annotated[
    str,
    typer.Option(
        *("--backbone", "-b"),
        help="RN50, ViT-B/32, ..., tiny-rn, tiny-vit, hf-hub:org/name or a file.",
        callback=known_backbones,
    ),
]
OR_THE_PACKS = "RN50, or a pack's own"
OneBackbone = Annotated[
    str | None,
    typer.Option(*("--backbone", "-b"), show_default=OR_THE_PACKS, callback=known_backbones),
]
Backbones = Annotated[
    list[str] | None,
    typer.Option(
        *("--backbone", "-b"),
        help="May be given repeatedly.",
        show_default=OR_THE_PACKS,
        callback=known_backbones,
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Table to write: .parquet or .csv.")
]
ClipIqa = Annotated[
    bool, typer.Option(help="Encode whole pictures too, for CLIP-IQA's row; half as much work.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.", show_default=False)]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing output.", show_default=False)
]


def manifests(dataset: str, root: Path | None, choices: Choices) -> list[Manifest]:
    """The manifests of a data set by name, or of all that lie under the root."""
    found = {dataset: root}
    if dataset == "all" and choices.annotations is None:
        if root is None:
            raise typer.BadParameter("say where the data sets lie", param_hint="--root")
        found = dict(find_datasets(root))
        if not found:
            raise typer.BadParameter("no data set was found there", param_hint="--root")
    opened = [open_dataset(name, folder, choices) for name, folder in found.items()]
    for manifest in opened:
        if manifest.note:
            typer.echo(f"{manifest.dataset} in {manifest.root}: {manifest.note}", err=True)
    return opened


def scorers(
    config: ScoreConfig, backbones: Sequence[str | None] | None, opened: Sequence[Manifest]
) -> Iterator[Maclip | Pack]:
    """The metric with each of the backbones; None for the paper's, or a pack's own."""
    names = [name for name in backbones or () if name is not None]
    if not names and not opened[0].has_pictures:
        yield open_pack(opened[0].root)
        return
    for name in names or ["RN50"]:
        yield Maclip.from_config(replace(config, backbone=name))


def report_failures(table: pd.DataFrame, manifest: Manifest) -> int:
    """Says which pictures could not be used, and how many of all; returns how many.

    Those that the copy at hand lacks are counted; what a pack was made without is no failure.
    """
    failed = name_failures(table)
    if failed:
        typer.secho(f"{failed} of {len(table)} pictures could not be used", err=True)
    return failed + len(manifest.missing) * manifest.has_pictures


def name_failures(table: pd.DataFrame) -> int:
    """Says which pictures could not be used; returns how many."""
    failed = table[table["status"] != "ok"]
    for row in failed.head(20).itertuples():
        typer.secho(f"  {row.path}: {row.status}: {row.message}", fg="yellow", err=True)
    if len(failed) > 20:
        typer.secho(f"  ... and {len(failed) - 20} more", fg="yellow", err=True)
    return len(failed)


def refuse_existing(
    output: Path | None,
    overwrite: bool,
    folder: Path | None = None,
    suffixes: Sequence[str] = (".parquet", ".csv"),
) -> None:
    """Stops, before any work is done, where an output exists or cannot be written.

    ``folder`` is one that will be made where it is absent.
    """
    if output is None:
        return
    made = output.parent == folder and not output.parent.exists()
    parent = output.parent.parent if made else output.parent
    reasons = {
        f"{output} does not end in {' or '.join(suffixes)}": output.suffix.lower() not in suffixes,
        f"{output} is a folder": os.path.isdir(output),
        f"{output} exists; --overwrite replaces it": os.path.lexists(output) and not overwrite,
        f"the folder {parent} does not exist": not os.path.isdir(parent),
    }
    for reason, holds in reasons.items():
        if holds:
            raise typer.BadParameter(reason, param_hint="-o")
    try:
        try_to_write(record_path(parent / output.name))
    except OSError as error:
        raise typer.BadParameter(
            f"{output} and its record cannot be written: {error.strerror}", param_hint="-o"
        ) from error
