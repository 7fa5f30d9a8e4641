from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from maclip_lab.ablations.study import assess
from maclip_lab.crops import protocol_for
from maclip_lab.datasets import open_dataset
from maclip_lab.datasets.cards import card_for
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.scorer import ScoreConfig
from tests.datasets.facsimile import COUNTS, build

PUBLISHED = ["paper_rn50_srcc", "minus_paper_rn50", "published_srcc"]


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
@pytest.mark.parametrize(
    ("missing", "side"),
    [(0, 500), (1, 500), (0, 400)],
    ids=["whole", "one picture short", "pictures of another size"],
)
def test_the_papers_numbers_stand_beside_a_whole_set_as_published_alone(tmp_path, missing, side):
    manifest = open_dataset("livec", build("livec", tmp_path, rows=COUNTS["livec"] - missing))
    scorer = SimpleNamespace(
        backbone=SimpleNamespace(name="plain"), config=lambda *_, **__: ScoreConfig("plain")
    )
    facts = manifest.table[["path"]].assign(sha256="", width=side, height=side)
    for name, size in card_for("livec").other_sizes.items():
        facts.loc[manifest.table["name"] == name, ["width", "height"]] = size
    made = SimpleNamespace(protocol=protocol_for("livec"), preset="default", dtype="fp32")
    view = SimpleNamespace(manifest=manifest, config=made, table=facts)
    scores = np.random.default_rng(0).random((2, len(manifest)))
    predictions = pd.DataFrame(dict(zip(("score", "q_mag"), scores, strict=True)))
    table = assess(predictions, view, scorer, statistics=EvaluationSettings(n_boot=0)).table
    ours = table.set_index("method").loc["MA-CLIP"]
    if missing or side != 500:
        assert table[PUBLISHED].isna().all(axis=None)
    else:
        assert ours["paper_rn50_srcc"] == 0.7428
        assert ours["minus_paper_rn50"] == pytest.approx(ours["srcc_official"] - 0.7428)
