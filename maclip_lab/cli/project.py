"""``maclip-lab demo|lab``: a dozen photographs scored and ranked; the notebooks opened."""

import importlib.util
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from maclip_lab import plots
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.cli import options
from maclip_lab.datasets import EDITIONS, make_synthetic
from maclip_lab.errors import MaclipError
from maclip_lab.evaluation import breakdown, evaluate
from maclip_lab.features.packs import SHIPPED, open_pack, shipped_pack
from maclip_lab.files.provenance import provenance_record, write_result, write_table
from maclip_lab.scorer import Maclip, score_folder

_CHECKOUT = Path(__file__).resolve().parents[2]
_FIRST = "notebooks/00_quickstart.ipynb"
EDITION = EDITIONS["synthetic-demo"]
CUES = {"CLIP-style cosine (Q_cos)": "q_cos", "magnitude (Q_mag)": "q_mag", "MA-CLIP": "score"}


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the figure and the table.")
    ] = Path("build/demo"),
    backbone: options.Backbone = "tiny-rn",
    quiet: options.Quiet = False,
) -> None:
    """Score a dozen photographs, clean and degraded, offline; print the ranking, draw a figure."""
    types = ", ".join(EDITION.types)
    typer.echo(f"Scoring a dozen photographs, clean and under {types}, with {backbone}")
    scorer = Maclip(backbone, offline=True)
    table = ranked_photographs(output, scorer, progress=not quiet)
    shown = table[["name", "score", "q_cos", "q_mag", "w_cos"]]
    shown.insert(0, "rank", range(1, len(shown) + 1))
    typer.echo(f"\nThe ten best and the ten worst of {len(shown)}")
    for part in (shown.head(10), shown.tail(10)):
        options.show(part, ".3f")
    agreement = agreement_with_severity(table)
    typer.echo(f"\nSRCC with severity ({backbone}, synthetic pictures, pseudo-MOS)")
    options.show(agreement, "+.3f", index=True)
    question = "SRCC with people's opinion, another question"
    typer.echo(f"\n{question} ({backbone}, packs of real pictures)")
    opinion, absent = agreement_with_opinion(scorer)
    if len(opinion.columns):
        options.show(opinion, "+.3f", index=True)
    for reason in absent:
        typer.echo(reason)
    within = agreement.loc["MA-CLIP", "within a photograph"]
    figure, written = write_demo(table, within, output)
    typer.echo(
        f"\nFigure: {figure}\nTable:  {written}\n\nNext:\n"
        "  maclip-lab score your/photos -o scores.csv --backbone tiny-rn    your own pictures\n"
        "  maclip-lab weights fetch RN50                                   the paper's backbone\n"
        "  make lab                                                        the notebooks"
    )


def lab(
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open the notebooks in JupyterLab, on this machine alone and with its token."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise typer.BadParameter("JupyterLab is not installed; pip install 'maclip-lab[lab]'")
    command = [sys.executable, "-m", "jupyterlab"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    if (_CHECKOUT / _FIRST).is_file():  # the whole checkout, for notebooks link to files above them
        command += [f"--ServerApp.root_dir={_CHECKOUT}", f"--LabApp.default_url=/lab/tree/{_FIRST}"]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    raise typer.Exit(subprocess.call(command))


def ranked_photographs(folder: Path, scorer: Maclip, *, progress: bool = False) -> pd.DataFrame:
    """Degraded photographs made under ``folder`` and scored, best first."""
    manifest = make_synthetic(folder, EDITION)
    paths = [manifest.root / path for path in manifest.table["path"]]
    scores = score_folder(paths, scorer, progress=progress)
    facts = manifest.table[["name", "ref_id", "dist_type", "dist_level", "mos"]]
    table = pd.concat([facts.reset_index(drop=True), scores], axis=1)
    table = table.sort_values("score", ascending=False, ignore_index=True)
    table.attrs = scores.attrs | manifest.facts | {"data": {"opened": {"name": EDITION.name}}}
    return table


def agreement_with_severity(table: pd.DataFrame) -> pd.DataFrame:
    """SRCC of every cue with severity, within a photograph and over all."""
    predictions = table[list(CUES.values())].set_axis(list(CUES), axis=1)
    whole = evaluate(predictions, table["mos"], clusters=table["ref_id"]).set_index("method")
    within = breakdown(predictions, table["mos"], table["ref_id"], min_n=5)
    agreement = whole[["srcc", "srcc_lo", "srcc_hi"]]
    agreement = agreement.set_axis(["over all", "95 % from", "to"], axis=1)
    agreement.insert(0, "within a photograph", within.groupby("method")["srcc"].mean())
    return agreement.rename_axis("cue")


def agreement_with_opinion(scorer: Maclip) -> tuple[pd.DataFrame, list[str]]:
    """SRCC of every cue with people's opinion of the shipped packs, and why some are absent."""
    table, absent = pd.DataFrame(index=list(CUES.values())), []
    for name in SHIPPED:
        try:
            view = open_pack(shipped_pack(name, scorer.backbone.name)).crops
        except MaclipError as error:
            absent.append(str(error))
            continue
        rated = score_store(view, scorer.anchors).dropna(subset=["score", "mos"])
        agreement = rated[table.index].corrwith(rated["mos"], method="spearman")
        table[f"{name}, n={len(rated)}"] = agreement
    return table.set_axis(list(CUES)).rename_axis("cue"), absent


def write_demo(table: pd.DataFrame, within: float, folder: Path) -> tuple[Path, Path]:
    """Writes ``ranking.png`` and ``scores.csv``, each whole or not at all, with its record."""
    label = table["name"].str.removesuffix(".png").str.replace(".", "\n", n=1)
    label = label.str.replace("[._]", " ", regex=True)
    steps = [round(i * (len(table) - 1) / 11) for i in range(12)]
    title = f"Better pictures rank first: SRCC {within:.2f} with severity within a photograph"
    title += f" ({table.attrs['backbone']})"
    shown = table["path"].iloc[steps].tolist()
    drawing = plots.ranking(table.assign(label=label), shown, title=title)
    save = partial(drawing.savefig, format="png")
    figure = write_result(save, folder / "ranking.png", provenance_record(table.attrs))
    return figure, write_table(table, folder / "scores.csv")
