"""``maclip-lab score``: pictures and folders to a table of scores."""

import warnings
from pathlib import Path
from typing import Annotated

import typer

from maclip_lab.cli import options


def score(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or folders searched through.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Table to write: .parquet or .csv.")
    ] = None,
    backbone: options.Backbone = "RN50",
    dataset: Annotated[
        str | None,
        typer.Option(help="Follow a data set's crop protocol and read files as the authors do."),
    ] = None,
    prompts: Annotated[str, typer.Option(help="Prompt set: maclip or clip-iqa.")] = "maclip",
    box_lam: options.BoxLam = 0.5,
    base_cos: options.BaseCos = 1.0,
    base_norm: options.BaseNorm = 0.6,
    alpha: options.Alpha = 1.0,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    weights_dir: options.WeightsDir = None,
    offline: options.Offline = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes on this machine; a stopped run goes on.", min=1)
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help='"local", or a Dask scheduler such as tcp://host:8786.')
    ] = None,
    part_size: Annotated[
        int | None,
        typer.Option(
            help="Pictures a worker does at a time; by default it follows their number.", min=1
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Score pictures; a file that cannot be read is a row that says why."""
    options.refuse_existing(output, overwrite)
    if (workers or cluster) and output is None:
        raise typer.BadParameter("a run in parts needs a table to write", param_hint="-o")
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise typer.BadParameter(f"{missing[0]} does not exist", param_hint="PATHS")

    from maclip_lab.files.provenance import write_table
    from maclip_lab.fusion import FusionSettings
    from maclip_lab.images import find_pictures
    from maclip_lab.scorer import Maclip, score_folder

    with warnings.catch_warnings(record=True) as skipped:
        warnings.simplefilter("always")
        pictures = [
            found for path in paths for found in (find_pictures(path) if path.is_dir() else [path])
        ]
    for warning in skipped:
        warnings.warn(warning.message, stacklevel=1)
    if not pictures:
        raise typer.BadParameter("no picture was found there", param_hint="PATHS")
    settings = FusionSettings(box_lam, base_cos, base_norm, alpha)
    if output is not None and (workers or cluster):
        from maclip_lab.scale.parts import ScoreConfig
        from maclip_lab.scale.run import score_many

        config = ScoreConfig(
            backbone=backbone,
            dataset=dataset,
            prompts=prompts,
            settings=settings,
            device=device,
            precision=precision,
            weights_dir=None if weights_dir is None else str(weights_dir),
            offline=offline or None,
        )
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
    else:
        scorer = Maclip(
            backbone,
            device=device,
            precision=precision,
            prompts=prompts,
            weights_dir=weights_dir,
            offline=offline or None,
        )
        table = score_folder(pictures, scorer, dataset, settings, progress=not quiet)
    if output is None:
        shown = table[["path", "score", "q_cos", "q_mag", "w_cos", "status"]]
        typer.echo(shown.to_string(index=False, float_format="{:.4f}".format))
    else:
        write_table(table, output)
    failed = table[table["status"] != "ok"]
    typer.echo(
        f"{len(table) - len(failed)} of {len(table)} pictures scored with {backbone}"
        + (f", written to {output}" if output else ""),
        err=True,
    )
    for row in failed.head(20).itertuples():
        typer.secho(f"  {row.path}: {row.status}: {row.message}", fg="yellow", err=True)
    if len(failed) > 20:
        typer.secho(f"  ... and {len(failed) - 20} more", fg="yellow", err=True)
    if len(failed) or skipped:
        raise typer.Exit(1)
