"""The command line, ``maclip-lab``: thin commands over the package.

Exit status 0 means that everything asked for was done, 1 that something failed, with a summary,
and 2 that the call itself was wrong.
"""

import io
import logging
import os
import sys
import warnings

import typer

from maclip_lab.cli import (
    calibrating,
    datasets,
    experiments,
    explaining,
    project,
    scoring,
    weights,
)
from maclip_lab.cli.interrupts import never_lose_interrupts
from maclip_lab.cli.options import in_options
from maclip_lab.errors import MaclipError, UnknownBackboneError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Magnitude-Aware CLIP: score pictures, evaluate data sets, sweep the method's constants.",
)
app.command()(scoring.score)
app.command()(experiments.features)
app.command()(experiments.pack)
app.command()(experiments.evaluate)
app.command()(experiments.sweep)
app.command()(calibrating.calibrate)
app.add_typer(datasets.app, name="datasets", help="The nine data sets: where, what, whether whole.")
app.add_typer(weights.app, name="weights", help="The backbones' weights: list, fetch, verify.")
app.command()(explaining.explain)
app.command()(project.demo)
app.command()(project.doctor)
app.command()(project.lab)


_INTERRUPTED = 130  # Typer's exit status after Ctrl-C


def main() -> None:
    """Runs the command line; errors become one line, and an exit status as said above."""
    warnings.showwarning = lambda message, *_: _show_warning(message)
    logging.getLogger("maclip_lab").handlers = [_log_handler()]
    sys.argv[1:] = [_from_home(argument) for argument in sys.argv[1:]]
    if sys.stderr is None:  # closed by whoever started us; progress bars need something to write to
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name the terminal cannot show
    never_lose_interrupts()
    try:
        os.getcwd()  # in a folder that was deleted torch cannot find its own libraries
        app()
    except (MaclipError, OSError, ValueError) as error:
        typer.secho(f"error: {in_options(str(error))}", fg="red", err=True)
        misused = not isinstance(error, MaclipError | OSError)
        sys.exit(2 if misused or isinstance(error, UnknownBackboneError) else 1)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            typer.echo("stopped; what was written stays, the same command goes on", err=True)
        raise


def _show_warning(message: Warning | str) -> None:
    """A warning as one line, with the picture that is being read; those of Pillow name none."""
    from maclip_lab.images import being_read

    name = being_read.get()
    where = f"{name}: " if name and name not in str(message) else ""
    typer.secho(f"warning: {where}{in_options(str(message))}", fg="yellow", err=True)


def _log_handler() -> logging.Handler:
    class Words(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"{record.levelname.lower()}: {in_options(record.getMessage())}"

    handler = logging.StreamHandler()
    handler.setFormatter(Words())
    return handler


def _from_home(argument: str) -> str:
    """The argument with ``~`` written out, which shells do not do after ``--option=``."""
    option, sign, value = argument.partition("=")
    if not (sign and option.startswith("--")):
        option, sign, value = "", "", argument
    if not (value == "~" or value.startswith("~/")) or os.path.exists(value):
        return argument
    return option + sign + os.path.expanduser(value)
