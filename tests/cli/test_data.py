"""The command line on data sets: what it prints, what it writes, and its exit status."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from maclip_lab import Maclip
from maclip_lab.ablations.sweeps import CROP_GRID, RULE_GRID, RULES
from maclip_lab.datasets import DatasetError
from maclip_lab.errors import DatasetWarning
from maclip_lab.features.features import StoreError
from maclip_lab.files.provenance import read_record
from maclip_lab.prompts import MACLIP_PROMPTS, PROMPT_SETS
from tests.cli.conftest import RN, VIT, program, run
from tests.datasets.facsimile import build
from tests.store_world import picture

METHODS = ["CLIP-IQA", "cosine cue", "magnitude cue", "MA-CLIP"]


def test_data_sets_are_listed_and_shown_and_a_partial_copy_in_a_home_folder_does_not_pass(
    monkeypatch, capsys, tmp_path
):
    code, output, _ = run("datasets", "list")
    assert code == 0
    assert all(name in output for name in ("koniq", "TID2013", "PIPAL", "CSIQ"))
    code, output, _ = run("datasets", "show", "CLIVE")
    assert code == 0
    assert all(part in output for part in ("livec", "http"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    copy = build("CSIQ", tmp_path, rows=12)
    arguments = ["datasets", "check", "CSIQ", f"--root=~/{copy.name}", "--no-decode"]
    code, output, errors = program(monkeypatch, capsys, *arguments)
    assert code == 1, errors
    assert str(copy) in output
    assert "expected 866" in output


def test_the_check_takes_a_variant_and_a_resolution(tmp_path):
    clive = build("livec", tmp_path)
    check = ["datasets", "check", "livec", "--root", clive, "-q"]
    for variant, rows in (("standard", 1162), ("paper", 1169)):
        code, output, errors = run(*check, "--variant", variant, "--no-decode")
        assert (code, errors) == (0, "")
        assert f"{rows} annotated pictures, fit for use" in output
    assert run(*check, "--variant", "papers")[0] == 2
    assert run(*check, "--resolution", "512x384")[0] is ValueError
    koniq = build("koniq", tmp_path, rows=12, size=(512, 384))
    check = ["datasets", "check", "koniq", "--root", koniq]
    code, output, _ = run(*check, "-q", "--workers", "2")
    assert code == 1
    assert "pictures are not 1024 x 768" in output
    code, output, errors = run(*check, "--resolution", "512x384")
    assert "12/12" in errors, "there is no progress bar"
    assert "not 512 x 384" not in output


def test_an_evaluation_leaves_the_scores_of_every_picture_on_request(common, tmp_path):
    code, output, errors = run("features", *common)
    assert (code, "8 of 8 pictures" in output) == (0, True), errors
    arguments = [*common, "-b", RN, "--n-boot", "0", "-o", tmp_path / "t.csv"]
    arguments += ["--details", tmp_path / "details"]
    code, output, errors = run("evaluate", *arguments)
    assert (code, "MA-CLIP" in output) == (0, True), errors
    table = pd.read_csv(tmp_path / "t.csv").set_index(["backbone", "method"])
    assert table.loc[VIT].index.tolist() == METHODS
    assert (table["n"] == 8).all()
    scores = pd.read_csv(tmp_path / "details" / "predictions.csv")
    columns = {"score": "MA-CLIP", "clip_iqa": "CLIP-IQA", "q_mag": "magnitude cue"}
    assert len(scores) == 16
    for backbone, part in scores.groupby("backbone"):
        assert part["name"].tolist() == [f"p{i}.png" for i in range(8)]
        for column, method in columns.items():
            srcc = stats.spearmanr(part[column], part["mos"]).statistic
            assert table.loc[(backbone, method), "srcc"] == pytest.approx(srcc, abs=1e-12)
    differences = pd.read_csv(tmp_path / "details" / "differences.csv")
    assert (differences["other"] == "MA-CLIP").all()
    assert list(differences)[:2] == ["dataset", "backbone"]
    for name in ("predictions", "differences", "by_type"):
        assert run("explain", tmp_path / "details" / f"{name}.csv")[0] == 0
    assert run("explain", tmp_path / "t.csv")[0] == 0
    (tmp_path / "t.csv").unlink()
    assert run("evaluate", *arguments)[0] == 2, "the details would be overwritten"
    arguments[-1] = tmp_path / "no" / "details"
    assert run("evaluate", *arguments)[0] == 2


@pytest.mark.filterwarnings("ignore:koniq. its annotations")
def test_koniqs_other_scores_and_sizes_are_for_the_asking_and_not_beside_the_papers(tmp_path):
    koniq = build("koniq", tmp_path, rows=12, size=(512, 384))
    ranges = []
    for scores in ("mos", "zscore"):
        out = tmp_path / scores
        arguments = ["--root", koniq, "--scores", scores, "--resolution", "512x384", "--details"]
        store = ["--store", tmp_path / "store", "-b", VIT, "-q", "--n-boot", "0", "--no-clip-iqa"]
        with pytest.warns(DatasetWarning, match="12 of 12 pictures are not 1024 x 768, the first"):
            assert run("evaluate", "koniq", *arguments, out, *store)[0] == 0
        table = pd.read_csv(out / "predictions.csv")
        assert table["path"].str.startswith("512x384/").all()
        ranges.append(table["mos"].max())
    assert ranges[0] <= 5 < ranges[1]


@pytest.mark.parametrize(
    ("grid", "varied", "values"),
    [
        ("lambda", "box_lam", {round(0.1 * step, 1) for step in range(21)}),
        ("bases", "alpha", {0.2, 0.5, 1.0, 1.5, 2.0}),
        ("crops", "crops", set(CROP_GRID)),
        ("rules", "rule", {*RULES, *(f"fixed {w:g}" for w in RULE_GRID[len(RULES) :])}),
        ("prompts", "prompts", {*PROMPT_SETS, *(f"{a} / {b}" for a, b in MACLIP_PROMPTS)}),
    ],
)
def test_every_ablation_is_one_call_with_a_record(grid, varied, values, tmp_path, common):
    out = tmp_path / "sweep.csv"
    code, _, errors = run("sweep", *common, "-o", out, "--grid", grid)
    assert code == 0, errors
    table = pd.read_csv(out)
    assert set(table[varied]) == values
    assert (table["dataset"] + table["backbone"] == f"mine{VIT}").all()
    record = read_record(out)
    assert (record["config"]["grid"], len(record["manifest_sha256"])) == (grid, 64)
    assert run("sweep", *common, "-o", tmp_path / "other.csv", "--grid", "best")[0] == 2


def test_pictures_that_are_broken_or_absent_are_said_and_a_failure(rated, tmp_path, common):
    (rated.parent / "p3.png").write_text("no picture")
    out = tmp_path / "part.safetensors"
    pack = ["pack", "--no-clip-iqa", "-o", out]
    for command in (["features"], ["evaluate", "--n-boot", "0"], ["sweep"], pack):
        code, _, errors = run(*command, *common)
        assert code == 1, command
        assert "p3.png: unsupported" in errors
        assert "1 of 8 pictures could not be used" in errors
    code, _, errors = run("evaluate", out, "--no-clip-iqa", "--n-boot", "0", "-q")
    assert (code, "1 of 8 pictures could not be used" in errors) == (1, True)
    error, _, said = run("evaluate", out, "-q")
    assert error is StoreError
    assert "part.safetensors holds no features of whole pictures" in said
    assert "--no-clip-iqa" in said
    picture(rated.parent / "p3.png", 3)
    rated.write_text(rated.read_text() + "gone.png,3\n")
    for command in (["features"], [*pack, "--overwrite"]):
        with pytest.warns(DatasetWarning, match=r"gone\.png"):
            assert run(*command, *common)[0] == 1


def test_a_pack_is_evaluated_without_pictures_or_weights_and_by_its_backbone_alone(
    common, tmp_path, monkeypatch
):
    packed = tmp_path / "eight.safetensors"
    code, output, said = run("pack", *common, "-o", packed)
    assert (code, f"written to {packed}" in output) == (0, True), said
    assert run("pack", packed, "-b", VIT, "-o", tmp_path / "x.safetensors")[0] == 2
    assert run("pack", *common, "-o", tmp_path / "x.csv")[0] == 2
    code, _, said = run("pack", *common, "-o", packed)
    assert (code, "exists" in said) == (2, True)
    assert run("evaluate", *common, "--n-boot", "0", "-o", tmp_path / "a.csv")[0] == 0
    asked = ["evaluate", packed, "--n-boot", "0", "-q", "--store", tmp_path / "none"]
    error, _, said = run(*asked, "-b", RN)
    assert error is StoreError
    for name in (RN, VIT, "eight.safetensors"):
        assert name in said
    monkeypatch.setattr("maclip_lab.scorer.load_backbone", None)
    assert run(*asked, "-o", tmp_path / "b.csv")[0] == 0
    assert run(*asked, "--n-pictures", 5)[1].count(" 5 ") >= 3
    assert not (tmp_path / "none").exists()
    seen, again = (pd.read_csv(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert list(again["method"]) == list(seen["method"])
    assert (again["backbone"] == VIT).all()
    np.testing.assert_allclose(again["plcc_raw"], seen["plcc_raw"], atol=0.01)
    record = read_record(tmp_path / "b.csv")
    assert record["manifest_sha256"] == read_record(tmp_path / "a.csv")["manifest_sha256"]
    assert len(record["config"]["pack_sha256"]) == 64
    code, output, _ = run("explain", tmp_path / "b.csv")
    assert (code, "would reproduce" in output) == (0, True)
    code, output, _ = run("sweep", packed, "--grid", "rules", "-o", tmp_path / "c.csv")
    assert (code, len(pd.read_csv(tmp_path / "c.csv"))) == (0, len(RULE_GRID))


TURN = Image.Exif()
TURN[0x0112] = 6
READ_IN_TWO_WAYS = {
    "exif_rotated": (3, {"format": "JPEG", "exif": TURN, "quality": 60}),  # as a phone writes it
    "alpha": (4, {"format": "PNG"}),  # with holes, under which its pixels go on
}


@pytest.mark.parametrize("preset", [None, "default", "official"])
@pytest.mark.parametrize("flag", READ_IN_TWO_WAYS)
def test_a_picture_has_one_score_whichever_command_reads_it(tmp_path, preset, flag):
    channels, options = READ_IN_TWO_WAYS[flag]
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (260, 300, channels), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.jpg", **options)
    rows = [f"{i}.jpg,{i}" for i in range(6)]
    (tmp_path / "list.csv").write_text("\n".join(["image,mos", *rows]))
    asked = [] if preset is None else ["--preset", preset]
    common = ["-b", RN, "--device", "cpu", "-q", *asked]
    owned = ["mine", "--annotations", tmp_path / "list.csv", "--store", tmp_path / "store"]
    for command, *arguments in (
        ["score", tmp_path, "-o", tmp_path / "s.csv"],
        ["evaluate", *owned, "-o", tmp_path / "e.csv", "--details", tmp_path / "d", "--n-boot", 0],
        ["sweep", *owned, "-o", tmp_path / "w.csv", "--grid", "crops"],
    ):
        code, _, errors = run(command, *arguments, *common)
        assert code == 0, errors
    scored, predicted = (pd.read_csv(tmp_path / name) for name in ("s.csv", "d/predictions.csv"))
    assert predicted["score"].tolist() == pytest.approx(scored["score"].tolist(), abs=1e-6)
    assert predicted["flags"].tolist() == scored["flags"].tolist() == [flag] * 6
    alike = {"backbone", "weights_sha256", "protocol", "preset", "prompts", "precision"}
    alike |= set(read_record(tmp_path / "s.csv")["config"])
    for name in ("s.csv", "e.csv", "d/predictions.csv", "w.csv"):
        config = read_record(tmp_path / name)["config"]
        assert config["preset"] == (preset or "default")
        assert alike <= set(config)
    mine = Maclip(RN, device="cpu")(tmp_path / "0.jpg", preset=preset or "default")
    assert scored["score"][0] == pytest.approx(mine.score, abs=1e-6)
    as_stored = preset == "official" or flag == "alpha"
    assert scored["width"].tolist() == [300 if as_stored else 260] * 6


def test_results_of_rows_or_pictures_that_changed_are_not_said_to_reproduce(
    rated, common, tmp_path
):
    mos = pd.read_csv(rated)
    for i in range(8, 24):
        picture(rated.parent / f"p{i}.png", i)
        mos.loc[i] = [f"p{i}.png", i]
    mos.to_csv(rated, index=False)
    results = {
        tmp_path / "c.json": ["calibrate"],
        tmp_path / "p.safetensors": ["pack", "--no-clip-iqa"],
        tmp_path / "t.csv": ["evaluate", "--no-clip-iqa", "--n-boot", 0],
    }
    for out, command in results.items():
        code, _, errors = run(*command, *common, "-o", out)
        assert code == 0, errors
        code, output, _ = run("explain", out)
        assert (code, "would reproduce" in output) == (0, True), output
    text, first = rated.read_text(), rated.parent / "p0.png"
    before = first.read_bytes()
    for change, said in (
        (lambda: rated.write_text(text.replace("p0.png,", "p0.png,1")), "set's rows differ"),
        (rated.unlink, "the data set cannot be read as it was"),
        (lambda: picture(first, 99), "have been changed or replaced"),
        (first.unlink, "1 pictures are gone"),
    ):
        change()
        for out in results:
            code, output, _ = run("explain", out)
            assert (code, said in output) == (1, True), output
        rated.write_text(text)
        first.write_bytes(before)


def test_messages_name_options_that_exist_and_following_them_works(monkeypatch, capsys, tmp_path):
    for i in range(5):
        picture(tmp_path / f"p{i}.png", i)
    rows = "".join(f"p{i}.png,{i}\n" for i in range(5))
    (tmp_path / "csiq.csv").write_text("shot,dmos\n" + (rows + rows).replace(".png", ""))
    arguments = ["evaluate", tmp_path / "csiq.csv", "-b", VIT, "-q", "--n-boot", 0]
    arguments += [f"--store={tmp_path}/store", "-o", tmp_path / "t.csv"]
    for asked, answer in (
        ("It has shot, dmos; pass path_column= (--path-column)", ["--path-column", "shot"]),
        ("higher_is_better=False (--lower-is-better)", ["--lower-is-better"]),
        ('pass on_duplicate="keep" (--on-duplicate keep) if', ["--on-duplicate", "keep"]),
    ):
        code, _, errors = program(monkeypatch, capsys, *arguments)
        assert code == 1
        assert asked in errors
        arguments += answer
    code, _, errors = program(monkeypatch, capsys, *arguments)
    assert code == 0, errors
    assert "pictures by column 'shot', scores by 'dmos', lower is better" in errors
    table = pd.read_csv(tmp_path / "t.csv")
    assert (table["n"] == 10).all()
    assert table["paper_rn50_srcc"].isna().all(), "a list is none of the nine for its file's name"
    config = read_record(tmp_path / "t.csv")["config"]
    assert "scores by 'dmos'" in config["note"]
    assert config["quick_gelu"] is True


def test_other_metrics_stand_in_the_table_with_one_correction_for_all(rated, tmp_path, common):
    other = tmp_path / "mine.csv"
    mos = pd.read_csv(rated)
    pd.DataFrame({"path": mos["image"], "score": mos["MOS"] ** 2}).to_csv(other, index=False)
    details = ["--also", f"{other}:-score", "--details", tmp_path / "d", "--n-boot", "20"]
    with pytest.warns(DatasetWarning, match="mine falls where quality rises"):
        code, output, errors = run("evaluate", *common, *details, "-o", tmp_path / "t.csv")
    assert code == 0, errors
    assert "mine.csv: 8 of 8 pictures found" in errors
    table = pd.read_csv(tmp_path / "t.csv").set_index("method")
    assert table.loc["mine", "srcc"] == pytest.approx(-1)
    tests = pd.read_csv(tmp_path / "d" / "differences.csv")
    assert tests["method"].tolist() == [*METHODS[:3], "mine"]
    assert "p_srcc_holm" in output
    assert read_record(tmp_path / "t.csv")["config"]["also"]["mine.csv"]


def test_choices_are_judged_in_place_of_scores_once_what_their_table_lacks_is_said(rated, tmp_path):
    for folder in ("x", "y"):
        (rated.parent / folder).mkdir()
        picture(rated.parent / folder / "p1.png", 1)
    (rated.parent / "p1.png").unlink()
    rows = ["a,b,chosen", "p0.png,p1.png,a", "./p0.png,p2.png,b", "p1.png,p2.png,a"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    arguments = ["mine", "--pairs", tmp_path / "pairs.csv", "--root", rated.parent, "-b", VIT, "-q"]
    arguments += ["--store", tmp_path / "f", "--details", tmp_path / "d", "-o", tmp_path / "t.csv"]
    for advice in (["--on-collision", "first"], ["--on-duplicate", "keep"]):
        error, _, said = run("evaluate", *arguments)
        assert error is DatasetError
        assert " ".join(advice) in said
        arguments += advice
    code, output, errors = run("evaluate", *arguments)
    assert code == 0, errors
    assert "accuracy_lo" in output
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["method"].tolist() == METHODS
    assert (table["n_pairs"] == 3).all()
    pictures = pd.read_csv(tmp_path / "d" / "predictions.csv")
    assert pictures["strength"].notna().all()
    first, second, third = pictures.groupby("path")["score"].first()[
        ["p0.png", "x/p1.png", "p2.png"]
    ]
    right = [first > second, third > first, second > third]
    assert table["accuracy"].iloc[3] == pytest.approx(np.mean(right))
