from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from maclip_lab.ablations.claims import published_results
from maclip_lab.ablations.rated import assess
from maclip_lab.ablations.rivals import Rivals
from maclip_lab.crops import protocol_for
from maclip_lab.datasets import open_dataset
from maclip_lab.datasets.cards import card_for
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.files.identity import data_path
from maclip_lab.scorer import ScoreConfig
from tests.datasets.facsimile import COUNTS, build

PUBLISHED = ["paper_rn50_srcc", "minus_paper_rn50", "published_srcc"]


def test_published_rivals_are_complete_and_two_of_them_are_ahead():
    rivals = pd.read_csv(data_path("rivals.csv"))
    assert list(rivals) == ["dataset", "method", "srcc", "plcc", "source"]
    assert rivals.notna().all(axis=None)
    assert rivals[["srcc", "plcc"]].map(lambda value: 0 <= value <= 1).all(axis=None)
    srcc = rivals.set_index(["dataset", "method"])["srcc"]
    assert srcc.index.is_unique
    paper = published_results().set_index(["dataset", "method"])["value"]
    for dataset in ("CSIQ", "kadid"):
        assert srcc[dataset][["MDFS", "ILNIQE"]].min() > paper[dataset]["MA-CLIP"]


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
    rivals = Rivals(pd.DataFrame({"SNP_niqe": scores[0], "mine": scores[1]}))
    few = EvaluationSettings(n_boot=0)
    table = assess(predictions, view, scorer, statistics=few, rivals=rivals).table
    table = table.set_index("method")
    ours = table.loc["MA-CLIP"]
    if missing or side != 500:
        assert table[PUBLISHED].isna().all(axis=None)
    else:
        assert ours["paper_rn50_srcc"] == 0.7428
        assert ours["minus_paper_rn50"] == pytest.approx(ours["srcc_official"] - 0.7428)
        others = [table.loc[name, "published_srcc"] for name in ("SNP_niqe", "mine", "MA-CLIP")]
        np.testing.assert_equal(others, [0.4654, np.nan, np.nan])
