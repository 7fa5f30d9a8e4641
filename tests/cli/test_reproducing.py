"""The whole command on small copies of published sets, seen by random weights."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from typer.testing import CliRunner

from maclip_lab import cli
from maclip_lab.cli import report
from maclip_lab.cli import reproduce as gathering
from maclip_lab.files.provenance import read_record
from maclip_lab.scorer import Maclip
from tests.conftest import needs_chromium
from tests.datasets.facsimile import build, rows_of
from tests.store_world import RN

SETS = ("koniq", "CSIQ")
ROWS = 10


def run(*arguments):
    result = CliRunner().invoke(cli.app, ["reproduce", "-q", *map(str, arguments)])
    return result.exit_code, result.stdout, f"{result.stderr}{result.exception or ''}"


def lay_out(root):
    """Parts of two sets with pictures that differ, and a third whose scores are cut short."""
    for name in SETS:
        folder = build(name, root, rows=ROWS, size=(224, 224))
        pictures = [path for path in sorted(folder.rglob("*")) if path.suffix in (".jpg", ".png")]
        for seed, path in enumerate(pictures):
            path.unlink()
            rng = np.random.default_rng(seed)
            noise = rng.integers(0, 255, (224, 224, 3)) * rng.random()
            Image.fromarray(noise.astype(np.uint8)).save(path)
    shutil.rmtree(root / ".stamps")
    broken = build("TID2013", root, rows=ROWS, size=(224, 224))
    scores = broken / "mos_with_names.txt"
    scores.write_text(scores.read_text().replace("0", "x", 3))
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run that was interrupted at its second set, and the same command again."""
    folder = tmp_path_factory.mktemp("reproduced")
    root = lay_out(folder / "iqa")
    call = ("--root", root, "-b", RN, "-o", folder / "out", "--store", folder / "store")
    real, taken, encoded = gathering.gather, [], []

    def interrupted(manifest, *arguments, **options):
        if taken:
            raise KeyboardInterrupt
        taken.append(manifest.dataset)
        return real(manifest, *arguments, **options)

    encode = Maclip.from_config

    def counting(config):
        scorer = encode(config)
        inner = scorer.encoder.encode_picture
        scorer.encoder.encode_picture = lambda *a, **k: (encoded.append(1), inner(*a, **k))[1]
        return scorer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw", lambda one: {"grid": grid_figure(one)})
        patch.setattr(gathering, "gather", interrupted)
        stopped = run(*call)
        patch.setattr(gathering, "gather", real)
        patch.setattr(Maclip, "from_config", counting)
        again = run(*call)
    claims = pd.read_csv(folder / "out" / "tables" / "claims.csv", keep_default_na=False)
    return SimpleNamespace(
        folder=folder, root=root, out=folder / "out", call=call, claims=claims, taken=taken,
        stopped=stopped, again=again, encoded=len(encoded),
    )  # fmt: skip


def grid_figure(one):
    from maclip_lab import plots

    table = one.grid.pivot(index="alpha", columns="head start", values="srcc")
    return plots.setting_grid(table, xlabel="head start", ylabel="alpha", title="grid").figure


def test_an_interrupted_run_goes_on_with_what_the_store_holds(world):
    assert world.stopped[0] == 130
    assert len(world.taken) == 1
    timed = 2 * 3  # of every set
    assert world.encoded == timed + 2 * ROWS  # the second set's crops and whole pictures alone


def test_it_says_what_is_here_what_is_missing_and_how_to_get_it(world):
    _, said, _ = world.again
    assert re.search(rf"koniq +{ROWS} of 10073 pictures", said)
    assert re.search(r"SPAQ +not here +get it from https://", said)
    assert re.search(r"rn\.safetensors +weights [0-9a-f]{12}\.\.\. on cpu", said)
    assert "minutes for the pictures" in said


def test_a_broken_set_is_left_out_with_its_reason_and_the_rest_is_run(world):
    code, _, errors = world.again
    assert code == 1
    assert re.search(r"TID2013: \w+: .*", errors)
    rows = world.claims[world.claims["dataset"] == "TID2013"]
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
    gain = rows.loc["MA-CLIP follows quality better than CLIP-IQA", "ours"]
    assert float(gain) == pytest.approx(srcc(ours["score"]) - srcc(whole))
    magnitude = rows.loc["the magnitude cue rises with quality", "ours"]
    assert float(magnitude) == pytest.approx(srcc(ours["q_mag"]))
    assert not rows["verdict"].isin(["reproduced", "not reproduced"]).any()


def test_every_table_and_figure_has_its_forms_its_record_and_the_set_a_pack(world):
    for name in SETS:
        stem = f"{name}-part.rn"
        assert (world.out / "packs" / f"{stem}.safetensors").is_file()
        for file in (f"tables/{stem}.ladder.csv", f"figures/{stem}.grid.png"):
            assert read_record(world.out / file)["weights_sha256"]
        assert "\\toprule" in (world.out / "tables" / f"{stem}.ladder.tex").read_text()
        assert (world.out / "figures" / f"{stem}.grid.pdf").read_bytes().startswith(b"%PDF")


def test_the_page_holds_no_number_that_no_table_holds(world):
    page = (world.out / "report.html").read_text(encoding="utf-8")
    shown = re.findall(
        r"[-+]?\d\.\d{4}\b", re.sub(r"<style>.*</style>|<details>.*", "", page, flags=re.S)
    )
    tables = [pd.read_csv(path) for path in (world.out / "tables").glob("*.csv")]
    numbers = np.concatenate([one.select_dtypes("number").to_numpy().ravel() for one in tables])
    known = {f"{number:.4f}" for number in numbers[np.isfinite(numbers)]}
    assert len(shown) > 50
    assert {number.lstrip("+").replace("-0.0000", "0.0000") for number in shown} <= {
        number.replace("-0.0000", "0.0000") for number in known
    }
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_other_settings_and_folders_of_other_things_are_refused(world):
    code, _, errors = run(*world.call, "--dtype", "fp16")
    assert code == 1
    assert "dtype was fp32 and is fp16" in errors
    foreign = world.folder / "mine"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    code, _, errors = run(*world.call[:4], "-o", foreign)
    assert code == 1
    assert "holds other things than a report" in errors
    assert [path.name for path in foreign.iterdir()] == ["notes.txt"]


def test_a_folder_without_any_set_is_a_wrong_call(tmp_path):
    code, _, errors = run("--root", tmp_path, "-o", tmp_path / "out")
    assert code == 2
    assert "no data set was found there" in errors
    assert not (tmp_path / "out").exists()


def test_absent_weights_are_told_and_never_fetched(world, monkeypatch, tmp_path):
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("maclip_lab.weights.places._fetch", None)
    code, said, _ = run("--root", world.root, "-o", tmp_path / "out", "-b", "RN50x64")
    assert code == 1
    assert "maclip-lab weights fetch RN50x64, or --fetch" in said
    claims = pd.read_csv(tmp_path / "out" / "tables" / "claims.csv")
    assert claims["verdict"].str.startswith("not run").all()


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_opens_the_page_without_errors_or_network_and_prints_it(world, browser, scheme):
    page = browser.new_page(color_scheme=scheme)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda one: one.type == "error" and wrong.append(one.text))
    page.on("request", lambda one: one.url.startswith("http") and wrong.append(one.url))
    page.goto((world.out / "report.html").as_uri())
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(media="print")
    assert page.pdf().startswith(b"%PDF")
    page.close()
    assert wrong == []
    assert (sum(map(int, re.findall(r"\d+", ground))) < 300) == (scheme == "dark")
