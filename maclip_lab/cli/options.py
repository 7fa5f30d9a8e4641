"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from maclip_lab.files.atomic import RECORD_SUFFIX, try_to_write
from maclip_lab.weights.backbones import parse_name


def known_backbones(value: str | list[str] | None) -> str | list[str] | None:
    """The names as given, refused before any work is done where one of them means nothing.

    Raises:
        UnknownBackboneError: a name is no backbone's; the message has the nearest.
    """
    for name in [value] if isinstance(value, str) else value or ():
        parse_name(name)
    return value


Backbone = Annotated[
    str,
    typer.Option(
        "--backbone",
        "-b",
        help="RN50, ViT-B/32, ..., tiny-rn, tiny-vit, hf-hub:org/name or a file.",
        callback=known_backbones,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16 or fp16, of the encoder alone.")]
WeightsDir = Annotated[
    Path | None, typer.Option(help="Folder to look for weights in first.", file_okay=False)
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Never use the network.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.", show_default=False)]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing output.", show_default=False)
]
Variant = Annotated[
    Literal["standard", "paper"],
    typer.Option(help='"standard", or "paper" for exactly the list published with MA-CLIP.'),
]
Resolution = Annotated[
    str | None, typer.Option(help="Of KonIQ-10k: 1024x768, the default, or 512x384.")
]
BoxLam = Annotated[float, typer.Option(help="Exponent of the Box-Cox transform; 0 is the log.")]
BaseCos = Annotated[float, typer.Option(help="Base of the cosine cue's weight.")]
BaseNorm = Annotated[float, typer.Option(help="Base of the magnitude cue's weight.")]
Alpha = Annotated[float, typer.Option(help="How far weights follow the cues' difference.")]


def refuse_existing(output: Path | None, overwrite: bool, folder: Path | None = None) -> None:
    """Stops, before any work is done, where an output exists or cannot be written.

    Args:
        output: the file; None for none.
        overwrite: whether it may be replaced.
        folder: one that will be made where it is absent.

    Raises:
        typer.BadParameter: the file exists, or its folder does not, or its suffix is unknown, or
            nothing can be written there.
    """
    if output is None:
        return
    if output.suffix not in (".parquet", ".csv"):
        raise typer.BadParameter(f"{output} ends in neither .parquet nor .csv", param_hint="-o")
    if os.path.isdir(output):
        raise typer.BadParameter(f"{output} is a folder", param_hint="-o")
    if os.path.lexists(output) and not overwrite:
        raise typer.BadParameter(f"{output} exists; --overwrite replaces it", param_hint="-o")
    made = output.parent == folder and not output.parent.exists()
    parent = output.parent.parent if made else output.parent
    if not os.path.isdir(parent):
        raise typer.BadParameter(f"the folder {parent} does not exist", param_hint="-o")
    try:
        try_to_write(parent / (output.name + RECORD_SUFFIX))
    except OSError as error:
        raise typer.BadParameter(
            f"{output} and its record cannot be written: {error.strerror}", param_hint="-o"
        ) from error
