from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from scipy.stats import spearmanr

from backbones import measure as module
from backbones.measure import (
    CHOOSING,
    CHOOSING_CAPTIONS,
    choose,
    page,
    read_runs,
    rows_of,
    run_rows,
    within_srcc,
)
from backbones.train import LARGEST
from maclip_lab import Maclip, load_picture
from maclip_lab.datasets.degradations import degrade
from maclip_lab.evaluation import EvaluationSettings

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SETTINGS", EvaluationSettings(n_boot=100))


@pytest.fixture
def table() -> pd.DataFrame:
    """Two photographs; ``q_cos`` and ``score`` follow severity, ``q_mag`` opposes it."""
    harms = [("", 0.0)] + [(t, s) for t in ("jpeg", "jitter") for s in (0.3, 0.6, 0.9)]
    rows = [
        (photograph, kind, s, offset - s, offset + s, -s, offset - s**2)
        for photograph, offset in (("a", 0.0), ("b", 5.0))
        for kind, s in harms
    ]
    columns = ["photograph", "type", "severity", "q_cos", "q_mag", "mean", "score"]
    return pd.DataFrame(rows, columns=columns)


def rated(n: int = 80) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    mos = generator.normal(size=n)
    cues = {cue: mos + generator.normal(size=n) for cue in module.CUES}
    null = {f"rotated_{i}": generator.normal(size=n) for i in range(20)}
    return pd.DataFrame({"mos": mos, **cues, **null})


def one_run(run: str, table: pd.DataFrame, hits: int) -> pd.DataFrame:
    ranks = pd.DataFrame({"rank": [0.0] * hits + [9.0] * (10 - hits)})
    tables = {CHOOSING: table, CHOOSING_CAPTIONS: ranks, "CLIVE": rated(), "photos": table}
    return run_rows(run, tables)


def test_within_a_photograph_an_offset_does_not_count(table):
    np.testing.assert_allclose(within_srcc(table)["q_cos"], 1)
    np.testing.assert_allclose(within_srcc(table)["q_mag"], -1)
    found = {row[:3]: row[3] for row in rows_of(table)}
    assert found[("seen", "q_mag", "within")] == pytest.approx(-1)
    assert found[("unseen", "score", "within minus cosine")] == pytest.approx(0)
    assert found[("jpeg", "q_cos", "within")] == pytest.approx(1)


def test_recall_counts_those_that_find_their_sentence_in_time():
    found = {row[2]: row[3:] for row in rows_of(pd.DataFrame({"rank": [0.0, 1, 4, 5, 300]}))}
    assert found["recall@1"][0] == pytest.approx(0.2)
    assert found["recall@5"][0] == pytest.approx(0.6)
    assert found["recall@5"][1] < 0.6 < found["recall@5"][2]


def test_opinion_has_the_srcc_of_scipy_an_interval_and_a_paired_difference():
    frame = rated()
    found = {row[1:3]: row[3:] for row in rows_of(frame)}
    for cue in module.CUES:
        value, low, high, n = found[(cue, "srcc")]
        assert value == pytest.approx(spearmanr(frame[cue], frame["mos"]).statistic)
        assert low < value < high
        assert n == 80
    gain = found[("score", "srcc")][0] - found[("q_cos", "srcc")][0]
    assert found[("score", "srcc minus cosine")][0] == pytest.approx(gain)


def test_a_magnitude_that_only_its_axes_tell_is_outside_the_null_of_rotations():
    frame = rated()
    found = {row[1:3]: row[3] for row in rows_of(frame)}
    assert found[("q_mag", "rotation p")] == pytest.approx(1 / 21)
    turned = frame.assign(q_mag=frame["rotated_3"], rotated_0=frame["mos"])
    found = {row[1:3]: row[3] for row in rows_of(turned)}
    assert found[("q_mag", "rotation p")] > 1 / 21


@pytest.mark.parametrize("unseen", ["sets", "magnitude"])
def test_the_rule_looks_at_the_cosine_on_validation_alone(table, unseen):
    better, worse = one_run("rn0", table, 6), one_run("rn1", table, 3)
    hidden = {
        "sets": ~worse["set"].isin([CHOOSING, CHOOSING_CAPTIONS]),
        "magnitude": worse["cue"].isin(["q_mag", "mean", "score"]),
    }
    worse.loc[hidden[unseen], "value"] = 1.0
    alone = one_run("vit2", table, 1)
    assert choose(pd.concat([worse, better, alone])) == {"tiny-rn": "rn0", "tiny-vit": "vit2"}


def test_the_page_marks_the_chosen_run_and_what_was_not_measured(table):
    rn0, rn1 = one_run("rn0", table, 6), one_run("rn1", table, 3)
    text = page(pd.concat([rn0, rn1[rn1["set"] != "CLIVE"]]), {"tiny-rn": "rn0"})
    assert "**rn0** (tiny-rn) | rn1 |" in text
    assert "| CLIVE, Q_mag, rotation p | 0.048 | not measured |" in text
    assert "| data/photos, unseen types, Q_mag, within | -1.000 (-1.000 to -1.000)" in text
    assert "| jpeg | 1.00 | -1.00 | 1.00 | 1.00 |" in text


@pytest.mark.parametrize("name", ["tiny-rn", "tiny-vit"])
def test_a_shipped_backbone_prefers_clear_photographs(name):
    scorer, leads = Maclip(name, device="cpu"), []
    harms = ("gaussian_blur", "white_noise", "motion_blur")
    for photograph in ("coffee", "astronaut", "chelsea", "rocket"):
        clear = np.asarray(load_picture(DATA / "photos" / f"{photograph}.jpg").image)
        harmed = [scorer(degrade(clear, harm, level=5)).q_cos for harm in harms]
        leads.append(scorer(clear).q_cos - np.array(harmed))
    assert np.min(leads) > 0
    assert (np.mean(leads, axis=0) > 0.05).all()


def test_the_backbones_that_ship_are_small_tell_their_story_and_are_those_the_rule_chooses():
    runs = {}
    for path in (DATA / "backbones").glob("*.safetensors"):
        assert path.stat().st_size <= LARGEST
        with safe_open(path, "pt") as file:
            story = file.metadata()
            assert "token_embedding.rows" in set(file.keys())
        assert story["quick_gelu"] == "true"
        assert "recipe" in story
        runs[path.stem] = story["run"]
    assert runs == choose(read_runs(DATA / "backbones" / "runs.csv"))
    assert set(runs) == {"tiny-rn", "tiny-vit"}
