"""Writes the numbers of the summary sheet, each from what it is a number of.

python course/summary.py
"""

import re
from itertools import combinations
from pathlib import Path

import maclip_lab as ml
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.evaluation.intervals import FEW_CLUSTERS
from maclip_lab.prompts import PROMPT_SETS

ROOT = Path(__file__).parents[1]
SHEET = ROOT / "course" / "handout" / "summary.html"
CELLS = re.compile(r"(<!-- cells -->\n).*?(</table>)", re.DOTALL)
VALUE = re.compile(r'(<(\w+) data-from="([\w-]+)"[^>]*>)[^<]*(</\2>)')


def values() -> dict[str, str]:
    """What stands in the sheet, by its name in ``data-from``."""
    fusion, protocol, statistics = ml.FusionSettings(), ml.Protocol(), EvaluationSettings()
    start = fusion.base_cos - fusion.base_norm
    opinion = [rated for (_, name), rated in cells().items() if name != "severity"]
    leads = [rated.lead(rated.table["score"], rated.table["clip_iqa"]) for rated in opinion]
    made = (ROOT / "data" / "backbones" / "README.md").read_text(encoding="utf-8")
    constants = {name: str(value) for name, value in vars(fusion).items()}
    return constants | {
        "crop": str(protocol.crop),
        "stride": str(protocol.stride),
        "crops-1024x768": str(len(ml.crops.CropGrid(768, 1024, protocol))),
        "head-start": f"{start:.1f}",
        "equal": f"−{start / (2 * fusion.alpha):.1f}",
        "prompts": "; ".join(f"{good} / {bad}" for good, bad in PROMPT_SETS["maclip"]),
        "resamples": str(statistics.n_boot),
        "few": str(FEW_CLUSTERS),
        "alpha-level": f"{100 * (1 - statistics.level):.0f}",
        "photographs": re.search(r"\*\*Photographs\.\*\* ([\d,]+)", made)[1],
        "least-detectable": f"{min(lead.detectable for lead in leads):.2f}",
        "most-detectable": f"{max(lead.detectable for lead in leads):.2f}",
        "least-p": f"{2 / len([*combinations(range(6), 3)]):.2f}",
    }


def cells() -> dict[tuple[str, str], ml.Rated]:
    """The six shipped cells."""
    return dict(ml.Lesson("summary").cells)


def rows() -> str:
    """A row of the table for each cell: SRCC of score and cues, and the lead over CLIP-IQA."""
    lines = []
    for (backbone, name), rated in cells().items():
        table = rated.table
        shown = [rated.srcc(table[column]) for column in ("score", "q_cos", "q_mag")]
        shown.append(rated.lead(table["score"], table["clip_iqa"]))
        numbers = [f"{one.value:+.2f} [{one.low:.2f}, {one.high:.2f}]" for one in shown]
        parts = [f"<code>{backbone}</code>", name, str(rated.n), *numbers]
        lines.append("<tr>" + "".join(f"<td>{part}</td>" for part in parts) + "</tr>\n")
    return "".join(lines).replace("-0", "−0")


def written(text: str) -> str:
    """The sheet with every number as it should be."""
    known = values()
    text = VALUE.sub(lambda found: f"{found[1]}{known[found[3]]}{found[4]}", text)
    return CELLS.sub(lambda found: f"{found[1]}{rows()}{found[2]}", text)


if __name__ == "__main__":
    SHEET.write_text(written(SHEET.read_text(encoding="utf-8")), encoding="utf-8")
