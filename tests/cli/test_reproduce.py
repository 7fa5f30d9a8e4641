"""The whole command on small copies of published sets, seen by random weights."""

import re
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
from scipy import stats

from maclip_lab.errors import MaclipError
from maclip_lab.files.provenance import read_record
from maclip_lab.scorer import Maclip
from tests.cli.conftest import RN, run
from tests.conftest import needs_chromium
from tests.datasets.facsimile import build, rows_of
from tests.store_world import picture

SETS = ("koniq", "CSIQ")
ROWS = 10


def lay_out(root):
    """Parts of two sets with pictures that differ, and a third whose scores are cut short."""
    for name in SETS:
        folder = build(name, root, rows=ROWS, size=(224, 224))
        pictures = [path for path in sorted(folder.rglob("*")) if path.suffix in (".jpg", ".png")]
        for seed, path in enumerate(pictures):
            path.unlink()
            picture(path, seed)
    shutil.rmtree(root / ".stamps")
    broken = build("TID2013", root, rows=ROWS, size=(224, 224))
    scores = broken / "mos_with_names.txt"
    scores.write_text(scores.read_text().replace("0", "x", 3))
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduced")
    root = lay_out(folder / "iqa")
    call = ("reproduce", "-q", "--root", root, "-b", RN)
    call += ("-o", folder / "out", "--store", folder / "store")
    ended = run(*call)
    own = folder / "out" / "rn.safetensors"
    claims = pd.read_csv(own / "claims.csv", keep_default_na=False)
    return SimpleNamespace(folder=folder, root=root, own=own, call=call, claims=claims, ended=ended)


def test_it_says_what_is_here_and_missing_leaves_out_a_broken_set_and_runs_the_rest(world):
    code, said, errors = world.ended
    assert code == 1
    assert re.search(rf"koniq +{ROWS} of 10073 pictures", said)
    assert re.search(r"SPAQ +not here; get it from https://", said)
    assert re.search(r"TID2013: \w+: .*", errors)
    rows = world.claims[(world.claims["dataset"] == "TID2013")]
    assert rows["verdict"].str.startswith("not run: ").all()
    assert (rows["ours"] == "").all()
    assert {"koniq (part)", "CSIQ (part)"} < set(world.claims["dataset"])


@pytest.mark.parametrize("name", SETS)
def test_numbers_are_those_of_an_independent_computation(world, name):
    rows = world.claims[world.claims["dataset"] == f"{name} (part)"].set_index("claim")
    facts, scorer = rows_of(name, rows=ROWS), Maclip(RN)
    folder = {"koniq": "1024x768", "CSIQ": "dst_imgs"}[name]
    found = {path.name.lower(): path for path in world.root.rglob(f"{folder}/**/*.*")}
    paths = [found[file.rpartition("/")[2].lower()] for file in facts["name"]]
    scores = [scorer(path, name) for path in paths]
    whole = [scorer.clip_iqa(path, "maclip") for path in paths]
    quality = facts["mos"] * (-1 if name == "CSIQ" else 1)

    def srcc(predictions):
        return stats.spearmanr(predictions, quality).statistic

    ours = {key: [getattr(one, key) for one in scores] for key in ("score", "q_cos", "q_mag")}
    assert float(rows.loc["SRCC of MA-CLIP", "raw"]) == pytest.approx(srcc(ours["score"]))
    assert float(rows.loc["SRCC of cosine cue", "raw"]) == pytest.approx(srcc(ours["q_cos"]))
    assert float(rows.loc["SRCC of CLIP-IQA", "raw"]) == pytest.approx(srcc(whole))
    gain = rows.loc["MA-CLIP is better than CLIP-IQA", "ours"]
    assert float(gain) == pytest.approx(srcc(ours["score"]) - srcc(whole))
    assert not rows["verdict"].isin(["reproduced", "not reproduced"]).any()


def test_there_are_packs_figures_tables_and_a_page_with_its_record(world):
    for name in SETS:
        assert (world.own / "packs" / f"{name}.rn.safetensors").is_file()
    kinds = {path.suffix for path in world.own.iterdir()}
    assert {".pdf", ".png", ".csv", ".tex", ".ipynb", ".html"} <= kinds
    assert read_record(world.own / "report.html")["config"][f"weights of {RN}"]


def test_stopped_and_called_again_it_encodes_nothing_twice(world):
    store = {
        path: path.stat().st_mtime_ns for path in (world.folder / "store").rglob("*.safetensors")
    }
    code, _, _ = run(*world.call)
    assert code == 1
    assert store
    assert {path: path.stat().st_mtime_ns for path in store} == store


def test_other_settings_foreign_folders_and_what_is_absent_are_refused(
    world, monkeypatch, tmp_path
):
    error, _, said = run(*world.call, "--precision", "fp16")
    assert error is MaclipError
    assert "precision was fp32 and is fp16" in said
    (tmp_path / "notes.txt").write_text("mine")
    error, _, said = run(*world.call[:6], "-o", tmp_path)
    assert error is MaclipError
    assert "holds other things than a report" in said
    out = tmp_path / "out"
    code, _, errors = run("reproduce", "--root", tmp_path, "-o", out)
    assert (code, "no data set was found there" in errors) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))  # where weights are not fetched
    code, _, said = run(*world.call[:4], "-o", out, "-b", "RN50x64")
    assert (code, "maclip-lab weights fetch RN50x64, or --fetch" in said) == (1, True)


@needs_chromium
def test_a_browser_opens_the_page_without_errors_or_network(world, browser):
    page = browser.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda one: one.url.startswith("http") and wrong.append(one.url))
    page.goto((world.own / "report.html").as_uri())
    assert "claim by claim" in page.inner_text("body")
    page.close()
    assert wrong == []
