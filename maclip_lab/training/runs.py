"""The table of every run, read back from the page beside the embedded backbones."""

import numpy as np
import pandas as pd

HEADING = "## Every run"
CUES = ("cosine", "magnitude", "score")
_UNKNOWN = "not measured"


def runs_table(page: str) -> str:
    """The page's Markdown table of all runs; empty where there is none."""
    return page.partition(HEADING)[2].strip().split("\n\n")[0]


def read_runs(page: str) -> pd.DataFrame:
    """SRCC of every cue in every run, on each of the page's test sets.

    Args:
        page: text of ``data/backbones/README.md``, as `report.page` writes it.

    Returns:
        Index "cue: test set", cue by cue; one column a run, NaN where nothing was measured. What
        no run measured, and runs without a number, are left out.
    """
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in runs_table(page).replace("**", "").splitlines()
    ]
    if len(lines) < 3:
        return pd.DataFrame()
    tests = [head.partition(":")[0] for head in lines[0][2 :: len(CUES)]]
    values = pd.DataFrame(
        {line[0]: line[2:] for line in lines[2:]},
        index=[f"{cue}: {test}" for test in tests for cue in CUES],
    )
    values = values.replace(_UNKNOWN, np.nan).astype(float)
    ordered = values.loc[[f"{cue}: {test}" for cue in CUES for test in tests]]
    return ordered.dropna(how="all").dropna(axis=1, how="all")
