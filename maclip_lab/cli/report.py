"""The report of a reproduction: tables, figures and one page that holds them all."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from maclip_lab import plots
from maclip_lab.ablations.evidence import Evidence
from maclip_lab.ablations.published import PAPER_BACKBONE, published_results
from maclip_lab.crops import DATASETS
from maclip_lab.errors import MaclipError
from maclip_lab.files.provenance import provenance_record, read_record, write_result, write_table
from maclip_lab.plots.printed import latex_table, printed

SETTINGS = "settings.json"
_TEMPLATE = Path(__file__).with_name("report.html")
_SAME = ("versions", "code_sha256")


class MixedReportError(MaclipError, ValueError):
    """A folder holds something else than an earlier state of the same report."""


@dataclass(frozen=True, eq=False)
class Report:
    """What a reproduction found.

    Attributes:
        found: what is here and what is not: ``what, found, to do``.
        claims: of `claims_table`.
        evidence: of every set and backbone that was run.
        record: provenance of it all.
    """

    found: pd.DataFrame
    claims: pd.DataFrame
    evidence: Sequence[Evidence]
    record: Mapping[str, object]


def claim_folder(folder: Path, config: Mapping[str, object]) -> dict[str, object]:
    """The record of a report that is begun, or gone on with, in a folder.

    Args:
        folder: made where absent.
        config: what all of it must have in common; ``weights`` maps backbones to their sha256.

    Raises:
        MixedReportError: what lies there was made by other versions, weights or settings, or is no
            report.
    """
    record, path = provenance_record(config), folder / SETTINGS
    if path.exists():
        old = read_record(path)
        then, now = dict(old["config"]), dict(record["config"])  # type: ignore[call-overload]
        weights = now.pop("weights")
        pairs = [(key, old.get(key), record[key]) for key in _SAME]
        pairs += [(key, then.get(key), value) for key, value in now.items()]
        pairs += [(key, then["weights"].get(key, value), value) for key, value in weights.items()]
        apart = [f"{key} was {one} and is {other}" for key, one, other in pairs if one != other]
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


def file_stem(evidence: Evidence) -> str:
    """Of every file about one backbone on one set."""
    label = plots.backbone_label(evidence.backbone).removesuffix(".safetensors")
    words = f"{evidence.dataset}.{label}".replace(" (part)", "-part")
    return "".join(one if one.isalnum() or one in ".-_" else "-" for one in words)


def write_report(report: Report, folder: Path) -> Path:
    """Writes tables, figures and the page, each whole or not at all, with its record.

    Returns:
        The page.

    Raises:
        StorageFullError: there is no room; older files are as they were.
    """
    tables = {"claims": report.claims, "found": report.found, "paper": published_results()}
    for name, table in tables.items():
        _write_table(table, folder / "tables" / name, report.record)
    shown = []
    for evidence in report.evidence:
        for name, table in evidence.tables.items():
            _write_table(
                table, folder / "tables" / f"{file_stem(evidence)}.{name}", evidence.record
            )
        for name, figure in draw(evidence).items():
            path = folder / "figures" / f"{file_stem(evidence)}.{name}"
            shown.append(_write_figure(figure, path, evidence.record))
    for backbone in dict.fromkeys(one.backbone for one in report.evidence):
        stem = f"beside_paper.{plots.backbone_label(backbone).replace('/', '-')}"
        figure = _beside_paper([one for one in report.evidence if one.backbone == backbone])
        shown.insert(0, _write_figure(figure, folder / "figures" / stem, report.record))
    page = _page(report, shown)
    return write_result(page.encode(), folder / "report.html", report.record)


def draw(evidence: Evidence) -> dict[str, Figure]:
    """The figures of one backbone on one set, by what their files are called."""
    rated = evidence.rated
    name = f"{evidence.dataset}, {plots.backbone_label(evidence.backbone)}"
    steps, fixed = evidence.ladder, evidence.fixed.dropna(subset=["w_cos"])
    adaptive = float(evidence.fixed["srcc"].iloc[-1])
    shown, alike = (
        evidence.grid.pivot(index="alpha", columns="head start", values=value)
        for value in ("srcc", "alike")
    )
    halves = evidence.halves[0]
    grid = plots.setting_grid(
        shown,
        mark=(1.0, 0.4),
        alike=alike,
        xlabel="head start of the cosine cue",
        ylabel="alpha",
        title=f"SRCC {shown.loc[1.0, 0.4]:.2f} at the paper's constants; grey: as good ({name})",
    )
    figures = {
        "cues": plots.cue_scatter(
            {rated.quality_label: rated.table},
            ["norm", "mean_magnitude", "q_mag", "q_cos"],
            title=f"Lengths and cues against quality ({name})",
        ),
        "halves": plots.group_dots(
            halves,
            "half",
            "agreement",
            title=f"Each cue among good and among poor pictures ({name})",
            none=0.5,
            xlabel="share of pairs in the right order",
        ).figure,
        "ladder": plots.ladder_steps(
            {name: steps},
            title=f"From CLIP-IQA to MA-CLIP: SRCC {steps['srcc'].iloc[0]:.2f} to "
            f"{steps['srcc'].iloc[-1]:.2f}",
        ),
        "fixed_weights": plots.weight_curves(
            {name: fixed},
            {name: {"adaptive": adaptive}},
            title=f"Fixed weights: SRCC {fixed['srcc'].max():.2f} at best, adaptive {adaptive:.2f}",
        ),
        "grid": grid.figure,
        "lambda": plots.lambda_curves(
            {"divided by the standard deviation": evidence.curve, "not": evidence.undivided_curve},
            title=f"Agreement by lambda ({name})",
        ),
    }
    if evidence.distances:
        figures["distances"] = plots.distance_matrices(
            evidence.distances, title=f"Distances between contents, stage by stage ({name})"
        )
    return {key: figure for key, figure in figures.items() if isinstance(figure, Figure)}


def _beside_paper(evidence: Sequence[Evidence]) -> Figure:
    ours = pd.concat([one.methods.assign(dataset=one.dataset) for one in evidence])
    label = plots.backbone_label(evidence[0].backbone)
    sets = dict.fromkeys([*DATASETS, *(one.dataset for one in evidence)])
    whole = [one.dataset for one in evidence if not one.faults]
    return plots.beside_paper(
        ours,
        published_results(),
        list(sets),
        ours_label=label,
        title=f"Whole sets that could be run here with {label}: {', '.join(whole) or 'none'}",
    )


def _write_table(table: pd.DataFrame, stem: Path, record: Mapping[str, object]) -> None:
    write_table(table, stem.with_name(f"{stem.name}.csv"), record)
    text = latex_table(table.reset_index(drop=True))
    write_result(text.encode(), stem.with_name(f"{stem.name}.tex"), record)


def _write_figure(figure: Figure, stem: Path, record: Mapping[str, object]) -> str:
    """Writes both forms; returns the figure as the page has it."""
    words = figure.get_suptitle() or figure.axes[0].get_title(loc="left")
    contents = printed(figure)
    for form, content in contents.items():
        write_result(content, stem.with_name(f"{stem.name}.{form}"), record)
    plt.close(figure)
    encoded = base64.b64encode(contents["png"]).decode()
    said = html.escape(words.replace("\n", " "))
    return f'<figure><img alt="{said}" src="data:image/png;base64,{encoded}"></figure>'


def _page(report: Report, figures: Sequence[str]) -> str:
    claims, record = report.claims, report.record
    others = {(one.dataset, one.backbone) for one in report.evidence if one.why_not}
    keys = zip(claims["dataset"], claims["backbone"], strict=True)
    beside = pd.Series([key in others for key in keys], index=claims.index, dtype=bool)
    verdicts = claims[~beside]["verdict"].str.partition(":")[0].value_counts()
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    versions = record["versions"]
    assert isinstance(versions, dict)
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        short=html.escape(
            f"Of {int((~beside).sum())} claims of {PAPER_BACKBONE} on whole sets: {said}. Beside "
            f"them {int(beside.sum())} numbers were measured that are no test of the paper."
        ),
        created=str(record["created"])[:10],
        version=versions["maclip_lab"],
        found=_html(report.found),
        paper=_html(_shown(claims[~beside]).drop(columns="here", errors="ignore")),
        beside="\n".join(_beside(one, claims[beside]) for one in report.evidence if one.why_not),
        figures="\n".join(figures),
        record=html.escape(json.dumps(record, indent=2)),
    )


def _beside(evidence: Evidence, claims: pd.DataFrame) -> str:
    """What was measured on one set by one backbone and is no test of the paper."""
    own = (claims["dataset"] == evidence.dataset) & (claims["backbone"] == evidence.backbone)
    title = f"{evidence.dataset}, {plots.backbone_label(evidence.backbone)}"
    table = _shown(claims[own]).drop(columns=["dataset", "backbone", "verdict"])
    return f"<h3>{html.escape(title)}</h3><p>{html.escape(evidence.why_not)}</p>{_html(table)}"


def _shown(claims: pd.DataFrame) -> pd.DataFrame:
    """Rows for reading: the interval in one column, and none that is empty."""
    ends = [
        "" if low != low else f"{low:+.4f} to {high:+.4f}"
        for low, high in zip(claims["lo"], claims["hi"], strict=True)
    ]
    table = claims.assign(lo=ends, backbone=claims["backbone"].map(plots.backbone_label))
    table = table.drop(columns="hi").rename(columns={"lo": "95 % interval"})
    return table.loc[:, (table.notna() & (table != "")).any()]


def _html(table: pd.DataFrame) -> str:
    if table.empty:
        return "<p>Nothing.</p>"
    forms = {"seconds": "{:.1f}".format}
    text = table.to_html(
        index=False, border=0, na_rep="", float_format="{:.4f}".format, formatters=forms
    )
    return f'<div class="wide">{text}</div>'
