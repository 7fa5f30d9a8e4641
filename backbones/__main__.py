"""How the embedded backbones are made: ``python -m backbones train|validate|measure|report``.

Photographs and what people said of them are degraded in known ways (`bank`), captions say how good
they look (`captions`), a tiny CLIP (`model`) learns to match both (`train`), and what it then shows
on photographs and opinions it never saw becomes one table and a page (`measure`).
"""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Annotated, Any, Literal

import pandas as pd
import torch
import typer
from safetensors import safe_open
from tqdm import tqdm

from backbones import measure as measuring
from backbones.bank import BankSettings, collect, open_bank, render_bank
from backbones.captions import SEEN_TYPES, UNSEEN_TYPES
from backbones.model import RECIPES
from backbones.train import LOSSES, Losses, Trainer, export
from maclip_lab.datasets import open_dataset
from maclip_lab.files.atomic import write_bytes
from maclip_lab.images import find_pictures
from maclip_lab.scorer import Maclip

SIDES = (128, 224)  # of the views in the banks of the two phases, in pixels
EVERY = 200

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Runs = Annotated[Path, typer.Argument(help="where banks, checkpoints and tables go")]
Folders = Annotated[list[Path], typer.Argument(help="of photographs, with captions.tsv or without")]
Instead = typer.Option(help="instead of the recipe's")


@app.command()
def train(
    runs: Runs,
    folders: Folders,
    architecture: Literal["rn", "vit"] = "rn",
    seed: int = 0,
    steps: Annotated[int | None, Instead] = None,
    late_steps: Annotated[int | None, Instead] = None,
    views: int = 60_000,
    late_views: int = 10_300,
    workers: Annotated[int, typer.Option(help="processes that render")] = 1,
    device: str = "cpu",
) -> None:
    """Train one backbone from folders of photographs, or go on with a run that was stopped."""
    collection = collect(folders)
    for note in collection.notes:
        typer.echo(note)
    for side, samples in zip(SIDES, (views, late_views), strict=True):
        settings = BankSettings(samples=samples, side=side)
        for note in render_bank(collection.training, runs / f"bank{side}", settings, workers):
            typer.echo(note)
    typer.echo(f"{views} and {late_views} views of {len(collection.training)} photographs")
    recipe = replace(RECIPES[architecture], seed=seed)
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    recipe = recipe if late_steps is None else replace(recipe, late_steps=late_steps)
    first, late = (open_bank(runs / f"bank{side}") for side in SIDES)
    trainer = Trainer(first, recipe, late, device)
    run = f"{architecture}{seed}"
    with tqdm(total=recipe.total_steps, desc=run, mininterval=30) as bar:
        trainer.run(None, _log(runs / f"{run}.losses.csv", bar), runs / f"{run}.pt", EVERY)
    story = {
        "run": run,
        "trained": "by this project's backbones/ from scratch",
        "recipe": repr(recipe),
        "samples": str(recipe.steps * recipe.batch + recipe.late_steps * recipe.late_batch),
        "device": device,
    }
    export(trainer.average, trainer.rows, runs / f"{run}.safetensors", story)


@app.command()
def validate(runs: Runs, run: str, folders: Folders, threads: int = 1) -> None:
    """What the choice between seeds is made by: validation photographs and their sentences."""
    scorer, collection = _scorer(runs, run, threads), collect(folders)
    path = runs / f"{run}.{measuring.CHOOSING_CAPTIONS}.parquet"
    _keep(path, collection.choosing, partial(measuring.caption_ranks, scorer))
    harmed = partial(measuring.degraded_scores, scorer, types=SEEN_TYPES, levels=(1, 3, 5))
    _keep(runs / f"{run}.{measuring.CHOOSING}.parquet", collection.severity[0], harmed)


@app.command()
def measure(
    runs: Runs,
    run: str,
    folders: Folders,
    held_out: Annotated[Path, typer.Option(help="never trained on")] = Path("data/photos"),
    rated: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH of a data set's folder or list of scores")
    ] = None,
    threads: int = 1,
) -> None:
    """Measure one run on what neither trained nor chose; tables that exist already are kept."""
    scorer, collection = _scorer(runs, run, threads), collect(folders)
    ranks, scores = (partial(f, scorer) for f in (measuring.caption_ranks, measuring.rated_scores))
    _keep(runs / f"{run}.retrieval.parquet", collection.retrieval, ranks)
    for given in rated or []:
        name, _, place = given.partition("=")
        _keep(runs / f"{run}.{name}.parquet", _opinions(name, Path(place)), scores)
    types = (*SEEN_TYPES, *UNSEEN_TYPES)
    harmed = partial(measuring.degraded_scores, scorer, types=types)
    _keep(runs / f"{run}.photos.parquet", sorted(find_pictures(held_out)), harmed)
    _keep(runs / f"{run}.further.parquet", collection.severity[1], harmed)


@app.command()
def report(runs: Runs, backbones: Path = Path("data/backbones")) -> None:
    """Gather ``runs.csv``, ship the runs the rule chooses, and write their figures on the page.

    Seeds may be trained apart: rows of runs that are not here stay, unless those that are here have
    another recipe.
    """
    tables = {}
    for run in sorted(path.stem for path in runs.glob("*.safetensors")):
        made = sorted(runs.glob(f"{run}.*.parquet"))
        tables[run] = measuring.run_rows(
            run, {p.name.split(".")[1]: pd.read_parquet(p) for p in made}
        )
    table, readme = backbones / "runs.csv", backbones / "README.md"
    for run, rows in measuring.read_runs(table).groupby("run") if table.exists() else ():
        kind = run.rstrip("0123456789")
        shipped = _recipe(backbones / f"tiny-{kind}.safetensors")
        alike = (_recipe(path) == shipped for path in runs.glob(f"{kind}?*.safetensors"))
        if run not in tables and all(alike):
            tables[run] = rows
    together = pd.concat([tables[run] for run in sorted(tables)])
    together.to_csv(table, index=False, float_format="%.4f", lineterminator="\n")
    figures = measuring.read_runs(table)
    for name, run in measuring.choose(figures).items():
        if (runs / f"{run}.safetensors").exists():
            copyfile(runs / f"{run}.safetensors", backbones / f"{name}.safetensors")
    readme.touch()
    words, _, _ = readme.read_text(encoding="utf-8").partition(measuring.HEADING)
    readme.write_text(words + measuring.page(figures, measuring.choose(figures)), encoding="utf-8")


def _log(path: Path, bar: tqdm) -> Callable[[int, Losses], None]:
    """Shows every step and, wherever the run is saved, appends the losses' means to a table."""
    recent: list[Losses] = []

    def log(step: int, losses: Losses) -> None:
        bar.update(step - bar.n)
        recent.append(losses)
        if step % EVERY == 0:
            means = pd.DataFrame(recent, columns=list(LOSSES)).mean().round(4).to_frame(step).T
            means.to_csv(path, mode="a", header=not path.exists(), index_label="step")
            recent.clear()

    return log


def _scorer(runs: Path, run: str, threads: int) -> Maclip:
    """The method with its defaults on a run's file, as anyone who loads it will have it."""
    torch.set_num_threads(threads)
    return Maclip(str(runs / f"{run}.safetensors"), device="cpu")


def _opinions(name: str, place: Path) -> list[tuple[Path, float]]:
    if place.is_file():
        data = open_dataset(str(place))
    else:
        data = open_dataset(name, place, variant="paper")
    return list(zip(data.paths, data.table["mos"], strict=True))


def _keep(path: Path, pictures: Sequence[Any], make: Callable[..., pd.DataFrame]) -> None:
    """Make a table of pictures unless it exists."""
    if not pictures:
        typer.echo(f"no photographs were held out for {path.name}")
    elif not path.exists():
        write_bytes(path, make(pictures).to_parquet())


def _recipe(path: Path) -> str:
    """What a file tells of its recipe, but for the seed; nothing where there is no file."""
    if not path.exists():
        return ""
    with safe_open(path, "pt") as file:
        return re.sub(r"seed=\d+", "seed", (file.metadata() or {}).get("recipe", ""))


def main() -> None:
    """Run a command; what it refuses is said in one line."""
    try:
        app()
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
