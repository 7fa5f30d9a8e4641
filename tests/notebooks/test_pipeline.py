import importlib.util
import re
from xml.etree import ElementTree

import pytest

from tests.notebooks.reading import FOLDER, LESSONS, read

FIGURES = FOLDER / "figures"
SPEC = importlib.util.spec_from_file_location("make", FIGURES / "make.py")
make = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make)
SVG = "{http://www.w3.org/2000/svg}"


def test_every_step_is_there_and_the_lit_ones_stand_out():
    drawing = ElementTree.fromstring(make.pipeline_svg(["fusion"]))
    texts = {text.text: text.get("fill") for text in drawing.iter(f"{SVG}text")}
    assert set(texts) == set(make.STEPS)
    assert [step for step, ink in texts.items() if ink == "white"] == ["fusion"]
    assert "Lit here: fusion" in drawing.findtext(f"{SVG}title")


def test_nothing_lies_outside_of_a_telephones_width():
    drawing = ElementTree.fromstring(make.pipeline_svg([]))
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
        make.pipeline_svg(["pooling"])


@pytest.mark.parametrize("name", sorted(make.LIT))
def test_a_drawing_is_what_the_script_makes(name):
    file = FIGURES / f"pipeline-{name}.svg"
    assert file.read_text(encoding="utf-8") == make.pipeline_svg(make.LIT[name])


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_notebook_says_in_words_what_its_drawing_shows(path):
    for words, name in re.findall(
        r"!\[(.*?)\]\(figures/pipeline-([\w-]+)\.svg\)", read(path).cells[0].source
    ):
        assert words == make.alternative(make.LIT[name])
