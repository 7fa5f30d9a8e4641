"""``maclip-lab weights``: which backbones are at hand, fetching them, checking them."""

from pathlib import Path
from typing import Annotated

import typer

from maclip_lab.cli import options

app = typer.Typer(no_args_is_help=True)
Name = Annotated[
    str,
    typer.Argument(
        help="RN50, ViT-B/32, tiny-rn, hf-hub:org/name or a file.", callback=options.known_backbones
    ),
]


@app.command("list")
def list_() -> None:
    """List the backbones that have names, and which of them are on this machine."""
    import pandas as pd

    from maclip_lab.weights.loading import list_backbones

    table = pd.DataFrame(list_backbones())
    table["present"] = table["present"].map({True: "yes", False: "no"})
    table["MB"] = [f"{size / 1e6:.1f}" if size == size else "" for size in table.pop("size")]
    digests = table.pop("sha256").fillna("")
    table["sha256"] = [f"{digest[:12]}..." if digest else "" for digest in digests]
    typer.echo(table.to_string(index=False))


@app.command()
def fetch(
    name: Name, weights_dir: options.WeightsDir = None, offline: options.Offline = False
) -> None:
    """Have a backbone's weights on this machine, verified."""
    from maclip_lab.weights.loading import fetch as fetch_weights

    found = fetch_weights(name, weights_dir=weights_dir, offline=offline or None)
    typer.echo(f"{name}: {found.path}\nsha256 {found.sha256}, from {found.source}")


@app.command()
def verify(
    name: Name,
    pictures: Annotated[
        list[Path] | None,
        typer.Option(
            help="I01.BMP or i01_01_5.bmp of TID2013, to check a known answer of RN50; repeatable."
        ),
    ] = None,
    weights_dir: options.WeightsDir = None,
) -> None:
    """Hash a backbone's file anew; with two TID2013 pictures, check known CLIP-IQA scores too."""
    from maclip_lab.weights.loading import load_backbone
    from maclip_lab.weights.loading import verify as verify_weights

    found = verify_weights(name, weights_dir)
    if found.status == "missing":
        typer.echo(f"{found.name}: missing; there is no such file on this machine", err=True)
        raise typer.Exit(1)
    if found.status == "unrecorded":  # nothing to compare with, so at least it must be a CLIP
        load_backbone(name, weights_dir=weights_dir, offline=True)
    typer.echo(f"{found.name}: {found.status}\nfile     {found.path}\nsha256   {found.sha256}")
    typer.echo(f"expected {found.expected or 'unknown: nothing on record to compare with'}")
    good = found.status in ("ok", "unrecorded")
    if good and pictures:
        good = _known_answers(name, pictures, weights_dir)
    if not good:
        raise typer.Exit(1)


def _known_answers(name: str, pictures: list[Path], weights_dir: Path | None) -> bool:
    """Scores the pictures whose CLIP-IQA is published and says whether each is right."""
    from maclip_lab.ablations.published import CLIP_IQA_ANSWERS
    from maclip_lab.scorer import Maclip

    if name.lower() != "rn50":
        raise typer.BadParameter("the known answers are RN50's", param_hint="--pictures")
    scorer, right = Maclip(name, weights_dir=weights_dir), True
    for picture in pictures:
        wanted = CLIP_IQA_ANSWERS.get(picture.name.lower())
        if wanted is None:
            known = ", ".join(CLIP_IQA_ANSWERS)
            raise typer.BadParameter(f"no known answer for {picture.name}; known: {known}")
        got = scorer.clip_iqa(picture)
        near = abs(got - wanted) <= 0.01 * wanted
        right &= near
        typer.echo(
            f"CLIP-IQA {picture.name}: {got:.4f}, published {wanted:.4f}: "
            + ("agrees to 1 %" if near else "DIFFERS by more than 1 %")
        )
    return right
