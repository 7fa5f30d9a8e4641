"""``maclip-lab reproduce``: the paper's claims on whatever is here, as one page to cite."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from maclip_lab.ablations.evidence import VARIANT, find_sets, gather
from maclip_lab.ablations.published import CLIP_IQA_ANSWERS, PAPER_BACKBONE, published_results
from maclip_lab.ablations.rated import STATISTICS
from maclip_lab.ablations.reproduction import answer_rows, claims_table, cost_row, set_rows
from maclip_lab.cli import options
from maclip_lab.cli.report import Report, claim_folder, file_stem, write_report
from maclip_lab.crops import DATASETS
from maclip_lab.datasets.cards import CARDS
from maclip_lab.datasets.finding import FileIndex
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import (
    DatasetError,
    MaclipError,
    PictureError,
    StorageFullError,
    WeightsError,
)
from maclip_lab.features import Extractor, Pack, open_pack, write_pack
from maclip_lab.features.packs import SHIPPED, shipped_pack
from maclip_lab.scorer import Maclip, ScoreConfig

Job = tuple[Manifest, Maclip | Pack]
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
_COLUMNS = ["what", "found", "to do"]


def reproduce(
    encoder: Annotated[ScoreConfig, options.ENCODER],
    kept: Annotated[partial[Extractor], ("folder", "dtype")],
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
    sets, left_out = ({}, {}) if root is None else find_sets(root)
    if root is not None and not sets and not left_out:
        raise typer.BadParameter("no data set was found there", param_hint="--root")
    encoder = replace(encoder, offline=encoder.offline or not fetch)
    names = backbone or (["tiny-rn"] if root is None else [PAPER_BACKBONE])
    jobs: list[Job] = []
    lost: dict[str, str] = {}
    for name in names if sets else ():
        try:
            loaded = Maclip.from_config(replace(encoder, backbone=name))
        except WeightsError as error:
            lost[name] = str(error)
        else:
            jobs += [(manifest, loaded) for manifest in sets.values()]
    if root is None if packs is None else packs:
        jobs += [(pack.manifest, pack) for pack in _shipped(names)]
    found = _found(sets, jobs, left_out, lost)
    typer.echo(found.to_string(index=False))
    record = claim_folder(output, _config(jobs, encoder.precision, kept.keywords["dtype"]))
    published = published_results()
    parts, evidence, short = [_answers(jobs)], [], []
    for place, ((manifest, scorer), cost) in enumerate(_costs(jobs, kept), start=1):
        typer.echo(f"[{place}/{len(jobs)}] {manifest!r}", err=True)
        try:
            one = gather(
                manifest,
                scorer,
                kept.keywords["folder"],
                dtype=kept.keywords["dtype"],
                progress=not quiet,
            )
            rows = [set_rows(one, published), cost_row(one, *cost)]
            if not isinstance(scorer, Pack):
                path = output / "packs" / f"{file_stem(one)}.safetensors"
                write_pack(path, one.rated.features, one.rated.wholes, scorer)
                short += [f"{one.dataset}: {fault}" for fault in one.faults]
        except StorageFullError:
            raise
        except (MaclipError, OSError, ValueError) as error:
            left_out[manifest.dataset] = str(error)
        else:
            evidence.append(one)
            parts += rows
    run = {one.dataset for one in evidence if one.backbone == PAPER_BACKBONE}
    why = dict.fromkeys(DATASETS, "the set is not here")
    why |= dict.fromkeys(
        sets, lost.get(PAPER_BACKBONE, f"{PAPER_BACKBONE} was not run on all of it")
    )
    absent = {name: left_out.get(name, why[name]) for name in DATASETS if name not in run}
    claims = claims_table(parts, published, absent)
    page = write_report(Report(found, claims, evidence, record), output)
    verdicts = claims["verdict"].str.partition(":")[0].value_counts()
    typer.echo("\n".join([f"{count:4} {verdict}" for verdict, count in verdicts.items()]))
    typer.echo(f"written to {page}")
    failed = [f"{name}: {why}" for name, why in (left_out | lost).items()] + short
    for line in dict.fromkeys(failed):
        typer.secho(f"not run as it should be: {line}", fg="yellow", err=True)
    if failed or not jobs:
        raise typer.Exit(1)


def _found(
    sets: Mapping[str, Manifest],
    jobs: Sequence[Job],
    left_out: Mapping[str, str],
    lost: Mapping[str, str],
) -> pd.DataFrame:
    """What is here and what is not: ``what, found, to do``."""
    rows = {}
    for name in DATASETS:
        card = CARDS[name]
        rows[name] = left_out.get(name, "not here"), f"get it from {card.url}"
        if name in sets:
            rows[name] = f"{len(sets[name])} of {card.paper_rows} pictures", ""
    for manifest, scorer in jobs:
        if isinstance(scorer, Pack):
            rows[scorer.name] = f"features of {len(manifest)} pictures, by {scorer.backbone}", ""
        else:
            weights = f"weights {scorer.backbone.sha256[:12]}... on {scorer.encoder.device}"
            rows[scorer.backbone.name] = weights, ""
    for name, why in lost.items():
        rows[name] = why.splitlines()[0], f"maclip-lab weights fetch {name}, or --fetch"
    return pd.DataFrame([(name, *row) for name, row in rows.items()], columns=_COLUMNS)


def _config(jobs: Sequence[Job], precision: str, dtype: str) -> dict[str, object]:
    """What everything in a report has in common."""
    facts = [scorer.config(manifest.protocol).facts for manifest, scorer in jobs]
    weights = {str(one["backbone"]): one["weights_sha256"] for one in facts}
    settings = {"precision": precision, "dtype": dtype, "statistics": STATISTICS}
    return {"variant": VARIANT, "weights": weights, **settings}


def _costs(jobs: Sequence[Job], kept: partial[Extractor]) -> list[tuple[Job, tuple[float, int]]]:
    """Every job with the seconds a picture takes and of how many; says how long all will take."""
    costs, seconds = [], 0.0
    for manifest, scorer in jobs:
        cost = (float("nan"), 0)
        if not isinstance(scorer, Pack):
            cost = _time(scorer, manifest)
            pending = len(kept(scorer).pending(manifest))
            seconds += 1.5 * cost[0] * pending if cost[1] else 0  # whole pictures: half again
        costs.append(((manifest, scorer), cost))
    if jobs:
        typer.echo(f"about {seconds / 60:.1f} minutes for the pictures here, then the statistics")
    return costs


def _shipped(names: list[str]) -> Iterator[Pack]:
    """The packs that this package ships of these backbones."""
    for name in names:
        for dataset in SHIPPED:
            try:
                yield open_pack(shipped_pack(dataset, name))
            except DatasetError as error:
                typer.echo(str(error), err=True)


def _answers(jobs: Sequence[Job]) -> pd.DataFrame:
    """The rows of the two known answers, from the pictures of TID2013 or beside them."""
    encoders = [
        (manifest, scorer)
        for manifest, scorer in jobs
        if not isinstance(scorer, Pack) and scorer.backbone.name == PAPER_BACKBONE
    ]
    answers: dict[str, float] = {}
    for manifest, scorer in encoders:
        index = FileIndex.scan(manifest.root)
        for name in CLIP_IQA_ANSWERS if manifest.dataset == "TID2013" else ():
            for file in index.candidates(name)[:1]:
                with contextlib.suppress(PictureError):
                    answers[name] = scorer.clip_iqa(index.root / file)
    return answer_rows(answers, PAPER_BACKBONE, "" if encoders else f"{PAPER_BACKBONE} was not run")


def _time(scorer: Maclip, manifest: Manifest) -> tuple[float, int]:
    """Seconds that scoring a picture takes, after a first one, and of how many that is the mean."""
    seconds = []
    for path in manifest.sample(min(_TIMED + 1, len(manifest))).paths:
        start = time.perf_counter()
        with contextlib.suppress(PictureError):
            scorer(path, manifest.protocol)
            seconds.append(time.perf_counter() - start)
    timed = seconds[1:] or seconds
    return (sum(timed) / len(timed), len(timed)) if timed else (float("nan"), 0)
