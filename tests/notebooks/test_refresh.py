"""What the script that executes the notebooks makes of their pictures and cells."""

import base64
import io

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests.conftest import script
from tests.notebooks.reading import FOLDER, ROOT


@pytest.fixture(scope="module")
def refresh():
    return script(FOLDER / "refresh.py")


def encoded(image):
    image.save(buffer := io.BytesIO(), "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_photograph_keeps_its_colours(refresh):
    with Image.open(ROOT / "data" / "photos" / "astronaut.jpg") as image:
        photo = image.convert("RGB").resize((200, 200))
    (kind, data), *more = refresh.shrink(encoded(photo)).items()
    assert (kind, more) == ("image/jpeg", [])
    stored = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), dtype=float)
    assert np.abs(stored - np.asarray(photo)).mean() < 3


def test_a_drawing_becomes_a_small_png_of_a_palette(refresh):
    noise = np.random.default_rng(0).integers(0, 40, (300, 300, 1), dtype=np.uint8)
    drawing = encoded(Image.fromarray(np.repeat(noise, 3, axis=2)))
    (kind, data), *more = refresh.shrink(drawing).items()
    assert (kind, more) == ("image/png", [])
    assert len(data) <= len(drawing)


def test_tags_and_folded_solutions_stay_and_timings_go(refresh):
    cell = nbformat.v4.new_code_cell("1")
    cell.metadata = nbformat.from_dict(
        {
            "tags": ["exercise"],
            "jupyter": {"source_hidden": True},
            "execution": {"iopub.status.busy": "now"},
        }
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    refresh.trim(notebook)
    assert cell.metadata == {"tags": ["exercise"], "jupyter": {"source_hidden": True}}


def test_what_stands_in_for_a_widget_is_all_that_is_kept_of_it(refresh):
    widget = "application/vnd.jupyter.widget-view+json"
    shown = [{"text/html": "<b>asked</b>", widget: {}}, {"text/plain": "HBox()", widget: {}}]
    cell = nbformat.v4.new_code_cell("1")
    cell.outputs = [nbformat.v4.new_output("display_data", data=data) for data in shown]
    refresh.trim(nbformat.v4.new_notebook(cells=[cell]))
    assert [set(output.data) for output in cell.outputs] == [{"text/html"}, {"text/plain", widget}]


def test_what_a_cell_says_of_its_figure_goes_with_the_picture(refresh):
    cell = nbformat.v4.new_code_cell("1", metadata={"alt": "Two lines that cross."})
    picture = encoded(Image.new("RGB", (8, 8)))
    cell.outputs = [
        nbformat.v4.new_output("display_data", data={"image/png": picture}),
        nbformat.v4.new_output("execute_result", data={"text/plain": "1"}),
    ]
    refresh.trim(nbformat.v4.new_notebook(cells=[cell]))
    assert cell.metadata == {"alt": "Two lines that cross."}
    assert [output.metadata for output in cell.outputs] == [
        {"image/png": {"alt": "Two lines that cross."}},
        {},
    ]
