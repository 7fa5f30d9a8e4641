"""The command line of training: ``python -m maclip_lab.training train|validate|measure|report``."""

import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import pandas as pd
import torch
import typer
from tqdm import tqdm

from maclip_lab.clip.model import CLIP
from maclip_lab.datasets import load_annotations, load_dataset
from maclip_lab.datasets.degradations import LEVELS
from maclip_lab.files.atomic import write_bytes
from maclip_lab.scorer import Maclip
from maclip_lab.training.bank import SEEN_TYPES, UNSEEN_TYPES, BankSettings, open_bank, render_bank
from maclip_lab.training.export import export, same_recipe, ship
from maclip_lab.training.loop import LOSSES, Losses, Trainer
from maclip_lab.training.measuring import caption_ranks, degraded_scores, rated_scores
from maclip_lab.training.photographs import (
    Photograph,
    collect,
    evenly,
    find_photographs,
)
from maclip_lab.training.recipe import RECIPES
from maclip_lab.training.report import page
from maclip_lab.training.runs import (
    CHOOSING,
    CHOOSING_CAPTIONS,
    Row,
    choose,
    opinion_rows,
    read_runs,
    retrieval_rows,
    run_rows,
    severity_rows,
    validation_scores,
    write_runs,
)

SIDES = (128, 224)
"""Of the views in the banks of the two phases, in pixels."""
EVERY = 200

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Runs = Annotated[Path, typer.Argument(help="where banks, checkpoints and tables go")]
Folders = Annotated[
    list[Path], typer.Argument(help="folders of photographs, with captions.tsv or without")
]


@app.command()
def bank(
    runs: Runs, folders: Folders, views: int = 60_000, late_views: int = 10_300, workers: int = 1
) -> None:
    """Render the training pictures, or go on where that was stopped."""
    collection = collect(folders)
    photographs = evenly(collection.training, min(views, late_views))
    if len(photographs) < len(collection.training):
        collection.notes.append(
            f"fewer views than photographs: {len(photographs)} of {len(collection.training)} train"
        )
    for note in collection.notes:
        typer.echo(note)
    for side, samples in zip(SIDES, (views, late_views), strict=True):
        settings = BankSettings(samples=samples, side=side)
        folder = runs / f"bank{side}"
        for note in render_bank(photographs, folder, settings, workers, progress=True):
            typer.echo(note)
    typer.echo(f"{views} and {late_views} views of {len(photographs)} photographs")


@app.command()
def train(
    runs: Runs,
    folders: Folders,
    architecture: str = "rn",
    seed: int = 0,
    steps: Annotated[int | None, typer.Option(help="instead of the recipe's")] = None,
    late_steps: Annotated[int | None, typer.Option(help="instead of the recipe's")] = None,
    views: int = 60_000,
    late_views: int = 10_300,
    workers: Annotated[int, typer.Option(help="processes that render")] = 1,
    device: str = "cpu",
) -> None:
    """Train one backbone from folders of photographs, or go on with a run that was stopped."""
    if architecture not in RECIPES:
        raise ValueError(f"--architecture is {' or '.join(RECIPES)}, got {architecture!r}")
    bank(runs, folders, views, late_views, workers)
    recipe = replace(RECIPES[architecture], seed=seed)
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    recipe = recipe if late_steps is None else replace(recipe, late_steps=late_steps)
    first, late = (open_bank(runs / f"bank{side}") for side in SIDES)
    trainer = Trainer(first, recipe, late, device)
    run = f"{architecture}{seed}"
    with tqdm(total=recipe.total_steps, desc=run, mininterval=30) as bar:
        trainer.run(None, _log(runs / f"{run}.losses.csv", bar), runs / f"{run}.pt", EVERY)
    story = {
        "trained": "by maclip_lab.training from scratch",
        "recipe": repr(recipe),
        "samples": str(recipe.samples),
        "device": device,
    }
    export(trainer.average, trainer.rows, runs / f"{run}.safetensors", story)


@app.command()
def validate(runs: Runs, run: str, folders: Folders, threads: int = 1) -> None:
    """What the choice between seeds is made by: validation photographs and their sentences."""
    torch.set_num_threads(threads)
    scorer, collection = _scorer(runs, run), collect(folders)
    path = runs / f"{run}.{CHOOSING}.parquet"
    _retrieval(runs / f"{run}.{CHOOSING_CAPTIONS}.parquet", scorer, collection.choosing)
    _severity(path, scorer, collection.severity[0], SEEN_TYPES, (1, 3, 5))


@app.command()
def measure(
    runs: Runs,
    run: str,
    folders: Folders,
    held_out: Annotated[Path, typer.Option(help="photographs never trained on")] = Path(
        "data/photos"
    ),
    rated: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH of a data set's folder or list of scores")
    ] = None,
    threads: int = 1,
) -> None:
    """Measure one run on what neither trained nor chose; tables that exist already are kept."""
    torch.set_num_threads(threads)
    scorer, collection = _scorer(runs, run), collect(folders)
    _retrieval(runs / f"{run}.retrieval.parquet", scorer, collection.retrieval)
    for given in rated or []:
        name, _, place = given.partition("=")
        _keep(runs / f"{run}.{name}.parquet", partial(_opinions, scorer, name, Path(place)))
    types = (*SEEN_TYPES, *UNSEEN_TYPES)
    _severity(runs / f"{run}.photos.parquet", scorer, find_photographs(held_out), types)
    _severity(runs / f"{run}.further.parquet", scorer, collection.severity[1], types)


@app.command()
def report(runs: Runs, backbones: Path = Path("data/backbones"), commit: str = "") -> None:
    """Gather ``runs.csv``, ship the runs the rule chooses, and write the page from it.

    A shipped file that tells the same story already is left as it is. Seeds may be trained apart:
    rows of runs that are not here stay, unless those that are here have another recipe.
    """
    tables = {}
    for run in sorted(path.stem for path in runs.glob("*.safetensors")):
        found = {p.name.split(".")[1]: p for p in sorted(runs.glob(f"{run}.*.parquet"))}
        tables[run] = run_rows(run, {name: _rows(path) for name, path in found.items()})
    table = backbones / "runs.csv"
    for run, rows in read_runs(table).groupby("run") if table.exists() else ():
        kind = run.rstrip("0123456789")
        shipped = backbones / f"tiny-{kind}.safetensors"
        alike = (same_recipe(path, shipped) for path in runs.glob(f"{kind}?*.safetensors"))
        if run not in tables and all(alike):
            tables[run] = rows
    write_runs(pd.concat([tables[run] for run in sorted(tables)]), table)
    figures = read_runs(backbones / "runs.csv")
    chosen, validation = choose(figures), validation_scores(figures)
    for name, run in chosen.items():
        source, path = runs / f"{run}.safetensors", backbones / f"{name}.safetensors"
        if source.exists():
            told = {"run": run, "commit": commit, "validation": f"{validation[run]:.4f}"}
            ship(source, path, told)
    words = Path(__file__).with_name("report.md").read_text(encoding="utf-8")
    (backbones / "README.md").write_text(words + "\n" + page(figures, chosen), encoding="utf-8")


def _log(path: Path, bar: tqdm) -> Callable[[int, Losses], None]:
    """Shows every step and, wherever the run is saved, appends the losses' means to a table."""
    recent: dict[str, list[float]] = defaultdict(list)

    def log(step: int, losses: Losses) -> None:
        bar.update(step - bar.n)
        for name, value in losses.items():
            recent[name].append(value)
        if step % EVERY == 0:
            means = {name: float(np.mean(recent[name] or [np.nan])) for name in LOSSES}
            bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
            row = {"step": step} | {name: f"{value:.4f}" for name, value in means.items()}
            with open(path, "a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, row)
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)
            recent.clear()

    return log


def _scorer(runs: Path, run: str) -> Maclip:
    """The method with its defaults on a run's file, as anyone who loads it will have it."""
    return Maclip(str(runs / f"{run}.safetensors"), device="cpu")


def _severity(
    path: Path,
    scorer: Maclip,
    photographs: Sequence[Path],
    types: Sequence[str],
    levels: Sequence[int] = LEVELS,
) -> None:
    if photographs:
        _keep(path, lambda: degraded_scores(scorer, photographs, types, levels))
    else:
        typer.echo(f"no photographs were held out for {path.name}")


def _retrieval(path: Path, scorer: Maclip, photographs: Sequence[Photograph]) -> None:
    if photographs:
        clip = cast(CLIP, scorer.backbone.clip)
        _keep(path, lambda: pd.DataFrame({"rank": caption_ranks(clip, photographs)}))
    else:
        typer.echo(f"no captioned photographs were held out for {path.name}")


def _opinions(scorer: Maclip, name: str, place: Path) -> pd.DataFrame:
    rated = (
        load_dataset(name, place, variant="paper") if place.is_dir() else load_annotations(place)
    )
    return rated_scores(scorer, zip(rated.paths, rated.table["mos"], strict=True))


def _keep(path: Path, make: Callable[[], pd.DataFrame]) -> None:
    """Make a table unless it exists."""
    if not path.exists():
        write_bytes(path, make().to_parquet())


def _rows(path: Path) -> list[Row]:
    table = pd.read_parquet(path)
    if "rank" in table:
        return retrieval_rows(table["rank"].to_numpy(float))
    return opinion_rows(table) if "mos" in table else severity_rows(table)


def main() -> None:
    """Run a command; what it refuses is said in one line."""
    try:
        app()
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
