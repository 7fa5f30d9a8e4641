"""``maclip-lab features|pack|evaluate|sweep``: data sets to tables of correlations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maclip_lab.cli import options

if TYPE_CHECKING:
    import pandas as pd

Name = Annotated[
    str,
    typer.Argument(
        help='koniq, TID2013, ..., "all" that lie under the root, "synthetic" or "synthetic-full"; '
        "or the file of a pack."
    ),
]
Details = Annotated[
    Path | None,
    typer.Option(
        help="Folder for every picture's scores, the methods' differences and, per distortion "
        "type, their SRCC, as .csv files.",
        file_okay=False,
    ),
]
Backbones = Annotated[
    list[str] | None,
    typer.Option(
        *("--backbone", "-b"),
        help="May be given repeatedly.",
        show_default=options.OR_THE_PACKS,
        callback=options.known_backbones,
    ),
]
_SHOWN = [
    *("dataset", "backbone", "method", "n", "n_dropped", "srcc", "srcc_lo", "srcc_hi", "krcc"),
    *("plcc_4p", "rmse_4p"),
]
Also = Annotated[
    list[str], typer.Option(help="Other metrics' scores: FILE, or FILE:COLUMN,-LOWER_IS_BETTER.")
]
Pairs = Annotated[
    Path | None, typer.Option(help="A table of a, b, chosen[, count]: choices in place of scores.")
]
_DETAILS = ("predictions", "differences", "by_type")
_TESTS = [
    "method",
    "other",
    "n_common",
    "delta_srcc",
    "delta_srcc_lo",
    "delta_srcc_hi",
    "p_srcc_holm",
    "verdict",
    "detectable",
]
_OFFICIAL = ("srcc_official", "plcc_official", "fit_status")
_PAPER = ["paper_rn50_srcc", "minus_paper_rn50", "published_srcc", *_OFFICIAL]


@options.grouped
def features(
    dataset: Name,
    data: options.DataOptions,
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    backbone: Backbones = None,
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Extract a data set's features into a store; stopped at any time, it goes on from there."""
    from maclip_lab.features import Extractor

    manifests = data.manifests(dataset)
    failed = 0
    for scorer in encoder.scorers(backbone, manifests):
        for manifest in manifests:
            view = Extractor(scorer, kept.store, kept.dtype, not quiet, preset).crops(manifest)
            typer.echo(repr(view))
            failed += options.report_failures(view.table, manifest)
    if failed:
        raise typer.Exit(1)


@options.grouped
def pack(
    dataset: Name,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Pack to write: .safetensors.", show_default=False),
    ],
    data: options.DataOptions,
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    backbone: options.Backbone = "RN50",
    clip_iqa: options.ClipIqa = True,
    overwrite: options.Overwrite = False,
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Put a data set's features, opinions and prompts into one file, without its pictures."""
    from maclip_lab.datasets.manifest import PACK_SUFFIX
    from maclip_lab.features import Extractor, write_pack

    options.refuse_existing(output, overwrite, suffixes=[PACK_SUFFIX])
    manifests = data.manifests(dataset)
    if len(manifests) > 1 or not manifests[0].has_pictures:
        raise typer.BadParameter("a pack is made of the pictures of one data set")
    scorer = encoder.scorer(backbone)
    extractor = Extractor(scorer, kept.store, kept.dtype, not quiet, preset)
    crops, whole = (
        extractor.crops_and_whole(manifests[0])
        if clip_iqa
        else (extractor.crops(manifests[0]), None)
    )
    write_pack(output, crops, whole, scorer)
    typer.echo(f"{crops!r}\nwritten to {output}, {output.stat().st_size / 1e6:.1f} MB")
    if options.report_failures(crops.table, manifests[0]):
        raise typer.Exit(1)


@options.grouped
def evaluate(
    dataset: Name,
    data: options.DataOptions,
    fusion: options.FusionOptions,
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    output: options.Output = None,
    details: Details = None,
    backbone: Backbones = None,
    clip_iqa: options.ClipIqa = True,
    also: Also = [],  # noqa: B006
    also_path: Annotated[
        str | None, typer.Option(help="Column of the --also tables that holds the pictures.")
    ] = None,
    pairs: Pairs = None,
    n_boot: Annotated[
        int | None, typer.Option(help="Resamples; else as many as the comparisons take.")
    ] = None,
    overwrite: options.Overwrite = False,
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Evaluate backbones on data sets: correlations with intervals, beside the paper's.

    Examples: maclip-lab evaluate mine --annotations scores.csv -b tiny-rn --also niqe.csv;
    maclip-lab evaluate mine --pairs pairs.csv --root photos/ -b tiny-rn
    """
    files = {} if output is None else {output: "table"}
    if details is not None:
        files |= {details / f"{part}.csv": part for part in _DETAILS}
    for path in files:
        options.refuse_existing(path, overwrite, folder=details)
    import pandas as pd

    from maclip_lab.ablations.choices import read_choices
    from maclip_lab.ablations.rivals import read_rivals
    from maclip_lab.ablations.study import study
    from maclip_lab.evaluation import EvaluationSettings
    from maclip_lab.files.provenance import write_table

    votes: pd.DataFrame | None = None
    if pairs is None:
        manifests = data.manifests(dataset)
    else:
        votes, listed = read_choices(pairs, dataset, data.root)
        manifests = [listed]
        typer.echo(listed.note, err=True)
    others = [read_rivals(also, manifest, also_path) for manifest in manifests]
    for note in (note for rivals in others for note in rivals.notes):
        typer.echo(note, err=True)
    studies, failed = [], 0
    for scorer in encoder.scorers(backbone, manifests):
        for manifest, rivals in zip(manifests, others, strict=True):
            found = study(
                manifest,
                scorer,
                kept.store,
                settings=fusion.settings,
                statistics=None if n_boot is None else EvaluationSettings(n_boot),
                preset=preset,
                dtype=kept.dtype,
                clip_iqa=clip_iqa,
                rivals=rivals,
                votes=votes,
                progress=not quiet,
            )
            studies.append(found)
            failed += options.report_failures(found.predictions, manifest)
            _report_lost_baseline(found.predictions)
            shown = found.table.set_index("method").T
            if votes is None:
                shown = found.table[[*_SHOWN, *_PAPER]]
            typer.echo(shown.to_string(index=votes is not None, float_format="{:.4f}".format))
            if also and votes is None:
                tests = found.differences[_TESTS]
                typer.echo(tests.to_string(index=False, float_format="{:.4f}".format))
                upside_down = found.table["method"].isin(rivals.scores) & (
                    found.table["srcc_hi"] < 0
                )
                for name in found.table.loc[upside_down, "method"]:
                    said = f"{name} falls where quality rises; if lower is better: FILE:-COLUMN"
                    typer.secho(said, fg="yellow", err=True)
    records = [found.record for found in studies]
    record = records[0] if len(records) == 1 else {"parts": records}
    for path, part in files.items():
        tables = [_labelled(getattr(found, part), found.table) for found in studies]
        filled = [table for table in tables if len(table)] or tables[:1]
        path.parent.mkdir(exist_ok=True)
        write_table(pd.concat(filled, ignore_index=True), path, record)
        typer.echo(f"written to {path}", err=True)
    if failed:
        raise typer.Exit(1)


@options.grouped
def sweep(
    dataset: Name,
    data: options.DataOptions,
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    output: options.Output = None,
    grid: Annotated[
        Literal["lambda", "bases", "prompts", "crops", "rules"],
        typer.Option(
            help="box_lam; the authors' base constants; prompt sets and single pairs; subsets of "
            "the crops; fusion rules and fixed weights."
        ),
    ] = "lambda",
    backbone: options.OneBackbone = None,
    overwrite: options.Overwrite = False,
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Sweep the method's constants over stored features, without touching a picture again."""
    options.refuse_existing(output, overwrite)
    import pandas as pd

    from maclip_lab.ablations.sweeps import named_sweep
    from maclip_lab.features import Extractor
    from maclip_lab.files.provenance import provenance_record, write_table

    manifests = data.manifests(dataset)
    (scorer,) = encoder.scorers(None if backbone is None else [backbone], manifests)
    tables, records, failed = [], [], 0
    for manifest in manifests:
        view = Extractor(scorer, kept.store, kept.dtype, not quiet, preset).crops(manifest)
        table = named_sweep(grid, view, scorer.text_anchors)
        table.insert(0, "dataset", manifest.dataset)
        tables.append(table)
        config = scorer.config(view.config.protocol, preset=view.config.preset)
        found = {
            "grid": grid,
            "dtype": view.config.dtype,
            "prompts": list(table["prompts"].unique()),
            "data": manifest.data(view.table),
        }
        records.append(provenance_record({**config.facts, **manifest.facts, **found}))
        failed += options.report_failures(view.table, manifest)
        typer.echo(table.to_string(index=False, float_format="{:.4f}".format))
    if output is not None:
        record = records[0] if len(records) == 1 else {"parts": records}
        write_table(pd.concat(tables, ignore_index=True), output, record)
        typer.echo(f"written to {output}", err=True)
    if failed:
        raise typer.Exit(1)


def _report_lost_baseline(predictions: "pd.DataFrame") -> None:
    """Says how many pictures have a score but no CLIP-IQA, and why."""
    lost = predictions[(predictions["status"] == "ok") & (predictions["message"] != "")]
    if len(lost):
        first = lost.iloc[0]
        typer.secho(
            f"{len(lost)} of {len(predictions)} pictures have no CLIP-IQA, such as "
            f"{first['path']}: {first['message'].removeprefix('no CLIP-IQA: ')}",
            fg="yellow",
            err=True,
        )


def _labelled(part: "pd.DataFrame", table: "pd.DataFrame") -> "pd.DataFrame":
    """A part of a study, every row with the data set and backbone of its table."""
    facts = dict(table.iloc[0][["dataset", "backbone"]])
    return part.assign(**facts)[[*facts, *(name for name in part if name not in facts)]]
