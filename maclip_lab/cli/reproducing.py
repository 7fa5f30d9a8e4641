"""``maclip-lab reproduce``: the paper's claims on whatever is here, as one page to cite."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maclip_lab.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from maclip_lab.datasets.manifest import Manifest
    from maclip_lab.features import Pack
    from maclip_lab.scorer import Maclip

Folder = Annotated[
    Path, typer.Option("--output", "-o", help="Folder of the report.", file_okay=False)
]
Sets = Annotated[
    Path | None,
    typer.Option(
        help="Folder with any of the nine data sets; without it the shipped packs are taken.",
        exists=True,
        file_okay=False,
    ),
]
Backbones = Annotated[
    list[str] | None,
    typer.Option(
        *("--backbone", "-b"),
        help="May be given repeatedly.",
        show_default="RN50; tiny-rn without --root",
        callback=options.known_backbones,
    ),
]
Packs = Annotated[
    bool | None,
    typer.Option(help="The shipped packs too; they are parts of two sets.", show_default=False),
]
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Download weights that are missing.", show_default=False)
]
_TIMED = 2  # pictures of every set


@options.grouped
def reproduce(
    encoder: options.EncoderOptions,
    kept: options.StoreOptions,
    root: Sets = None,
    backbone: Backbones = None,
    output: Folder = Path("report"),
    packs: Packs = None,
    fetch: Fetch = False,
    quiet: options.Quiet = False,
) -> None:
    """Reproduce the paper's claims: a page, tables and figures; stopped, it goes on from there.

    Exit status 0 means that whatever could be run was run.

    Examples: maclip-lab reproduce -o report/; maclip-lab reproduce --root ~/iqa -b RN50 -o report/
    """
    import pandas as pd

    from maclip_lab.ablations.evidence import VARIANT, find_sets, gather
    from maclip_lab.ablations.published import PAPER_BACKBONE, published_results
    from maclip_lab.ablations.rated import STATISTICS
    from maclip_lab.ablations.reproduction import claims_table, cost_row, set_rows
    from maclip_lab.cli.report import Report, claim_folder, file_stem, write_report
    from maclip_lab.datasets.cards import CARDS
    from maclip_lab.errors import MaclipError, StorageFullError, WeightsError
    from maclip_lab.features import write_pack
    from maclip_lab.features.serving import count_pending
    from maclip_lab.scorer import Maclip

    sets, left_out = ({}, {}) if root is None else find_sets(root)
    if root is not None and not sets and not left_out:
        raise typer.BadParameter("no data set was found there", param_hint="--root")
    encoder = replace(encoder, offline=encoder.offline or not fetch)
    names = backbone or (["tiny-rn"] if root is None else [PAPER_BACKBONE])
    scorers: dict[str, Maclip] = {}
    lost: dict[str, str] = {}
    for name in names if sets else ():
        try:
            scorers[name] = encoder.scorer(name)
        except WeightsError as error:
            lost[name] = str(error)
    jobs: list[tuple[Manifest, Maclip | Pack]] = [
        (manifest, scorer) for scorer in scorers.values() for manifest in sets.values()
    ]
    if root is None if packs is None else packs:
        jobs += [(pack.manifest, pack) for pack in _shipped(names)]

    rows = []
    for name, card in CARDS.items():
        state = left_out.get(name, "") or "not here"
        if name in sets:
            rows.append((name, f"{len(sets[name])} of {card.paper_rows} pictures", ""))
        else:
            rows.append((name, state, f"get it from {card.url}"))
    for name, scorer in scorers.items():
        rows.append((name, f"weights {scorer.backbone.sha256} on {scorer.encoder.device}", ""))
    for name, why in lost.items():
        rows.append((name, why, f"maclip-lab weights fetch {name}, or --fetch"))
    for manifest, scorer in jobs[len(scorers) * len(sets) :]:
        rows.append((manifest.root.name, f"features of {len(manifest)} pictures", ""))
    found = pd.DataFrame(rows, columns=["what", "found", "to do"])
    typer.echo(found.to_string(index=False))
    if not jobs:
        typer.secho(
            "nothing can be run here; the report says what is missing", fg="yellow", err=True
        )
    weights = {manifest.root.name if not isinstance(one, Maclip) else one.backbone.name:
               one.backbone.sha256 if isinstance(one, Maclip) else one.crops.config.weights_sha256
               for manifest, one in jobs}  # fmt: skip
    config = {"variant": VARIANT, "weights": weights, "precision": encoder.precision}
    config |= {"dtype": kept.dtype, "statistics": STATISTICS}
    record = claim_folder(output, config)

    published = published_results()
    parts = [_answers(scorers.get(PAPER_BACKBONE), sets.get("TID2013"))]
    costs, seconds = {}, 0.0
    for manifest, scorer in jobs:
        cost, timed = (float("nan"), 0)
        if isinstance(scorer, Maclip):
            cost, timed = _time(scorer, manifest)
            pending = count_pending(manifest, scorer, kept.store, dtype=kept.dtype)
            seconds += 0.0 if cost != cost else 1.5 * cost * pending  # whole pictures: half again
        costs[id(manifest), id(scorer)] = cost, timed
    typer.echo(
        f"about {seconds / 60:.0f} minutes for the pictures on this machine, and then tables"
    )
    evidence, absent, short = [], dict(left_out), []
    for place, (manifest, scorer) in enumerate(jobs, start=1):
        typer.echo(f"[{place}/{len(jobs)}] {manifest!r}", err=True)
        try:
            one = gather(manifest, scorer, kept.store, dtype=kept.dtype, progress=not quiet)
            parts.append(set_rows(one, published))
            if isinstance(scorer, Maclip):
                crops, wholes = one.rated.features, one.rated.wholes
                write_pack(
                    output / "packs" / f"{file_stem(one)}.safetensors", crops, wholes, scorer
                )
        except StorageFullError:
            raise
        except (MaclipError, OSError, ValueError) as error:
            typer.secho(f"{manifest.dataset} is left out: {error}", fg="yellow", err=True)
            absent[manifest.dataset] = str(error)
            continue
        parts.append(cost_row(one.dataset, one.backbone, *costs[id(manifest), id(scorer)]))
        evidence.append(one)
        if manifest.has_pictures:
            short += [f"{one.dataset}: {fault}" for fault in one.faults]
    run = {one.rated.features.manifest.dataset for one in evidence}
    gone = "; ".join(lost.values())
    absent |= {
        name: gone if name in sets and gone else "the set is not here"
        for name in CARDS
        if name not in run and name not in absent
    }
    claims = claims_table(parts, published, absent)
    page = write_report(Report(found, claims, evidence, record), output)
    verdicts = claims["verdict"].str.partition(":")[0].value_counts()
    typer.echo("\n".join([f"{count:4} {verdict}" for verdict, count in verdicts.items()]))
    typer.echo(f"written to {page}")
    failed = [f"{name}: {why}" for name, why in {**left_out, **lost}.items()] + short
    failed += [f"{name}: {absent[name]}" for name in sets if name not in run and not gone]
    for line in dict.fromkeys(failed):
        typer.secho(f"not as it should be: {line}", fg="yellow", err=True)
    if failed:
        raise typer.Exit(1)


def _shipped(names: list[str]) -> "Iterator[Pack]":
    """The packs that this package ships of these backbones."""
    from maclip_lab.datasets.errors import DatasetError
    from maclip_lab.features import open_pack
    from maclip_lab.features.packs import SHIPPED, shipped_pack

    for name in names:
        for dataset in SHIPPED:
            try:
                yield open_pack(shipped_pack(dataset, name))
            except DatasetError as error:
                typer.echo(str(error), err=True)


def _answers(scorer: "Maclip | None", tid2013: "Manifest | None") -> "pd.DataFrame":
    """The rows of the two known answers, from the pictures beside those of TID2013."""
    from maclip_lab.ablations.published import CLIP_IQA_ANSWERS, PAPER_BACKBONE
    from maclip_lab.ablations.reproduction import answer_rows
    from maclip_lab.datasets.index import FileIndex
    from maclip_lab.errors import PictureError

    answers = {}
    if scorer is not None and tid2013 is not None:
        index = FileIndex.scan(tid2013.root)
        for name in CLIP_IQA_ANSWERS:
            for file in index.candidates(name)[:1]:
                with contextlib.suppress(PictureError):
                    answers[name] = scorer.clip_iqa(index.root / file)
    why_not = f"{PAPER_BACKBONE} was not run" if scorer is None else ""
    return answer_rows(answers, PAPER_BACKBONE, why_not)


def _time(scorer: "Maclip", manifest: "Manifest") -> tuple[float, int]:
    """Seconds that scoring a picture takes, after a first one, and of how many that is the mean."""
    from maclip_lab.errors import PictureError

    seconds = []
    for path in manifest.sample(min(_TIMED + 1, len(manifest))).paths:
        start = time.perf_counter()
        with contextlib.suppress(PictureError):
            scorer(path, manifest.protocol)
            seconds.append(time.perf_counter() - start)
    timed = seconds[1:] or seconds
    return (sum(timed) / len(timed), len(timed)) if timed else (float("nan"), 0)
