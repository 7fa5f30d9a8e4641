from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.training import runs as module
from maclip_lab.training.report import page
from maclip_lab.training.runs import (
    CHOOSING,
    CHOOSING_CAPTIONS,
    agreement,
    choose,
    opinion_rows,
    read_runs,
    retrieval_rows,
    run_rows,
    severity_rows,
    within_srcc,
    write_runs,
)


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTINGS", EvaluationSettings(n_boot=100))


@pytest.fixture
def table() -> pd.DataFrame:
    """Two photographs; ``q_cos`` and ``score`` follow severity, ``q_mag`` opposes it."""
    rows = []
    for photograph, offset in (("a", 0.0), ("b", 5.0)):
        harms = [("", 0.0)] + [(t, s) for t in ("jpeg", "jitter") for s in (0.3, 0.6, 0.9)]
        rows += [
            (photograph, kind, s, offset - s, offset + s, 0 * s, offset - s**2) for kind, s in harms
        ]
    columns = ["photograph", "type", "severity", "q_cos", "q_mag", "mean", "score"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(mean=-frame["severity"])


def rated(n: int = 80) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    mos = generator.normal(size=n)
    cues = {cue: mos + generator.normal(size=n) for cue in module.CUES}
    null = {f"rotated_{i}": generator.normal(size=n) for i in range(20)}
    return pd.DataFrame({"mos": mos, **cues, **null})


def one_run(run: str, table: pd.DataFrame, hits: int) -> pd.DataFrame:
    ranks = np.array([0.0] * hits + [9.0] * (10 - hits))
    rows = {
        CHOOSING: severity_rows(table),
        CHOOSING_CAPTIONS: retrieval_rows(ranks),
        "CLIVE": opinion_rows(rated()),
        "photos": severity_rows(table),
    }
    return run_rows(run, rows)


def test_within_a_photograph_an_offset_does_not_count(table: pd.DataFrame) -> None:
    np.testing.assert_allclose(within_srcc(table)["q_cos"], 1)
    np.testing.assert_allclose(within_srcc(table)["q_mag"], -1)
    found = {row[:3]: row[3] for row in severity_rows(table)}
    assert found[("seen", "q_mag", "within")] == pytest.approx(-1)
    assert found[("unseen", "score", "within minus cosine")] == pytest.approx(0)
    assert found[("jpeg", "q_cos", "within")] == pytest.approx(1)


def test_recall_counts_those_that_find_their_sentence_in_time() -> None:
    found = {row[2]: row[3:] for row in retrieval_rows(np.array([0.0, 1, 4, 5, 300]))}
    assert found["recall@1"][0] == pytest.approx(0.2)
    assert found["recall@5"][0] == pytest.approx(0.6)
    assert found["recall@5"][1] < 0.6 < found["recall@5"][2]


def test_opinion_has_the_srcc_of_scipy_an_interval_and_a_paired_difference() -> None:
    frame = rated()
    found = {row[1:3]: row[3:] for row in opinion_rows(frame)}
    for cue in module.CUES:
        value, low, high, n = found[(cue, "srcc")]
        assert value == pytest.approx(spearmanr(frame[cue], frame["mos"]).statistic)
        assert low < value < high
        assert n == 80
    gain = found[("score", "srcc")][0] - found[("q_cos", "srcc")][0]
    assert found[("score", "srcc minus cosine")][0] == pytest.approx(gain)


def test_a_magnitude_that_only_its_axes_tell_is_outside_the_null_of_rotations() -> None:
    frame = rated()
    found = {row[1:3]: row[3] for row in opinion_rows(frame)}
    assert found[("q_mag", "rotation p")] == pytest.approx(1 / 21)
    turned = frame.assign(q_mag=frame["rotated_3"], rotated_0=frame["mos"])
    found = {row[1:3]: row[3] for row in opinion_rows(turned)}
    assert found[("q_mag", "rotation p")] > 1 / 21


def test_the_table_is_read_back_as_it_was_written(table: pd.DataFrame, tmp_path: Path) -> None:
    wanted = one_run("rn0", table, 3)
    write_runs(wanted, tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(read_runs(tmp_path / "runs.csv"), wanted.round(4))


def test_agreement_stands_cue_by_cue_and_leaves_out_what_chose(table: pd.DataFrame) -> None:
    rn0, rn1 = one_run("rn0", table, 6), one_run("rn1", table, 3)
    wide = agreement(pd.concat([rn0, rn1[rn1["set"] != "CLIVE"]]))
    assert list(wide.index[:4]) == [
        "Q_cos: CLIVE", "Q_cos: data/photos, seen", "Q_cos: data/photos, unseen", "Q_mag: CLIVE",
    ]  # fmt: skip
    assert len(wide) == 12
    assert wide.loc["Q_mag: data/photos, seen", "rn1"] == pytest.approx(-1)
    assert np.isnan(wide.loc["Q_cos: CLIVE", "rn1"])


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("run,value\nrn0,1\n")
    with pytest.raises(ValueError, match="has columns run, value"):
        read_runs(tmp_path / "runs.csv")


def test_the_rule_looks_at_validation_alone(table: pd.DataFrame) -> None:
    better, worse = one_run("rn0", table, 6), one_run("rn1", table, 3)
    worse.loc[~worse["set"].isin([CHOOSING, CHOOSING_CAPTIONS]), "value"] = 1.0
    alone = one_run("vit2", table, 1)
    assert choose(pd.concat([worse, better, alone])) == {"tiny-rn": "rn0", "tiny-vit": "vit2"}


def test_the_rule_does_not_look_at_the_magnitude(table: pd.DataFrame) -> None:
    better, worse = one_run("rn0", table, 6), one_run("rn1", table, 3)
    magnitude = worse["cue"].isin(["q_mag", "mean", "score"])
    worse.loc[magnitude, "value"] = 1.0
    assert choose(pd.concat([worse, better])) == {"tiny-rn": "rn0"}


def test_the_page_marks_the_chosen_run_and_what_was_not_measured(table: pd.DataFrame) -> None:
    rn0, rn1 = one_run("rn0", table, 6), one_run("rn1", table, 3)
    text = page(pd.concat([rn0, rn1[rn1["set"] != "CLIVE"]]), {"tiny-rn": "rn0"})
    assert "**rn0** (tiny-rn) | rn1 |" in text
    assert "| CLIVE, Q_mag, rotation p | 0.048 | not measured |" in text
    assert "| data/photos, unseen types, Q_mag, within | -1.000 (-1.000 to -1.000)" in text
    assert "| jpeg | 1.00 | -1.00 | 1.00 | 1.00 |" in text
