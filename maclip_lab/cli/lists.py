"""``maclip-lab datasets`` and ``weights``: what there is, getting it, and whether it is whole."""

from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from tqdm.auto import tqdm

from maclip_lab.ablations.claims import CLIP_IQA_ANSWERS
from maclip_lab.cli import options
from maclip_lab.datasets import Choices, check_dataset, list_datasets, show_card
from maclip_lab.scorer import Maclip, ScoreConfig
from maclip_lab.weights import places
from maclip_lab.weights.loading import load_backbone

datasets = typer.Typer(
    no_args_is_help=True, help="The data sets that are known: where, what, whether whole."
)
weights = typer.Typer(no_args_is_help=True, help="The backbones' weights: list, fetch, verify.")
Name = Annotated[str, typer.Argument(help="Data set, such as koniq or TID2013.")]
Weights = Annotated[
    str,
    typer.Argument(
        help="RN50, ViT-B/32, tiny-rn, hf-hub:org/name or a file.", callback=options.known_backbones
    ),
]


@datasets.command("list")
def list_sets() -> None:
    """List the data sets that are known."""
    typer.echo(list_datasets().to_string(index=False))


@datasets.command()
def show(name: Name) -> None:
    """Show one data set: where to get it, licence, layout, counts, range and direction."""
    typer.echo(show_card(name))


@datasets.command()
@options.spread
def check(
    name: Name,
    root: Annotated[
        Path, typer.Option(help="Folder it was unpacked to.", exists=True, file_okay=False)
    ],
    choices: Annotated[Choices, ("variant", "resolution")],
    decode: Annotated[
        bool, typer.Option(help="Open every picture in full, which also checks its size.")
    ] = True,
    workers: Annotated[
        int | None, typer.Option(help="Threads that decode; else one a processor, up to 8.", min=1)
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Check a copy on disk; exit status 1 if something is wrong that matters."""
    report = check_dataset(
        name,
        root,
        choices,
        decode=decode,
        workers=workers,
        progress=None if quiet else partial(tqdm, unit="picture"),
    )
    typer.echo(str(report))
    if not report.ok:
        raise typer.Exit(1)


@weights.command("list")
def list_weights() -> None:
    """List the backbones that have names, and which of them are on this machine."""
    rows = []
    for model in places.named_backbones():
        copy = places.verify(model.name)[0]
        here = copy.path.is_file()
        size = f"{copy.path.stat().st_size / 1e6:.1f}" if here else ""
        digest = f"{(copy.expected or model.archive or '')[:12]}..."
        where = (copy.path, "yes") if here else (model.repo, "no")
        rows.append((model.name, model.kind, *where, size, digest))
    columns = ["name", "kind", "where", "present", "MB", "sha256"]
    typer.echo(pd.DataFrame(rows, columns=columns).to_string(index=False))


@weights.command()
@options.spread
def fetch(name: Weights, where: Annotated[ScoreConfig, ("weights_dir", "offline")]) -> None:
    """Have a backbone's weights on this machine, verified."""
    file = places.fetch(name, weights_dir=where.weights_dir, offline=where.offline)
    typer.echo(f"{name}: {file.path}\nsha256 {file.sha256}, from {file.source}")


@weights.command()
@options.spread
def verify(
    name: Weights,
    where: Annotated[ScoreConfig, ("weights_dir",)],
    pictures: Annotated[
        list[Path] | None,
        typer.Option(
            help="I01.BMP or i01_01_5.bmp of TID2013, to check a known answer of RN50; repeatable."
        ),
    ] = None,
) -> None:
    """Hash a backbone's file anew; with two TID2013 pictures, check known CLIP-IQA scores too."""
    for picture in pictures or ():
        if name.lower() != "rn50" or picture.name.lower() not in CLIP_IQA_ANSWERS:
            answers = f"the known answers are RN50's for {', '.join(CLIP_IQA_ANSWERS)}"
            raise typer.BadParameter(f"{picture.name}: {answers}", param_hint="--pictures")
    copy = places.verify(name, where.weights_dir)[0]
    expected = copy.expected or "unknown: nothing on record to compare with"
    typer.echo(f"{copy.model.name}: {copy.status}\nfile     {copy.path}")
    typer.echo(f"sha256   {copy.sha256}\nexpected {expected}")
    failed = copy.status in ("missing", "mismatch")
    if copy.status == "unrecorded":  # nothing to compare with, so at least it must be a CLIP
        load_backbone(name, weights_dir=where.weights_dir, offline=True)
    for picture in [] if failed else pictures or ():
        score = Maclip(name, weights_dir=where.weights_dir).clip_iqa(picture)
        published = CLIP_IQA_ANSWERS[picture.name.lower()]
        near = abs(score - published) <= 0.01 * published
        verdict = "agrees to 1 %" if near else "DIFFERS by more than 1 %"
        typer.echo(f"CLIP-IQA {picture.name}: {score:.4f}, published {published:.4f}: {verdict}")
        failed |= not near
    if failed:
        raise typer.Exit(1)
