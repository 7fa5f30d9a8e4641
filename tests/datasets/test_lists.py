"""What a list of one's own says of itself: its columns, references, versions, and what is wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maclip_lab.datasets import (
    DatasetError,
    Manifest,
)
from tests.datasets.facsimile import open_list
from tests.datasets.test_annotations import listed, pictures


def test_two_names_of_one_picture_are_an_error_whatever_is_asked(tmp_path):
    pictures(tmp_path, "a/1.png")
    listing = listed(tmp_path, [{"path": "a/1.png", "mos": 1}, {"path": "1.png", "mos": 2}])
    with pytest.raises(DatasetError, match=r"'a/1\.png' and '1\.png' both lead to '.*/a/1\.png'"):
        open_list(listing, on_duplicate="keep")


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
        ("image,dmos\na.png,1\n", {}, "higher_is_better=True .*or higher_is_better=False"),
        ("image,DMOS (0-100)\na.png,1\n", {}, "higher_is_better=True .*or"),
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
