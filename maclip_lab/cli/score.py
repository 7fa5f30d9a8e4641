"""``maclip-lab score``: pictures and folders to a table of scores."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from maclip_lab.cli import options
from maclip_lab.evaluation import Calibration
from maclip_lab.files.provenance import write_table
from maclip_lab.images import find_pictures, path_hint
from maclip_lab.scale.run import score_many
from maclip_lab.scorer import TABLE_COLUMNS, Maclip, ScoreConfig, score_folder


@dataclass
class Parts:
    """How a run that writes a table is divided."""

    workers: Annotated[int | None, typer.Option(help="Processes on this machine.", min=1)] = None
    cluster: Annotated[
        str | None, typer.Option(help='"local", or a Dask scheduler such as tcp://host:8786.')
    ] = None
    part_size: Annotated[
        int | None,
        typer.Option(help="Pictures in a part; by default it follows their number.", min=1),
    ] = None


def score(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or folders searched through.")],
    config: ScoreConfig,
    parts: Parts,
    output: options.Output = None,
    backbone: options.Backbone = "RN50",
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Of maclip-lab calibrate: adds mos_predicted, mos_lo, _hi.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Score pictures; a file that cannot be read is a row that says why.

    With -o the run is done in parts beside the table and, stopped at any time, goes on from them.

    Example: maclip-lab score holiday/ -b tiny-rn --attributes --calibration mine.json
    """
    options.refuse_existing(output, overwrite)
    if (parts.workers or parts.cluster) and output is None:
        raise typer.BadParameter("a run in parts needs a table to write", param_hint="-o")
    pictures, skipped = _pictures(paths)
    config = replace(config, backbone=backbone)
    fitted = None
    if calibration is not None:
        fitted, config = Calibration.from_json(calibration.read_bytes()), config.pinned()
        fitted.require(config.facts)
    if output is None:
        scorer = Maclip.from_config(config)
        how = config.dataset, config.settings
        table = score_folder(pictures, scorer, *how, preset=config.preset, progress=not quiet)
    else:
        folder = output.with_suffix(".parts")
        table = score_many(pictures, config, folder, **vars(parts), progress=not quiet).table()
    table.attrs["data"] |= {"searched": [str(path) for path in paths if path.is_dir()]}
    if fitted is not None:
        table = table.assign(**fitted.apply(table["score"]))
        table.attrs |= {"calibration": {**fitted.facts, "margin": fitted.margin}}
    if output is not None:
        write_table(table, output)
    else:
        shown = ["path", "score", "q_cos", "q_mag", "w_cos"]
        shown += [*table.columns.drop(list(TABLE_COLUMNS)), "status", "flags"]
        options.show(table[shown])
    good = int((table["status"] == "ok").sum())
    written = f", written to {output}" if output else ""
    typer.echo(f"{good} of {len(table)} pictures scored with {backbone}{written}", err=True)
    if options.name_failures(table) or skipped:
        raise typer.Exit(1)


def _pictures(paths: list[Path]) -> tuple[list[Path], bool]:
    """The pictures asked for, and whether a search through a folder had to leave something out."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        hint = path_hint(str(missing[0]))
        raise typer.BadParameter(f"{missing[0]} does not exist{hint}", param_hint="PATHS")
    pictures = []
    with warnings.catch_warnings(record=True) as skipped:
        warnings.simplefilter("always")
        for path in paths:
            pictures += find_pictures(path) if path.is_dir() else [path]
    for warning in skipped:
        warnings.warn(warning.message, stacklevel=1)
    if not pictures:
        raise typer.BadParameter("no picture was found there", param_hint="PATHS")
    return pictures, bool(skipped)
