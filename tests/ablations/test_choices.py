import numpy as np
import pandas as pd
import pytest

from maclip_lab.ablations.rivals import judge_choices, read_choices
from maclip_lab.errors import DatasetError, DatasetWarning
from maclip_lab.evaluation import count_votes
from tests.store_world import pictures


def test_pictures_are_found_wherever_they_lie_and_absent_ones_named_and_left_out(tmp_path):
    names, file = pictures(tmp_path / "photos", 4), tmp_path / "pairs.csv"
    pairs = [(name, earlier, earlier) for i, name in enumerate(names) for earlier in names[:i]]
    pd.DataFrame(pairs, columns=["a", "b", "chosen"]).to_csv(file, index=False)
    votes, manifest = read_choices(file, "koniq", None)
    assert len(votes) == 6
    assert sorted(manifest.table["path"]) == [f"photos/p{i}.png" for i in range(4)]
    assert not manifest.labelled
    assert manifest.protocol == "koniq"
    assert read_choices(file, "mine", tmp_path / "photos")[1].protocol == "native"
    with file.open("a") as stream:
        stream.write("p0.png,gone.png,p0.png\n")
    with pytest.warns(DatasetWarning, match=r"1 of 5 pictures, such as 'gone\.png', are not under"):
        votes, manifest = read_choices(file, "mine", None)
    names = manifest.table["name"]
    methods = pd.DataFrame({"MA-CLIP": [0.0, 1, 2, 3], "other": [3.0, 2, 1, 0]})
    table, joined = judge_choices(pd.DataFrame({"name": names}), methods, votes)
    assert table["n_pairs"].tolist() == [6, 6]
    assert table["n_dropped"].tolist() == [1, 1]
    order = names.str[1].astype(int).to_numpy()  # the earlier name was chosen throughout
    np.testing.assert_array_equal(np.argsort(joined["strength"]), np.argsort(-order))
    assert table["accuracy"].sum() == pytest.approx(1)
    assert table["srcc_scale"].sum() == pytest.approx(0)


def test_a_table_without_choices_or_pictures_is_refused(tmp_path):
    for text, dataset, said in (
        ("a,b\nx,y\n", "mine", "which column is 'chosen'"),
        ("a,b,chosen\nx,y,x\n", "mine", "none of 2 pictures is under"),
        ("a,b,chosen\nx,y,x\n", "six.safetensors", r"six\.safetensors is a pack"),
    ):
        (tmp_path / "pairs.csv").write_text(text)
        with pytest.raises(DatasetError, match=said):
            read_choices(tmp_path / "pairs.csv", dataset, None)


@pytest.mark.parametrize(
    ("titles", "suffix", "columns"),
    [
        ("a,b,chosen", ".csv", ()),
        ("A,B,Chosen", ".json", ()),
        ("left_image,right_image,winner", ".xlsx", ()),
        ("x,y,z", ".csv", ("x", "y", "z")),
    ],
)
def test_tables_of_choices_are_read_as_lists_are(tmp_path, titles, suffix, columns):
    pictures(tmp_path, 3)
    rows = [("p0.png", "p1.png", "left"), ("p2.png", "p1.png", "B"), ("p0.png", "p2.png", "tie")]
    rows += [("p0.png", "p2.png", blank) for blank in ("", "none", "-")]
    table = pd.DataFrame(rows, columns=titles.split(","))
    file = tmp_path / f"pairs{suffix}"
    {".csv": table.to_csv, ".xlsx": table.to_excel}.get(suffix, table.to_json)(
        file, **({"orient": "records"} if suffix == ".json" else {"index": False})
    )
    votes, manifest = read_choices(file, "mine", None, columns)
    assert votes["votes_a"].tolist() == [1, 1, 0]
    assert votes["votes_b"].tolist() == [0, 0, 0]
    assert votes["ties"].tolist() == [0, 0, 1]
    assert "3 choices, 1 of them ties; 3 rows without an answer are left out" in manifest.note


def test_pictures_that_never_met_have_no_common_scale():
    names = [f"{side}{i}" for side in "xy" for i in range(3)]
    pairs = [(f"{side}{i}", f"{side}{j}") for side in "xy" for i in range(3) for j in range(i)]
    votes = count_votes(pd.DataFrame([(a, b, a) for a, b in pairs], columns=["a", "b", "chosen"]))
    methods = pd.DataFrame({"MA-CLIP": np.arange(6.0)})
    with pytest.warns(DatasetWarning, match="2 parts of 3, 3 pictures were never compared"):
        table, joined = judge_choices(pd.DataFrame({"name": names}), methods, votes)
    assert table["srcc_scale"].isna().all()
    assert joined.groupby("part")["strength"].mean().abs().max() < 1e-9
