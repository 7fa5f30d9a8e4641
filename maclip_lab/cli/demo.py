"""The demonstration: a dozen photographs, clean and degraded, scored and ranked."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from maclip_lab import plots
from maclip_lab.datasets.synthetic import EDITIONS, make_synthetic
from maclip_lab.evaluation import breakdown, evaluate, macro_mean
from maclip_lab.files.provenance import provenance_record, write_result, write_table
from maclip_lab.scorer import Maclip, score_folder

EDITION = EDITIONS["synthetic-demo"]
TYPES = EDITION.types
CUES = {"CLIP-style cosine (Q_cos)": "q_cos", "magnitude (Q_mag)": "q_mag", "MA-CLIP": "score"}


@dataclass(frozen=True)
class Demo:
    """What the demonstration found.

    Attributes:
        table: one row a picture, best first, with its reference, degradation and level; the
            backbone, the settings and the pictures' hash stand in ``attrs``.
        agreement: one row a cue: SRCC with severity within a photograph and over all.
    """

    table: pd.DataFrame
    agreement: pd.DataFrame


def run_demo(folder: Path, backbone: str = "tiny-rn", *, progress: bool = False) -> Demo:
    """Makes the degraded photographs under ``folder`` and scores them all.

    Args:
        folder: where pictures may be written.
        backbone: that sees them.
        progress: show a progress bar.
    """
    manifest = make_synthetic(folder, EDITION)
    paths = [manifest.root / path for path in manifest.table["path"]]
    scores = score_folder(paths, Maclip(backbone, offline=True), progress=progress)
    facts = manifest.table[["name", "ref_id", "dist_type", "dist_level", "mos"]]
    table = pd.concat([facts.reset_index(drop=True), scores], axis=1)
    predictions = table[list(CUES.values())].rename(columns={v: k for k, v in CUES.items()})
    whole = evaluate(predictions, table["mos"], clusters=table["ref_id"])
    within = macro_mean(breakdown(predictions, table["mos"], table["ref_id"], min_n=5))
    agreement = pd.DataFrame(
        {
            "within a photograph": within.set_index("method")["srcc_within"],
            "over all": whole.set_index("method")["srcc"],
            "95 % from": whole.set_index("method")["srcc_lo"],
            "to": whole.set_index("method")["srcc_hi"],
        }
    ).rename_axis("cue")
    ranked = table.sort_values("score", ascending=False, ignore_index=True)
    ranked.attrs = {**scores.attrs, **manifest.facts}
    return Demo(ranked, agreement)


def write_demo(demo: Demo, folder: Path) -> tuple[Path, Path]:
    """Writes ``ranking.png`` and ``scores.csv``, each whole or not at all, with its record.

    Returns:
        Their paths.

    Raises:
        StorageFullError: there is no room; older files are as they were.
    """
    content = BytesIO()
    draw(demo).savefig(content, format="png")
    record = provenance_record(demo.table.attrs)
    figure = write_result(content.getvalue(), folder / "ranking.png", record)
    return figure, write_table(demo.table, folder / "scores.csv")


def draw(demo: Demo) -> Figure:
    """A dozen photographs by score, with both cues of all."""
    table = demo.table.copy()
    table["label"] = [
        f"{ref}\n{kind.replace('_', ' ') if level else 'clean'} {level or ''}"
        for ref, kind, level in zip(
            table["ref_id"],
            table["dist_type"].fillna("clean"),
            table["dist_level"].fillna(0).astype(int),
            strict=True,
        )
    ]
    steps = [round(i * (len(table) - 1) / 11) for i in range(12)]
    within = demo.agreement.loc["MA-CLIP", "within a photograph"]
    return plots.ranking(
        table,
        table["path"].iloc[steps].tolist(),
        title=f"Better pictures rank first: SRCC {within:.2f} with severity within a photograph "
        f"({demo.table.attrs['backbone']})",
    )
