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
    DatasetError,
    DatasetWarning,
    Manifest,
    open_dataset,
)
from maclip_lab.datasets.finding import FileIndex, Finder
from tests.datasets.facsimile import LAYOUTS, build, open_list


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def listed(folder: Path, rows: object, name: str = "list.json") -> Path:
    (folder / name).write_text(json.dumps(rows), "utf-8")
    return folder / name


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
@pytest.mark.parametrize("spelling", [float, str])
@pytest.mark.parametrize("name", LAYOUTS)
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


def test_two_names_of_one_picture_are_an_error_whatever_is_asked(tmp_path):
    pictures(tmp_path, "a/1.png")
    listing = listed(tmp_path, [{"path": "a/1.png", "mos": 1}, {"path": "1.png", "mos": 2}])
    with pytest.raises(DatasetError, match=r"'a/1\.png' and '1\.png' both lead to '.*/a/1\.png'"):
        open_list(listing, on_duplicate="keep")


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


def test_one_row_a_rater_is_offered_the_mean_with_deviation(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "s.csv").write_text("image,rating\nb.png,1\na.png,2\nb.png,5\nb.png,3\n")
    with pytest.raises(DatasetError, match='a row a rating, on_duplicate="mean"'):
        open_list(tmp_path / "s.csv")
    manifest = open_list(tmp_path / "s.csv", on_duplicate="mean")
    assert manifest.table["name"].tolist() == ["b.png", "a.png"]
    assert manifest.table["mos"].tolist() == [3, 2]
    assert manifest.table["mos_std"].tolist() == pytest.approx([2, np.nan], nan_ok=True)
    assert "means of 4 ratings" in manifest.note


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


# Which columns are taken ---------------------------------------------------------------------

AB = "a.png,1.5,0.5\nb.png,2,0.2\n"


def table(folder: Path, text: str, name: str = "s.csv", **choices) -> Manifest:
    """A list of pictures that are all there."""
    pictures(folder, "a.png", "b.png", "#1.png", "17.png")
    (folder / name).write_text(text, "utf-8", newline="")
    return open_list(folder / name, **choices)


@pytest.mark.parametrize(
    "text",
    [
        f"image,mos,sd\n{AB}",
        "# image mos sd\na.png 1.5 0.5\n\nb.png   2   0.2\n",
        "sep=;\r\nimage;mos;sd\r\na.png;1.5;0.5\r\nb.png;2;0.2\r\n",
        "image\tmos\tsd\n" + AB.replace(",", "\t"),
        "# made by hand, in spring\nimage,mos,sd\na.png,1.5,0.5\n# lunch\nb.png,2,0.2\n",
        f"#image,mos,sd\n{AB}",
        f"image_key,rating (1-5),standard deviation\n{AB}",
        "imageName,MOS [0..100],std_dev,dmos\na.png,1.5,0.5,7\nb.png,2,0.2,8\n",
        f"image,mos,sd\n{AB}   ,,\n \n",
        "image_id,filename,mos,sd\n1,a.png,1.5,0.5\n0,b.png,2,0.2\n",
        f"snap,mos,sd\n{AB}",
    ],
)
def test_tables_of_many_makes_say_the_same(tmp_path, text):
    read = table(tmp_path, text, "s.txt").table
    assert read["name"].tolist() == ["a.png", "b.png"]
    assert (read["mos"].tolist(), read["mos_std"].tolist()) == ([1.5, 2], [0.5, 0.2])


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet", ".json"])
def test_tables_of_other_makes_do_too(tmp_path, suffix):
    pictures(tmp_path, "a.png", "17.png")
    rows = pd.DataFrame({"Image Name": ["a.png", "17"], "MOS": [1.5, 2], "SD": [0.5, None]})
    file = tmp_path / f"s{suffix}"
    if suffix == ".xlsx":
        rows.to_excel(file, index=False)
    elif suffix == ".json":
        rows.to_json(file, orient="records")
    else:
        rows.to_parquet(file)
    manifest = open_list(file)
    assert manifest.table["path"].tolist() == ["a.png", "17.png"]
    assert manifest.table["mos_std"].isna().tolist() == [False, True]
    assert (manifest.dataset, manifest.protocol, manifest.mos_range) == ("s", "native", (1.5, 2))


@pytest.mark.parametrize(
    ("text", "choices", "names", "scores"),
    [
        ("a.png 1.5\nb.png 2\n", {}, ["a.png", "b.png"], [1.5, 2]),
        ("1.5 a.png\n2 b.png\n", {}, ["a.png", "b.png"], [1.5, 2]),
        ("a.png,1.5\nb.png,2", {}, ["a.png", "b.png"], [1.5, 2]),
        ("a.png 1.5 2\n", {"path_column": "column 1", "score_column": "column 3"}, ["a.png"], [2]),
        ("image,mos\na.png,1\n#1.png,2\n", {}, ["a.png", "#1.png"], [1, 2]),
        ("MOS,sharp,photo\n1,7,a.png\n", {"score_column": "sharp"}, ["a.png"], [7]),
        ("path,mos,q_cos\na.png,3,2\n", {"score_column": "mos"}, ["a.png"], [3]),
        ("path,mos\na.png,1\nA.PNG,2\n", {"on_duplicate": "keep"}, ["a.png", "A.PNG"], [1, 2]),
        ("path,mos,split\na.png,1,Training\nb.png,2,test\n", {"split": "test"}, ["b.png"], [2]),
        ("path,mos,Set\na.png,1,train\nb.png,2,val\n", {"split": "val"}, ["b.png"], [2]),
    ],
)
def test_columns_are_found_or_named(tmp_path, text, choices, names, scores):
    read = table(tmp_path, text.replace(" ", ","), "s.txt", **choices).table
    assert (read["name"].tolist(), read["mos"].tolist()) == (names, scores)


OURS = r"own\.csv' is a result of maclip-lab \("


@pytest.mark.parametrize(
    ("text", "choices", "said"),
    [
        ("snap,MOS\nx,1\n", {}, "which column holds the picture.*snap, MOS.*path_column="),
        ("snap,MOS\nx,1\n", {"path_column": "x"}, "no column 'x'; it has snap, MOS"),
        ("image,mos\na.png,1\n", {"reference_column": "x"}, "no column 'x'; it has image, mos"),
        ("a.png 1.5 2\n", {}, "column 1, column 2, column 3"),
        ("image,dmos\na.png,1\n", {}, "higher_is_better=True or higher_is_better=False"),
        ("image,DMOS (0-100)\na.png,1\n", {}, "higher_is_better=True or"),
        ("image,mos\na.png,1\nA.PNG,2\n", {}, "1 rows repeat a picture"),
        ("image,mos,sd\na.png,nan,1\nb.png,2,0.5\n", {}, "1 of 2 scores are no finite numbers"),
        ("sep=,\n# x\n\nimage,mos\na.png,1\n\nb.png,bad\n", {}, "'bad' in line 7"),
        ("# x\nimage,mos\n\na.png,1\nb.png\n", {}, "line 5 has 1 fields, the header 2"),
        ("image,mos\na.png,1\n", {"split": "test"}, "nothing says which part is which"),
        ("image,mos,split\na.png,1,0\n", {"split": "test"}, "no part 'test'; there are 0"),
        ("path,score,q_cos,q_mag,w_cos\na.png,1,2,3,4\n", {}, OURS + "columns q_cos"),
        ("path,score,q_cos\na.png,1,2\n", {"score_column": "score"}, OURS + "columns q_cos"),
        ("path,score,status,flags,n_crops\na.png,1,ok,,4\n", {}, OURS + "columns n_crops"),
        ("path,score,status,flags\na.png,1,ok,\n", {}, OURS + "columns status, flags"),
        ("path,mos\n/data/local-files/?d=a.png,1\n", {}, "is an address.*'a.png' is there"),
        ("path,mos\nhttps://x.org/a.png?w=9,1\n", {}, "is an address.*a.png' is there"),
        ("path,mos\n%23%31.png,1\n", {}, "'#1.png' is there"),
        ("path,mos\n7.png,1\n", {}, "'7.png' has lost zeros.*'sub/007.png'"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(tmp_path, text, choices, said):
    pictures(tmp_path, "sub/007.png")
    with pytest.raises(DatasetError, match=said):
        table(tmp_path, text, "own.csv", **choices)


@pytest.mark.parametrize("score", ["NaN", '"good"', "null", "true", "[1]", '""', "1e999", '"1_0"'])
def test_a_score_that_is_no_number_is_shown_with_its_row(tmp_path, score):
    text = f'[{{"path": "a.png", "mos": 1}}, {{"path": "b.png", "mos": {score}}}]'
    with pytest.raises(DatasetError, match=r"1 of 2 scores are no finite numbers.*in row 2"):
        table(tmp_path, text, "s.json")


def test_a_result_is_known_by_the_record_beside_it(tmp_path):
    (tmp_path / "own.csv.provenance.json").write_text("{}")
    with pytest.raises(DatasetError, match=OURS + r"own\.csv\.provenance\.json lies beside it"):
        table(tmp_path, "path,score,mos\na.png,1,2\n", "own.csv", score_column="score")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "file,dmos,mos,sd\na.png,1,2,3\n",
            "from s.csv: pictures by column 'file', scores by 'mos' (not 'dmos'), deviations by "
            "'sd', higher is better",
        ),
        (
            "image_id,filename,mos,Scene\n1,b.png,1,harbour\n0,a.png,2,street\n",
            "from s.csv: pictures by column 'filename' (not 'image_id'), scores by 'mos', classes "
            "by 'Scene', higher is better",
        ),
        (
            "image_id,mos\n17,1\n",
            "from s.csv: pictures by column 'image_id', scores by 'mos', higher is better; 1 of 1 "
            "pictures were found by their names without suffix, the first '17' as '17.png'",
        ),
    ],
)
def test_the_choices_made_are_stated(tmp_path, text, said):
    assert table(tmp_path, text).note == said


VERSIONS = [f"{ref}_{kind}.png" for ref in ("hill", "pier", "dog") for kind in ("v1", "v2", "v3")]


def versions(folder: Path, column: str | None, **choices) -> Manifest:
    pictures(folder, *VERSIONS)
    rows = pd.DataFrame({"dist_img": VERSIONS, "mos": np.arange(9.0)})
    if column is not None:
        rows[column] = [f"refs/{name.split('_')[0]}.png" for name in VERSIONS]
    rows.to_csv(folder / "list.csv", index=False)
    return open_list(folder / "list.csv", **choices)


@pytest.mark.parametrize("column", ["ref_img", "reference", "group", "content", "Reference Image"])
def test_references_are_read_whatever_they_are_called(tmp_path, column):
    manifest = versions(tmp_path, column)
    assert manifest.table["ref_id"].tolist() == [name.split("_")[0] for name in VERSIONS]
    assert f"3 contents by {column!r}" in manifest.note
    assert manifest.table["name"].tolist() == VERSIONS


def test_references_may_be_named_and_stay_under_the_name_of_a_set(tmp_path):
    for called in ("kadid", "koniq", "mine"):
        manifest = versions(tmp_path, "from", dataset=called, reference_column="from")
        assert manifest.table["ref_id"].nunique() == 3


def test_versions_without_a_reference_are_told(tmp_path):
    said = "3 versions each of 3 contents, such as 'hill'"
    assert said in versions(tmp_path, None).note
    assert "versions" not in versions(tmp_path, "ref_img").note
