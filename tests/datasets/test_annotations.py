import contextlib
import csv
import json
import os
import re
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
    open_dataset,
)
from maclip_lab.datasets.finding import FileIndex, Finder
from tests.datasets.facsimile import build, open_list


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
    paper = open_dataset(name, folder, variant="paper")
    rows = [
        {"img_path": row.name, "gt_score": spelling(row.mos)}
        for row in paper.table[["name", "mos"]].itertuples(index=False)
    ]
    listing = listed(tmp_path, rows)
    again = open_list(listing, dataset=name, root=folder, on_duplicate="keep")
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
    assert open_list(listing, dataset="koniq").table["path"].tolist() == ["1024x768/1.jpg"]
    half = open_list(listing, dataset="koniq", root=tmp_path / "512x384")
    assert half.paths == [tmp_path / "512x384/1.jpg"]


@pytest.mark.parametrize("suffix", ["xlsx", "parquet"])
def test_a_workbooks_first_sheet_and_a_parquet_table_are_lists(tmp_path, suffix):
    pictures(tmp_path, "a.png", "17.png")
    names = ["a.png", 17 if suffix == "xlsx" else "17"]
    table = pd.DataFrame({"Image Name": names, "MOS": [1.5, 2], "SD": [0.5, 0.2]})
    write = table.to_parquet if suffix == "parquet" else table.to_excel
    write(tmp_path / f"scores.{suffix}", index=False)
    manifest = open_list(tmp_path / f"scores.{suffix}")
    assert manifest.table["path"].tolist() == ["a.png", "17.png"]
    assert manifest.table["mos"].tolist() == [1.5, 2.0]
    assert manifest.table["mos_std"].tolist() == [0.5, 0.2]
    assert (manifest.dataset, manifest.protocol) == ("scores", "native")
    assert manifest.mos_range == (1.5, 2)


AB, TWO = {"name": ["a.png", "b.png"]}, {"mos": [1.5, 2], "mos_std": [0.5, 0.2]}
BLANK = {"mos": [1, 2], "mos_std": [np.nan, 0.5]}
MEANS = {"name": ["b.png", "a.png"], "mos": [3, 2], "mos_std": [2, np.nan]}
SHOWN = {"path_column": "photo", "score_column": "sharp", "mos_range": (0, 10)}
STATED = "pictures by column 'file', scores by 'mos' (not 'dmos'), deviations by 'sd', higher is"
READ = {
    "blanks": ("image mos sd\na.png 1.5 0.5\nb.png 2 0.2\n", {}, AB | TWO),
    "tabs": ("image\tmos\tsd\na.png\t1.5\t0.5\nb.png\t2\t0.2\n", {}, AB | TWO),
    "commas": ("Image Name,MOS,SD\na.png,1.5,0.5\nb.png,2,0.2\n", {}, AB | TWO),
    "sep": ("sep=;\nimage;mos;sd\na.png;1.5;0.5\nb.png;2;0.2\n", {}, AB | TWO),
    "Windows": ("sep=;\r\nimage;mos;sd\r\na.png;1.5;0.5\r\nb.png;2;0.2\r\n", {}, AB | TWO),
    "comments": (
        *("# made, in spring\nimage,mos,sd\na.png,1.5,0.5\n# lunch\nb.png,2,0.2\n", {}, AB | TWO),
    ),
    "a header after #": ("#image,mos,sd\na.png,1.5,0.5\nb.png,2,0.2\n", {}, AB | TWO),
    "a blank row": ("# image mos sd\na.png 1.5 0.5\n\nb.png   2   0.2\n", {}, AB | TWO),
    "units": (
        *("image_key,rating (1-5),standard deviation\na.png,1.5,0.5\nb.png,2,0.2\n", {}, AB | TWO),
    ),
    "other titles": (
        *("imageName,MOS [0..100],std_dev,dmos\na.png,1.5,0.5,7\nb.png,2,0.2,8\n", {}, AB | TWO),
    ),
    "no header": ("a.png 1.5\nb.png 2\n", {}, AB | {"mos": [1.5, 2]}),
    "scores first": ("1.5 a.png\n2 b.png\n", {}, AB | {"mos": [1.5, 2]}),
    "no last newline": ("a.png,1.5\nb.png,2", {}, AB | {"mos": [1.5, 2]}),
    "by number": (
        *("a.png 1.5 2\n", {"path_column": "column 1", "score_column": "column 3"}, {"mos": [2]}),
    ),
    "named columns": ("MOS,sharp,photo\n1,7,a.png\n", SHOWN, {"name": ["a.png"], "mos": [7]}),
    "classes": (
        *("image,mos,Scene\na.png,1,harbour\nb.png,2,street\n", {}),
        *({"subset": ["harbour", "street"]}, "classes by 'Scene'"),
    ),
    "a DMOS": ("image,dmos\na.png,1\n", {"higher_is_better": False}, {"mos": [1]}, "lower is"),
    "a hash in a name": ("image,mos\na.png,1\n#1.png,2\n", {}, {"name": ["a.png", "#1.png"]}),
    "a blank deviation": ("image,mos,sd\na.png,1,\nb.png,2,0.5\n", {}, BLANK),
    "deviation NA": ("image,mos,sd\na.png,1,NA\nb.png,2,0.5\n", {}, BLANK),
    "deviation nan": ("image,mos,sd\na.png,1,nan\nb.png,2,0.5\n", {}, BLANK),
    "a row a rating": (
        *("image,rating\nb.png,1\na.png,2\nb.png,5\nb.png,3\n", {"on_duplicate": "mean"}, MEANS),
        "means of 4 ratings",
    ),
    "kept": ("path,mos\na.png,1\na.PNG,2\n", {"on_duplicate": "keep"}, {"mos": [1, 2]}),
    "opinions in a result": (
        *("path,mos,score,q_cos\na.png,3,1,2\n", {"score_column": "mos"}, {"mos": [3]}),
    ),
    "what was passed over": ("file,dmos,mos,sd\na.png,1,2,3\n", {}, {"mos": [2]}, STATED),
}


@pytest.mark.parametrize("case", READ)
def test_a_list_is_read_as_people_write_it(tmp_path, case):
    text, options, columns, *notes = READ[case]
    pictures(tmp_path, "a.png", "b.png", "#1.png")
    (tmp_path / "s.txt").write_text(text, newline="")
    manifest = open_list(tmp_path / "s.txt", **options)
    for column, values in columns.items():
        assert manifest.table[column].tolist() == pytest.approx(values, nan_ok=True)
    assert manifest.higher_is_better is options.get("higher_is_better", True)
    assert manifest.mos_range == options.get("mos_range", manifest.mos_range)
    assert all(words in manifest.note for words in notes)


NO_NUMBER = "1 of 2 scores are no finite numbers"
REFUSED = {
    "no picture column": ("snap,MOS\na,1\n", {}, r"which column holds .*snap, MOS.*path_column="),
    "no such column": ("snap,MOS\na,1\n", {"path_column": "x"}, "no column 'x'; it has snap, MOS"),
    "a DMOS": ("image,dmos\na.png,1\n", {}, r"_better=True .*or higher_is_better=False"),
    "two names of a file": (
        *("path,mos\na/1.png,1\n1.png,2\n", {"on_duplicate": "keep"}),
        r"'a/1\.png' and '1\.png' both lead to '.*/a/1\.png'",
    ),
    "a name twice": ("path,mos\nb.png,1\nb.PNG,2\n", {}, "1 rows repeat a picture"),
    "a row a rating": ("image,rating\nb.png,1\nb.png,5\n", {}, 'a rating, on_duplicate="mean"'),
    "no header": ("a.png 1.5 2\n", {}, "column 1, column 2, column 3"),
    "a blank score": ("image,mos,sd\na.png,,1\nb.png,2,0.5\n", {}, NO_NUMBER),
    "a score NA": ("image,mos,sd\na.png,NA,1\nb.png,2,0.5\n", {}, NO_NUMBER),
    "a score nan": ("image,mos,sd\na.png,nan,1\nb.png,2,0.5\n", {}, NO_NUMBER),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_list_that_says_too_little_or_too_much_is_refused_in_words(tmp_path, case):
    text, options, words = REFUSED[case]
    pictures(tmp_path, "a.png", "b.png", "a/1.png")
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(DatasetError, match=words):
        open_list(tmp_path / "s.txt", **options)


def test_case_separators_unicode_and_byte_order_marks_are_survived(tmp_path):
    pictures(tmp_path, "Images/Ärger.PNG")
    text = "image,mos\nimages\\a\u0308rger.png,3\n"
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert open_list(tmp_path / "s.csv").table["path"].tolist() == ["Images/Ärger.PNG"]


def test_absolute_paths_find_their_own_root(tmp_path):
    pictures(tmp_path / "photos", "a/1.png", "b/1.png")
    (tmp_path / "lists").mkdir()
    rows = [{"path": str(tmp_path / "photos" / n), "mos": 1} for n in ("a/1.png", "b/1.png")]
    manifest = open_list(listed(tmp_path / "lists", rows))
    assert manifest.root == tmp_path / "photos"
    assert manifest.table["path"].tolist() == ["a/1.png", "b/1.png"]


@pytest.mark.parametrize("score", ["NaN", '"good"', "null", "true", "[1]", '""', "1e999", '"1_0"'])
def test_a_score_that_is_no_number_is_shown_with_its_row(tmp_path, score):
    pictures(tmp_path, "1.png", "2.png")
    text = f'[{{"path": "1.png", "mos": 1}}, {{"path": "2.png", "mos": {score}}}]'
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DatasetError, match=r"1 of 2 scores are no finite numbers.*in row 2"):
        open_list(tmp_path / "s.json")


def test_biq2021_is_read_from_its_csv(shared):
    folder = shared / "real_mos/BIQ2021"
    if not folder.is_dir():
        pytest.skip("needs ../shared/real_mos/BIQ2021")
    file = folder / "Train (Images and MOS).csv"
    with pytest.warns(DatasetWarning, match="9000 of 10000 pictures"):
        manifest = open_list(file, dataset="BIQ2021", mos_range=(0, 1))
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
        manifest = open_list(file, **options)
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
    suffix=st.sampled_from([".csv", ".json", ".parquet", ".tsv"]),
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
            open_list(tmp_path / "own.csv", score_column=column)


# Where a name leads --------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["a.png", "./a.png", "../set/a.png", "{set}/a.png"])
def test_a_name_that_is_a_path_means_that_file_beside_any_copy(tmp_path, spelling):
    pictures(tmp_path, "set/a.png", "set/a.PNG", "set/backup/a.png", "set/backup/set/a.png")
    name = spelling.format(set=tmp_path / "set")
    manifest = open_list(listed(tmp_path / "set", [{"path": name, "mos": 1}]))
    assert manifest.paths == [tmp_path / "set" / "a.png"]
    assert "search" not in manifest.note


def test_two_spellings_that_are_two_files_are_two_pictures(tmp_path):
    pictures(tmp_path, "a.png", "a.PNG")
    rows = [{"path": "a.PNG", "mos": 1}, {"path": "a.png", "mos": 2}]
    assert [path.name for path in open_list(listed(tmp_path, rows)).paths] == [
        "a.PNG",
        "a.png",
    ]


@pytest.mark.parametrize("root", [None, "elsewhere"])
def test_an_absolute_path_is_not_overruled_by_a_file_of_that_name_under_the_root(tmp_path, root):
    pictures(tmp_path, "photos/set/a.png", "list/b.png", "list/set/a.png", "elsewhere/set/a.png")
    rows = [{"path": str(tmp_path / "photos/set/a.png"), "mos": 1}, {"path": "b.png", "mos": 2}]
    listing = listed(tmp_path / "list", rows)
    manifest = open_list(listing, root=root and tmp_path / root)
    assert manifest.paths == [tmp_path / "photos/set/a.png", tmp_path / "list/b.png"]
    assert manifest.root == tmp_path
    assert manifest.table["path"].tolist() == ["photos/set/a.png", "list/b.png"]


@pytest.mark.parametrize(
    ("name", "there", "cause"),
    [
        ("https://host.org/x/a.png?w=9", "a.png", "is an address"),
        ("file:///a%20b/c.png", "c.png", "is an address"),
        ("/data/local-files/?d=set/a.png", "set/a.png", "is an address"),
        ("set/a%20b.png", "set/a b.png", "has its blanks and signs written as %20"),
        ("7.png", "0007.png", "has lost zeros"),
    ],
)
def test_a_name_that_is_another_writing_of_a_file_says_which(tmp_path, name, there, cause):
    pictures(tmp_path, there)
    with pytest.raises(DatasetError, match=rf"{cause}.*: '{re.escape(there)}' is there"):
        open_list(listed(tmp_path, [{"image": name, "mos": 1}, {"image": "x.png", "mos": 2}]))


def test_what_is_left_is_searched_for_and_said(tmp_path):
    pictures(tmp_path, "a.png", "new/set/b.png")
    rows = [{"path": "a.png", "mos": 1}, {"path": "/old/set/b.png", "mos": 2}]
    manifest = open_list(listed(tmp_path, rows))
    assert manifest.paths == [tmp_path / "a.png", tmp_path / "new/set/b.png"]
    assert "1 of 2 pictures were found by a search" in manifest.note
    assert "'/old/set/b.png' as 'new/set/b.png'" in manifest.note
    assert manifest.facts["note"] == manifest.note


def test_a_root_and_a_list_may_be_named_by_way_of_other_folders(tmp_path):
    pictures(tmp_path, "set/a.png", "set/sub/b.png")
    (tmp_path / "x").mkdir()
    rows = [{"path": "a.png", "mos": 1}, {"path": "b.png", "mos": 2}]
    listing = listed(tmp_path / "x" / ".." / "set", rows)
    for root in (None, tmp_path / "x" / ".." / "set"):
        manifest = open_list(listing, root=root)
        assert manifest.root == tmp_path / "set"
        assert manifest.table["path"].tolist() == ["a.png", "sub/b.png"]


def test_names_may_lack_their_suffix(tmp_path):
    pictures(tmp_path, "img/1600.awgn.1.png", "img/17.jpg", "img/17.txt.png")
    rows = [{"path": "1600.AWGN.1", "mos": 1}, {"path": 17, "mos": 2}]
    manifest = open_list(listed(tmp_path, rows))
    assert manifest.table["path"].tolist() == ["img/1600.awgn.1.png", "img/17.jpg"]
    pictures(tmp_path, "img/17.png")
    with pytest.raises(DatasetError, match="'17' is 2 files"):
        open_list(listed(tmp_path, rows))


def fold_case(monkeypatch):
    """A file system like those of Windows and macOS, which finds a file under any letter case."""
    isfile = os.path.isfile

    def found(path):
        folder, name = os.path.split(path)
        held = os.listdir(folder) if os.path.isdir(folder) else []
        return any(isfile(os.path.join(folder, n)) for n in held if n.lower() == name.lower())

    monkeypatch.setattr("maclip_lab.datasets.finding.os.path.isfile", found)


def test_a_path_is_spelt_as_on_the_disk_whatever_the_file_system(tmp_path, monkeypatch):
    pictures(tmp_path, "Images/A.PNG", "Images/b.png")
    listing = listed(
        tmp_path, [{"path": "images/a.png", "mos": 1}, {"path": "Images/b.png", "mos": 2}]
    )
    strict = open_list(listing)
    fold_case(monkeypatch)
    folding = open_list(listing)
    assert folding.table["path"].tolist() == strict.table["path"].tolist()
    assert folding.table.equals(strict.table)


def test_two_spellings_of_one_file_are_told_whatever_the_file_system(tmp_path, monkeypatch):
    pictures(tmp_path, "a.png")
    listing = listed(tmp_path, [{"path": "a.png", "mos": 1}, {"path": "A.png", "mos": 2}])
    fold_case(monkeypatch)
    with pytest.raises(DatasetError):
        open_list(listing)


def test_at_the_root_of_a_drive_a_path_still_is_one_file(monkeypatch):
    index = FileIndex(Path("/"), ("1.png", "sub/1.png"))
    monkeypatch.setattr("maclip_lab.datasets.finding.os.path.isfile", lambda file: file == "/1.png")
    assert Finder(index).find("1.png", "") == "/1.png"


def test_pictures_on_two_drives_are_told_in_words(tmp_path, monkeypatch):
    pictures(tmp_path, "list/a.png", "elsewhere/b.png")
    rows = [{"path": "a.png", "mos": 1}, {"path": str(tmp_path / "elsewhere/b.png"), "mos": 2}]
    listing = listed(tmp_path / "list", rows)
    assert len(open_list(listing)) == 2

    def refuse(paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr("maclip_lab.datasets.finding.os.path.commonpath", refuse)
    with pytest.raises(DatasetError, match="several drives"):
        open_list(listing)
