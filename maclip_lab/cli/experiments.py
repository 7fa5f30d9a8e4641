"""``maclip-lab features|evaluate|sweep|explain``: data sets to tables of correlations."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maclip_lab.cli import options
from maclip_lab.cli.pairs import PARTS, judge_pairs

if TYPE_CHECKING:
    import pandas as pd

    from maclip_lab.ablations.study import Study

Name = Annotated[
    str,
    typer.Argument(
        help='koniq, TID2013, ..., "all" that lie under the root, "synthetic" or "synthetic-full".'
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
    list[str],
    typer.Option(
        "--backbone", "-b", help="May be given repeatedly.", callback=options.known_backbones
    ),
]
Also = Annotated[
    list[str],
    typer.Option(
        help="Another metric's scores of the same pictures: a .csv or .parquet file, or "
        "FILE:COLUMN,-COLUMN with a - where lower is better. May be given repeatedly."
    ),
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        help="People's choices in place of scores: a table with columns a, b, chosen and "
        "optionally count; the pictures lie below --root.",
        exists=True,
        dir_okay=False,
    ),
]
_SHOWN = [
    *("dataset", "backbone", "method", "n", "n_dropped", "srcc", "srcc_lo", "srcc_hi", "krcc"),
    *("plcc_4p", "rmse_4p"),
]
_DETAILS = ("predictions", "differences", "by_type")
_TESTS = [
    *("method", "other", "n", "delta_srcc", "delta_srcc_lo", "delta_srcc_hi", "p_srcc_holm"),
    *("delta_plcc", "williams_p_holm", "reason"),
]
_PAPER = [
    "paper_rn50_srcc",
    "minus_paper_rn50",
    "published_srcc",
    "srcc_official",
    "plcc_official",
    "fit_status",
]


@options.grouped
def features(
    dataset: Name,
    data: options.DataOptions,
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    backbone: Backbones = ["RN50"],  # noqa: B006
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Extract a data set's features into a store; stopped at any time, it goes on from there."""
    from maclip_lab.features import extract_features

    manifests = data.manifests(dataset)
    failed = 0
    for name in backbone:
        scorer = encoder.scorer(name)
        for manifest in manifests:
            view = extract_features(
                manifest, scorer, kept.store, preset=preset, dtype=kept.dtype, progress=not quiet
            )
            typer.echo(repr(view))
            failed += options.report_failures(view.table) + len(manifest.missing)
    if failed:
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
    backbone: Backbones = ["RN50"],  # noqa: B006
    clip_iqa: Annotated[
        bool,
        typer.Option(help="Encode whole pictures too, for CLIP-IQA's row; half as much work."),
    ] = True,
    also: Also = [],  # noqa: B006
    pairs: Pairs = None,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates of the intervals.")] = 1000,
    overwrite: options.Overwrite = False,
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Evaluate backbones on data sets: correlations with intervals, beside the paper's.

    Example: maclip-lab evaluate mine --annotations scores.csv -b tiny-rn --also niqe.csv,
    or: maclip-lab evaluate mine --pairs pairs.csv --root photos/ -b tiny-rn
    """
    files = {} if output is None else {output: "table"}
    if details is not None:
        parts = _DETAILS if pairs is None else PARTS
        files |= {details / f"{part}.csv": part for part in parts}
    for path in files:
        options.refuse_existing(path, overwrite, folder=details)
    if pairs is not None:
        judge_pairs(
            pairs,
            dataset,
            data,
            fusion,
            encoder,
            kept,
            backbone,
            files,
            also=also,
            clip_iqa=clip_iqa,
            quiet=quiet,
        )
        return
    import pandas as pd

    from maclip_lab.ablations.rivals import read_rivals
    from maclip_lab.ablations.study import study
    from maclip_lab.evaluation import EvaluationSettings
    from maclip_lab.files.provenance import write_table

    manifests = data.manifests(dataset)
    others = [read_rivals(also, manifest) for manifest in manifests]
    for note in (note for rivals in others for note in rivals.notes):
        typer.echo(note, err=True)
    studies, failed = [], 0
    for name in backbone:
        scorer = encoder.scorer(name)
        for manifest, rivals in zip(manifests, others, strict=True):
            found = study(
                manifest,
                scorer,
                kept.store,
                settings=fusion.settings,
                statistics=EvaluationSettings(n_boot=n_boot),
                preset=preset,
                dtype=kept.dtype,
                clip_iqa=clip_iqa,
                rivals=rivals,
                progress=not quiet,
            )
            studies.append(found)
            failed += options.report_failures(found.predictions) + len(manifest.missing)
            _report_lost_baseline(found.predictions)
            shown = found.table[[*_SHOWN, *_PAPER]]
            typer.echo(shown.to_string(index=False, float_format="{:.4f}".format))
            if also:
                _show_rivals(found, manifest.dataset, list(rivals.scores))
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
    backbone: options.Backbone = "RN50",
    overwrite: options.Overwrite = False,
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Sweep the method's constants over stored features, without touching a picture again."""
    options.refuse_existing(output, overwrite)
    import pandas as pd

    from maclip_lab.ablations.sweeps import named_sweep
    from maclip_lab.crops import protocol_for
    from maclip_lab.features import extract_features
    from maclip_lab.files.provenance import provenance_record, write_table

    scorer = encoder.scorer(backbone)
    tables, records, failed = [], [], 0
    for manifest in data.manifests(dataset):
        view = extract_features(
            manifest, scorer, kept.store, preset=preset, dtype=kept.dtype, progress=not quiet
        )
        table = named_sweep(grid, view, scorer.text_anchors)
        table.insert(0, "dataset", manifest.dataset)
        tables.append(table)
        config = scorer.config(protocol_for(manifest.protocol), preset=view.config.preset)
        swept = {"grid": grid, "dtype": kept.dtype, "prompts": list(table["prompts"].unique())}
        records.append(provenance_record({**config.facts, **manifest.facts, **swept}))
        failed += options.report_failures(view.table) + len(manifest.missing)
        typer.echo(table.to_string(index=False, float_format="{:.4f}".format))
    if output is not None:
        record = records[0] if len(records) == 1 else {"parts": records}
        write_table(pd.concat(tables, ignore_index=True), output, record)
        typer.echo(f"written to {output}", err=True)
    if failed:
        raise typer.Exit(1)


def explain(
    result: Annotated[Path, typer.Argument(help="A table written by this command line.")],
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            help="Compare with these weights; else the recorded ones.",
            callback=options.known_backbones,
        ),
    ] = None,
) -> None:
    """Say what a result was made from, and whether this set-up would reproduce it."""
    from maclip_lab.files.provenance import explain as explain_result

    explanation = explain_result(result)
    doubts = tuple(_other_weights(explanation.record, backbone))
    explanation = replace(explanation, differences=(*explanation.differences, *doubts))
    typer.echo(str(explanation))
    if not explanation.reproduces:
        raise typer.Exit(1)


def _other_weights(record: Mapping[str, object], backbone: str | None) -> Iterator[str]:
    """What keeps the weights found here from being those that made a result."""
    from maclip_lab.errors import UnknownBackboneError
    from maclip_lab.files.provenance import record_parts
    from maclip_lab.weights.loading import verify

    for part in record_parts(record):
        name, then = backbone or part.get("backbone"), part.get("weights_sha256")
        if not name or not then:
            continue
        try:
            here = verify(str(name)).sha256
        except UnknownBackboneError:  # recorded by another version
            here = None
        if here is None:
            yield f"the weights of {name} are not on this machine"
        elif here != then:
            yield f"the weights differ: their sha256 was {then} and is {here}"


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


def _show_rivals(found: "Study", dataset: str, rivals: list[str]) -> None:
    """The paired tests, what is published of the set, and metrics that seem to be upside down."""
    from maclip_lab.ablations.published import published_rivals

    published = published_rivals(dataset).drop(columns="dataset")
    for table in (found.differences[_TESTS], published):
        if len(table):
            typer.echo("\n" + table.to_string(index=False, float_format="{:.4f}".format))
    falling = found.table[found.table["method"].isin(rivals) & (found.table["srcc_hi"] < 0)]
    for name in falling["method"]:
        typer.secho(
            f"{name} falls where quality rises; if lower is better, say --also FILE:-{name}",
            fg="yellow",
            err=True,
        )


def _labelled(part: "pd.DataFrame", table: "pd.DataFrame") -> "pd.DataFrame":
    """A part of a study, every row with the data set and backbone of its table."""
    facts = dict(table.iloc[0][["dataset", "backbone"]])
    return part.assign(**facts)[[*facts, *(name for name in part if name not in facts)]]
