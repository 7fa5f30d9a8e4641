"""The command line on data sets: what it prints, what it writes, and its exit status."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from maclip_lab.ablations.sweeps import CROP_GRID, RULE_GRID, RULES
from maclip_lab.datasets import DatasetError
from maclip_lab.errors import DatasetWarning
from maclip_lab.files.provenance import read_record
from maclip_lab.prompts import MACLIP_PROMPTS, PROMPT_SETS
from tests.cli.conftest import RN, VIT, program, run, unboxed
from tests.datasets.facsimile import build
from tests.store_world import picture


def test_the_nine_data_sets_are_listed_and_shown_and_a_partial_copy_does_not_pass(tmp_path):
    code, output, _ = run("datasets", "list")
    assert code == 0
    assert all(name in output for name in ("koniq", "TID2013", "PIPAL", "CSIQ"))
    code, output, _ = run("datasets", "show", "CLIVE")
    assert code == 0
    assert all(part in output for part in ("livec", "http"))
    copy = build("CSIQ", tmp_path, rows=12)
    code, output, _ = run("datasets", "check", "CSIQ", "--root", copy)
    assert (code, "expected 866" in output) == (1, True)


def test_the_check_takes_a_variant_and_a_resolution(tmp_path):
    clive = build("livec", tmp_path, size=(32, 32))
    check = ["datasets", "check", "livec", "--root", clive, "-q"]
    for variant, rows in (("standard", 1162), ("paper", 1169)):
        code, output, errors = run(*check, "--variant", variant, "--no-decode")
        assert (code, errors) == (0, "")
        assert f"{rows} annotated pictures, fit for use" in output
    code, output, _ = run(*check, "--workers", "2")
    assert code == 1
    assert "pictures are not 500 x 500" in output
    koniq = build("koniq", tmp_path, rows=12, size=(512, 384))
    code, output, errors = run(
        "datasets", "check", "koniq", "--root", koniq, "--resolution", "512x384"
    )
    assert "12/12" in errors, "there is no progress bar"
    assert "not 512 x 384" not in output
    assert run(*check, "--variant", "papers")[0] == 2
    assert run(*check, "--resolution", "512x384")[0] is ValueError


def test_features_are_extracted_once_and_evaluated_from_the_store(tmp_path, common):
    code, output, errors = run("features", *common)
    assert (code, "8 of 8 pictures" in output) == (0, True), errors
    out = tmp_path / "table.csv"
    code, output, errors = run("evaluate", *common, "-o", out, "--n-boot", "20")
    assert (code, "MA-CLIP" in output) == (0, True), errors
    table = pd.read_csv(out)
    assert table["method"].tolist() == ["CLIP-IQA", "cosine cue", "magnitude cue", "MA-CLIP"]
    assert (table["n"] == 8).all()


def test_an_evaluation_leaves_the_scores_of_every_picture_on_request(rated, tmp_path):
    arguments = ["--annotations", rated, "--store", tmp_path / "store", "-q", "--n-boot", "0"]
    arguments += ["-b", VIT, "-b", RN, "-o", tmp_path / "t.csv", "--details", tmp_path / "details"]
    code, _, errors = run("evaluate", "mine", *arguments)
    assert code == 0, errors
    table = pd.read_csv(tmp_path / "t.csv").set_index(["backbone", "method"])
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
    assert run("evaluate", "mine", *arguments)[0] == 2, "the details would be overwritten"
    arguments[-1] = tmp_path / "no" / "details"
    assert run("evaluate", "mine", *arguments)[0] == 2


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
def test_a_part_of_a_set_has_no_number_of_the_papers_beside_it(tmp_path):
    clive = build("livec", tmp_path, rows=3, size=(500, 500))
    store = ["--store", tmp_path / "store", "-b", VIT, "-q", "--n-boot", "0"]
    out = tmp_path / "t.csv"
    code, output, errors = run("evaluate", "livec", "--root", clive, *store, "-o", out)
    assert code == 0, errors
    columns = ["paper_rn50_srcc", "minus_paper_rn50", "published_srcc"]
    assert pd.read_csv(out)[columns].isna().all(axis=None)
    assert "0.7428" not in output


def test_choices_of_the_nine_sets_are_refused_for_a_list_of_ones_own(rated, tmp_path):
    arguments = ["--annotations", rated, "--store", tmp_path, "-b", VIT]
    for option in ("--variant=paper", "--scores=zscore", "--resolution=512x384"):
        error, _, message = run("evaluate", "mine", *arguments, option)
        assert error is ValueError  # which ends the program with 2
        assert "for the known data sets as published" in message


@pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
def test_koniqs_other_scores_are_for_the_asking(tmp_path):
    koniq = build("koniq", tmp_path, rows=12, size=(32, 32))
    ranges = []
    for scores in ("mos", "zscore"):
        out = tmp_path / scores
        arguments = ["--root", koniq, "--scores", scores, "--resolution", "512x384", "--details"]
        store = ["--store", tmp_path / "store", "-b", VIT, "-q", "--n-boot", "0"]
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
    assert table["backbone"].unique().tolist() == [VIT]
    record = read_record(out)
    assert (record["config"]["grid"], len(record["manifest_sha256"])) == (grid, 64)
    assert run("sweep", *common, "-o", tmp_path / "other.csv", "--grid", "best")[0] == 2


def test_a_list_that_repeats_a_picture_is_read_on_request(rated, tmp_path, common):
    """As the authors' list of AGIQA-1K does."""
    rated.write_text(rated.read_text() + "p0.png,3.5\n")
    error, _, said = run("evaluate", *common, "--n-boot", "0")
    assert error is DatasetError
    assert 'on_duplicate="keep"' in said
    code, output, errors = run("evaluate", *common, "--n-boot", "0", "--on-duplicate", "keep")
    assert code == 0, errors
    assert " 9 " in output


def test_pictures_that_are_broken_or_absent_are_said_and_a_failure(rated, tmp_path, common):
    (rated.parent / "p3.png").write_text("no picture")
    out = tmp_path / "part.safetensors"
    whole = ["--no-clip-iqa"]
    for command in (
        ["features"],
        ["evaluate", "--n-boot", "0"],
        ["sweep"],
        ["pack", *whole, "-o", out],
    ):
        code, _, errors = run(command[0], *common, *command[1:])
        assert code == 1, command
        assert "p3.png: unsupported" in errors
        assert "1 of 8 pictures could not be used" in errors
    code, _, errors = run("evaluate", out, *whole, "--n-boot", "0", "-q")
    assert (code, "1 of 8 pictures could not be used" in errors) == (1, True)
    error, _, said = run("evaluate", out, "-q")
    assert error.__name__ == "StoreError"
    assert "--no-clip-iqa" in said
    picture(rated.parent / "p3.png", 3)
    rated.write_text(rated.read_text() + "gone.png,3\n")
    for command in (["features"], ["pack", *whole, "--overwrite", "-o", out]):
        with pytest.warns(DatasetWarning, match=r"gone\.png"):
            assert run(command[0], *common, *command[1:])[0] == 1


def test_all_data_sets_without_a_place_are_a_wrong_call(tmp_path):
    assert run("evaluate", "all", "-b", VIT)[0] == 2
    assert run("evaluate", "all", "--root", tmp_path, "-b", VIT)[0] == 2


@pytest.fixture
def packed(tmp_path, common):
    """A pack of the eight pictures, and where their store lies."""
    out = tmp_path / "eight.safetensors"
    code, output, said = run("pack", *common, "-o", out)
    assert (code, f"written to {out}" in output) == (0, True), said
    return out


def test_a_pack_is_evaluated_without_pictures_or_weights(packed, rated, tmp_path, monkeypatch):
    common = ["--store", tmp_path / "store", "--n-boot", "0", "-q"]
    source = ["mine", "--annotations", rated, "-b", VIT]
    assert run("evaluate", *source, *common, "-o", tmp_path / "a.csv")[0] == 0
    monkeypatch.setattr("maclip_lab.scorer.load_backbone", None)
    assert run("evaluate", packed, *common, "-o", tmp_path / "b.csv")[0] == 0
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
    assert run("evaluate", packed, *common, "--n-pictures", 5)[1].count(" 5 ") >= 3


def test_a_pack_is_refused_for_another_backbone_and_made_of_pictures_alone(packed, tmp_path):
    error, _, said = run("evaluate", packed, "-b", RN, "-q", "--store", tmp_path / "none")
    assert error.__name__ == "StoreError"
    for name in (RN, VIT, "eight.safetensors"):
        assert name in said
    assert not (tmp_path / "none").exists()
    assert run("pack", packed, "-b", VIT, "-o", tmp_path / "x.safetensors")[0] == 2
    code, _, said = run("pack", packed, "-b", VIT, "-o", packed)
    assert (code, "exists" in said) == (2, True)
    assert run("pack", packed, "-b", VIT, "-o", tmp_path / "x.csv")[0] == 2


def test_every_result_records_the_same_settings(rated, tmp_path):
    """What one command tells of itself, the others tell too."""
    common = ["--annotations", rated, "--store", tmp_path / "store", "-b", VIT]
    told = []
    for command, *arguments in (
        ["score", rated.parent, "-b", VIT],
        ["evaluate", "mine", *common, "--n-boot", 20],
        ["sweep", "mine", *common, "--grid", "crops"],
    ):
        out = tmp_path / f"{command}.csv"
        run(command, *arguments, "-o", out)
        told.append(set(read_record(out)["config"]))
    assert told[0] >= {"backbone", "weights_sha256", "protocol", "preset", "prompts", "precision"}
    assert all(told[0] <= other for other in told)


def turned(path, seed):
    """A photograph as a phone writes it: its EXIF tag says how to turn it."""
    made = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (260, 300, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    made.save(path, exif=exif, quality=60)


def transparent(path, seed):
    """A picture with holes, under which its pixels go on."""
    pixels = np.random.default_rng(seed).integers(0, 256, (260, 300, 4), np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


@pytest.mark.parametrize(
    ("make", "preset", "flag"),
    [
        *[(turned, preset, "exif_rotated") for preset in (None, "default", "official")],
        *[(transparent, preset, "alpha") for preset in (None, "official")],
    ],
)
def test_a_picture_has_one_score_whichever_command_reads_it(tmp_path, make, preset, flag):
    for i in range(6):
        make(tmp_path / f"{i}.jpg", i)
    rows = [f"{i}.jpg,{i}" for i in range(6)]
    (tmp_path / "list.csv").write_text("\n".join(["image,mos", *rows]))
    asked = [] if preset is None else ["--preset", preset]
    common = ["-b", RN, "--device", "cpu", "-q", *asked]
    assert run("score", tmp_path, *common, "-o", tmp_path / "s.csv")[0] == 0
    owned = ["mine", "--annotations", tmp_path / "list.csv", "--store", tmp_path / "store"]
    out = ["-o", tmp_path / "e.csv", "--details", tmp_path / "d", "--n-boot", 0]
    code, _, errors = run("evaluate", *owned, *common, *out)
    assert code == 0, errors
    code, _, errors = run("sweep", *owned, *common, "-o", tmp_path / "w.csv", "--grid", "crops")
    assert code == 0, errors
    scored, predicted = (pd.read_csv(tmp_path / name) for name in ("s.csv", "d/predictions.csv"))
    assert predicted["score"].tolist() == pytest.approx(scored["score"].tolist(), abs=1e-6)
    assert predicted["flags"].tolist() == scored["flags"].tolist() == [flag] * 6
    for name in ("s.csv", "e.csv", "d/predictions.csv", "w.csv"):
        assert read_record(tmp_path / name)["config"]["preset"] == (preset or "default")
    from maclip_lab import Maclip

    mine = Maclip(RN, device="cpu")(tmp_path / "0.jpg", preset=preset or "default")
    assert scored["score"][0] == pytest.approx(mine.score, abs=1e-6)
    if make is turned:
        wide = scored["width"].tolist() == [300] * 6
        assert wide is (preset == "official")


def test_an_evaluation_of_rows_or_pictures_that_changed_is_not_said_to_reproduce(rated, tmp_path):
    out = tmp_path / "t.csv"
    store = ["--store", tmp_path / "store", "-b", VIT, "-q", "--n-boot", "0"]
    assert run("evaluate", "mine", "--annotations", rated, *store, "-o", out)[0] == 0
    text, first = rated.read_text(), rated.parent / "p0.png"
    before = first.read_bytes()
    assert run("explain", out)[0] == 0
    rated.write_text(text.replace("p0.png,", "p0.png,1"))
    code, output, _ = run("explain", out)
    assert code == 1
    assert "the data set's rows differ" in output
    rated.unlink()
    assert "the data set cannot be read as it was" in run("explain", out)[1]
    rated.write_text(text)
    picture(first, 99)
    assert "have been changed or replaced" in run("explain", out)[1]
    first.unlink()
    assert "1 pictures are gone" in run("explain", out)[1]
    first.write_bytes(before)
    assert run("explain", out)[0] == 0


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
        ('pass on_duplicate="keep" (--on-duplicate keep) if', ["--on-duplicate", "mean"]),
    ):
        code, _, errors = program(monkeypatch, capsys, *arguments)
        assert code == 1
        assert asked in errors
        arguments += answer
    code, _, errors = program(monkeypatch, capsys, *arguments)
    assert code == 0, errors
    assert "pictures by column 'shot', scores by 'dmos', lower is better" in errors
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["paper_rn50_srcc"].isna().all(), "a list is none of the nine for its file's name"
    config = read_record(tmp_path / "t.csv")["config"]
    assert "scores by 'dmos'" in config["note"]
    assert config["quick_gelu"] is True


@pytest.mark.filterwarnings("ignore:koniq. its annotations")
def test_pictures_of_another_size_are_named_as_why_the_papers_numbers_are_not_beside(tmp_path):
    copy = build("koniq", tmp_path, rows=3, size=(512, 384))
    (copy / "1024x768").rename(copy / "pictures")
    for path in (copy / "512x384").iterdir():
        path.unlink()
    arguments = ["evaluate", "koniq", "--root", copy, "--store", tmp_path / "store", "-b", VIT]
    arguments += ["-q", "--n-boot", "0", "--no-clip-iqa"]
    with pytest.warns(DatasetWarning, match="3 of 3 pictures are not 1024 x 768, the first is"):
        assert run(*arguments)[0] == 0


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
    assert tests["method"].tolist() == ["CLIP-IQA", "cosine cue", "magnitude cue", "mine"]
    assert "p_srcc_holm" in output
    assert read_record(tmp_path / "t.csv")["config"]["also"]["mine.csv"]


def test_choices_between_two_pictures_are_judged_in_place_of_scores(rated, tmp_path):
    votes = pd.DataFrame({"a": ["p0.png", "p1.png"], "b": ["p2.png", "p2.png"], "chosen": "a"})
    votes.to_csv(tmp_path / "pairs.csv", index=False)
    options = ["--pairs", tmp_path / "pairs.csv", "--root", rated.parent, "-b", VIT, "-q"]
    options += ["--store", tmp_path / "store", "--details", tmp_path / "d"]
    options += ["-o", tmp_path / "t.csv"]
    code, output, errors = run("evaluate", "mine", *options)
    assert code == 0, errors
    assert "accuracy_lo" in output
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["method"].tolist() == ["CLIP-IQA", "cosine cue", "magnitude cue", "MA-CLIP"]
    assert (table["n_pairs"] == 2).all()
    pictures = pd.read_csv(tmp_path / "d" / "predictions.csv")
    right = [pictures["score"][i] > pictures["score"][j] for i, j in ((0, 1), (2, 1))]
    assert table["accuracy"].iloc[3] == pytest.approx(np.mean(right))
    assert pictures["strength"].notna().all()


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (["--pairs", "PAIRS", "--n-pictures", "3"], "--n-pictures"),
        (["--pairs", "PAIRS", "--path-column", "a"], "--path-column"),
        (["--pairs", "PAIRS", "--annotations", "PAIRS"], "--annotations"),
        (["--pairs", "PAIRS", "--n-boot", "100"], "--n-boot"),
        (["--pairs-columns", "left,right"], "--pairs-columns"),
        (["--also-path", "file"], "--also-path"),
    ],
)
def test_an_option_that_a_mode_would_not_look_at_is_refused(options, refused, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("a,b,chosen\np0.png,p1.png,a\n")
    given = [pairs if option == "PAIRS" else option for option in options]
    code, _, errors = run("evaluate", "mine", "-b", VIT, *given)
    assert code == 2
    assert f"Invalid value for {refused}" in unboxed(errors)


def test_a_calibration_and_a_pack_are_traced_to_their_data(rated, tmp_path):
    mos = pd.read_csv(rated)
    for i in range(8, 24):
        picture(rated.parent / f"p{i}.png", i)
        mos.loc[i] = [f"p{i}.png", i]
    mos.to_csv(rated, index=False)
    common = ["mine", "--annotations", rated, "--store", tmp_path / "store", "-b", VIT, "-q"]
    results = {"calibrate": tmp_path / "c.json", "pack": tmp_path / "p.safetensors"}
    for command, out in results.items():
        code, _, errors = run(command, *common, "-o", out)
        assert code == 0, errors
        code, output, _ = run("explain", out)
        assert (code, "would reproduce" in output) == (0, True), output
    picture(rated.parent / "p0.png", 99)
    for out in results.values():
        code, output, _ = run("explain", out)
        assert (code, "have been changed or replaced" in output) == (1, True), output


def test_what_a_table_of_choices_is_advised_to_say_helps(rated, tmp_path):
    for folder in ("x", "y"):
        (rated.parent / folder).mkdir()
        picture(rated.parent / folder / "p1.png", 1)
    (rated.parent / "p1.png").unlink()
    rows = ["a,b,chosen", "p0.png,p1.png,a", "./p0.png,p2.png,b", "p1.png,p2.png,a"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    arguments = ["--pairs", tmp_path / "pairs.csv", "--root", rated.parent, "-b", VIT, "-q"]
    arguments += ["--store", tmp_path / "store", "--no-clip-iqa"]
    for advice in (["--on-collision", "first"], ["--on-duplicate", "keep"]):
        error, _, said = run("evaluate", "mine", *arguments)
        assert error is DatasetError
        assert " ".join(advice) in said
        arguments += advice
    code, output, errors = run("evaluate", "mine", *arguments)
    assert code == 0, errors
    assert "accuracy" in output


def test_every_verb_says_that_opinions_are_scores_of_our_own(tmp_path):
    (tmp_path / "set").mkdir()
    for i in range(24):
        picture(tmp_path / "set" / f"p{i}.png", i)
    assert run("score", tmp_path / "set", "-b", VIT, "-q", "-o", tmp_path / "s.csv")[0] == 0
    pd.read_csv(tmp_path / "s.csv")[["path", "score"]].to_json(
        tmp_path / "o.json", orient="records"
    )
    common = ["mine", "--annotations", tmp_path / "o.json", "--store", tmp_path / "f", "-b", VIT]
    for verb, *more in (["evaluate", "--n-boot", 0], ["sweep"], ["calibrate", "-o", "c.json"]):
        more = [tmp_path / word if word == "c.json" else word for word in more]
        with pytest.warns(DatasetWarning, match="the opinions equal the scores of MA-CLIP"):
            assert run(verb, *common, "-q", *more)[0] == 0
