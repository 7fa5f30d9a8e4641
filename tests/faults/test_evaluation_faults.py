"""Evaluations that cannot be: a handful of pictures, one score for all, pictures that are broken.

Fault 25 of the list in README.md, from pictures to table; the statistics alone are in
tests/evaluation/.
"""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from maclip_lab.ablations.rated import study
from maclip_lab.ablations.sweeps import LAMBDA_GRID, score_store, sweep
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.features import Extractor
from maclip_lab.features.features import StoreError
from maclip_lab.fusion import FusionSettings
from maclip_lab.scorer import Maclip
from tests.conftest import GOLDEN
from tests.store_world import picture

NUMBERS = ["srcc", "krcc", "plcc_4p", "rmse_4p"]


@pytest.fixture(scope="module")
def scorer():
    return Maclip(str(GOLDEN / "vit.safetensors"), device="cpu")


def make(folder, mos, names=None):
    names = names or [f"p{i}.png" for i in range(len(mos))]
    for i, name in enumerate(names):
        if not (folder / name).exists():
            picture(folder / name, i)
    table = pd.DataFrame({"path": names, "mos": np.asarray(mos, float)})
    return Manifest(table, "made", True, (0.0, 10.0), "native", "file", folder)


@pytest.mark.parametrize(
    ("mos", "reason"),
    [([3.0], "at least"), ([1.0, 2.0, 3.0], "at least"), ([5.0] * 6, "constant MOS")],
)
def test_too_little_to_go_on_is_nan_with_a_reason(mos, reason, scorer, tmp_path):
    found = study(Extractor(scorer, tmp_path / "store"), make(tmp_path, mos))
    assert found.table[NUMBERS].isna().all(axis=None)
    assert found.table["reason"].str.contains(reason).all()
    assert (found.table["fit_status"] == "degenerate").all()
    assert (found.predictions["status"] == "ok").all()


def test_pictures_that_are_all_one_have_no_correlation(scorer, tmp_path):
    picture(tmp_path / "p0.png", 0)
    for i in range(1, 6):
        (tmp_path / f"p{i}.png").write_bytes((tmp_path / "p0.png").read_bytes())
    found = study(Extractor(scorer, tmp_path / "store"), make(tmp_path, range(6)))
    assert found.table["srcc"].isna().all()
    assert found.table["reason"].str.contains("constant predictions").all()


def test_broken_pictures_are_counted_and_never_averaged(scorer, tmp_path):
    names = [f"p{i}.png" for i in range(8)]
    (tmp_path / "p2.png").write_text("no picture")
    (tmp_path / "p5.png").touch()
    rows = make(tmp_path, range(8), names)
    statistics = EvaluationSettings(n_boot=20)
    found = study(Extractor(scorer, tmp_path / "store"), rows, statistics=statistics)
    assert (found.table["n"] == 6).all()
    assert (found.table["n_dropped"] == 2).all()
    sound = rows.subset([i not in (2, 5) for i in range(8)])
    alone = study(Extractor(scorer, tmp_path / "alone"), sound, statistics=statistics)
    pd.testing.assert_series_equal(found.table["srcc"], alone.table["srcc"])


def test_a_set_without_one_sound_picture_says_so(scorer, tmp_path):
    for i in range(3):
        (tmp_path / f"p{i}.png").write_text("no picture")
    with pytest.raises(StoreError, match=r"none of the 3 pictures of .* has features"):
        study(Extractor(scorer, tmp_path / "store"), make(tmp_path, range(3)))


def test_settings_that_overflow_are_flagged_not_ranked(scorer, tmp_path):
    view = Extractor(scorer, tmp_path / "store").crops(make(tmp_path, range(6)))
    wild = FusionSettings(box_lam=1000.0)
    table = score_store(view, scorer.anchors, wild)
    assert (table["status"] == "nonfinite").all()
    assert table["score"].isna().all()
    row = sweep(view, scorer.anchors, [wild]).iloc[0]
    assert (row["n"], row["n_dropped"]) == (0, 6)
    assert np.isnan(row["srcc"])
    assert scorer(tmp_path / "p0.png", box_lam=1000.0).status == "nonfinite"


def test_lambda_close_to_zero_meets_its_limit(scorer, tmp_path):
    view = Extractor(scorer, tmp_path / "store").crops(make(tmp_path, range(6)))
    limit = score_store(view, scorer.anchors, FusionSettings(box_lam=0.0))["q_mag"]
    for lam in (1e-320, 1e-12, -1e-8, 1e-5):
        near = score_store(view, scorer.anchors, FusionSettings(box_lam=lam))["q_mag"]
        np.testing.assert_allclose(near, limit, rtol=1e-4)


def test_a_sweep_over_two_pictures_has_rows_without_a_crash(scorer, tmp_path):
    view = Extractor(scorer, tmp_path / "store").crops(make(tmp_path, [1.0, 2.0]))
    table = sweep(view, scorer.anchors, LAMBDA_GRID)
    assert (table["n"] == 2).all()


def test_a_picture_of_one_colour_counts_like_any_other(scorer, tmp_path):
    Image.new("RGB", (224, 224), "white").save(tmp_path / "p1.png")
    found = study(
        Extractor(scorer, tmp_path / "s"),
        make(tmp_path, range(6)),
        statistics=EvaluationSettings(n_boot=0),
    )
    assert (found.table["n"] == 6).all()
