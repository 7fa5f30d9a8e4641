"""What exercises expect, out of a reader's sight: computed from what the notebook has at hand.

One function an exercise, by its number: the notebook, a dot, and its place there. It takes what
the notebook hands to `check` and returns the right answer, or a function that judges one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from maclip_lab.evaluation import spearman

ANSWERS: Mapping[str, Callable[..., Any]] = {
    "06.1": lambda cost: cost["image tower"].iloc[0] / cost["all"].iloc[0],
    "06.2": lambda scores, quality: spearman(
        scores.rank().mean(axis=1).to_numpy(), np.asarray(quality, dtype=float)
    ),
    "06.3": lambda seen: [(one["w_cos"] < 0.5).mean() for one in seen.values()],
    "07.1": lambda rows: (rows["MA-CLIP"] - rows["CLIP-IQA"]).idxmax(),
    "07.2": lambda: 0.03,
    "07.3": lambda scores, mos, higher: spearman(
        scores["q_cos"].to_numpy(), np.asarray(mos if higher else -mos, dtype=float)
    ),
}
