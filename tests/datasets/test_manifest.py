from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maclip_lab.datasets import DatasetError, Manifest
from maclip_lab.datasets.manifest import COLUMNS


def make(**changes) -> Manifest:
    table = pd.DataFrame(
        {
            "path": ["a/1.png", "a/2.png", "é/3.png", "a/4.png"],
            "mos": [1.0, 2.5, 4.0, 3.0],
            "dist_type": ["blur", "blur", "noise", None],
            "dist_level": [1, 2, 1, None],
            "split": ["train", "test", "test", None],
        }
    )
    settings = {
        "table": table,
        "dataset": "tiny",
        "higher_is_better": True,
        "mos_range": (0, 5),
        "protocol": "native",
        "variant": "standard",
        "root": Path("/data/tiny"),
        "missing": ("5.png",),
        "note": "four of five",
    }
    return Manifest(**settings | changes)


def test_the_table_has_every_column_with_its_type():
    table = make().table
    assert {column: str(kind) for column, kind in table.dtypes.items()} == COLUMNS
    assert table["name"].tolist() == ["1.png", "2.png", "3.png", "4.png"]
    assert table["mos_std"].isna().all()


def test_a_moved_root_changes_the_paths_and_not_the_hash():
    moved = make(root=Path("/elsewhere"))
    assert make().paths[2] == Path("/data/tiny/é/3.png")
    assert moved.paths[0] == Path("/elsewhere/a/1.png")
    assert moved.sha256 == make().sha256


def test_the_hash_is_pinned():
    assert make().sha256.startswith("ef21c84188ea326f")


@pytest.mark.parametrize(
    "change",
    [
        {"higher_is_better": False},
        {"mos_range": (0, 9)},
        {"variant": "paper"},
        {"protocol": "SPAQ"},
        {"table": make().table.assign(mos=[1.0, 2.5, 4.0, 3.5])},
        {"table": make().table.iloc[::-1]},
    ],
)
def test_the_hash_follows_the_rows_and_their_meaning(change):
    assert make(**change).sha256 != make().sha256


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
        ("colour", ["a", "b", "c", "d"], "got 4 rows of .*, colour"),
    ],
)
def test_a_bad_column_is_refused_by_name(column, values, message):
    table = make().table.astype(object).assign(**{column: values})
    with pytest.raises(DatasetError, match=message):
        make(table=table)


def test_missing_columns_rows_and_ranges_are_refused():
    paths = pd.Series(["\udcff.png"], dtype=object)
    with pytest.raises(DatasetError, match="surrogates not allowed"):
        make(table=pd.DataFrame({"path": paths, "mos": [1.0]}))
    with pytest.raises(DatasetError, match=r"columns path and mos, .* got 4 rows of path, name"):
        make(table=make().table.drop(columns="mos"))
    with pytest.raises(DatasetError, match="at least one row"):
        make(table=make().table.iloc[:0])
    with pytest.raises(DatasetError, match="mos_range"):
        make(mos_range=(5, 0))


def test_pictures_may_be_repeated_on_request_and_scores_all_be_absent():
    table = make().table.assign(path=["a", "a", "b", "c"])
    assert len(make(table=table, on_duplicate="keep")) == 4
    unrated = make(table=make().table.assign(mos=np.nan), mos_range=(np.nan, np.nan))
    assert (unrated.labelled, make().labelled) == (False, True)


def test_a_subset_is_the_rows_of_a_mask():
    manifest = make()
    test = manifest.subset(manifest.table["split"] == "test")
    assert test.table["path"].tolist() == ["a/2.png", "é/3.png"]
    assert test.dataset == "tiny"
    assert len(manifest.subset([True, False, False, True])) == 2
    with pytest.raises(DatasetError, match="no row of tiny is left"):
        manifest.subset([False] * 4)
    with pytest.raises(ValueError, match="expected 4 booleans, got 1"):
        manifest.subset([True])


def test_a_sample_is_seeded_and_keeps_the_order():
    manifest = make()
    assert manifest.sample(3, seed=1).sha256 == manifest.sample(3, seed=1).sha256
    assert manifest.sample(4).sha256 == manifest.sha256
    assert {manifest.sample(1, seed=s).table["path"].iloc[0] for s in range(30)} == set(
        manifest.table["path"]
    )
    with pytest.raises(ValueError, match="expected 1 to 4 rows of tiny, got 5"):
        manifest.sample(5)


def test_the_callers_table_is_not_touched():
    table = pd.DataFrame({"path": ["a"], "mos": [1.0]})
    manifest = make(table=table)
    assert list(table) == ["path", "mos"]
    table.loc[0, "mos"] = 2.0
    assert manifest.table["mos"].tolist() == [1.0]


def test_repr_names_the_direction():
    assert "lower is better" in repr(make(higher_is_better=False))
    assert "4 pictures, 1 missing" in repr(make())
