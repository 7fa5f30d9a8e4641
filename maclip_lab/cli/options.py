"""Options: those of settings objects, made of their fields, and those that commands share.

A command takes a settings object, a dataclass, as one argument. Its fields that are options are
those annotated as such and those whose metadata has a ``help``; a field may be a settings object in
turn. `spread` shows Typer the options and hands the command the objects.
"""

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pandas as pd
import typer

from maclip_lab.datasets import Choices, Manifest, find_datasets, open_dataset
from maclip_lab.features import Extractor, open_pack
from maclip_lab.files.atomic import try_to_write
from maclip_lab.files.provenance import record_path
from maclip_lab.scorer import Maclip, ScoreConfig
from maclip_lab.weights.names import parse_name, shape_and_seed


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer takes it, settings objects spread out into options.

    Of ``Annotated[Settings, names]`` the fields named are options, of ``partial[Settings]`` the
    command gets a partial that lacks the other fields.
    """
    options, call = _spread(command)

    @functools.wraps(command)
    def spreading(**values: object) -> None:
        call(values)

    spreading.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    spreading.__annotations__ = {each.name: each.annotation for each in options}
    return spreading


def _spread(
    made: Callable[..., Any], names: Sequence[str] | None = None, *, partly: bool = False
) -> tuple[list[inspect.Parameter], Callable[[Mapping[str, object]], object]]:
    """The options of a command or of settings, and what makes it of their values."""
    own, settings = list[inspect.Parameter](), {}
    hints = get_type_hints(made, include_extras=True)
    described = {each.name: each for each in fields(made)} if is_dataclass(made) else {}
    for name, parameter in inspect.signature(made).parameters.items():
        if names is not None and name not in names:
            continue
        hint, chosen = hints[name], None
        if get_origin(hint) is Annotated and isinstance(get_args(hint)[1], tuple):
            hint, chosen = get_args(hint)
        is_partial = get_origin(hint) is partial
        inner: Any = get_args(hint)[0] if is_partial else hint
        if is_dataclass(inner):
            settings[name] = _spread(inner, chosen, partly=is_partial)  # type: ignore[arg-type]
        elif get_origin(hint) is Annotated:
            own.append(parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY))
        elif name in described and "help" in described[name].metadata:
            own.append(_option(described[name], hint))

    def call(values: Mapping[str, object]) -> object:
        arguments = {each.name: values[each.name] for each in own}
        arguments |= {name: make(values) for name, (_, make) in settings.items()}
        return partial(made, **arguments) if partly else made(**arguments)

    return own + [each for options, _ in settings.values() for each in options], call


def _option(described: "Field[Any]", kind: object) -> inspect.Parameter:
    """A field of a settings object as the parameter that Typer makes an option of.

    Metadata: ``help``, ``flags`` where the name is not the field's, ``type`` where Typer cannot
    take the field's, and whatever else `typer.Option` takes.
    """
    words = dict(described.metadata)
    flags = [words.pop("flags")] if "flags" in words else []
    kind = words.pop("type", kind)
    option = typer.Option(*flags, **words, show_default=described.default is not None)
    annotation: Any = Annotated[kind, option]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(
        described.name, keyword, default=described.default, annotation=annotation
    )


def known_backbones(value: str | list[str] | None) -> str | list[str] | None:
    """The names as given, refused before any work is done where one of them means nothing.

    Raises:
        UnknownBackboneError: a name is no backbone's; the message has the nearest.
    """
    for name in [value] if isinstance(value, str) else value or ():
        parse_name(shape_and_seed(name)[0])
    return value


def backbone_option(help: str, default: str | bool = True) -> Any:
    """``--backbone``, ``-b``; of a list, it may be given repeatedly."""
    names = ("--backbone", "-b")
    return typer.Option(*names, help=help, show_default=default, callback=known_backbones)


Backbone = Annotated[
    str, backbone_option("RN50, ViT-B/32, ..., tiny-rn, tiny-vit, hf-hub:org/name or a file.")
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


@dataclass
class Sets:
    """The data sets of a command, and the backbones that look at them; counts what goes wrong."""

    dataset: Annotated[
        str, typer.Argument(help='koniq, ..., "all", what your own list is called, or a pack.')
    ]
    choices: Choices
    encoder: Annotated[ScoreConfig, ("device", "precision", "weights_dir", "offline", "quick_gelu")]
    extract: partial[Extractor]
    root: Annotated[
        Path | None, typer.Option(help="Folder of the data set, or one above it.", exists=True)
    ] = None
    backbone: Annotated[
        list[str] | None, backbone_option("May be given repeatedly.", "RN50, or a pack's own")
    ] = None
    quiet: Quiet = False
    failed: int = field(default=0, init=False)

    @cached_property
    def manifests(self) -> list[Manifest]:
        """The manifests of a data set by name, or of all that lie under the root."""
        folders = {self.dataset: self.root}
        if self.dataset == "all" and self.choices.annotations is None:
            if self.root is None:
                raise typer.BadParameter("say where the data sets lie", param_hint="--root")
            folders = dict(find_datasets(self.root))
            if not folders:
                raise typer.BadParameter("no data set was found there", param_hint="--root")
        opened = [open_dataset(name, folder, self.choices) for name, folder in folders.items()]
        for manifest in opened:
            if manifest.note:
                typer.echo(f"{manifest.dataset} in {manifest.root}: {manifest.note}", err=True)
        return opened

    def extractors(self) -> Iterator[Extractor]:
        """One a backbone; where none is named, the paper's or a pack's own."""
        if not self.backbone and not self.manifests[0].has_pictures:
            yield self.extract(open_pack(self.manifests[0].root), progress=not self.quiet)
            return
        for name in self.backbone or ["RN50"]:
            scorer = Maclip.from_config(replace(self.encoder, backbone=name))
            yield self.extract(scorer, progress=not self.quiet)

    def only(self, what: str) -> tuple[Extractor, Manifest]:
        """The one backbone and the one data set of a command that makes ``what`` of them."""
        if len(self.manifests) > 1 or len(self.backbone or ()) > 1:
            raise typer.BadParameter(f"{what} is made of one data set, by one backbone")
        return next(self.extractors()), self.manifests[0]

    def report(self, table: pd.DataFrame, manifest: Manifest) -> None:
        """Says which pictures could not be used, and how many of all.

        Those that the copy at hand lacks count too; what a pack was made without is no failure.
        """
        failed = name_failures(table)
        if failed:
            typer.secho(f"{failed} of {len(table)} pictures could not be used", err=True)
        self.failed += failed + len(manifest.missing) * manifest.has_pictures

    def end(self) -> None:
        """Exit status 1 where a picture could not be used."""
        if self.failed:
            raise typer.Exit(1)


def show(table: pd.DataFrame, digits: str = ".4f", *, index: bool = False) -> None:
    """Prints a table, its numbers with so many digits."""
    typer.echo(table.to_string(index=index, float_format=f"{{:{digits}}}".format))


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
    suffixes: Sequence[str] = (".parquet", ".csv"),
    folder: Path | None = None,
) -> None:
    """Stops, before any work is done, where an output exists or cannot be written.

    ``folder`` is one that will be made where it is absent.
    """
    if output is None:
        return
    parent = output.parent
    if parent == folder and not parent.exists():
        parent = parent.parent
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
        try_to_write(parent / record_path(output).name)
    except OSError as error:
        raise typer.BadParameter(
            f"{output} and its record cannot be written: {error.strerror}", param_hint="-o"
        ) from error
