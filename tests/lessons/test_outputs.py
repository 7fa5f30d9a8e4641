"""Figures and tables as a paper takes them."""

import re

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from maclip_lab.lessons.outputs import latex_table, printed


def test_intervals_stand_behind_their_numbers():
    rows = {
        "method": ["MA-CLIP", "x"],
        "srcc": [0.5, np.nan],
        "srcc_lo": [0.41, 0],
        "srcc_hi": [0.6, 0],
    }
    text = latex_table(pd.DataFrame(rows))
    assert r"\toprule" in text
    assert r"MA-CLIP & 0.5 [0.41, 0.6] \\" in text
    assert "srcc\\_lo" not in text


def test_a_figure_is_a_picture_and_a_pdf_with_truetype_fonts():
    figure = Figure()
    figure.add_subplot().set_title("a title")
    made = printed(figure)
    assert made["png"].startswith(b"\x89PNG")
    assert re.search(rb"/Subtype /(?:CIDFontType2|TrueType)", made["pdf"])
    assert b"/Type3" not in made["pdf"]
