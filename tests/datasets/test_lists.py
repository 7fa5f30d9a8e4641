"""Lists of one's own: how they are written, which columns are taken, and where names lead."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from maclip_lab.datasets import DatasetError, DatasetWarning, Manifest, open_dataset
from tests.datasets.facsimile import LAYOUTS, build, open_list

quiet = pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def listed(folder: Path, rows: object, name: str = "list.json") -> Path:
    (folder / name).write_text(json.dumps(rows), "utf-8")
    return folder / name


def names_to(folder: Path, *names: object, **choices) -> Manifest:
    """A list of names, each with its number as score."""
    rows = [{"path": name, "mos": number} for number, name in enumerate(names, 1)]
    return open_list(listed(folder, rows), **choices)


def table(folder: Path, text: str, name: str = "s.txt", **choices) -> Manifest:
    """A list of pictures that are all there."""
    pictures(folder, "a.png", "b.png", "#1.png", "17.png", "a/1.png")
    (folder / name).write_text(text, "utf-8", newline="")
    return open_list(folder / name, **choices)


@quiet
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_authors_lists_are_read_for_every_set(tmp_path, name):
    folder = build(name, tmp_path, rows=15)
    paper = open_dataset(name, folder, variant="paper")
    rows = [
        {"img_path": row.name, "gt_score": str(row.mos) if row.Index % 2 else row.mos}
        for row in paper.table[["name", "mos"]].itertuples()
    ]
    listing = listed(tmp_path, rows)
    again = open_list(listing, dataset=name, root=folder, on_duplicate="keep")
    columns = ["path", "name", "mos", "ref_id", "dist_type", "dist_level"]
    pd.testing.assert_frame_equal(again.table[columns], paper.table[columns])
    assert again.higher_is_better is paper.higher_is_better
    assert again.protocol == paper.protocol
    assert (again.dataset, again.variant) == (name, "file")
    assert again.mos_range == paper.mos_range or (name == "PIPAL" and again.mos_range[1] <= 1)


def test_koniq_lists_follow_a_root_that_names_the_resolution(tmp_path):
    pictures(tmp_path, "1024x768/1.jpg", "512x384/1.jpg")
    assert names_to(tmp_path, "1.jpg", dataset="koniq").paths == [tmp_path / "1024x768/1.jpg"]
    half = names_to(tmp_path, "1.jpg", dataset="koniq", root=tmp_path / "512x384")
    assert half.paths == [tmp_path / "512x384/1.jpg"]


CELLS = "a.png,1.5,0.5\nb.png,2,0.2\n"
AB, TWO = {"name": ["a.png", "b.png"]}, {"mos": [1.5, 2], "mos_std": [0.5, 0.2]}
SAME = {
    "blanks": f"image mos sd\n{CELLS}".replace(",", " "),
    "tabs": f"image,mos,sd\n{CELLS}".replace(",", "\t"),
    "commas": f"Image Name,MOS,SD\n{CELLS}",
    "sep": "sep=;\r\nimage;mos;sd\r\na.png;1.5;0.5\r\nb.png;2;0.2\r\n",
    "comments": "# made, in spring\nimage,mos,sd\na.png,1.5,0.5\n# lunch\nb.png,2,0.2\n",
    "a header after #": f"#image,mos,sd\n{CELLS}",
    "a blank row": "# image mos sd\na.png 1.5 0.5\n\nb.png   2   0.2\n",
    "rows of blanks": f"image,mos,sd\n{CELLS}   ,,\n \n",
    "units": f"image_key,rating (1-5),standard deviation\n{CELLS}",
    "other titles": "imageName,MOS [0..100],std_dev,dmos\na.png,1.5,0.5,7\nb.png,2,0.2,8\n",
    "an unknown title": f"snap,mos,sd\n{CELLS}",
    "a byte-order mark": f"\ufeffimage,mos,sd\n{CELLS}",
}
SHOWN = {"path_column": "photo", "score_column": "sharp", "mos_range": (0, 10)}
STATED = "pictures by column 'file', scores by 'mos' (not 'dmos'), deviations by 'sd', higher is"
READ = {
    **{how: (text, {}, AB | TWO) for how, text in SAME.items()},
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
    "no deviation": ("image,mos,sd\na.png,1,\nb.png,2,NA\n", {}, {"mos_std": [np.nan] * 2}),
    "a row a rating": (
        *("image,rating\nb.png,1\na.png,2\nb.png,5\nb.png,3\n", {"on_duplicate": "mean"}),
        *({"name": ["b.png", "a.png"], "mos": [3, 2], "mos_std": [2, np.nan]}, "of 4 ratings"),
    ),
    "case and separators": ("image,mos\nA\\1.PNG,1\n", {}, {"path": ["a/1.png"]}),
    "kept": ("path,mos\na.png,1\na.PNG,2\n", {"on_duplicate": "keep"}, {"mos": [1, 2]}),
    "opinions in a result": (
        *("path,mos,score,q_cos\na.png,3,1,2\n", {"score_column": "mos"}, {"mos": [3]}),
    ),
    "a part": (
        *("path,mos,split\na.png,1,Training\nb.png,2,test\n", {"split": "train"}, {"mos": [1]}),
    ),
    "a part of a Set": ("path,mos,Set\na.png,1,train\nb.png,2,val\n", {"split": "val"}, {}),
    "what was passed over": ("file,dmos,mos,sd\na.png,1,2,3\n", {}, {"mos": [2]}, STATED),
    "numbers passed over": (
        *("image_id,filename,mos\n1,b.png,1\n0,a.png,2\n", {}, {"name": ["b.png", "a.png"]}),
        "pictures by column 'filename' (not 'image_id')",
    ),
    "numbers alone": (
        *("image_id,mos\n17,1\n", {}, {"name": ["17"]}),
        *("1 of 1 pictures were found by", "without suffix, the first '17' as '17.png'"),
    ),
}


@pytest.mark.parametrize("case", READ)
def test_a_list_is_read_as_people_write_it(tmp_path, case):
    text, options, columns, *notes = READ[case]
    manifest = table(tmp_path, text, **options)
    for column, values in columns.items():
        assert manifest.table[column].tolist() == pytest.approx(values, nan_ok=True)
    assert manifest.higher_is_better is options.get("higher_is_better", True)
    assert manifest.mos_range == options.get("mos_range", manifest.mos_range)
    assert all(words in manifest.note for words in notes)


def test_tables_of_other_makes_are_lists_too(tmp_path):
    pictures(tmp_path, "a.png", "17.png")
    rows = pd.DataFrame({"Image Name": ["a.png", "17"], "MOS": [1.5, 2], "SD": [0.5, None]})
    rows.to_parquet(tmp_path / "s.parquet")
    rows.to_json(tmp_path / "s.json", orient="records")
    rows.replace("17", 17).to_excel(tmp_path / "s.xlsx", index=False)
    for name in ("s.parquet", "s.json", "s.xlsx"):
        manifest = open_list(tmp_path / name)
        assert manifest.table["path"].tolist() == ["a.png", "17.png"]
        assert manifest.table["mos_std"].isna().tolist() == [False, True]
        assert (manifest.dataset, manifest.protocol) == ("s", "native")
        assert manifest.mos_range == (1.5, 2)


OURS, NO_NUMBER = r"s\.txt' is a result of maclip-lab \(", "1 of 2 scores are no finite numbers"
REFUSED = {
    "no picture column": ("snap,MOS\nx,1\n", {}, r"which column holds .*snap, MOS.*path_column="),
    "no such column": ("snap,MOS\na,1\n", {"path_column": "x"}, "no column 'x'; it has snap, MOS"),
    "no such reference": ("image,mos\na.png,1\n", {"reference_column": "x"}, "no column 'x'"),
    "a DMOS": ("image,dmos\na.png,1\n", {}, r"_better=True .*or higher_is_better=False"),
    "a DMOS (0-100)": ("image,DMOS (0-100)\na.png,1\n", {}, "higher_is_better=True .*or"),
    "two names of a file": (
        *("path,mos\na/1.png,1\n1.png,2\n", {"on_duplicate": "keep"}),
        r"'a/1\.png' and '1\.png' both lead to '.*/a/1\.png'",
    ),
    "a name twice": ("path,mos\nb.png,1\nb.PNG,2\n", {}, "1 rows repeat a picture"),
    "a row a rating": ("image,rating\nb.png,1\nb.png,5\n", {}, 'a rating, on_duplicate="mean"'),
    "no header": ("a.png 1.5 2\n", {}, "column 1, column 2, column 3"),
    "a blank score": ("image,mos,sd\na.png,,1\nb.png,2,0.5\n", {}, NO_NUMBER),
    "a score nan": ("image,mos,sd\na.png,nan,1\nb.png,2,0.5\n", {}, NO_NUMBER),
    "a line": ("sep=,\n# x\n\nimage,mos\na.png,1\n\nb.png,bad\n", {}, "'bad' in line 7"),
    "a short line": ("# x\nimage,mos\n\na.png,1\nb.png\n", {}, "line 5 has 1 fields, the header 2"),
    "no parts": ("image,mos\na.png,1\n", {"split": "test"}, "nothing says which part is which"),
    "another part": ("image,mos,split\na.png,1,0\n", {"split": "test"}, "'test'; there are 0"),
    "our result": ("path,score,q_cos,q_mag,w_cos\na.png,1,2,3,4\n", {}, OURS + "columns q_cos"),
    "its score": ("path,score,q_cos\na.png,1,2\n", {"score_column": "score"}, OURS + "columns q"),
    "its counts": ("path,score,status,n_crops\na.png,1,ok,4\n", {}, OURS + "columns n_crops"),
    "its flags": ("path,score,status,flags\na.png,1,ok,\n", {}, OURS + "columns status, flags"),
    "an address": ("path,mos\nhttps://x.org/q.png?w=9,1\n", {}, r"'https.*; there are '#1\.png'"),
    "no file": ("path,mos\n7.png,1\n", {}, r"none of 1 pictures .*'7\.png'.* there are '#1\.png'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_list_that_says_too_little_or_too_much_is_refused_in_words(tmp_path, case):
    text, options, words = REFUSED[case]
    with pytest.raises(DatasetError, match=words):
        table(tmp_path, text, **options)


def test_a_result_is_known_by_the_record_beside_it(tmp_path):
    (tmp_path / "s.txt.provenance.json").write_text("{}")
    for column in (None, "score"):
        with pytest.raises(DatasetError, match=OURS + r"s\.txt\.provenance\.json lies beside it"):
            table(tmp_path, "path,score,mos\na.png,1,2\n", score_column=column)


@pytest.mark.parametrize("called", ["csiq", "koniq", "mine"])
def test_a_lists_file_name_says_nothing_of_direction_or_protocol(tmp_path, called):
    manifest = table(tmp_path, "path,mos\na.png,0.5\n", f"{called}.csv")
    assert (manifest.dataset, manifest.protocol, manifest.preset) == (called, "native", "default")
    assert manifest.higher_is_better is True
    assert manifest.mos_range == (0, 1)  # of one score, half a step to both sides
    named = open_list(tmp_path / f"{called}.csv", dataset="synthetic")
    assert (named.dataset, named.paths) == ("synthetic", [tmp_path / "a.png"])


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
    assert "versions" not in manifest.note
    assert manifest.table["name"].tolist() == VERSIONS


def test_references_may_be_named_and_stay_under_the_name_of_a_set(tmp_path):
    for called in ("kadid", "koniq", "mine"):
        manifest = versions(tmp_path, "from", dataset=called, reference_column="from")
        assert manifest.table["ref_id"].nunique() == 3


def test_versions_without_a_reference_are_told(tmp_path):
    assert "3 versions each of 3 contents, such as 'hill'" in versions(tmp_path, None).note


@quiet
def test_biq2021_is_read_from_its_csv(shared):
    folder = shared / "real_mos/BIQ2021"
    if not folder.is_dir():
        pytest.skip("needs ../shared/real_mos/BIQ2021")
    file = folder / "Train (Images and MOS).csv"
    with pytest.warns(DatasetWarning, match="9000 of 10000 pictures"):
        manifest = open_list(file, dataset="BIQ2021", mos_range=(0, 1))
    assert {path.name for path in manifest.paths} == set(os.listdir(folder / "Images"))
    truth = pd.read_csv(file, index_col="Image Name", dtype=str)["MOS"].map(float)
    assert manifest.table["mos"].tolist() == truth[manifest.table["name"]].tolist()


def test_absolute_paths_find_their_own_root(tmp_path):
    pictures(tmp_path / "photos", "a/1.png", "b/1.png")
    (tmp_path / "lists").mkdir()
    names = [str(tmp_path / "photos" / name) for name in ("a/1.png", "b/1.png")]
    manifest = names_to(tmp_path / "lists", *names)
    assert manifest.root == tmp_path / "photos"
    assert manifest.table["path"].tolist() == ["a/1.png", "b/1.png"]


@pytest.mark.parametrize("spelling", ["a.png", "./a.png", "../set/a.png", "{set}/a.png"])
def test_a_name_that_is_a_path_means_that_file_beside_any_copy(tmp_path, spelling):
    pictures(tmp_path, "set/a.png", "set/a.PNG", "set/backup/a.png", "set/backup/set/a.png")
    manifest = names_to(tmp_path / "set", spelling.format(set=tmp_path / "set"), "a.PNG")
    assert manifest.paths == [tmp_path / "set" / "a.png", tmp_path / "set" / "a.PNG"]
    assert "search" not in manifest.note


@pytest.mark.parametrize("root", [None, "elsewhere"])
def test_an_absolute_path_is_not_overruled_by_a_file_of_that_name_under_the_root(tmp_path, root):
    pictures(tmp_path, "photos/set/a.png", "list/b.png", "list/set/a.png", "elsewhere/set/a.png")
    far = tmp_path / "photos/set/a.png"
    manifest = names_to(tmp_path / "list", str(far), "b.png", root=root and tmp_path / root)
    assert manifest.paths == [far, tmp_path / "list/b.png"]
    assert manifest.root == tmp_path
    assert manifest.table["path"].tolist() == ["photos/set/a.png", "list/b.png"]


def test_what_is_left_is_searched_for_and_said(tmp_path):
    pictures(tmp_path, "a.png", "new/set/b.png")
    manifest = names_to(tmp_path, "a.png", "/old/set/b.png")
    assert manifest.paths == [tmp_path / "a.png", tmp_path / "new/set/b.png"]
    assert "1 of 2 pictures were found by a search" in manifest.note
    assert "'/old/set/b.png' as 'new/set/b.png'" in manifest.note
    assert manifest.facts["note"] == manifest.note


def test_a_root_and_a_list_may_be_named_by_way_of_other_folders(tmp_path):
    pictures(tmp_path, "set/a.png", "set/sub/b.png")
    (tmp_path / "x").mkdir()
    for root in (None, tmp_path / "x" / ".." / "set"):
        manifest = names_to(tmp_path / "x" / ".." / "set", "a.png", "b.png", root=root)
        assert manifest.root == tmp_path / "set"
        assert manifest.table["path"].tolist() == ["a.png", "sub/b.png"]


def test_names_may_lack_their_suffix(tmp_path):
    pictures(tmp_path, "img/1600.awgn.1.png", "img/17.jpg", "img/17.txt.png")
    manifest = names_to(tmp_path, "1600.AWGN.1", 17)
    assert manifest.table["path"].tolist() == ["img/1600.awgn.1.png", "img/17.jpg"]
    pictures(tmp_path, "img/17.png")
    with pytest.raises(DatasetError, match="'17' is 2 files"):
        names_to(tmp_path, "1600.AWGN.1", 17)
