from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maclip_lab.datasets import DatasetError, Manifest
from maclip_lab.datasets.manifest import COLUMNS

TABLE = pd.DataFrame(
    {
        "path": ["a/1.png", "a/2.png", "é/3.png", "a/4.png"],
        "mos": [1.0, 2.5, 4.0, 3.0],
        "dist_type": ["blur", "blur", "noise", None],
        "dist_level": [1, 2, 1, None],
        "split": ["train", "test", "test", None],
    }
)
TINY = Manifest(
    TABLE, "tiny", True, (0, 5), "native", "standard", "/data/tiny", missing=("5.png",), note="few"
)


def test_the_table_has_every_column_with_its_type():
    assert {column: str(kind) for column, kind in TINY.table.dtypes.items()} == COLUMNS
    assert TINY.table["name"].tolist() == ["1.png", "2.png", "3.png", "4.png"]
    assert TINY.table["mos_std"].isna().all()


def test_a_moved_root_changes_the_paths_and_not_the_hash_which_is_pinned():
    moved = replace(TINY, root="/elsewhere")
    assert TINY.paths[2] == Path("/data/tiny/é/3.png")
    assert moved.paths[0] == Path("/elsewhere/a/1.png")
    assert moved.sha256 == TINY.sha256
    assert TINY.sha256.startswith("ef21c84188ea326f")


@pytest.mark.parametrize(
    "change",
    [
        {"higher_is_better": False},
        {"mos_range": (0, 9)},
        {"variant": "paper"},
        {"protocol": "SPAQ"},
        {"table": TABLE.assign(mos=[1.0, 2.5, 4.0, 3.5])},
        {"table": TABLE.iloc[::-1]},
    ],
)
def test_the_hash_follows_the_rows_and_their_meaning(change):
    assert replace(TINY, **change).sha256 != TINY.sha256


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("mos", [1.0, np.nan, 2.0, 3.0], r"1 of 4 scores are not finite.*'2.png'"),
        ("mos", [1.0, np.inf, 2.0, 3.0], "not finite"),
        ("mos", ["1", "x", "3", "4"], "column mos must hold float64.*'x'"),
        ("mos_std", [0.1, -0.1, 0.1, 0.1], "mos_std"),
        ("dist_level", [1.5, 2, 3, 4], "column dist_level must hold Int64"),
        ("path", ["a", "b", "c", "a"], "1 rows repeat a picture, the first 'a'"),
        ("path", ["a", "b", "c", None], "1 rows have no path"),
        ("path", ["a", "b", "c", "../d"], "stay below it, got '../d'"),
        ("path", ["a", "b", "c", "/d"], "stay below it, got '/d'"),
        ("path", ["a", "b", "c", "C:\\d"], "stay below it"),
        ("path", ["a", "b", "c", "\udcff.png"], "surrogates not allowed"),
        ("colour", ["a", "b", "c", "d"], "got 4 rows of .*, colour"),
    ],
)
def test_a_bad_column_is_refused_by_name(column, values, message):
    table = TINY.table.astype(object).assign(**{column: pd.Series(values, dtype=object)})
    with pytest.raises(DatasetError, match=message):
        replace(TINY, table=table)


def test_missing_columns_rows_and_ranges_are_refused():
    with pytest.raises(DatasetError, match=r"columns path and mos, .* got 4 rows of path, dist"):
        replace(TINY, table=TABLE.drop(columns="mos"))
    with pytest.raises(DatasetError, match="at least one row"):
        replace(TINY, table=TABLE.iloc[:0])
    with pytest.raises(DatasetError, match="mos_range"):
        replace(TINY, mos_range=(5, 0))


def test_pictures_may_be_repeated_on_request_and_scores_all_be_absent():
    twice = TABLE.assign(path=["a", "a", "b", "c"])
    assert len(replace(TINY, table=twice, on_duplicate="keep")) == 4
    unrated = replace(TINY, table=TABLE.assign(mos=np.nan), mos_range=(np.nan, np.nan))
    assert (unrated.labelled, TINY.labelled) == (False, True)


def test_a_subset_is_the_rows_of_a_mask():
    test = TINY.subset(TINY.table["split"] == "test")
    assert test.table["path"].tolist() == ["a/2.png", "é/3.png"]
    assert test.dataset == "tiny"
    assert len(TINY.subset([True, False, False, True])) == 2
    with pytest.raises(DatasetError, match="no row of tiny is left"):
        TINY.subset([False] * 4)
    with pytest.raises(ValueError, match="expected 4 booleans, got 1"):
        TINY.subset([True])


def test_a_sample_is_seeded_and_keeps_the_order():
    assert TINY.sample(3, seed=1).sha256 == TINY.sample(3, seed=1).sha256
    assert TINY.sample(4).sha256 == TINY.sha256
    drawn = {TINY.sample(1, seed=seed).table["path"].iloc[0] for seed in range(30)}
    assert drawn == set(TABLE["path"])
    with pytest.raises(ValueError, match="expected 1 to 4 rows of tiny, got 5"):
        TINY.sample(5)


def test_the_callers_table_is_not_touched():
    table = pd.DataFrame({"path": ["a"], "mos": [1.0]})
    manifest = replace(TINY, table=table)
    assert list(table) == ["path", "mos"]
    table.loc[0, "mos"] = 2.0
    assert manifest.table["mos"].tolist() == [1.0]


def test_repr_names_the_direction():
    assert "lower is better" in repr(replace(TINY, higher_is_better=False))
    assert "4 pictures, 1 missing" in repr(TINY)
