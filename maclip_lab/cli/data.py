"""``maclip-lab features|pack|evaluate|sweep|calibrate``: data sets to features and tables."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import typer

from maclip_lab.ablations.choices import read_choices
from maclip_lab.ablations.rivals import read_rivals
from maclip_lab.ablations.study import study
from maclip_lab.ablations.sweeps import named_sweep, score_store
from maclip_lab.cli import options
from maclip_lab.datasets import Choices
from maclip_lab.datasets.manifest import PACK_SUFFIX
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.evaluation import calibrate as fit
from maclip_lab.features import Extractor, write_pack
from maclip_lab.files.provenance import provenance_record, write_result, write_table
from maclip_lab.fusion import FusionSettings
from maclip_lab.scorer import Maclip, ScoreConfig

Encoder = Annotated[ScoreConfig, options.ENCODER]
Details = Annotated[
    Path | None,
    typer.Option(
        help="Folder for the scores of every picture, the differences, and the SRCC by type.",
        file_okay=False,
    ),
]
Also = Annotated[
    list[str], typer.Option(help="Other metrics' scores: FILE, or FILE:COLUMN,-LOWER_IS_BETTER.")
]
AlsoPath = Annotated[
    str | None, typer.Option(help="Column of those tables that holds the pictures.")
]
Pairs = Annotated[
    Path | None, typer.Option(help="A table of a, b, chosen[, count]: choices in place of scores.")
]
PairsColumns = Annotated[
    str | None, typer.Option(help="Its columns by name, in that order: LEFT,RIGHT,WINNER.")
]
_SHOWN = [
    *("dataset", "backbone", "method", "n", "n_dropped", "srcc", "srcc_lo", "srcc_hi", "krcc"),
    *("plcc_4p", "rmse_4p", "paper_rn50_srcc", "minus_paper_rn50", "published_srcc"),
    *("srcc_official", "plcc_official", "fit_status"),
]
_TESTS = ["method", "other", "n_common", "delta_srcc", "delta_srcc_lo", "delta_srcc_hi"]
_TESTS += ["p_srcc_holm", "verdict", "detectable"]
_DETAILS = ("predictions", "differences", "by_type")


def features(
    dataset: options.Dataset,
    choices: Choices,
    encoder: Encoder,
    extract: partial[Extractor],
    root: options.Root = None,
    backbone: options.Backbones = None,
    quiet: options.Quiet = False,
) -> None:
    """Extract a data set's features into a store; stopped, it goes on from there."""
    manifests = options.manifests(dataset, root, choices)
    failed = 0
    for scorer in options.scorers(encoder, backbone, manifests):
        for manifest in manifests:
            view = extract(scorer, progress=not quiet).crops(manifest)
            typer.echo(repr(view))
            failed += options.report_failures(view.table, manifest)
    if failed:
        raise typer.Exit(1)


def pack(
    dataset: options.Dataset,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Pack to write: .safetensors.", show_default=False),
    ],
    choices: Choices,
    encoder: Encoder,
    extract: partial[Extractor],
    root: options.Root = None,
    backbone: options.Backbone = "RN50",
    clip_iqa: options.ClipIqa = True,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Put a data set's features, opinions and prompts into one file, without its pictures."""
    options.refuse_existing(output, overwrite, suffixes=[PACK_SUFFIX])
    manifest, *others = options.manifests(dataset, root, choices)
    if others or not manifest.has_pictures:
        raise typer.BadParameter("a pack is made of the pictures of one data set")
    scorer = Maclip.from_config(replace(encoder, backbone=backbone))
    extractor = extract(scorer, progress=not quiet)
    crops, whole = (
        extractor.crops_and_whole(manifest) if clip_iqa else (extractor.crops(manifest), None)
    )
    write_pack(output, crops, whole, scorer)
    typer.echo(f"{crops!r}\nwritten to {output}, {output.stat().st_size / 1e6:.1f} MB")
    if options.report_failures(crops.table, manifest):
        raise typer.Exit(1)


def evaluate(
    dataset: options.Dataset,
    choices: Choices,
    fusion: FusionSettings,
    encoder: Encoder,
    extract: partial[Extractor],
    root: options.Root = None,
    output: options.Output = None,
    details: Details = None,
    backbone: options.Backbones = None,
    clip_iqa: options.ClipIqa = True,
    also: Also = [],  # noqa: B006
    also_path: AlsoPath = None,
    pairs: Pairs = None,
    pairs_columns: PairsColumns = None,
    n_boot: Annotated[
        int | None, typer.Option(help="Resamples; else as many as the comparisons take.")
    ] = None,
    overwrite: options.Overwrite = False,
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
    unused: dict[str, object] = {"pairs_columns": pairs_columns}
    if pairs is not None:
        unused = {**choices.given, "n_boot": n_boot, "on_collision": None, "on_duplicate": None}
    unused |= {} if also else {"also_path": also_path}
    for name, value in unused.items():
        if value is not None:
            mode = "with" if pairs is not None and name != "also_path" else "without"
            other = "--also" if name == "also_path" else "--pairs"
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"{mode} {other} it is not used", param_hint=option)
    votes: pd.DataFrame | None = None
    if pairs is None:
        manifests = options.manifests(dataset, root, choices)
    else:
        titles = [title.strip() for title in pairs_columns.split(",")] if pairs_columns else ()
        votes, listed = read_choices(pairs, dataset, root, titles, choices)
        manifests = [listed]
        typer.echo(listed.note, err=True)
    rivals = [read_rivals(also, manifest, also_path) for manifest in manifests]
    for note in (note for read in rivals for note in read.notes):
        typer.echo(note, err=True)
    studies, failed = [], 0
    for scorer in options.scorers(encoder, backbone, manifests):
        for manifest, others in zip(manifests, rivals, strict=True):
            result = study(
                extract(scorer, progress=not quiet),
                manifest,
                fusion,
                None if n_boot is None else EvaluationSettings(n_boot),
                clip_iqa=clip_iqa,
                rivals=others,
                votes=votes,
            )
            studies.append(result)
            failed += options.report_failures(result.predictions, manifest)
            lost = result.predictions.query("status == 'ok' and message != ''")
            for row in lost[:1].itertuples():
                said = (
                    f"{len(lost)} of {len(result.predictions)} pictures have no CLIP-IQA, such as"
                )
                reason = row.message.removeprefix("no CLIP-IQA: ")
                typer.secho(f"{said} {row.path}: {reason}", fg="yellow", err=True)
            if votes is not None:
                _show(result.table.set_index("method").T, index=True)
                continue
            _show(result.table[_SHOWN])
            if also:
                _show(result.differences[_TESTS])
    for path, part in files.items():
        tables = [_labelled(getattr(each, part), each.table) for each in studies]
        filled = [table for table in tables if len(table)] or tables[:1]
        path.parent.mkdir(exist_ok=True)
        _write(filled, [each.record for each in studies], path)
    if failed:
        raise typer.Exit(1)


def sweep(
    dataset: options.Dataset,
    choices: Choices,
    encoder: Encoder,
    extract: partial[Extractor],
    root: options.Root = None,
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
    quiet: options.Quiet = False,
) -> None:
    """Sweep the method's constants over stored features, without touching a picture again."""
    options.refuse_existing(output, overwrite)
    manifests = options.manifests(dataset, root, choices)
    (scorer,) = options.scorers(encoder, [backbone], manifests)
    tables, records, failed = [], [], 0
    for manifest in manifests:
        view = extract(scorer, progress=not quiet).crops(manifest)
        score_store(view, scorer.anchors)  # which says where opinions are scores of our own
        table = named_sweep(grid, view, scorer.text_anchors)
        table.insert(0, "dataset", manifest.dataset)
        tables.append(table)
        config = scorer.config(view.config.protocol, preset=view.config.preset)
        made = {
            "grid": grid,
            "dtype": view.config.dtype,
            "prompts": list(table["prompts"].unique()),
            "data": manifest.data(view.table),
        }
        records.append(provenance_record({**config.facts, **manifest.facts, **made}))
        failed += options.report_failures(view.table, manifest)
        _show(table)
    if output is not None:
        _write(tables, records, output)
    if failed:
        raise typer.Exit(1)


def calibrate(
    dataset: options.Dataset,
    output: Annotated[Path, typer.Option("--output", "-o", help="Calibration to write: .json.")],
    choices: Choices,
    fusion: FusionSettings,
    encoder: Annotated[ScoreConfig, (*options.ENCODER, "prompts")],
    extract: partial[Extractor],
    root: options.Root = None,
    backbone: options.OneBackbone = None,
    level: Annotated[float, typer.Option(help="Share of pictures in the interval.")] = 0.95,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit the curve from scores to people's own scale, with an interval for a new picture.

    Example: maclip-lab calibrate mine --annotations scores.csv -b tiny-rn -o mine.json,
    then: maclip-lab score photos/ -b tiny-rn --calibration mine.json
    """
    options.refuse_existing(output, overwrite, suffixes=[".json"])
    manifest, *others = options.manifests(dataset, root, choices)
    if others:
        raise typer.BadParameter("a calibration is of one data set", param_hint="DATASET")
    (scorer,) = options.scorers(encoder, [backbone], [manifest])
    anchors = scorer.text_anchors(encoder.prompts)
    view = extract(scorer, progress=not quiet).crops(manifest)
    references = manifest.table["ref_id"]
    config = scorer.config(view.config.protocol, fusion, preset=view.config.preset)
    config = replace(config, prompts=anchors.pairs)
    result = fit(
        score_store(view, anchors, fusion)["score"],
        manifest.table["mos"],
        higher_is_better=manifest.higher_is_better,
        clusters=references if references.notna().all() else None,
        level=level,
        facts={**config.facts, **manifest.facts},
    )
    record = {**result.facts, "level": level, "data": manifest.data(view.table)}
    write_result(result.to_json().encode(), output, provenance_record(record))
    typer.echo(
        f"{level:.0%} of new pictures should lie within {result.margin:.3g} of the curve through "
        f"{result.n}; written to {output}"
    )
    if options.report_failures(view.table, manifest):
        raise typer.Exit(1)


def _show(table: pd.DataFrame, *, index: bool = False) -> None:
    typer.echo(table.to_string(index=index, float_format="{:.4f}".format))


def _write(tables: list[pd.DataFrame], records: list[dict[str, object]], path: Path) -> None:
    """One table of several, with a record that has theirs."""
    record = records[0] if len(records) == 1 else {"parts": records}
    write_table(pd.concat(tables, ignore_index=True), path, record)
    typer.echo(f"written to {path}", err=True)


def _labelled(part: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A part of a study, every row with the data set and backbone of its table."""
    facts = dict(table.iloc[0][["dataset", "backbone"]])
    return part.assign(**facts)[[*facts, *(name for name in part if name not in facts)]]
