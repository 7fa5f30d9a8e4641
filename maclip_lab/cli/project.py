"""``maclip-lab demo|lab``: a dozen photographs scored and ranked; the notebooks opened."""

import importlib.util
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Annotated, NamedTuple

import pandas as pd
import typer

from maclip_lab import plots
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.cli import options
from maclip_lab.datasets import EDITIONS, make_synthetic
from maclip_lab.errors import MaclipError
from maclip_lab.evaluation import breakdown, evaluate, spearman
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
    found = run_demo(output, backbone, progress=not quiet)
    shown = found.table[["name", "score", "q_cos", "q_mag", "w_cos"]]
    shown.insert(0, "rank", range(1, len(shown) + 1))
    typer.echo("\nThe ten best and the ten worst of " + str(len(shown)))
    for part in (shown.head(10), shown.tail(10)):
        typer.echo(part.to_string(index=False, float_format="{:.3f}".format))
    typer.echo(f"\nSRCC with severity ({backbone}, synthetic pictures, pseudo-MOS)")
    typer.echo(found.agreement.to_string(float_format="{:+.3f}".format))
    typer.echo(
        f"\nSRCC with people's opinion, another question ({backbone}, packs of real pictures)"
    )
    if len(found.opinion.columns):
        typer.echo(found.opinion.to_string(float_format="{:+.3f}".format))
    for reason in found.without:
        typer.echo(reason)
    figure, table = write_demo(found, output)
    typer.echo(
        f"\nFigure: {figure}\nTable:  {table}\n\nNext:\n"
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
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command.append(f"--ServerApp.port={port}")
    if (_CHECKOUT / _FIRST).is_file():  # the whole checkout, for notebooks link to files above them
        command.append(f"--ServerApp.root_dir={_CHECKOUT}")
        command.append(f"--LabApp.default_url=/lab/tree/{_FIRST}")
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    raise typer.Exit(subprocess.call(command))


class Demo(NamedTuple):
    """What the demonstration found; ``without`` says in words why a set is absent from opinion."""

    table: pd.DataFrame  # one row a picture, best first; settings and hashes in ``attrs``
    agreement: pd.DataFrame  # one row a cue: SRCC with severity, within a photograph and over all
    opinion: pd.DataFrame  # one row a cue: SRCC with people's opinion of each shipped set
    without: tuple[str, ...] = ()


def run_demo(folder: Path, backbone: str = "tiny-rn", *, progress: bool = False) -> Demo:
    """Makes the degraded photographs under ``folder`` and scores them all."""
    manifest = make_synthetic(folder, EDITION)
    paths = [manifest.root / path for path in manifest.table["path"]]
    scorer = Maclip(backbone, offline=True)
    scores = score_folder(paths, scorer, progress=progress)
    facts = manifest.table[["name", "ref_id", "dist_type", "dist_level", "mos"]]
    table = pd.concat([facts.reset_index(drop=True), scores], axis=1)
    predictions = table[list(CUES.values())].rename(columns={v: k for k, v in CUES.items()})
    whole = evaluate(predictions, table["mos"], clusters=table["ref_id"])
    within = breakdown(predictions, table["mos"], table["ref_id"], min_n=5)
    agreement = pd.DataFrame(
        {
            "within a photograph": within.groupby("method")["srcc"].mean(),
            "over all": whole.set_index("method")["srcc"],
            "95 % from": whole.set_index("method")["srcc_lo"],
            "to": whole.set_index("method")["srcc_hi"],
        }
    ).rename_axis("cue")
    ranked = table.sort_values("score", ascending=False, ignore_index=True)
    ranked.attrs = {**scores.attrs, **manifest.facts}
    return Demo(ranked, agreement, *read_opinion(scorer))


def read_opinion(scorer: Maclip) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """How the cues follow people's opinion on the shipped packs: see `Demo`."""
    columns, without = {}, []
    for name in SHIPPED:
        try:
            view = open_pack(shipped_pack(name, scorer.backbone.name)).crops
        except MaclipError as error:
            without.append(str(error))
            continue
        rated = score_store(view, scorer.anchors).dropna(subset=["score", "mos"])
        columns[f"{name}, n={len(rated)}"] = {
            cue: spearman(rated[column].to_numpy(), rated["mos"].to_numpy())
            for cue, column in CUES.items()
        }
    return pd.DataFrame(columns, index=list(CUES)).rename_axis("cue"), tuple(without)


def write_demo(demo: Demo, folder: Path) -> tuple[Path, Path]:
    """Writes ``ranking.png`` and ``scores.csv``, each whole or not at all, with its record."""
    table, content = demo.table.copy(), BytesIO()
    levels = table["dist_level"].fillna(0).astype(int)
    kinds = table["dist_type"].fillna("clean").str.replace("_", " ")
    table["label"] = table["ref_id"] + "\n" + kinds + " " + levels.astype(str).replace("0", "")
    steps = [round(i * (len(table) - 1) / 11) for i in range(12)]
    within = demo.agreement.loc["MA-CLIP", "within a photograph"]
    drawing = plots.ranking(
        table,
        table["path"].iloc[steps].tolist(),
        title=f"Better pictures rank first: SRCC {within:.2f} with severity within a photograph "
        f"({table.attrs['backbone']})",
    )
    drawing.savefig(content, format="png")
    record = provenance_record(table.attrs)
    figure = write_result(content.getvalue(), folder / "ranking.png", record)
    return figure, write_table(demo.table, folder / "scores.csv")
