import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from maclip_lab.training import report
from maclip_lab.training.evaluation import within_srcc
from maclip_lab.training.report import (
    figures,
    interval,
    page,
    severity_figures,
    srcc_interval,
    type_figures,
)


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESAMPLES", 100)


@pytest.fixture
def table() -> pd.DataFrame:
    """Two photographs; ``q_cos`` follows severity, ``q_mag`` opposes it, ``score`` follows."""
    rows = []
    for photograph, offset in (("a", 0.0), ("b", 5.0)):
        rows.append((photograph, "", 0.0))
        rows += [(photograph, kind, s) for kind in ("jpeg", "jitter") for s in (0.3, 0.6, 0.9)]
        for i in range(len(rows) - 7, len(rows)):
            severity = rows[i][2]
            rows[i] = (*rows[i], offset - severity, offset + severity, offset - severity**2)
    columns = ["photograph", "type", "severity", "q_cos", "q_mag", "score"]
    return pd.DataFrame(rows, columns=columns)


def test_within_a_photograph_an_offset_does_not_count(table: pd.DataFrame) -> None:
    np.testing.assert_allclose(within_srcc(table, "q_cos"), 1)
    np.testing.assert_allclose(within_srcc(table, "q_mag"), -1)
    figures = severity_figures(table, ["jitter"]).set_index(["types", "cue"])
    assert figures.loc[("all", "q_cos"), "within"] == pytest.approx(1)
    assert figures.loc[("all", "q_cos"), "overall"] < 0.9
    assert type_figures(table).loc["jpeg", "q_mag"] == pytest.approx(-1)


def test_the_interval_holds_the_srcc_of_scipy() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=80)
    y = x + generator.normal(size=80)
    value, low, high = srcc_interval(x, y)
    assert value == pytest.approx(spearmanr(x, y).statistic)
    assert low < value < high
    assert srcc_interval(x, y) == (value, low, high)


def test_the_interval_of_a_mean_narrows_with_more_values() -> None:
    values = np.random.default_rng(0).normal(size=400)
    few, many = interval(values[:20]), interval(values)
    assert many[1] - many[0] < few[1] - few[0]


def test_the_page_marks_the_chosen_run_and_what_was_not_measured(table: pd.DataFrame) -> None:
    ranks = np.arange(20.0)
    rated = pd.DataFrame({"q_cos": ranks, "q_mag": -ranks, "score": ranks % 7, "mos": ranks})
    tables = figures({"validation": table, "photos": table, "CLIVE": rated}, ["jitter"])
    text = page({"rn0": tables, "rn1": tables}, {"tiny-rn": "rn1"})
    assert "**rn1** (tiny-rn) | 1.000 | 1.000 | -1.000 | 1.000" in text
    assert "shipped as `tiny-rn`" in text
    assert "| jitter | 1.00 |" in text
    assert "not measured" in text
