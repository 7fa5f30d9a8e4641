"""``maclip-lab features|pack|evaluate|sweep|calibrate``: data sets to features and tables."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, cast

import pandas as pd
import typer

from maclip_lab.ablations.rated import study
from maclip_lab.ablations.rivals import read_choices, read_rivals
from maclip_lab.ablations.sweeps import named_sweep, score_store
from maclip_lab.cli import options
from maclip_lab.datasets import Choices
from maclip_lab.datasets.manifest import PACK_SUFFIX
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.evaluation import calibrate as fit
from maclip_lab.features import write_pack
from maclip_lab.files.provenance import provenance_record, write_result, write_table
from maclip_lab.fusion import FusionSettings
from maclip_lab.scorer import Maclip, ScoreConfig

_SHOWN = [
    *("dataset", "backbone", "method", "n", "n_dropped", "srcc", "srcc_lo", "srcc_hi", "krcc"),
    *("plcc_4p", "rmse_4p", "paper_rn50_srcc", "minus_paper_rn50", "published_srcc"),
    *("srcc_official", "plcc_official", "fit_status"),
]
_TESTS = ["method", "other", "n_common", "delta_srcc", "delta_srcc_lo", "delta_srcc_hi"]
_TESTS += ["p_srcc_holm", "verdict", "detectable"]
_DETAILS = ("predictions", "differences", "by_type")


@dataclass
class Judges:
    """What scores are held against beside opinions: other metrics, or people's choices."""

    also: Annotated[
        list[str] | None,
        typer.Option(help="Other metrics' scores: FILE, or FILE:COLUMN,-LOWER_IS_BETTER."),
    ] = None
    also_path: Annotated[
        str | None, typer.Option(help="Column of those tables that holds the pictures.")
    ] = None
    pairs: Annotated[
        Path | None,
        typer.Option(help="A table of a, b, chosen[, count]: choices in place of scores."),
    ] = None
    pairs_columns: Annotated[
        str | None, typer.Option(help="Its columns by name, in that order: LEFT,RIGHT,WINNER.")
    ] = None
    n_boot: Annotated[
        int | None, typer.Option(help="Resamples; else as many as the comparisons take.")
    ] = None

    def refuse_unused(self, choices: Choices) -> None:
        """Stops where an option is given that is not looked at."""
        unused: dict[str, object] = {"pairs_columns": self.pairs_columns}
        mode = "without --pairs"
        if self.pairs is not None:
            unused = {**choices.given, "n_boot": self.n_boot}
            unused |= {"on_collision": None, "on_duplicate": None}
            mode = "with --pairs"
        if not self.also and self.also_path is not None:
            unused, mode = {"also_path": self.also_path}, "without --also"
        for name, value in unused.items():
            if value is not None:
                hint = f"--{name.replace('_', '-')}"
                raise typer.BadParameter(f"{mode} it is not used", param_hint=hint)


def features(sets: options.Sets) -> None:
    """Extract a data set's features into a store; stopped, it goes on from there."""
    for extractor in sets.extractors():
        for manifest in sets.manifests:
            view = extractor.crops(manifest)
            typer.echo(repr(view))
            sets.report(view.table, manifest)
    sets.end()


def pack(
    sets: options.Sets,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Pack to write: .safetensors.", show_default=False),
    ],
    clip_iqa: options.ClipIqa = True,
    overwrite: options.Overwrite = False,
) -> None:
    """Put a data set's features, opinions and prompts into one file, without its pictures."""
    options.refuse_existing(output, overwrite, [PACK_SUFFIX])
    extractor, manifest = sets.only("a pack")
    if not manifest.has_pictures:
        raise typer.BadParameter("a pack is made of pictures, not of a pack")
    if clip_iqa:
        crops, whole = extractor.crops_and_whole(manifest)
    else:
        crops, whole = extractor.crops(manifest), None
    write_pack(output, crops, whole, cast(Maclip, extractor.scorer))
    typer.echo(f"{crops!r}\nwritten to {output}, {output.stat().st_size / 1e6:.1f} MB")
    sets.report(crops.table, manifest)
    sets.end()


def evaluate(
    sets: options.Sets,
    judges: Judges,
    fusion: FusionSettings,
    output: options.Output = None,
    details: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the scores of every picture, the differences, and the SRCC by type.",
            file_okay=False,
        ),
    ] = None,
    clip_iqa: options.ClipIqa = True,
    overwrite: options.Overwrite = False,
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
    judges.refuse_unused(sets.choices)
    votes = None
    if judges.pairs is not None:
        columns = judges.pairs_columns.split(",") if judges.pairs_columns else []
        titles = [title.strip() for title in columns]
        votes, listed = read_choices(judges.pairs, sets.dataset, sets.root, titles, sets.choices)
        sets.manifests = [listed]
        typer.echo(listed.note, err=True)
    rivals = [read_rivals(judges.also or [], each, judges.also_path) for each in sets.manifests]
    for note in (note for read in rivals for note in read.notes):
        typer.echo(note, err=True)
    statistics = None if judges.n_boot is None else EvaluationSettings(judges.n_boot)
    evaluated = partial(study, clip_iqa=clip_iqa, votes=votes)
    studies = []
    for extractor in sets.extractors():
        for manifest, others in zip(sets.manifests, rivals, strict=True):
            result = evaluated(extractor, manifest, fusion, statistics, rivals=others)
            studies.append(result)
            sets.report(result.predictions, manifest)
            _name_without_whole(result.predictions)
            if votes is not None:
                options.show(result.table.set_index("method").T, index=True)
                continue
            options.show(result.table[_SHOWN])
            if judges.also:
                options.show(result.differences[_TESTS])
    for path, part in files.items():
        tables = [_labelled(getattr(each, part), each.table) for each in studies]
        filled = [table for table in tables if len(table)] or tables[:1]
        path.parent.mkdir(exist_ok=True)
        _write(filled, [each.record for each in studies], path)
    sets.end()


def sweep(
    sets: options.Sets,
    output: options.Output = None,
    grid: Annotated[
        Literal["lambda", "bases", "prompts", "crops", "rules"],
        typer.Option(
            help="box_lam; the authors' base constants; prompt sets and single pairs; subsets of "
            "the crops; fusion rules and fixed weights."
        ),
    ] = "lambda",
    overwrite: options.Overwrite = False,
) -> None:
    """Sweep the method's constants over stored features, without touching a picture again."""
    options.refuse_existing(output, overwrite)
    tables, records = [], []
    for extractor in sets.extractors():
        for manifest in sets.manifests:
            view, scorer = extractor.crops(manifest), extractor.scorer
            score_store(view, scorer.anchors)  # which says where opinions are scores of our own
            config = scorer.config(view.config.protocol, preset=view.config.preset)
            table = named_sweep(grid, view, scorer.text_anchors)
            table.insert(0, "dataset", manifest.dataset)
            table.insert(1, "backbone", config.backbone)
            made = {"grid": grid, "dtype": view.config.dtype, "data": manifest.data(view.table)}
            made["prompts"] = list(table["prompts"].unique())
            tables.append(table)
            records.append(provenance_record({**config.facts, **manifest.facts, **made}))
            sets.report(view.table, manifest)
            options.show(table)
    if output is not None:
        _write(tables, records, output)
    sets.end()


def calibrate(
    sets: options.Sets,
    read: Annotated[ScoreConfig, ("prompts", "settings")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Calibration to write: .json.")],
    level: Annotated[float, typer.Option(help="Share of pictures in the interval.")] = 0.95,
    overwrite: options.Overwrite = False,
) -> None:
    """Fit the curve from scores to people's own scale, with an interval for a new picture.

    Example: maclip-lab calibrate mine --annotations scores.csv -b tiny-rn -o mine.json,
    then: maclip-lab score photos/ -b tiny-rn --calibration mine.json
    """
    options.refuse_existing(output, overwrite, [".json"])
    extractor, manifest = sets.only("a calibration")
    view, anchors = extractor.crops(manifest), extractor.scorer.text_anchors(read.prompts)
    references = manifest.table["ref_id"]
    config = extractor.scorer.config(view.config.protocol, read.settings, preset=view.config.preset)
    result = fit(
        score_store(view, anchors, read.settings)["score"],
        manifest.table["mos"],
        higher_is_better=manifest.higher_is_better,
        clusters=references if references.notna().all() else None,
        level=level,
        facts={**replace(config, prompts=anchors.pairs).facts, **manifest.facts},
    )
    record = {**result.facts, "level": level, "data": manifest.data(view.table)}
    write_result(result.to_json().encode(), output, provenance_record(record))
    typer.echo(
        f"{level:.0%} of new pictures should lie within {result.margin:.3g} of the curve through "
        f"{result.n}; written to {output}"
    )
    sets.report(view.table, manifest)
    sets.end()


def _name_without_whole(predictions: pd.DataFrame) -> None:
    """Says how many pictures have a score, but are too large to be encoded whole."""
    lost = predictions.query("status == 'ok' and message != ''")
    for row in lost[:1].itertuples():
        reason = row.message.removeprefix("no CLIP-IQA: ")
        said = f"{len(lost)} of {len(predictions)} pictures have no CLIP-IQA, such as"
        typer.secho(f"{said} {row.path}: {reason}", fg="yellow", err=True)


def _write(tables: list[pd.DataFrame], records: list[dict[str, object]], path: Path) -> None:
    """One table of several, with a record that has theirs."""
    record = records[0] if len(records) == 1 else {"parts": records}
    write_table(pd.concat(tables, ignore_index=True), path, record)
    typer.echo(f"written to {path}", err=True)


def _labelled(part: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A part of a study, every row with the data set and backbone of its table."""
    facts = dict(table.iloc[0][["dataset", "backbone"]])
    return part.assign(**facts)[[*facts, *(name for name in part if name not in facts)]]
