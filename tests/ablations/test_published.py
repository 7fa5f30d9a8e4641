import numpy as np
import pandas as pd
import pytest

from maclip_lab.ablations.published import published_results, published_rivals, with_published
from maclip_lab.crops import DATASETS


def test_every_published_row_is_complete_and_sourced():
    table = published_results()
    columns = ["dataset", "method", "backbone", "metric", "value", "source", "how"]
    assert list(table.columns) == columns
    assert set(table["how"]) <= {"primary", "quoted", "recomputed"}
    assert table.notna().all(axis=None)
    assert not table.duplicated(["dataset", "method", "backbone", "metric"]).any()
    assert table["value"].between(0, 1).all()
    assert set(table["dataset"]) - set(DATASETS) == {"mean of the paper's sets"}


def test_the_published_gain_is_that_of_the_published_means_and_not_of_the_rows():
    rows = published_results()
    rows = rows[rows["dataset"].isin(DATASETS)].groupby("method")["value"].mean()
    assert rows["CLIP-IQA"] == pytest.approx(0.6435, abs=5e-5)
    assert rows["MA-CLIP"] / rows["CLIP-IQA"] - 1 == pytest.approx(0.073, abs=5e-4)
    means = published_results().set_index(["dataset", "method"])["value"]
    means = means["mean of the paper's sets"]
    assert means["MA-CLIP"] / means["CLIP-IQA"] - 1 == pytest.approx(0.096, abs=5e-4)


def test_the_papers_number_stands_beside_ours_and_says_whose_it_is():
    ours = pd.DataFrame(
        {
            "dataset": ["KonIQ-10k", "koniq", "clive", "my photos", "PIPAL"],
            "method": ["MA-CLIP", "clip_iqa", "maclip", "MA-CLIP", "MA-CLIP"],
            "srcc": [-0.75, 0.69, 0.69, 0.5, 0.4],
            "srcc_official": [0.75, 0.70, 0.70, 0.5, 0.4],
        }
    )
    table = with_published(ours)
    added = table.drop(columns=list(ours))
    assert list(added) == ["paper_rn50_srcc", "minus_paper_rn50", "published_srcc"]
    assert added["published_srcc"].isna().all()
    np.testing.assert_allclose(
        added.iloc[:, :2].T,
        [[0.7645, 0.6846, 0.7428, *[np.nan] * 2], [-0.0145, 0.0154, -0.0428, *[np.nan] * 2]],
    )
    assert list(table["srcc"]) == list(ours["srcc"])


def test_a_table_without_its_keys_is_refused():
    with pytest.raises(ValueError, match=r"missing \['dataset'\]"):
        with_published(pd.DataFrame({"method": ["a"], "srcc_official": [0.1]}))


def test_published_rivals_stand_in_their_own_column_with_their_source():
    table = published_rivals()
    assert list(table) == ["dataset", "method", "srcc", "plcc", "source"]
    assert table.notna().all(axis=None)
    assert table[["srcc", "plcc"]].map(lambda value: 0 <= value <= 1).all(axis=None)
    assert not table.duplicated(["dataset", "method"]).any()
    srcc = table.set_index(["dataset", "method"])["srcc"]
    paper = published_results().set_index(["dataset", "method"])["value"]
    for dataset in ("CSIQ", "kadid"):
        assert srcc[dataset][["MDFS", "ILNIQE"]].min() > paper[dataset]["MA-CLIP"]
    ours = pd.DataFrame(
        {"dataset": "clive", "method": ["niqe", "SNP_NIQE", "mine"], "srcc_official": 0.5}
    )
    np.testing.assert_allclose(with_published(ours)["published_srcc"], [0.4495, 0.4654, np.nan])
