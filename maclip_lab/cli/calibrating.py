"""``maclip-lab calibrate``: rated pictures to a curve from scores to their scale."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maclip_lab.cli import options

if TYPE_CHECKING:
    from maclip_lab.config import ScoreConfig
    from maclip_lab.evaluation.calibration import Calibration


@options.grouped
def calibrate(
    dataset: Annotated[
        str, typer.Argument(help="koniq, TID2013, ..., or what your own list is called.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Calibration to write: .json.")],
    data: options.DataOptions,
    fusion: options.FusionOptions,
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    backbone: options.Backbone = "RN50",
    prompts: options.Prompts = "maclip",
    shape: Annotated[
        Literal["logistic", "isotonic"],
        typer.Option(help="Of the curve: four parameters, or any that does not fall."),
    ] = "logistic",
    level: Annotated[
        float, typer.Option(help="Share of new pictures that the interval holds.")
    ] = 0.95,
    overwrite: options.Overwrite = False,
    preset: options.ReadingPreset = None,
    quiet: options.Quiet = False,
) -> None:
    """Fit the curve from scores to people's own scale, with an interval for a new picture.

    Example: maclip-lab calibrate mine --annotations scores.csv -b tiny-rn -o mine.json,
    then: maclip-lab score photos/ -b tiny-rn --calibration mine.json
    """
    options.refuse_existing(output, overwrite, suffixes=(".json",))
    from maclip_lab.ablations.sweeps import score_store
    from maclip_lab.crops import protocol_for
    from maclip_lab.evaluation.calibration import calibrate as fit
    from maclip_lab.features import extract_features
    from maclip_lab.files.provenance import provenance_record, write_result
    from maclip_lab.scorer import Maclip

    manifests = data.manifests(dataset)
    if len(manifests) > 1:
        raise typer.BadParameter("a calibration is of one data set", param_hint="DATASET")
    manifest, table = manifests[0], manifests[0].table
    scorer = Maclip.from_config(replace(encoder.config(backbone), prompts=prompts))
    view = extract_features(
        manifest, scorer, kept.store, preset=preset, dtype=kept.dtype, progress=not quiet
    )
    scores = score_store(view, scorer.anchors, fusion.settings)["score"]
    config = scorer.config(
        protocol_for(manifest.protocol), fusion.settings, preset=view.config.preset
    )
    facts = {**config.facts, **manifest.facts}
    found = fit(
        scores,
        table["mos"],
        higher_is_better=manifest.higher_is_better,
        clusters=table["ref_id"] if table["ref_id"].notna().all() else None,
        shape=shape,
        level=level,
        facts=facts,
    )
    record = provenance_record({**facts, "shape": shape, "level": level})
    write_result(found.to_json().encode(), output, record)
    typer.echo(
        f"{found.n} pictures, SRCC {found.srcc:.4f}; {level:.0%} of new ones lie within "
        f"{found.margin:.3g} of the curve; written to {output}"
    )
    if options.report_failures(view.table) or manifest.missing:
        raise typer.Exit(1)


def opened(path: Path, config: "ScoreConfig") -> tuple["Calibration", "ScoreConfig"]:
    """A calibration that fits scores of these settings, and the settings with weights pinned."""
    from maclip_lab.evaluation.calibration import Calibration

    try:
        found = Calibration.from_json(path.read_bytes())
        config = config.pinned()
        found.require(config.facts)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found, config
