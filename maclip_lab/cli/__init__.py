"""The command line, ``maclip-lab``: thin commands over the package.

Exit status 0 means that everything asked for was done, 1 that something failed, with a summary,
and 2 that the call itself was wrong.
"""

import io
import os
import sys
import warnings

import typer

from maclip_lab.cli import calibrating, datasets, experiments, project, scoring, weights
from maclip_lab.cli.interrupts import never_lose_interrupts
from maclip_lab.errors import MaclipError, UnknownBackboneError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Magnitude-Aware CLIP: score pictures, evaluate data sets, sweep the method's constants.",
)
app.command()(scoring.score)
app.command()(experiments.features)
app.command()(experiments.evaluate)
app.command()(experiments.sweep)
app.command()(calibrating.calibrate)
app.add_typer(datasets.app, name="datasets", help="The nine data sets: where, what, whether whole.")
app.add_typer(weights.app, name="weights", help="The backbones' weights: list, fetch, verify.")
app.command()(experiments.explain)
app.command()(project.demo)
app.command()(project.doctor)
app.command()(project.lab)


_INTERRUPTED = 130  # Typer's exit status after Ctrl-C


def main() -> None:
    """Runs the command line; errors become one line, and an exit status as said above."""
    warnings.showwarning = lambda message, *_: typer.secho(
        f"warning: {message}", fg="yellow", err=True
    )
    if sys.stderr is None:  # closed by whoever started us; progress bars need something to write to
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name the terminal cannot show
    never_lose_interrupts()
    try:
        os.getcwd()  # in a folder that was deleted torch cannot find its own libraries
        app()
    except (MaclipError, OSError, ValueError) as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        misused = not isinstance(error, MaclipError | OSError)
        sys.exit(2 if misused or isinstance(error, UnknownBackboneError) else 1)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            typer.echo("stopped; what was written stays, the same command goes on", err=True)
        raise
