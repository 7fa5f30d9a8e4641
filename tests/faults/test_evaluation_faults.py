"""Evaluations that cannot be: a handful of pictures, one score for all, lists that are wrong.

Faults 22, 24 and 25 of the list in README.md, from pictures to table; the statistics alone are in
tests/evaluation/, every layout, letter case, Unicode form and direction of the nine sets in
tests/datasets/.
"""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from maclip_lab.ablations.rated import study
from maclip_lab.ablations.sweeps import LAMBDA_GRID, score_store, sweep
from maclip_lab.datasets import DatasetError
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import DatasetWarning
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.features import Extractor
from maclip_lab.features.features import StoreError
from maclip_lab.fusion import FusionSettings
from tests.datasets.facsimile import open_list
from tests.faults.conftest import inventory
from tests.faults.victims import SCORER
from tests.store_world import picture

NUMBERS = ["srcc", "krcc", "plcc_4p", "rmse_4p"]


def make(folder, mos, seeds=None):
    names = [f"p{i}.png" for i in range(len(mos))]
    for name, seed in zip(names, seeds or range(len(mos)), strict=True):
        if not (folder / name).exists():
            picture(folder / name, seed)
    table = pd.DataFrame({"path": names, "mos": np.asarray(mos, float)})
    return Manifest(table, "made", True, (0.0, 10.0), "native", "file", folder)


@pytest.mark.parametrize(
    ("mos", "seeds", "reason"),
    [
        ([3.0], None, "at least"),
        ([1.0, 2.0], None, "at least"),
        ([5.0] * 6, None, "constant MOS"),
        (range(6), [0] * 6, "constant predictions"),
    ],
)
def test_too_little_to_go_on_is_nan_with_a_reason(mos, seeds, reason, tmp_path):
    extractor, rows = Extractor(SCORER, tmp_path / "store"), make(tmp_path, mos, seeds)
    result = study(extractor, rows)
    assert result.table[NUMBERS].isna().all(axis=None)
    assert result.table["reason"].str.contains(reason).all()
    assert (result.table["fit_status"] == "degenerate").all()
    assert (result.predictions["status"] == "ok").all()
    swept = sweep(extractor.crops(rows), SCORER.anchors, LAMBDA_GRID)
    assert (swept["n"] == len(mos)).all()


def test_broken_pictures_are_counted_and_never_averaged_and_one_of_one_colour_is_none(tmp_path):
    (tmp_path / "p2.png").write_text("no picture")
    (tmp_path / "p5.png").touch()
    Image.new("RGB", (224, 224), "white").save(tmp_path / "p1.png")
    rows = make(tmp_path, range(8))
    statistics = EvaluationSettings(n_boot=20)
    table = study(Extractor(SCORER, tmp_path / "store"), rows, statistics=statistics).table
    assert (table["n"] == 6).all()
    assert (table["n_dropped"] == 2).all()
    sound = rows.subset([i not in (2, 5) for i in range(8)])
    alone = study(Extractor(SCORER, tmp_path / "alone"), sound, statistics=statistics)
    pd.testing.assert_series_equal(table["srcc"], alone.table["srcc"])


def test_a_set_without_one_sound_picture_says_so(tmp_path):
    for i in range(3):
        (tmp_path / f"p{i}.png").write_text("no picture")
    with pytest.raises(StoreError, match=r"none of the 3 pictures of .* has features"):
        study(Extractor(SCORER, tmp_path / "store"), make(tmp_path, range(3)))


def test_settings_that_overflow_are_flagged_not_ranked_and_lambda_close_to_zero_is_zero(tmp_path):
    view = Extractor(SCORER, tmp_path / "store").crops(make(tmp_path, range(6)))
    wild = FusionSettings(box_lam=1000.0)
    table = score_store(view, SCORER.anchors, wild)
    assert (table["status"] == "nonfinite").all()
    assert table["score"].isna().all()
    row = sweep(view, SCORER.anchors, [wild]).iloc[0]
    assert (row["n"], row["n_dropped"]) == (0, 6)
    assert np.isnan(row["srcc"])
    assert SCORER(tmp_path / "p0.png", box_lam=1000.0).status == "nonfinite"
    limit = score_store(view, SCORER.anchors, FusionSettings(box_lam=0.0))["q_mag"]
    for lam in (1e-320, 1e-12, -1e-8, 1e-5):
        near = score_store(view, SCORER.anchors, FusionSettings(box_lam=lam))["q_mag"]
        np.testing.assert_allclose(near, limit, rtol=1e-4)


# Lists that are wrong -----------------------------------------------------------------------------


def annotations(folder, rows):
    """A list beside a folder of pictures."""
    (folder / "Bilder").mkdir()
    for i in range(3):
        picture(folder / "Bilder" / f"{i}.png", i)
    path = folder / "list.json"
    path.write_text(json.dumps([{"img_path": p, "gt_score": s} for p, s in rows]))
    return path


NO_NUMBERS = (float("nan"), float("inf"), None, True, [1], "", "1_0")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("0.png", "good"), ("1.png", 2)], "'good' in row 1"),
        *([([("0.png", no), ("1.png", 2)], "no finite numbers") for no in NO_NUMBERS]),
        ([("", 1)], "no name of a picture in row 1"),
        ([(None, 1)], "no name of a picture in row 1"),
        ([("../nowhere.png", 1)], "none of 1 pictures"),
    ],
)
def test_a_wrong_row_is_an_error_that_names_it(rows, message, tmp_path):
    with pytest.raises(DatasetError, match=message):
        open_list(annotations(tmp_path, rows))


def test_a_list_may_name_the_very_path_of_a_picture_outside_its_folder(tmp_path):
    (tmp_path / "set").mkdir()
    picture(tmp_path / "outside.png", 0)
    inside = annotations(tmp_path / "set", [("../outside.png", 1)])
    assert open_list(inside).paths == [tmp_path / "outside.png"]


def test_a_missing_picture_is_left_out_aloud_and_no_file_changes(tmp_path):
    path = annotations(tmp_path, [("0.png", 1), ("nowhere.png", 2), ("1.png", 3)])
    before = inventory(tmp_path)
    with pytest.warns(DatasetWarning, match=r"1 of 3 pictures .*nowhere\.png"):
        manifest = open_list(path)
    assert len(manifest) == 2
    assert manifest.missing == ("nowhere.png",)
    assert inventory(tmp_path) == before
