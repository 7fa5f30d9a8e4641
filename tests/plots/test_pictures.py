import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from maclip_lab.crops import CropGrid
from maclip_lab.errors import PictureError
from maclip_lab.plots import backbone_label, crop_grid, ranking

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed_afterwards():
    yield
    plt.close("all")


def picture(width=500, height=300, value=90):
    return Image.fromarray(np.full((height, width, 3), value, np.uint8))


def test_windows_lie_where_the_grid_says_and_one_is_filled():
    grid = CropGrid(300, 500)
    ax = crop_grid(picture(), grid, shown=1, title="Three windows")
    windows = ax.patches[: len(grid.corners())]
    assert [(int(w.get_y()), int(w.get_x())) for w in windows] == grid.corners()
    assert [w.get_fill() for w in windows] == [False, True, False]
    assert {(w.get_width(), w.get_height()) for w in windows} == {(224, 224)}


def test_hatching_covers_just_what_no_window_reaches():
    grid = CropGrid(300, 500)
    ax = crop_grid(picture(), grid, title="Unseen")
    hatched = [p for p in ax.patches if p.get_hatch()]
    area = sum(p.get_width() * p.get_height() for p in hatched)
    assert area == pytest.approx((1 - grid.coverage) * 300 * 500)


def test_a_backbone_file_is_named_without_its_folder():
    assert backbone_label("some/where/mine.safetensors") == "mine.safetensors"
    assert backbone_label("ViT-L/14@336px") == "ViT-L/14@336px"
    assert backbone_label("hf-hub:timm/resnet50_clip.openai") == "hf-hub:timm/resnet50_clip.openai"


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
