"""The command line, ``maclip-lab``: thin commands over the package.

Exit status 0 means that everything asked for was done, 1 that something failed, with a summary,
and 2 that the call itself was wrong. A command's module is imported when the command is called.
"""

import importlib
import io
import logging
import os
import signal
import sys
import threading
import warnings
from typing import Any

import typer
import typer.core
import typer.main

from maclip_lab.errors import MaclipError, UnknownBackboneError

COMMANDS = {
    "score": ("score", "Score pictures; a file that cannot be read is a row that says why."),
    "features": ("data", "Extract a data set's features into a store; stopped, it goes on."),
    "pack": ("data", "Put a data set's features, opinions and prompts into one file."),
    "evaluate": ("data", "Evaluate backbones on data sets: correlations with intervals."),
    "sweep": ("data", "Sweep the method's constants over stored features."),
    "calibrate": ("data", "Fit the curve from scores to people's own scale."),
    "reproduce": ("reproduce", "Reproduce the paper's claims: a page, tables and figures."),
    "datasets": ("lists", "The data sets that are known: where, what, whether whole."),
    "weights": ("lists", "The backbones' weights: list, fetch, verify."),
    "explain": ("explain", "Say what a result was made from, and whether it would come out again."),
    "demo": ("project", "Score a dozen photographs, clean and degraded, offline."),
    "doctor": ("explain", "Check this set-up: versions, device, caches, weights."),
    "lab": ("project", "Open the notebooks in JupyterLab."),
}
"""Every command: the module that has a function or a group of its name, and what it does."""

_INTERRUPTED = 130  # Typer's exit status after Ctrl-C
_AGAIN = 0.05  # seconds; a busy machine may be that long in whatever lost it


class Later(typer.core.TyperCommand):
    """A command of the table before its module is imported."""

    def load(self) -> Any:
        """The command itself."""
        from maclip_lab.cli.options import spread

        name = str(self.name)
        command = getattr(importlib.import_module(f"maclip_lab.cli.{COMMANDS[name][0]}"), name)
        if not isinstance(command, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(name)(spread(command))
            command = alone
        return typer.main.get_command(command)

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """The context of the command itself."""
        return self.load().make_context(*arguments, **more)


class _Table(typer.core.TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Later | None:
        return Later(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None


app = typer.Typer(
    cls=_Table,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Magnitude-Aware CLIP: score pictures, evaluate data sets, sweep the method's constants.",
)


@app.callback()
def _group() -> None:
    """Without it Typer would take the table for a single command."""


def main() -> None:
    """Runs the command line; errors become one line, and an exit status as said above."""
    warnings.showwarning = lambda message, *_: _show_warning(message)
    handler = logging.StreamHandler()
    handler.setFormatter(_LowerCase())
    logging.getLogger("maclip_lab").handlers = [handler]
    sys.argv[1:] = map(_from_home, sys.argv[1:])
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


class _LowerCase(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.message}"


def _show_warning(message: Warning | str) -> None:
    """A warning as one line, with the picture that is being read; those of Pillow name none."""
    from maclip_lab.images import being_read

    name = being_read.get()
    where = f"{name}: " if name and name not in str(message) else ""
    typer.secho(f"warning: {where}{message}", fg="yellow", err=True)


def _from_home(argument: str) -> str:
    """The argument with ``~`` written out, which shells do not do after ``--option=``."""
    option, sign, value = argument.partition("=")
    if not (sign and option.startswith("--")):
        option, sign, value = "", "", argument
    if not (value == "~" or value.startswith("~/")) or os.path.exists(value):
        return argument
    return option + sign + os.path.expanduser(value)


def never_lose_interrupts() -> None:
    """From now on, Ctrl-C always stops a run.

    Where Python raises it in a callback whose exceptions nobody can catch, such as a ``__del__``,
    it is printed and forgotten: one press in 300 during an extraction. Here it comes again.
    """
    report = sys.unraisablehook

    def again(lost: "sys.UnraisableHookArgs") -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            threading.Timer(_AGAIN, _interrupt).start()
        else:
            report(lost)

    sys.unraisablehook = again


def _interrupt() -> None:
    """Interrupts the main thread, and wakes it where it waits, which a signal here would not."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
