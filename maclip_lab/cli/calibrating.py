"""``maclip-lab calibrate``: rated pictures to a curve from scores to their scale."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from maclip_lab.cli import options


@options.grouped
def calibrate(
    dataset: Annotated[
        str, typer.Argument(help="koniq, ..., what your own list is called, or a pack.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Calibration to write: .json.")],
    data: options.DataOptions,
    fusion: options.FusionOptions,
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    backbone: options.OneBackbone = None,
    prompts: options.Prompts = "maclip",
    level: Annotated[float, typer.Option(help="Share of pictures in the interval.")] = 0.95,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit the curve from scores to people's own scale, with an interval for a new picture.

    Example: maclip-lab calibrate mine --annotations scores.csv -b tiny-rn -o mine.json,
    then: maclip-lab score photos/ -b tiny-rn --calibration mine.json
    """
    if output.suffix != ".json" or (output.exists() and not overwrite):
        raise typer.BadParameter(f"{output} is no .json, or exists (--overwrite)", param_hint="-o")
    from maclip_lab.ablations.sweeps import score_store
    from maclip_lab.evaluation import calibrate as fit
    from maclip_lab.features import Extractor
    from maclip_lab.files.provenance import provenance_record, write_result

    manifest, *others = data.manifests(dataset)
    if others:
        raise typer.BadParameter("a calibration is of one data set", param_hint="DATASET")
    (scorer,) = encoder.scorers(None if backbone is None else [backbone], [manifest])
    anchors = scorer.text_anchors(prompts)
    view = Extractor(scorer, kept.store, kept.dtype, not quiet).crops(manifest)
    references = manifest.table["ref_id"]
    config = scorer.config(view.config.protocol, fusion.settings, preset=view.config.preset)
    config = replace(config, prompts=anchors.pairs)
    found = fit(
        score_store(view, anchors, fusion.settings)["score"],
        manifest.table["mos"],
        higher_is_better=manifest.higher_is_better,
        clusters=references if references.notna().all() else None,
        level=level,
        facts={**config.facts, **manifest.facts},
    )
    record = provenance_record({**found.facts, "level": level})
    write_result(found.to_json().encode(), output, record)
    typer.echo(
        f"{level:.0%} of new pictures should lie within {found.margin:.3g} of the curve through "
        f"{found.n}; written to {output}"
    )
    if options.report_failures(view.table, manifest):
        raise typer.Exit(1)
