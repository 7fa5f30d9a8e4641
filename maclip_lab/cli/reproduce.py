"""``maclip-lab reproduce``: notebook 10 on whatever is here, executed and kept as a page."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from maclip_lab.ablations.claims import PAPER_BACKBONE, VARIANT, find_sets
from maclip_lab.cli import options
from maclip_lab.crops import DATASETS
from maclip_lab.datasets.cards import CARDS
from maclip_lab.errors import MaclipError, WeightsError
from maclip_lab.features import Extractor
from maclip_lab.files.identity import data_path
from maclip_lab.files.provenance import provenance_record, read_record, write_result
from maclip_lab.scorer import Maclip, ScoreConfig
from maclip_lab.weights.places import WEIGHTS_VARIABLE

NOTEBOOK = "10_reproduce.ipynb"
SETTINGS = "settings.json"
_EMBEDDED = ("tiny-rn", "tiny-vit")
_SAME = ("versions", "code_sha256")
_FROM_ELSEWHERE = ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url")


class MixedReportError(MaclipError, ValueError):
    """A folder holds something else than an earlier state of the same report."""


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
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Download weights that are missing.", show_default=False)
]


def reproduce(
    encoder: Annotated[ScoreConfig, ("device", "precision", "weights_dir", "offline")],
    kept: Annotated[partial[Extractor], ("folder",)],
    root: Sets = None,
    backbone: Backbones = None,
    output: Folder = Path("report"),
    fetch: Fetch = False,
    quiet: options.Quiet = False,
) -> None:
    """Reproduce the paper's claims: a page, tables, figures, packs; stopped, it goes on from there.

    It executes notebook 10 for every backbone. Exit status 0 means that whatever could be run was
    run.

    Examples: maclip-lab reproduce -o report/; maclip-lab reproduce --root ~/iqa -b RN50 -o report/
    """
    sets, left_out = ({}, {}) if root is None else find_sets(root)
    if root is not None and not sets and not left_out:
        raise typer.BadParameter("no data set was found there", param_hint="--root")
    encoder = replace(encoder, offline=encoder.offline or not fetch)
    weights, failed = {}, dict(left_out)
    for name in backbone or (["tiny-rn"] if root is None else [PAPER_BACKBONE]):
        try:
            weights[name] = Maclip.from_config(replace(encoder, backbone=name)).backbone.sha256
        except WeightsError as error:
            failed[name] = f"{error}\nmaclip-lab weights fetch {name}, or --fetch"
    for name in DATASETS:
        there = f"{len(sets[name])} of {CARDS[name].paper_rows} pictures" if name in sets else ""
        typer.echo(f"{name:10} {there or f'not here; get it from {CARDS[name].url}'}")
    if encoder.weights_dir is not None:  # what a kernel takes from its environment
        os.environ[WEIGHTS_VARIABLE] = str(Path(encoder.weights_dir).absolute())
    if encoder.offline:
        os.environ["MACLIP_LAB_OFFLINE"] = "1"
    record = _claim_folder(output, {"variant": VARIANT, "precision": encoder.precision}, weights)
    tables = []
    for name in weights:
        typer.echo(f"notebook 10 with {name}", err=True)
        parameters = {
            "BACKBONE": name, "DATASET": "clive-part" if name in _EMBEDDED else "severity",
            "ROOT": None if root is None else str(root.absolute()), "DEVICE": encoder.device,
            "PRECISION": encoder.precision, "STORE": str(kept.keywords["folder"].absolute()),
        }  # fmt: skip
        folder = output / "".join(c if c.isalnum() or c in ".-_" else "-" for c in Path(name).name)
        page = _execute(folder, parameters, record, quiet=quiet)
        tables.append(pd.read_csv(folder / "claims.csv", keep_default_na=False))
        typer.echo(f"written to {page}")
    if tables:
        claims = pd.concat(tables, ignore_index=True)
        claims.to_csv(output / "claims.csv", index=False)
        parts = claims["dataset"][claims["dataset"].str.endswith("(part)")]
        failed |= {name: "a part of the set" for name in parts if name[:-7] in sets}
        for verdict, count in claims["verdict"].str.partition(":")[0].value_counts().items():
            typer.echo(f"{count:4} {verdict}")
    for name, why in failed.items():
        typer.secho(f"not run as it should be: {name}: {why}", fg="yellow", err=True)
    if failed or not tables:
        raise typer.Exit(1)


def _execute(
    folder: Path, parameters: Mapping[str, object], record: Mapping[str, object], *, quiet: bool
) -> Path:
    """The notebook executed into a folder, and the page made of it."""
    try:
        import nbformat
        import papermill
        from nbconvert import HTMLExporter
        from papermill.exceptions import PapermillExecutionError
    except ImportError as error:
        raise MaclipError(f"{error}; reproduce needs pip install 'maclip-lab[lab]'") from error
    folder.mkdir(parents=True, exist_ok=True)
    unfinished, finished = folder / f"unfinished-{NOTEBOOK}", folder / NOTEBOOK
    notebook = data_path(NOTEBOOK)  # beside the package, or in the checkout
    if not notebook.is_file():
        notebook = data_path().parent / "notebooks" / NOTEBOOK
    try:
        papermill.execute_notebook(
            notebook, unfinished, {**parameters, "OUT": str(folder.absolute())},
            kernel_name="python3", progress_bar=not quiet, cwd=folder,
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise MaclipError(f"{unfinished}: {error.ename}: {error.evalue}") from error
    unfinished.replace(finished)
    executed = nbformat.read(finished, as_version=4)
    executed.metadata.pop("widgets", None)  # progress bars, for which a page would ask a server
    for cell in executed.cells:  # whose links lead nowhere outside the checkout
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\[([^\]]+)\]\((?!http)[^)]*\)", r"\1", cell.source)
    exporter = HTMLExporter(exclude_input_prompt=True, exclude_output_prompt=True)
    for url in _FROM_ELSEWHERE:
        setattr(exporter, url, "")
    page, _ = exporter.from_notebook_node(executed)
    return write_result(page.encode(), folder / "report.html", record)


def _claim_folder(
    folder: Path, config: Mapping[str, object], weights: Mapping[str, str]
) -> dict[str, object]:
    """The record of a report that is begun, or gone on with, in a folder.

    Raises:
        MixedReportError: what lies there was made by other versions, weights or settings, or is no
            report.
    """
    record, path = provenance_record({**config, "weights": dict(weights)}), folder / SETTINGS
    if path.exists():
        old = read_record(path)
        then = dict(old["config"])
        pairs = [(key, old.get(key), record[key]) for key in _SAME]
        pairs += [(key, then.get(key), value) for key, value in config.items()]
        pairs += [(name, then["weights"].get(name, sha), sha) for name, sha in weights.items()]
        apart = [f"{key} was {was} and is {now}" for key, was, now in pairs if was != now]
        if apart:
            raise MixedReportError(
                f"{folder} holds a report that this one cannot be mixed with: {'; '.join(apart)}. "
                "Name a new folder"
            )
        record = provenance_record({**config, "weights": then["weights"] | weights})
    elif folder.exists() and any(folder.iterdir()):
        raise MixedReportError(f"{folder} holds other things than a report; name a new folder")
    write_result(json.dumps(record["config"], indent=2).encode(), path, record)
    return record
