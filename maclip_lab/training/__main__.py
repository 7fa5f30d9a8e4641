"""The command line of training: ``python -m maclip_lab.training bank|train|measure|report``."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from tqdm import tqdm

from maclip_lab.training.bank import (
    SEEN_TYPES,
    UNSEEN_TYPES,
    BankSettings,
    find_photographs,
    open_bank,
    render_bank,
    split_photographs,
)
from maclip_lab.training.evaluation import Eye, degraded_scores, validation_scores, within_srcc
from maclip_lab.training.export import export, shipped_clip
from maclip_lab.training.loop import Trainer
from maclip_lab.training.recipe import RECIPES
from maclip_lab.training.report import (
    biq_pictures,
    clive_pictures,
    figures,
    page,
)

CHOOSING = 10
"""Validation photographs that choose between seeds; as many others measure."""

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def bank(photographs: Path, folder: Path, samples: int = 12_000, seed: int = 0) -> None:
    """Render the training pictures from a folder of photographs."""
    settings = BankSettings(samples=samples, seed=seed)
    training, _ = split_photographs(find_photographs(photographs), settings)
    render_bank(training, folder, settings)
    typer.echo(f"{samples} samples of {len(training)} photographs in {folder}")


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="the rendered bank")],
    runs: Annotated[Path, typer.Argument(help="where checkpoints and backbones go")],
    architecture: str = "rn",
    seed: int = 0,
    steps: Annotated[int | None, typer.Option(help="instead of the recipe's")] = None,
    device: str = "cpu",
) -> None:
    """Train one backbone, or go on with a run that was stopped."""
    recipe = replace(RECIPES[architecture], seed=seed)
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    trainer = Trainer(open_bank(folder), recipe, device)
    runs.mkdir(parents=True, exist_ok=True)
    name = f"{architecture}{seed}"
    with tqdm(total=recipe.total_steps, desc=name) as bar:

        def show(step: int, quality: float, faults: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(quality=f"{quality:.4f}", faults=f"{faults:.4f}")

        trainer.run(report=show, checkpoint=runs / f"{name}.pt")
    story = {
        "trained": "by maclip_lab.training from scratch",
        "recipe": repr(recipe),
        "samples": str(recipe.samples),
    }
    export(trainer.clip.state_dict(), trainer.rows, runs / f"{name}.safetensors", story)


@app.command()
def measure(
    runs: Path,
    name: str,
    photographs: Annotated[Path, typer.Option(help="those the bank was rendered from")],
    held_out: Annotated[Path, typer.Option(help="photographs never trained on")] = Path(
        "data/photos"
    ),
    rated: Annotated[Path | None, typer.Option(help="folder with CLIVE and BIQ2021")] = None,
    threads: int = 1,
) -> None:
    """Measure one run; tables that exist already are kept.

    The validation score, degraded photographs (those held out, and ten of the bank's that neither
    trained nor chose between seeds), and human opinions.
    """
    torch.set_num_threads(threads)
    clip = shipped_clip(runs / f"{name}.safetensors")
    eye, types = Eye(clip), (*SEEN_TYPES, *UNSEEN_TYPES)
    _, kept = split_photographs(find_photographs(photographs), BankSettings())

    def keep(table: str, make: Callable[[], pd.DataFrame]) -> None:
        path = runs / f"{name}.{table}.parquet"
        if not path.exists():
            make().to_parquet(path)

    def opinions(pairs: list[tuple[Path, float]]) -> pd.DataFrame:
        rows = [eye(Image.open(path).convert("RGB")) | {"mos": mos} for path, mos in pairs]
        return pd.DataFrame(rows)

    keep("validation", lambda: validation_scores(clip, kept[:CHOOSING], SEEN_TYPES))
    keep("photos", lambda: degraded_scores(eye, find_photographs(held_out), types))
    if rated is not None:
        keep("CLIVE", lambda: opinions(clive_pictures(rated)))
    keep("further", lambda: degraded_scores(eye, kept[CHOOSING : 2 * CHOOSING], types))
    if rated is not None:
        keep("BIQ2021", lambda: opinions(biq_pictures(rated / "BIQ2021")))


@app.command()
def report(runs: Path, backbones: Path = Path("data/backbones"), commit: str = "") -> None:
    """Choose by the validation score, ship the chosen seeds, write the page beside them.

    A shipped file that tells the same story already is left as it is.
    """
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    validation: dict[str, float] = {}
    for path in sorted(runs.glob("*.validation.parquet")):
        name = path.name.removesuffix(".validation.parquet")
        validation[name] = float(within_srcc(pd.read_parquet(path), "q_cos").mean())
        found = {p.name.split(".")[1]: pd.read_parquet(p) for p in runs.glob(f"{name}.*.parquet")}
        tables[name] = figures(found, UNSEEN_TYPES)
    chosen = {}
    for architecture, recipe in RECIPES.items():
        seeds = [name for name in validation if name.rstrip("0123456789") == architecture]
        best = max(seeds, key=lambda name: validation[name])
        chosen[f"tiny-{architecture}"] = best
        state = torch.load(runs / f"{best}.pt", weights_only=True)
        rows = _token_rows(runs / f"{best}.safetensors")
        story = {
            "trained": "by maclip_lab.training from scratch; see README.md beside this file",
            "photographs": "270 of BSDS500's training and validation photographs, degraded",
            "recipe": repr(replace(recipe, seed=state["recipe"]["seed"])),
            "run": best,
            "commit": commit,
            "validation": f"{validation[best]:.4f}",
        }
        path = backbones / f"tiny-{architecture}.safetensors"
        if not path.exists() or not story.items() <= _story(path).items():
            shown = tables[best]["photos"].round(3).to_json(orient="records")
            export(state["clip"], rows, path, story | {"figures": shown})
    words = Path(__file__).with_name("report.md").read_text()
    (backbones / "README.md").write_text(words + "\n" + page(tables, chosen))


def _story(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def _token_rows(path: Path) -> torch.Tensor:
    return load_file(path)["token_embedding.rows"]


if __name__ == "__main__":
    app()
