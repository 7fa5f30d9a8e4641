import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from maclip_lab.errors import PictureError
from maclip_lab.plots import KNOWN_COLOURS, palette, ranking

mpl.use("Agg")


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
    figure = ranking(pd.DataFrame([row]), [path], title="A finding told in too many words " * 5)
    figure.draw_without_rendering()
    assert figure.texts[0].get_window_extent().x1 <= figure.bbox.x1
    plt.close("all")
    (tmp_path / "p.png").write_bytes(b"<html>")
    with pytest.raises(PictureError, match="a web page"):
        ranking(pd.DataFrame([row]), [path], title="One")
    with pytest.raises(ValueError, match="no row has the path"):
        ranking(pd.DataFrame([row]), ["q.png"], title="One")


def test_a_known_name_keeps_its_colour_and_names_of_ones_own_never_have_one_of_those():
    given = palette(["mine", "q_cos", *(f"mine {i}" for i in range(9)), "CLIVE"])
    assert (given["q_cos"], given["CLIVE"]) == (KNOWN_COLOURS["q_cos"], KNOWN_COLOURS["CLIVE"])
    assert given["mine"] != given["mine 0"]
    own = {given[name] for name in given if name.startswith("mine")}
    assert not own & {*KNOWN_COLOURS.values()}
