import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from maclip_lab.crops import CropGrid
from maclip_lab.errors import PictureError
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.plots import crop_grid, fusion_plane, ranking

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed_afterwards():
    yield
    plt.close("all")


def picture(width=500, height=300, value=90):
    return Image.fromarray(np.full((height, width, 3), value, np.uint8))


def test_windows_lie_where_the_grid_says_one_is_filled_and_the_rest_is_hatched():
    grid = CropGrid(300, 500)
    ax = crop_grid(picture(), grid, shown=1, title="Three windows")
    windows = ax.patches[: len(grid.corners())]
    assert [(int(w.get_y()), int(w.get_x())) for w in windows] == grid.corners()
    assert [w.get_fill() for w in windows] == [False, True, False]
    assert {(w.get_width(), w.get_height()) for w in windows} == {(224, 224)}
    unseen = sum(p.get_width() * p.get_height() for p in ax.patches if p.get_hatch())
    assert unseen == pytest.approx((1 - grid.coverage) * 300 * 500)


def test_a_ranking_shows_pictures_as_they_were_scored(tmp_path):
    """Upright, on white, and not clipped."""
    half = np.vstack([np.full((200, 300), 65535, np.uint16), np.zeros((200, 300), np.uint16)])
    turn = Image.Exif()
    turn[0x0112] = 3
    path = str(tmp_path / "p.png")
    Image.fromarray(half // 2).save(path, exif=turn)
    row = {"path": path, "score": 1.0, "q_cos": 0.5, "q_mag": 0.5, "label": "p"}
    shown = ranking(pd.DataFrame([row]), [path], title="One").axes[0].images[0].get_array()
    assert (int(shown[5, 80, 0]), int(shown[-5, 80, 0])) == (0, 127)
    (tmp_path / "p.png").write_bytes(b"<html>")
    with pytest.raises(PictureError, match="a web page"):
        ranking(pd.DataFrame([row]), [path], title="One")
    with pytest.raises(ValueError, match="no row has the path"):
        ranking(pd.DataFrame([row]), ["q.png"], title="One")


def test_fusion_plane_hatches_where_a_better_cue_lowers_the_score():
    settings = FusionSettings()
    ax = fusion_plane(np.array([0.7]), np.array([0.4]), settings, title="t")
    dotted, lined = (ax.collections[i].get_paths()[1] for i in (1, 2))
    cos, mag = torch.tensor([0.95, 0.1, 0.5]), torch.tensor([0.05, 1.1, 0.4])
    by_cosine = fuse(cos + 0.01, mag, settings)[0] < fuse(cos, mag, settings)[0]
    by_magnitude = fuse(cos, mag + 0.01, settings)[0] < fuse(cos, mag, settings)[0]
    spots = list(zip(cos.tolist(), mag.tolist(), strict=True))
    assert by_cosine.tolist() == [dotted.contains_point(spot) for spot in spots]
    assert by_magnitude.tolist() == [lined.contains_point(spot) for spot in spots]
    assert by_cosine.tolist() == [False, True, False]
    assert by_magnitude.tolist() == [True, False, False]
    np.testing.assert_array_equal(ax.collections[3].get_offsets(), [[0.7, 0.4]])
