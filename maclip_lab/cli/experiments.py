"""``maclip-lab features|evaluate|sweep|explain``: data sets to tables of correlations."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maclip_lab.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from maclip_lab.datasets.manifest import Manifest

Name = Annotated[
    str,
    typer.Argument(
        help='koniq, TID2013, ..., "all" that lie under the root, "synthetic" or "synthetic-full".'
    ),
]
Root = Annotated[
    Path | None, typer.Option(help="Folder of the data set, or one above it.", exists=True)
]
Annotations = Annotated[
    Path | None,
    typer.Option(help="Your own list of pictures and scores: .csv, .parquet or .json."),
]
Scores = Annotated[
    str | None,
    typer.Option(help="KonIQ-10k: mos, the default, or zscore; AGIQA-1K: zscore or raw."),
]
OnDuplicate = Annotated[
    Literal["error", "keep"], typer.Option(help="What a picture in several rows means.")
]
Details = Annotated[
    Path | None,
    typer.Option(
        help="Folder for every picture's scores, the methods' differences and, per distortion "
        "type, their SRCC, as .csv files.",
        file_okay=False,
    ),
]
Store = Annotated[Path, typer.Option(help="Folder of the feature store.", file_okay=False)]
Dtype = Annotated[str, typer.Option(help="How features are stored: fp32 or fp16.")]
Backbones = Annotated[
    list[str],
    typer.Option(
        "--backbone", "-b", help="May be given repeatedly.", callback=options.known_backbones
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Table to write: .parquet or .csv.")
]
_STORE = Path("build/features")
_SHOWN = [
    *("dataset", "backbone", "method", "n", "n_dropped", "srcc", "srcc_lo", "srcc_hi", "krcc"),
    *("plcc_4p", "rmse_4p"),
]
_DETAILS = ("predictions", "differences", "by_type")
_PAPER = ["paper_rn50_srcc", "minus_paper_rn50", "srcc_official", "plcc_official", "fit_status"]


def features(
    dataset: Name,
    root: Root = None,
    annotations: Annotations = None,
    store: Store = _STORE,
    backbone: Backbones = ["RN50"],  # noqa: B006
    variant: options.Variant = "standard",
    resolution: options.Resolution = None,
    scores: Scores = None,
    on_duplicate: OnDuplicate = "error",
    dtype: Dtype = "fp32",
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    weights_dir: options.WeightsDir = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Extract a data set's features into a store; stopped at any time, it goes on from there."""
    from maclip_lab.features import extract_features
    from maclip_lab.scorer import Maclip

    manifests = _manifests(dataset, root, annotations, variant, resolution, scores, on_duplicate)
    failed = 0
    for name in backbone:
        scorer = Maclip(
            name,
            device=device,
            precision=precision,
            weights_dir=weights_dir,
            offline=offline or None,
        )
        for manifest in manifests:
            view = extract_features(manifest, scorer, store, dtype=dtype, progress=not quiet)
            typer.echo(repr(view))
            failed += _report_failures(view.table) + len(manifest.missing)
    if failed:
        raise typer.Exit(1)


def evaluate(
    dataset: Name,
    root: Root = None,
    annotations: Annotations = None,
    output: Output = None,
    details: Details = None,
    store: Store = _STORE,
    backbone: Backbones = ["RN50"],  # noqa: B006
    variant: options.Variant = "standard",
    resolution: options.Resolution = None,
    scores: Scores = None,
    on_duplicate: OnDuplicate = "error",
    box_lam: options.BoxLam = 0.5,
    base_cos: options.BaseCos = 1.0,
    base_norm: options.BaseNorm = 0.6,
    alpha: options.Alpha = 1.0,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates of the intervals.")] = 1000,
    dtype: Dtype = "fp32",
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    weights_dir: options.WeightsDir = None,
    offline: options.Offline = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Evaluate backbones on data sets: correlations with intervals, beside the paper's."""
    files = {} if output is None else {output: "table"}
    if details is not None:
        files |= {details / f"{part}.csv": part for part in _DETAILS}
    for path in files:
        options.refuse_existing(path, overwrite, folder=details)
    import pandas as pd

    from maclip_lab.ablations.study import study
    from maclip_lab.evaluation import EvaluationSettings
    from maclip_lab.files.provenance import write_table
    from maclip_lab.fusion import FusionSettings
    from maclip_lab.scorer import Maclip

    manifests = _manifests(dataset, root, annotations, variant, resolution, scores, on_duplicate)
    settings = FusionSettings(box_lam, base_cos, base_norm, alpha)
    studies, failed = [], 0
    for name in backbone:
        scorer = Maclip(
            name,
            device=device,
            precision=precision,
            weights_dir=weights_dir,
            offline=offline or None,
        )
        for manifest in manifests:
            found = study(
                manifest,
                scorer,
                store,
                settings=settings,
                statistics=EvaluationSettings(n_boot=n_boot),
                dtype=dtype,
                progress=not quiet,
            )
            studies.append(found)
            failed += _report_failures(found.predictions) + len(manifest.missing)
            shown = found.table[[*_SHOWN, *_PAPER]]
            typer.echo(shown.to_string(index=False, float_format="{:.4f}".format))
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


def sweep(
    dataset: Name,
    root: Root = None,
    annotations: Annotations = None,
    output: Output = None,
    grid: Annotated[
        Literal["lambda", "bases", "prompts", "crops", "rules"],
        typer.Option(
            help="box_lam; the authors' base constants; prompt sets and single pairs; subsets of "
            "the crops; fusion rules and fixed weights."
        ),
    ] = "lambda",
    store: Store = _STORE,
    backbone: options.Backbone = "RN50",
    variant: options.Variant = "standard",
    resolution: options.Resolution = None,
    scores: Scores = None,
    on_duplicate: OnDuplicate = "error",
    dtype: Dtype = "fp32",
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    weights_dir: options.WeightsDir = None,
    offline: options.Offline = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Sweep the method's constants over stored features, without touching a picture again."""
    options.refuse_existing(output, overwrite)
    import pandas as pd

    from maclip_lab.ablations.sweeps import named_sweep
    from maclip_lab.features import extract_features
    from maclip_lab.files.provenance import provenance_record, write_table
    from maclip_lab.scorer import Maclip

    manifests = _manifests(dataset, root, annotations, variant, resolution, scores, on_duplicate)
    scorer = Maclip(
        backbone,
        device=device,
        precision=precision,
        weights_dir=weights_dir,
        offline=offline or None,
    )
    tables, facts, failed = [], {}, 0
    for manifest in manifests:
        view = extract_features(manifest, scorer, store, dtype=dtype, progress=not quiet)
        table = named_sweep(grid, view, scorer.text_anchors)
        table.insert(0, "dataset", manifest.dataset)
        tables.append(table)
        facts[manifest.dataset] = manifest.sha256
        failed += _report_failures(view.table) + len(manifest.missing)
        typer.echo(table.to_string(index=False, float_format="{:.4f}".format))
    if output is not None:
        record = provenance_record(
            {
                "grid": grid,
                "precision": precision,
                "dtype": dtype,
                "variant": variant,
                "prompts": list(tables[0]["prompts"].unique()),
            },
            backbone=scorer.backbone.name,
            weights_sha256=scorer.backbone.sha256,
            dataset=" ".join(facts),
            manifest_sha256=" ".join(facts.values()),
        )
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


def _manifests(
    dataset: str,
    root: Path | None,
    annotations: Path | None,
    variant: Literal["standard", "paper"],
    resolution: str | None,
    scores: str | None,
    on_duplicate: Literal["error", "keep"],
) -> list["Manifest"]:
    """The manifests a command is asked for."""
    from maclip_lab.datasets import find_datasets, open_dataset

    found: Mapping[str, Path | None] = {dataset: root}
    if dataset == "all" and annotations is None:
        if root is None:
            raise typer.BadParameter("say where the data sets lie", param_hint="--root")
        found = find_datasets(root)
        if not found:
            raise typer.BadParameter("no data set was found there", param_hint="--root")
    return [
        open_dataset(
            name,
            folder,
            annotations=annotations,
            variant=variant,
            resolution=resolution,
            scores=scores,
            on_duplicate=on_duplicate,
        )
        for name, folder in found.items()
    ]


def _labelled(part: "pd.DataFrame", table: "pd.DataFrame") -> "pd.DataFrame":
    """A part of a study, every row with the data set and backbone of its table."""
    facts = dict(table.iloc[0][["dataset", "backbone"]])
    return part.assign(**facts)[[*facts, *(name for name in part if name not in facts)]]


def _report_failures(table: "pd.DataFrame") -> int:
    """Says which pictures could not be used; returns how many."""
    failed = table[table["status"] != "ok"]
    for row in failed.head(20).itertuples():
        label = getattr(row, "path", getattr(row, "name", ""))
        typer.secho(f"  {label}: {row.status} {getattr(row, 'message', '')}", fg="yellow", err=True)
    if len(failed):
        typer.secho(f"{len(failed)} of {len(table)} pictures could not be used", err=True)
    return len(failed)
