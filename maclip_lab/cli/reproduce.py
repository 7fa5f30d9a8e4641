"""``maclip-lab reproduce``: notebook 10 on whatever is here, executed and kept as a page."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from maclip_lab.ablations.claims import PAPER_BACKBONE, VARIANT, find_sets
from maclip_lab.cli import options
from maclip_lab.crops import DATASETS
from maclip_lab.datasets.cards import CARDS
from maclip_lab.errors import MaclipError, WeightsError
from maclip_lab.features import Extractor
from maclip_lab.files.identity import data_path
from maclip_lab.files.provenance import differences, provenance_record, read_record, write_result
from maclip_lab.scorer import Maclip, ScoreConfig
from maclip_lab.weights.names import EMBEDDED
from maclip_lab.weights.places import WEIGHTS_VARIABLE

NOTEBOOK = "10_reproduce.ipynb"


def reproduce(
    encoder: Annotated[ScoreConfig, ("device", "precision", "weights_dir", "offline")],
    kept: Annotated[partial[Extractor], ("folder",)],
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder with any of the nine data sets; without it the shipped packs are taken.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        options.backbone_option("May be given repeatedly.", "RN50; tiny-rn without --root"),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the report.", file_okay=False)
    ] = Path("report"),
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Download weights that are missing.", show_default=False)
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Reproduce the paper's claims: a page, tables, figures, packs; stopped, it goes on from there.

    It executes notebook 10 for every backbone. Exit status 0: whatever could be run was run.

    Examples: maclip-lab reproduce -o report/; maclip-lab reproduce --root ~/iqa -b RN50 -o report/
    """
    sets, failed = ({}, {}) if root is None else find_sets(root)
    if root is not None and not sets and not failed:
        raise typer.BadParameter("no data set was found there", param_hint="--root")
    encoder = replace(encoder, offline=encoder.offline or not fetch)
    weights = {}
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
    config: dict[str, object] = {"variant": VARIANT, "precision": encoder.precision}
    config |= {f"weights of {name}": sha256 for name, sha256 in weights.items()}
    record = _claim_folder(output, config)
    tables = []
    for name in weights:
        typer.echo(f"notebook 10 with {name}", err=True)
        folder = output / "".join(c if c.isalnum() or c in ".-_" else "-" for c in Path(name).name)
        parameters = {
            "BACKBONE": name,
            "DATASET": "clive-part" if name in EMBEDDED else "severity",
            "ROOT": None if root is None else str(root.absolute()),
            "DEVICE": encoder.device,
            "PRECISION": encoder.precision,
            "STORE": str(kept.keywords["folder"].absolute()),
            "OUT": str(folder.absolute()),
        }
        page = _execute(folder, parameters, progress=not quiet)
        typer.echo(f"written to {write_result(page.encode(), folder / 'report.html', record)}")
        tables.append(pd.read_csv(folder / "claims.csv", keep_default_na=False))
    if tables:
        claims = pd.concat(tables, ignore_index=True)
        claims.to_csv(output / "claims.csv", index=False)
        parts = set(claims["dataset"]) & {f"{name} (part)" for name in sets}
        failed |= {name: "a part of the set" for name in sorted(parts)}
        for verdict, count in claims["verdict"].str.partition(":")[0].value_counts().items():
            typer.echo(f"{count:4} {verdict}")
    for name, why in failed.items():
        typer.secho(f"not run as it should be: {name}: {why}", fg="yellow", err=True)
    if failed:
        raise typer.Exit(1)


def _execute(folder: Path, parameters: Mapping[str, object], *, progress: bool) -> str:
    """The notebook with these parameters executed into a folder, as a page that asks no server."""
    try:
        import papermill
        from nbconvert import HTMLExporter
        from papermill.exceptions import PapermillExecutionError
    except ImportError as error:
        raise MaclipError(f"{error}; reproduce needs pip install 'maclip-lab[lab]'") from error
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"unfinished-{NOTEBOOK}"
    notebook = data_path(NOTEBOOK)  # beside the package, or in the checkout
    if not notebook.is_file():
        notebook = data_path().parent / "notebooks" / NOTEBOOK
    how = {"kernel_name": "python3", "progress_bar": progress, "cwd": folder}
    try:
        executed = papermill.execute_notebook(notebook, unfinished, parameters, **how)
    except PapermillExecutionError as error:
        raise MaclipError(f"{unfinished}: {error.ename}: {error.evalue}") from error
    unfinished.replace(folder / NOTEBOOK)
    executed.metadata.pop("widgets", None)  # progress bars, whose script lies elsewhere
    for cell in executed.cells:  # whose links lead nowhere outside the checkout
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\[([^\]]+)\]\((?!http)[^)]*\)", r"\1", cell.source)
    urls = dict.fromkeys(("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url"), "")
    exporter = HTMLExporter(exclude_input_prompt=True, exclude_output_prompt=True, **urls)
    return str(exporter.from_notebook_node(executed)[0])


def _claim_folder(folder: Path, config: dict[str, object]) -> dict[str, object]:
    """The record of a report that is begun, or gone on with, in a folder that has nothing else."""
    path, then, differing = folder / "settings.json", dict[str, Any](), list[str]()
    if path.exists():
        before = read_record(path)
        then, differing = before["config"], differences(path, before)
    elif folder.exists() and any(folder.iterdir()):
        raise MaclipError(f"{folder} holds other things than a report; name a new folder")
    for name in then.keys() & config.keys():
        if then[name] != config[name]:
            differing.append(f"{name} was {then[name]} and is {config[name]}")
    if differing:
        said = f"{folder} holds a report that this one cannot be mixed with"
        raise MaclipError(f"{said}: {'; '.join(differing)}. Name a new folder")
    record = provenance_record(then | config)
    write_result(json.dumps(record["config"], indent=2).encode(), path, record)
    return record
