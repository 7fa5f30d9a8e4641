import contextlib
import csv
import json
import os
import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from maclip_lab.datasets import (
    CARDS,
    DatasetError,
    DatasetWarning,
    load_annotations,
    load_dataset,
)
from tests.datasets.facsimile import build


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def listed(folder: Path, rows: object, name: str = "list.json") -> Path:
    (folder / name).write_text(json.dumps(rows), "utf-8")
    return folder / name


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
@pytest.mark.parametrize("spelling", [float, str])
@pytest.mark.parametrize("name", CARDS)
def test_the_authors_lists_are_read_for_every_set(tmp_path, name, spelling):
    folder = build(name, tmp_path, rows=15)
    paper = load_dataset(name, folder, variant="paper")
    rows = [
        {"img_path": row.name, "gt_score": spelling(row.mos)}
        for row in paper.table[["name", "mos"]].itertuples(index=False)
    ]
    listing = listed(tmp_path, rows)
    again = load_annotations(listing, dataset=name, root=folder, on_duplicate="keep")
    columns = ["path", "name", "mos", "ref_id", "dist_type", "dist_level"]
    pd.testing.assert_frame_equal(again.table[columns], paper.table[columns])
    assert again.higher_is_better is paper.higher_is_better
    assert again.protocol == paper.protocol
    assert (again.dataset, again.variant) == (name, "file")
    if name == "PIPAL":
        assert again.mos_range[1] <= 1
    else:
        assert again.mos_range == paper.mos_range


def test_koniq_lists_follow_a_root_that_names_the_resolution(tmp_path):
    pictures(tmp_path, "1024x768/1.jpg", "512x384/1.jpg")
    listing = listed(tmp_path, [{"img_path": "1.jpg", "gt_score": 3}])
    assert load_annotations(listing, dataset="koniq").table["path"].tolist() == ["1024x768/1.jpg"]
    half = load_annotations(listing, dataset="koniq", root=tmp_path / "512x384")
    assert half.paths == [tmp_path / "512x384/1.jpg"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_tables_are_read_by_usual_column_names(tmp_path, suffix):
    pictures(tmp_path, "a.png", "b.png")
    table = pd.DataFrame({"Image Name": ["a.png", "b.png"], "MOS": [1.5, 2], "SD": [0.1, 0.2]})
    file = tmp_path / f"scores.{suffix}"
    if suffix == "parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep="\t" if suffix == "tsv" else ",")
    manifest = load_annotations(file)
    assert manifest.table["mos"].tolist() == [1.5, 2.0]
    assert manifest.table["mos_std"].tolist() == [0.1, 0.2]
    assert (manifest.dataset, manifest.protocol, manifest.mos_range) == (
        "scores",
        "native",
        (1.5, 2),
    )


def test_columns_may_be_named(tmp_path):
    pictures(tmp_path, "a.png")
    (tmp_path / "s.csv").write_text("MOS,sharpness,photo\n1,7,a.png\n")
    manifest = load_annotations(
        tmp_path / "s.csv",
        dataset="mine",
        path_column="photo",
        score_column="sharpness",
        mos_range=(0, 10),
        higher_is_better=False,
    )
    assert manifest.table["mos"].tolist() == [7.0]
    assert (manifest.dataset, manifest.mos_range, manifest.higher_is_better) == (
        "mine",
        (0, 10),
        False,
    )


def test_unknown_columns_are_asked_for(tmp_path):
    (tmp_path / "s.csv").write_text("photo,MOS\na.png,1\n")
    with pytest.raises(
        DatasetError, match=r"which column holds the picture.*photo, MOS.*path_column="
    ):
        load_annotations(tmp_path / "s.csv")
    with pytest.raises(DatasetError, match="no column 'x'; it has photo, MOS"):
        load_annotations(tmp_path / "s.csv", path_column="x")


def test_a_dmos_of_unknown_direction_is_asked_about(tmp_path):
    pictures(tmp_path, "a.png")
    (tmp_path / "s.csv").write_text("image,dmos\na.png,1\n")
    with pytest.raises(DatasetError, match="higher_is_better=True or False"):
        load_annotations(tmp_path / "s.csv")
    assert load_annotations(tmp_path / "s.csv", higher_is_better=False).higher_is_better is False


def test_case_separators_unicode_and_byte_order_marks_are_survived(tmp_path):
    pictures(tmp_path, "Images/Ärger.PNG")
    text = "image,mos\nimages\\a\u0308rger.png,3\n"
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_annotations(tmp_path / "s.csv").table["path"].tolist() == ["Images/Ärger.PNG"]


def test_absolute_paths_find_their_own_root(tmp_path):
    pictures(tmp_path / "photos", "a/1.png", "b/1.png")
    (tmp_path / "lists").mkdir()
    rows = [{"path": str(tmp_path / "photos" / n), "mos": 1} for n in ("a/1.png", "b/1.png")]
    manifest = load_annotations(listed(tmp_path / "lists", rows))
    assert manifest.root == tmp_path / "photos"
    assert manifest.table["path"].tolist() == ["a/1.png", "b/1.png"]


def test_two_names_of_one_picture_are_an_error_whatever_is_asked(tmp_path):
    pictures(tmp_path, "a/1.png")
    listing = listed(tmp_path, [{"path": "a/1.png", "mos": 1}, {"path": "1.png", "mos": 2}])
    with pytest.raises(DatasetError, match=r"'a/1\.png' and '1\.png' both lead to 'a/1\.png'"):
        load_annotations(listing, on_duplicate="keep")


def test_repeated_names_are_an_error_unless_kept(tmp_path):
    pictures(tmp_path, "1.png")
    listing = listed(tmp_path, [{"path": "1.png", "mos": 1}, {"path": "1.PNG", "mos": 2}])
    with pytest.raises(DatasetError, match="1 rows repeat a picture"):
        load_annotations(listing)
    assert load_annotations(listing, on_duplicate="keep").table["mos"].tolist() == [1, 2]


@pytest.mark.parametrize("score", ["NaN", '"good"', "null", "true", "[1]", '""', "1e999", '"1_0"'])
def test_a_score_that_is_no_number_is_shown_with_its_row(tmp_path, score):
    pictures(tmp_path, "1.png", "2.png")
    text = f'[{{"path": "1.png", "mos": 1}}, {{"path": "2.png", "mos": {score}}}]'
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DatasetError, match=r"1 of 2 scores are no finite numbers.*in row 2"):
        load_annotations(tmp_path / "s.json")


def test_biq2021_is_read_from_its_csv(shared):
    folder = shared / "real_mos/BIQ2021"
    if not folder.is_dir():
        pytest.skip("needs ../shared/real_mos/BIQ2021")
    file = folder / "Train (Images and MOS).csv"
    with pytest.warns(DatasetWarning, match="9000 of 10000 pictures"):
        manifest = load_annotations(file, dataset="BIQ2021", mos_range=(0, 1))
    with file.open(newline="") as stream:
        truth = {row[0]: float(row[1]) for row in csv.reader(stream) if row[0] != "Image Name"}
    assert len(manifest) == len(os.listdir(folder / "Images")) == 1000
    assert (
        dict(zip(manifest.table["name"], manifest.table["mos"], strict=True)).items()
        <= truth.items()
    )
    assert all(path.is_file() for path in manifest.paths)


NAMES = st.one_of(
    st.sampled_from(["1.png", "2.png", "1.PNG", "./1.png", "a/1.png", "..", "../1.png", "/1.png"]),
    st.sampled_from(["", " ", "C:\\1.png", "\ud800", "x" * 300, "a\x00b"]),
    st.text(max_size=5),
)
VALUES = st.one_of(
    st.floats(), st.text(max_size=5), st.none(), st.booleans(), st.integers(), st.lists(st.none())
)
KEYS = st.sampled_from(["img_path", "gt_score", "mos", "path", "", "SD"])
OPTIONS = st.fixed_dictionaries(
    {
        "missing": st.sampled_from(["drop", "keep", "error"]),
        "on_duplicate": st.sampled_from(["error", "keep"]),
        "dataset": st.sampled_from([None, "koniq", "tid2013", "mine"]),
    }
)
CSV_ROWS = st.lists(
    st.tuples(NAMES.filter(str.isprintable), st.text(string.printable, max_size=6)), max_size=4
)
anything = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def accept_only_our_errors(file: Path, options: dict) -> None:
    with contextlib.suppress(DatasetError):
        manifest = load_annotations(file, **options)
        assert np.isfinite(manifest.table["mos"]).all()
        assert len(manifest) > 0


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
@anything
@given(
    rows=st.lists(
        st.one_of(
            st.fixed_dictionaries({"img_path": NAMES, "gt_score": VALUES}),
            st.dictionaries(KEYS, st.one_of(NAMES, VALUES), max_size=3),
        ),
        max_size=4,
    ),
    options=OPTIONS,
)
def test_junk_in_json_gives_our_own_errors_only(tmp_path, rows, options):
    pictures(tmp_path, "1.png", "2.png")
    accept_only_our_errors(listed(tmp_path, rows), options)


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
@anything
@given(
    content=st.binary(max_size=60) | st.text(string.printable, max_size=60).map(str.encode),
    suffix=st.sampled_from([".csv", ".json", ".parquet", ".tsv", ".xml"]),
    options=OPTIONS,
)
def test_junk_files_give_our_own_errors_only(tmp_path, content, suffix, options):
    (tmp_path / f"junk{suffix}").write_bytes(content)
    accept_only_our_errors(tmp_path / f"junk{suffix}", options)


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
@anything
@given(rows=CSV_ROWS, options=OPTIONS)
def test_junk_in_csv_gives_our_own_errors_only(tmp_path, rows, options):
    pictures(tmp_path, "1.png", "2.png")
    with (tmp_path / "s.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "mos"), ("1.png", "1.5"), *rows])
    accept_only_our_errors(tmp_path / "s.csv", options)


@pytest.mark.parametrize(
    ("columns", "recorded", "sign"),
    [
        ("path,score,q_cos,q_mag,w_cos", False, "columns q_cos, q_mag, w_cos"),
        ("path,score,mos,extra,more", True, r"own\.csv\.provenance\.json lies beside it"),
    ],
)
def test_our_own_result_is_not_taken_for_opinions(tmp_path, columns, recorded, sign):
    pictures(tmp_path, "a.png")
    (tmp_path / "own.csv").write_text(f"{columns}\na.png,1,2,3,4\n")
    if recorded:
        (tmp_path / "own.csv.provenance.json").write_text("{}")
    for column in (None, "score"):
        with pytest.raises(DatasetError, match=rf"own\.csv' is a result of maclip-lab \({sign}"):
            load_annotations(tmp_path / "own.csv", score_column=column)


def test_opinions_kept_in_a_result_may_be_named(tmp_path):
    pictures(tmp_path, "a.png")
    (tmp_path / "own.csv").write_text("path,mos,score,q_cos\na.png,3,1,2\n")
    manifest = load_annotations(tmp_path / "own.csv", score_column="mos")
    assert manifest.table["mos"].tolist() == [3]
