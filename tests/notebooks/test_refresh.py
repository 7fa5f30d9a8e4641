"""What the script that executes the notebooks makes of their pictures and cells."""

import base64
import io

import numpy as np
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from tests.conftest import script
from tests.notebooks.reading import FOLDER, ROOT

refresh = script(FOLDER / "refresh.py")
WIDGET = "application/vnd.jupyter.widget-view+json"


def encoded(image):
    image.save(buffer := io.BytesIO(), "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_photograph_keeps_its_colours():
    with Image.open(ROOT / "data" / "photos" / "astronaut.jpg") as image:
        photo = image.convert("RGB").resize((200, 200))
    (kind, data), *more = refresh.shrink(encoded(photo)).items()
    assert (kind, more) == ("image/jpeg", [])
    stored = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), dtype=float)
    assert np.abs(stored - np.asarray(photo)).mean() < 3


def test_a_drawing_becomes_a_small_png_of_a_palette():
    noise = np.random.default_rng(0).integers(0, 40, (300, 300, 1), dtype=np.uint8)
    drawing = encoded(Image.fromarray(np.repeat(noise, 3, axis=2)))
    (kind, data), *more = refresh.shrink(drawing).items()
    assert (kind, more) == ("image/png", [])
    assert len(data) <= len(drawing)


def test_what_is_known_of_a_cell_stays_and_timings_and_widgets_that_have_a_stand_in_go():
    known = {"tags": ["exercise"], "jupyter": {"source_hidden": True}, "alt": "Two lines."}
    cell = new_code_cell("1", metadata={**known, "execution": {"iopub.status.busy": "now"}})
    shown = [
        {"image/png": encoded(Image.new("RGB", (8, 8)))},
        {"text/html": "<b>asked</b>", WIDGET: {}},
        {"text/plain": "HBox()", WIDGET: {}},
    ]
    cell.outputs = [new_output("display_data", data=data) for data in shown]
    refresh.trim(new_notebook(cells=[cell]))
    assert cell.metadata == known
    kinds = [{"image/png"}, {"text/html"}, {"text/plain", WIDGET}]
    assert [set(output.data) for output in cell.outputs] == kinds
    described = [{"image/png": {"alt": "Two lines."}}, {}, {}]
    assert [output.metadata for output in cell.outputs] == described
