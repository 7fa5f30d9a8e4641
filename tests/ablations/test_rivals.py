from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from maclip_lab.ablations.rivals import judge_choices, read_choices, read_rivals
from maclip_lab.datasets import open_dataset
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import DatasetError, DatasetWarning
from maclip_lab.evaluation import EvaluationSettings, count_votes, holm
from maclip_lab.features.packs import SHIPPED, shipped_pack
from maclip_lab.files.identity import data_path, sha256_of
from tests.ablations.conftest import assessed
from tests.store_world import pictures

MOS = np.random.default_rng(0).permutation(12).astype(float)


def manifest(paths, root="/photos", **options):
    table = pd.DataFrame({"path": paths, "mos": MOS[: len(paths)]})
    return Manifest(table, "mine", True, (0, 20), "native", "file", root, **options)


NAMES = [f"p{i}.png" for i in range(12)]
SET = manifest(NAMES)
OTHER = np.roll(MOS, 1)


def written(folder, text, name="rival.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def lines(names, scores, sep=","):
    return "".join(f"{name}{sep}{score}\n" for name, score in zip(names, scores, strict=True))


@pytest.mark.parametrize(
    ("name", "head", "sep", "label"),
    [
        ("topiq.csv", "path,score\n", ",", "topiq"),
        ("two.csv", "Image-Name;topiq_nr\n", ";", "topiq_nr"),
        ("pyiqa.txt", "", "\t", "pyiqa"),
        ("pandas.csv", ",musiq\n", ",", "musiq"),
        ("odd.csv", "which one,musiq\n", ",", "musiq"),
        ("table.xlsx", "ImageName,musiq\n", ",", "musiq"),
        ("table.json", "imgName,musiq\n", ",", "musiq"),
    ],
)
def test_the_forms_of_the_fields_toolboxes_are_read_as_they_are(tmp_path, name, head, sep, label):
    file = written(tmp_path, head + lines(reversed(NAMES), range(12), sep), name)
    if name.startswith("table"):
        rows = pd.read_csv(file)
        rows.to_excel(file) if name.endswith("x") else rows.to_json(file, orient="records")
    found = read_rivals([file], SET)
    assert list(found.scores) == [label]
    np.testing.assert_array_equal(found.scores[label], np.arange(12)[::-1])
    assert found.notes[0].startswith(f"{name}: 12 of 12 pictures found by column ")
    assert f"metric {label!r}" in found.notes[1]
    assert len(found.facts[name]) == 64


def test_where_lower_is_better_scores_are_turned_round_and_it_is_said(tmp_path):
    file = written(tmp_path, "path,niqe,mine\n" + lines(NAMES, (f"{m},{m}" for m in OTHER)))
    found = read_rivals([file], SET)
    np.testing.assert_array_equal(found.scores, np.column_stack([-OTHER, OTHER]))
    assert "niqe: lower is better, so it is turned round" in found.notes
    np.testing.assert_array_equal(read_rivals([f"{file}:-mine"], SET).scores["mine"], -OTHER)
    with pytest.raises(DatasetError, match="two tables hold 'niqe'; rename"):
        read_rivals([file] * 2, SET)


@pytest.mark.parametrize(
    ("name", "head", "ask", "sign"),
    [
        ("niqe.csv", "", "", -1),
        ("brisque.csv", "image,score\n", "", -1),
        ("x.csv", "image,NIQE score\n", "", -1),
        ("x.csv", "image,niqe_matlab\n", "", -1),
        ("x.csv", "image,niqescore\n", "", -1),
        ("x.csv", "image,Score (NIQE)\n", "", -1),
        ("x.csv", "", ":-", -1),
        ("niqe.csv", "", ":-", -1),
        ("pioneer.csv", "", "", 1),
    ],
)
def test_direction_goes_by_the_label_wherever_it_comes_from(tmp_path, name, head, ask, sign):
    file = written(tmp_path, head + lines(NAMES, OTHER), name)
    scores = read_rivals([file + ask], SET).scores
    assert scores.shape == (12, 1)
    np.testing.assert_array_equal(scores.iloc[:, 0], sign * OTHER)


def test_opinions_counts_and_seeds_are_no_metrics_whatever_they_are_called(tmp_path):
    table = pd.DataFrame({"path": NAMES, "a": OTHER, "b": OTHER, "by": "me", "Mean rating": MOS})
    table = table.assign(taste=2 * MOS + 1, votes=range(3, 15), mos=MOS, mos_norm=MOS / 9)
    table = table.assign(seed=0, n_raters=7, n_crops=2, ci_95=0.1)
    table.to_csv(tmp_path / "all.csv")
    found = read_rivals([f"{tmp_path}/all.csv"], SET)
    assert list(found.scores) == ["a", "b"]
    assert "'taste' of all.csv repeats the opinions: left out" in found.notes
    left = "'Mean rating', 'votes', 'mos', 'mos_norm', 'seed', 'n_raters', 'n_crops', 'ci_95'"
    assert f"all.csv: no metrics are {left}" in found.notes
    chosen = read_rivals([f"{tmp_path}/all.csv:taste,-n_crops"], SET).scores
    assert list(chosen) == ["taste", "all"]
    assert (chosen["all"] == -2).all()


def test_names_of_files_go_before_a_running_number(tmp_path):
    names = [f"{i}.png" for i in range(12)]
    table = pd.DataFrame({"image_id": range(12), "ImageName": names[::-1], "x": range(12)})
    table.to_csv(tmp_path / "t.csv")
    found = read_rivals([f"{tmp_path}/t.csv"], manifest(names))
    np.testing.assert_array_equal(found.scores["x"], np.arange(12)[::-1])
    assert "by column 'ImageName' (not 'image_id')" in found.notes[0]
    chosen = read_rivals([f"{tmp_path}/t.csv"], manifest(names), path_column="image_id")
    np.testing.assert_array_equal(chosen.scores["x"], np.arange(12))


def test_what_does_not_match_is_counted_and_has_no_number(tmp_path):
    file = written(tmp_path, "path,x\n" + lines([*NAMES[2:], "gone.png"], [*range(9), "", 3]))
    found = read_rivals([file], SET)
    said = "rival.csv: 10 of 12 pictures found by column 'path'; 1 rows match none, such as "
    assert found.notes == [f"{said}'gone.png'", "rival.csv: metric 'x'"]
    assert found.scores["x"].isna().tolist() == [True] * 2 + [False] * 9 + [True]


@pytest.mark.parametrize(
    ("paths", "names", "fault"),
    [
        (NAMES, [f"/elsewhere/imgs/{name}" for name in NAMES], None),
        (NAMES, [f"C:\\imgs\\{name}" for name in NAMES], None),
        (NAMES, [f"/x/photos/{name.upper()}" for name in NAMES], None),
        ([f"a/{n}" for n in NAMES], NAMES, None),
        ([f"a/{n}" for n in NAMES], [f"/y/a/{n}" for n in NAMES], None),
        ([f"a/{n}" for n in NAMES], [f"b/{n}" for n in NAMES], "none of the pictures of mine"),
        (NAMES, [f"{i}/{name}" for i, name in enumerate(NAMES)], "none of the pictures of mine"),
        (["a/1.png", "b/1.png"], ["1.png"], "not one picture's alone: a/1.png, b/1.png"),
    ],
)
def test_pictures_are_joined_by_as_much_of_their_path_as_there_is(tmp_path, paths, names, fault):
    file = written(tmp_path, "path,x\n" + lines(names, range(len(names))))
    if fault is None:
        assert read_rivals([file], manifest(paths)).scores["x"].tolist() == list(range(12))
        return
    with pytest.raises(DatasetError, match=fault):
        read_rivals([file], manifest(paths))


def test_a_picture_in_several_rows_of_the_set_has_its_score_in_each(tmp_path):
    file = written(tmp_path, "path,x\n" + lines(NAMES[:2], [5, 6]))
    twice = manifest(["p0.png", "p1.png", "p0.png"], on_duplicate="keep")
    assert read_rivals([file], twice).scores["x"].tolist() == [5, 6, 5]


@pytest.mark.parametrize(
    ("text", "ask", "said"),
    [
        ("path,x\np0.png,1\nP0.png,2\n", "", "'P0.png' is not one picture's alone: p0.png, p0.png"),
        ("path,x\nq0.png,1\n", "", "none of the pictures of mine: it names 'q0.png', the set 'p0"),
        ("path,note\np0.png,good\n", "", "the scores asked for; it has note: 'note' holds 'good'"),
        ("path,mos\np0.png,3\n", "", "lacks the scores asked for; it has mos"),
        ("path,x,note\np0.png,1,good\n", ":y", "lacks the scores asked for; it has x, note"),
        ("path,x,note\np0.png,1,good\n", ":x,note", "it has x, note: 'note' holds 'good'"),
        ("", "", "is empty"),
        (None, "", "rival.csv' cannot be read"),
    ],
)
def test_a_table_that_is_none_says_why(tmp_path, text, ask, said):
    file = str(tmp_path / "rival.csv") if text is None else written(tmp_path, text)
    with pytest.raises(DatasetError, match=said):
        read_rivals([file + ask], SET)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_blur_effect_is_shipped_for_every_picture_of_the_packs(name):
    listed = open_dataset(str(shipped_pack(name, "tiny-rn")))
    found = read_rivals([f"{data_path('blur', f'{listed.dataset}.csv')}:-blur_effect"], listed)
    n = len(listed)
    assert found.notes[0] == f"{listed.dataset}.csv: {n} of {n} pictures found by column 'path'"
    assert found.scores["blur_effect"].between(-1, 0).all()


def judged(manifest, theirs, folder, **options):
    """A study of two methods of ours and one of theirs on twelve pictures."""
    rng = np.random.default_rng(1)
    ours = MOS + rng.normal(0, 1, 12)
    predictions = {"score": ours, "q_cos": ours + rng.normal(0, 1, 12), "name": NAMES}
    rivals = read_rivals([written(folder, "path,x\n" + lines(NAMES, theirs))], manifest)
    options["statistics"] = EvaluationSettings(n_boot=50)
    return assessed(manifest, pd.DataFrame(predictions), rivals, **options)


@pytest.mark.parametrize("judged_by", ["scores", "low scores", "choices"])
def test_a_metric_that_falls_where_quality_rises_is_named(tmp_path, judged_by):
    rng, options, listed = np.random.default_rng(0), {}, SET
    theirs = rng.normal(0, 1, 12) - MOS
    if judged_by == "low scores":
        theirs, listed = -theirs, replace(SET, higher_is_better=False)
    if judged_by == "choices":
        pairs = combinations(range(12), 2)
        rows = [(NAMES[a], NAMES[b], "a" if MOS[a] > MOS[b] else "b") for a, b in pairs]
        options["votes"] = count_votes(pd.DataFrame(rows, columns=["a", "b", "chosen"]))
    with pytest.warns(DatasetWarning, match="^x falls where quality rises; .* FILE:-COLUMN, or"):
        judged(listed, theirs, tmp_path, **options)


def test_rivals_are_judged_beside_ours_with_one_correction_for_all(tmp_path):
    theirs = MOS + np.random.default_rng(1).normal(0, 3, 12)
    found = judged(SET, theirs, tmp_path)
    table, tests = found.table.set_index("method"), found.differences
    assert table.loc["x", "srcc"] == pytest.approx(stats.spearmanr(theirs, MOS).statistic)
    assert list(tests["method"]) == ["cosine cue", "x"]
    np.testing.assert_allclose(tests["p_srcc_holm"], holm(tests["p_srcc"]))
    np.testing.assert_array_equal(found.predictions["x"], theirs)
    assert found.record["config"]["also"] == {"rival.csv": sha256_of(tmp_path / "rival.csv")}


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
    write = {".csv": table.to_csv, ".xlsx": table.to_excel, ".json": table.to_json}[suffix]
    write(file, **({"orient": "records"} if suffix == ".json" else {"index": False}))
    votes, manifest = read_choices(file, "mine", None, columns)
    assert votes["votes_a"].tolist() == [1, 1, 0]
    assert votes["votes_b"].tolist() == [0, 0, 0]
    assert votes["ties"].tolist() == [0, 0, 1]
    assert "3 choices, 1 of them ties; 3 rows without an answer are left out" in manifest.note


def test_pictures_that_never_met_have_no_common_scale():
    names = ["x0", "x1", "x2", "y0", "y1", "y2"]
    pairs = [pair for three in (names[:3], names[3:]) for pair in combinations(three, 2)]
    votes = count_votes(pd.DataFrame([(a, b, a) for a, b in pairs], columns=["a", "b", "chosen"]))
    methods = pd.DataFrame({"MA-CLIP": np.arange(6.0)})
    with pytest.warns(DatasetWarning, match="2 parts of 3, 3 pictures were never compared"):
        table, _ = judge_choices(pd.DataFrame({"name": names}), methods, votes)
    assert table["srcc_scale"].isna().all()
