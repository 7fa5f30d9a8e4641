"""``maclip-lab datasets``: where to get a data set, what belongs to it, whether a copy is whole."""

from pathlib import Path
from typing import Annotated

import typer

from maclip_lab.cli import options

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Data set, such as koniq or TID2013.")]


@app.command("list")
def list_() -> None:
    """List the data sets that are known."""
    from maclip_lab.datasets import list_datasets

    typer.echo(list_datasets().to_string(index=False))


@app.command()
def show(name: Name) -> None:
    """Show one data set: where to get it, licence, layout, counts, range and direction."""
    from maclip_lab.datasets import show_card

    typer.echo(show_card(name))


@app.command()
def check(
    name: Name,
    root: Annotated[
        Path, typer.Option(help="Folder it was unpacked to.", exists=True, file_okay=False)
    ],
    variant: options.Variant = "standard",
    resolution: options.Resolution = None,
    decode: Annotated[
        bool, typer.Option(help="Open every picture in full, which also checks its size.")
    ] = True,
    workers: Annotated[
        int | None, typer.Option(help="Threads that decode; else one a processor, up to 8.", min=1)
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Check a copy on disk; exit status 1 if something is wrong that matters."""
    from functools import partial

    from tqdm.auto import tqdm

    from maclip_lab.datasets import Choices, check_dataset

    report = check_dataset(
        name,
        root,
        Choices(variant=variant, resolution=resolution),
        decode=decode,
        workers=workers,
        progress=None if quiet else partial(tqdm, unit="picture"),
    )
    typer.echo(str(report))
    if not report.ok:
        raise typer.Exit(1)
