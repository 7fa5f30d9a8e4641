from xml.etree import ElementTree

import pytest

from maclip_lab.lessons.pipeline import LIT, STEPS, alternative, pipeline_svg
from tests.notebooks.reading import FOLDER, LESSONS, read

SVG = "{http://www.w3.org/2000/svg}"


def test_every_step_is_there_and_the_lit_ones_stand_out():
    drawing = ElementTree.fromstring(pipeline_svg(["fusion"]))
    texts = {text.text: text.get("fill") for text in drawing.iter(f"{SVG}text")}
    assert set(texts) == set(STEPS)
    assert [step for step, ink in texts.items() if ink == "white"] == ["fusion"]
    assert "Lit here: fusion" in drawing.findtext(f"{SVG}title")


def test_nothing_lies_outside_of_a_telephones_width():
    drawing = ElementTree.fromstring(pipeline_svg([]))
    _, _, width, height = map(int, drawing.get("viewBox").split())
    assert width <= 390
    for box in drawing.iter(f"{SVG}rect"):
        right, bottom = (
            int(box.get(a, 0)) + int(box.get(b)) for a, b in (("x", "width"), ("y", "height"))
        )
        assert right <= width
        assert bottom <= height


def test_a_step_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="got pooling"):
        pipeline_svg(["pooling"])


@pytest.mark.parametrize("number", sorted(LIT))
def test_the_notebook_shows_the_drawing_of_its_steps(number):
    file = FOLDER / "figures" / f"pipeline-{number}.svg"
    assert file.read_text(encoding="utf-8") == pipeline_svg(LIT[number])
    notebook = next(path for path in LESSONS if path.name.startswith(number))
    shown = f"![{alternative(LIT[number])}](figures/{file.name})"
    assert shown in read(notebook).cells[0].source
