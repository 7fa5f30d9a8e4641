import numpy as np
import pytest

from maclip_lab.files.shipped import data_path
from maclip_lab.training.runs import read_runs, runs_table

PAGE = """# The embedded backbones

## Every run

| run | validation | seen: Q_cos | Q_mag | score | CLIVE: Q_cos | Q_mag | score |
| --- | --- | --- | --- | --- | --- | --- | --- |
| **rn0** (tiny-rn) | 0.835 | 0.677 | -0.252 | 0.556 | 0.364 | 0.249 | 0.372 |
| rn1 | 0.825 | 0.600 | not measured | 0.500 | not measured | not measured | not measured |
| rn2 | 0.808 | not measured | not measured | not measured | not measured | not measured | not measured |

## rn0, shipped as `tiny-rn`
"""  # noqa: E501


def test_every_number_keeps_its_run_cue_and_test_set():
    runs = read_runs(PAGE)
    assert list(runs.columns) == ["rn0 (tiny-rn)", "rn1"]
    assert runs.loc["magnitude: seen", "rn0 (tiny-rn)"] == -0.252
    assert runs.loc["score: CLIVE", "rn0 (tiny-rn)"] == 0.372
    assert np.isnan(runs.loc["cosine: CLIVE", "rn1"])
    cues = [row.partition(":")[0] for row in runs.index]
    assert cues == sorted(cues)


def test_a_page_without_runs_gives_none():
    assert runs_table("# Nothing yet") == ""
    assert read_runs("# Nothing yet").empty


def test_the_page_that_ships_can_be_read():
    page = data_path("backbones", "README.md")
    if not page.is_file():
        pytest.skip("no report lies beside the backbones yet")
    runs = read_runs(page.read_text(encoding="utf-8"))
    assert runs.abs().max().max() <= 1
    assert any("tiny-rn" in run for run in runs.columns)
