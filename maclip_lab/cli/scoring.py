"""``maclip-lab score``: pictures and folders to a table of scores."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maclip_lab.cli import options

if TYPE_CHECKING:
    import pandas as pd


@options.grouped
def score(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or folders searched through.")],
    fusion: options.FusionOptions,
    encoder: options.EncoderOptions,
    output: options.Output = None,
    backbone: options.Backbone = "RN50",
    dataset: Annotated[
        str | None,
        typer.Option(help="Follow a data set's crop protocol and read files as the authors do."),
    ] = None,
    prompts: options.Prompts = "maclip",
    attributes: Annotated[
        bool, typer.Option("--attributes", help="A column for sharpness, noise, ...; 1 is good.")
    ] = False,
    calibration: Annotated[
        Path | None, typer.Option(help="Of maclip-lab calibrate: adds mos_predicted, mos_lo, _hi.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes on this machine.", min=1)] = None,
    cluster: Annotated[
        str | None, typer.Option(help='"local", or a Dask scheduler such as tcp://host:8786.')
    ] = None,
    part_size: Annotated[
        int | None,
        typer.Option(help="Pictures in a part; by default it follows their number.", min=1),
    ] = None,
    overwrite: options.Overwrite = False,
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Score pictures; a file that cannot be read is a row that says why.

    With -o the run is done in parts beside the table and, stopped at any time, goes on from them.

    Example: maclip-lab score holiday/ -b tiny-rn --attributes --calibration mine.json
    """
    options.refuse_existing(output, overwrite)
    if (workers or cluster) and output is None:
        raise typer.BadParameter("a run in parts needs a table to write", param_hint="-o")
    pictures, skipped = _pictures(paths)
    config = replace(
        encoder.config(backbone),
        dataset=dataset,
        preset=preset,
        prompts=prompts,
        settings=fusion.settings,
        attributes=attributes,
    )
    from maclip_lab.evaluation import Calibration
    from maclip_lab.files.provenance import write_table
    from maclip_lab.scorer import TABLE_COLUMNS, Maclip, score_folder

    fitted = None
    if calibration is not None:
        fitted, config = Calibration.from_json(calibration.read_bytes()), config.pinned()
        fitted.require(config.facts)
    if output is None:
        scorer = Maclip.from_config(config)
        table = score_folder(
            pictures, scorer, dataset, config.settings, preset=preset, progress=not quiet
        )
    else:
        from maclip_lab.scale.run import score_many

        run = score_many(
            pictures,
            config,
            output.with_suffix(".parts"),
            part_size=part_size,
            workers=workers,
            cluster=cluster,
            progress=not quiet,
        )
        table = run.table()
    if fitted is not None:
        for name, column in fitted.apply(table["score"]).items():
            table[name] = column
        table.attrs |= {"calibration": {**fitted.facts, "margin": fitted.margin}}
    if output is not None:
        write_table(table, output)
    else:
        added = [name for name in table if name not in TABLE_COLUMNS]
        shown = table[["path", "score", "q_cos", "q_mag", "w_cos", *added, "status", "flags"]]
        typer.echo(shown.to_string(index=False, float_format="{:.4f}".format))
    _report(table, backbone, output)
    if skipped or (table["status"] != "ok").any():
        raise typer.Exit(1)


def _pictures(paths: list[Path]) -> tuple[list[Path], bool]:
    """The pictures asked for, and whether a search through a folder had to leave something out."""
    from maclip_lab.images import find_pictures, path_hint

    missing = [path for path in paths if not path.exists()]
    if missing:
        hint = path_hint(str(missing[0]))
        raise typer.BadParameter(f"{missing[0]} does not exist{hint}", param_hint="PATHS")
    with warnings.catch_warnings(record=True) as skipped:
        warnings.simplefilter("always")
        pictures = [
            found for path in paths for found in (find_pictures(path) if path.is_dir() else [path])
        ]
    for warning in skipped:
        warnings.warn(warning.message, stacklevel=1)
    if not pictures:
        raise typer.BadParameter("no picture was found there", param_hint="PATHS")
    return pictures, bool(skipped)


def _report(table: "pd.DataFrame", backbone: str, output: Path | None) -> None:
    good = int((table["status"] == "ok").sum())
    written = f", written to {output}" if output else ""
    typer.echo(f"{good} of {len(table)} pictures scored with {backbone}{written}", err=True)
    options.name_failures(table)
