import numpy as np
import pandas as pd
import pytest
from scipy import stats

from maclip_lab.evaluation.summaries import average_over_datasets, breakdown, macro_mean


def test_a_breakdown_is_scipy_in_every_group_and_blank_in_small_ones():
    generator = np.random.default_rng(0)
    mos = generator.normal(size=65)
    x = mos + generator.normal(size=65)
    x[0] = np.nan
    groups = ["blur"] * 30 + ["noise"] * 30 + ["rare"] * 5
    table = breakdown({"m": x}, mos, groups).set_index("group")
    assert list(table["n"]) == [29, 30, 5]
    assert list(table["n_dropped"]) == [1, 0, 0]
    assert table.loc["blur", "srcc"] == pytest.approx(stats.spearmanr(x[1:30], mos[1:30]).statistic)
    assert np.isnan(table.loc["rare", "srcc"])
    assert table.loc["rare", "reason"] == "5 pictures, at least 20 are asked for"


def test_a_breakdown_of_dmos_is_positive_for_a_good_metric():
    x = np.arange(40.0)
    table = breakdown({"m": x}, -x, ["a", "b"] * 20, higher_is_better=False)
    assert list(table["srcc"]) == [1.0, 1.0]


def test_a_group_without_variation_is_blank_with_a_reason():
    table = breakdown({"m": np.ones(20)}, np.arange(20.0), ["a"] * 20)
    assert np.isnan(table.loc[0, "srcc"])
    assert "constant" in table.loc[0, "reason"]


def test_a_breakdown_needs_labels():
    with pytest.raises(ValueError, match="no label at all"):
        breakdown({"m": [1.0, 2.0]}, [1, 2], [None, None])


def test_the_macro_mean_counts_the_groups_it_leaves_out():
    table = pd.DataFrame(
        {"method": ["m"] * 3, "group": [1, 2, 3], "srcc": [0.2, 0.6, np.nan], "n": [20, 90, 3]}
    )
    row = macro_mean(table).iloc[0]
    assert row["srcc_within"] == pytest.approx(0.4)
    assert (row["n_groups"], row["n_blank"]) == (2, 1)


def test_within_references_a_metric_can_be_good_where_it_is_poor_over_all():
    generator = np.random.default_rng(1)
    references = np.repeat(np.arange(10), 25)
    mos = generator.normal(size=250)
    x = mos + 10 * generator.normal(size=10)[references]
    assert macro_mean(breakdown({"m": x}, mos, list(references))).loc[0, "srcc_within"] == 1
    assert stats.spearmanr(x, mos).statistic < 0.3


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "dataset": ["x", "y", "x", "y"],
            "method": ["a", "a", "b", "b"],
            "n": [103, 1003, 103, 1003],
            "srcc": [0.8, 0.5, 0.6, np.nan],
        }
    )


def test_averages_are_simple_and_weighted_by_size_on_fishers_scale(table):
    row = average_over_datasets(table).set_index("method").loc["a"]
    assert row["srcc_mean"] == pytest.approx(0.65)
    z = (100 * np.arctanh(0.8) + 1000 * np.arctanh(0.5)) / 1100
    assert row["srcc_weighted"] == pytest.approx(np.tanh(z))
    assert (row["n_datasets"], row["n"], row["reason"]) == (2, 1106, "")


def test_a_missing_number_is_never_averaged_away(table):
    for given in (table, table.dropna()):
        row = average_over_datasets(given).set_index("method").loc["b"]
        assert np.isnan(row["srcc_mean"])
        assert np.isnan(row["srcc_weighted"])
        assert row["reason"] == "no number on y"


def test_backbones_are_averaged_apart(table):
    both = pd.concat([table.assign(backbone="one"), table.assign(backbone="two")])
    assert len(average_over_datasets(both)) == 4


def test_averages_refuse_tables_they_cannot_read(table):
    with pytest.raises(ValueError, match=r"missing \['dataset'\]"):
        average_over_datasets(table.drop(columns="dataset"))
    with pytest.raises(ValueError, match="several rows for one data set"):
        average_over_datasets(pd.concat([table, table]))
