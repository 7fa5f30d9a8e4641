import numpy as np
import pandas as pd
import pytest

from maclip_lab.ablations.claims import published_results
from maclip_lab.ablations.rivals import Rivals
from maclip_lab.datasets import open_dataset
from maclip_lab.datasets.cards import card_for
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.files.identity import data_path
from tests.ablations.conftest import assessed
from tests.datasets.facsimile import build

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
def test_the_papers_numbers_stand_beside_a_whole_set_as_published_alone(tmp_path):
    whole, others = open_dataset("livec", build("livec", tmp_path)), card_for("livec").other_sizes
    short = whole.subset(whole.table["name"] != "3.bmp")
    for rows, side in ((whole, 500), (short, 500), (whole, 400)):
        sizes = [others.get(name, (side, side)) for name in rows.table["name"]]
        scores = np.random.default_rng(0).random((len(rows), 2))
        predictions = pd.DataFrame(scores, columns=["score", "q_mag"])
        rivals = Rivals(pd.DataFrame(scores, columns=["SNP_niqe", "mine"]))
        few = EvaluationSettings(n_boot=0)
        found = assessed(rows, predictions, rivals, zip(*sizes, strict=True), statistics=few)
        table = found.table.set_index("method")
        if rows is short or side != 500:
            assert table[PUBLISHED].isna().all(axis=None)
            continue
        ours = table.loc["MA-CLIP"]
        assert ours["paper_rn50_srcc"] == 0.7428
        assert ours["minus_paper_rn50"] == pytest.approx(ours["srcc_official"] - 0.7428)
        published = table.loc[["SNP_niqe", "mine", "MA-CLIP"], "published_srcc"]
        np.testing.assert_equal(published.tolist(), [0.4654, np.nan, np.nan])
