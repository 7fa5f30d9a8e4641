"""The project itself: the demonstration, the notebooks, the check of a set-up."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from maclip_lab.cli import options

_CHECKOUT = Path(__file__).resolve().parents[2]
_FIRST = "notebooks/00_quickstart.ipynb"


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the figure and the table.")
    ] = Path("build/demo"),
    backbone: options.Backbone = "tiny-rn",
    quiet: options.Quiet = False,
) -> None:
    """Score a dozen photographs, clean and degraded, offline; print the ranking, draw a figure."""
    from maclip_lab.cli.demo import TYPES, run_demo, write_demo

    typer.echo(f"Scoring a dozen photographs, clean and under {', '.join(TYPES)}, with {backbone}")
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


def doctor() -> None:
    """Check this set-up: versions, device, caches, weights; exit status 0 if all is well."""
    from maclip_lab.cli.doctor import examine

    findings = examine()
    for row in findings.itertuples():
        typer.echo(f"{row.verdict:4}  {row.what:18} {row.finding}")
    if (findings["verdict"] == "bad").any():
        raise typer.Exit(1)
