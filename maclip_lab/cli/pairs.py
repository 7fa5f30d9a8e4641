"""``maclip-lab evaluate --pairs``: people's choices between two pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from maclip_lab.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from maclip_lab.datasets.manifest import Manifest

PARTS = ("pictures", "differences")


def judge_pairs(
    pairs: Path,
    dataset: str,
    data: options.DataOptions,
    fusion: options.FusionOptions,
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    backbones: Sequence[str],
    files: dict[Path, str],
    *,
    also: Sequence[str],
    clip_iqa: bool,
    quiet: bool,
) -> None:
    """How the methods of each backbone choose, beside people; arguments as in ``evaluate``.

    Args:
        pairs: the table of choices.
        dataset: what it is called, or whose crop protocol applies.
        data: of which the root alone counts.
        fusion: the fusion's constants.
        encoder: where and how backbones run.
        kept: the feature store.
        backbones: by name.
        files: of the results, and the part that each holds: ``"table"`` or one of `PARTS`.
        also: other metrics' tables.
        clip_iqa: encode whole pictures too.
        quiet: show no progress bar.
    """
    import pandas as pd

    from maclip_lab.ablations.rivals import read_rivals
    from maclip_lab.ablations.study import methods_of, predict
    from maclip_lab.crops import protocol_for
    from maclip_lab.evaluation import bradley_terry, compare_pairs, count_votes, evaluate_pairs
    from maclip_lab.evaluation.correlations import spearman
    from maclip_lab.files.identity import sha256_of
    from maclip_lab.files.provenance import provenance_record, write_table

    votes = count_votes(_read(pairs))
    scale = bradley_terry(votes)
    manifest = _manifest(list(scale["picture"]), dataset, data.root or pairs.parent)
    rivals = read_rivals(also, manifest)
    parts: dict[str, list[pd.DataFrame]] = {part: [] for part in ("table", *PARTS)}
    records, failed = [], len(manifest.missing)
    for name in backbones:
        scorer = encoder.scorer(name)
        found = predict(
            manifest,
            scorer,
            kept.store,
            settings=fusion.settings,
            dtype=kept.dtype,
            clip_iqa=clip_iqa,
            progress=not quiet,
        )
        failed += options.report_failures(found)
        methods = pd.concat([methods_of(found), rivals.scores], axis=1)
        methods = methods.set_axis(found["name"]).reindex(scale["picture"])
        table = evaluate_pairs(methods, votes)
        seen = methods.notna()
        table["srcc_scale"] = [
            spearman(methods.loc[seen[one], one].to_numpy(float),
                     scale["strength"].to_numpy()[seen[one]])
            for one in methods
        ]  # fmt: skip
        differences = compare_pairs(methods, votes, baseline="MA-CLIP")
        pictures = scale.join(methods.reset_index(drop=True))
        for part, one in zip(parts, (table, pictures, differences), strict=True):
            one.insert(0, "backbone", name)
            parts[part].append(one)
        for shown in (table, differences):
            typer.echo(
                shown.dropna(axis=1, how="all").to_string(index=False, float_format="{:.4f}".format)
            )
        config = scorer.config(protocol_for(manifest.protocol), fusion.settings)
        also_facts = {"pairs_sha256": sha256_of(pairs), "also": rivals.facts}
        records.append(provenance_record({**config.facts, **manifest.facts, **also_facts}))
    for note in rivals.notes:
        typer.echo(note, err=True)
    if manifest.missing:
        lost = f"{len(manifest.missing)} pictures are not under {manifest.root}"
        typer.secho(f"{lost}, such as {manifest.missing[0]}", fg="yellow", err=True)
    if scale["group"].max():
        typer.secho(
            f"the pictures fall into {scale['group'].max() + 1} groups that nobody compared: "
            "the scale holds within a group alone",
            fg="yellow",
            err=True,
        )
    record = records[0] if len(records) == 1 else {"parts": records}
    for path, part in files.items():
        path.parent.mkdir(exist_ok=True)
        write_table(pd.concat(parts[part], ignore_index=True), path, record)
        typer.echo(f"written to {path}", err=True)
    if failed:
        raise typer.Exit(1)


def _read(pairs: Path) -> "pd.DataFrame":
    from maclip_lab.datasets.annotations import READERS

    reader = READERS.get(pairs.suffix.lower())
    if reader is None:
        raise typer.BadParameter(f"expected a file in {', '.join(READERS)}", param_hint="--pairs")
    return reader(pairs)


def _manifest(names: list[str], dataset: str, root: Path) -> "Manifest":
    """The pictures that the pairs name, wherever they lie below the root."""
    import pandas as pd

    from maclip_lab.crops import canonical_name
    from maclip_lab.datasets.annotated import Annotated, Facets
    from maclip_lab.datasets.build import build_manifest
    from maclip_lab.datasets.index import FileIndex

    try:
        protocol = canonical_name(dataset)
    except ValueError:
        protocol = "native"
    table = pd.DataFrame({"name": names, "mos": float("nan")})
    return build_manifest(
        Annotated(table, source=""),
        FileIndex.scan(root),
        lambda name: Facets(),
        dataset=dataset,
        higher_is_better=True,
        mos_range=(float("nan"), float("nan")),
        protocol=protocol,
        variant="pairs",
    )
