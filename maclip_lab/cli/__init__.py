"""The command line, ``maclip-lab``: thin commands over the package.

Exit status 0 means that everything asked for was done, 1 that something failed, with a summary,
and 2 that the call itself was wrong.
"""

import sys
import warnings

import typer

from maclip_lab.cli import datasets, evaluation, pictures, project, weights
from maclip_lab.errors import MaclipError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Magnitude-Aware CLIP: score pictures, evaluate data sets, sweep the method's constants.",
)
app.command()(pictures.score)
app.command()(evaluation.features)
app.command()(evaluation.evaluate)
app.command()(evaluation.sweep)
app.add_typer(datasets.app, name="datasets", help="The nine data sets: where, what, whether whole.")
app.add_typer(weights.app, name="weights", help="The backbones' weights: list, fetch, verify.")
app.command()(evaluation.explain)
app.command()(project.demo)
app.command()(project.doctor)
app.command()(project.lab)
app.command()(project.bench)


def main() -> None:
    """Runs the command line; the package's own errors become one line and exit status 1."""
    warnings.showwarning = lambda message, *_: typer.secho(  # type: ignore[assignment]
        f"warning: {message}", fg="yellow", err=True
    )
    try:
        app()
    except (MaclipError, ValueError, OSError) as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped; what was written stays, the same command goes on from there", err=True)
        sys.exit(130)
