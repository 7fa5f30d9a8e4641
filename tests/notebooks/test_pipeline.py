"""The drawing of the method that stands at the head of every notebook."""

import re
from xml.etree import ElementTree

import pytest

from tests.conftest import script
from tests.notebooks.reading import FOLDER, LESSONS, read

FIGURES = FOLDER / "figures"
SVG = "{http://www.w3.org/2000/svg}"
TELEPHONE = 390
make = script(FIGURES / "make.py")


def test_every_step_is_there_within_a_telephones_width_and_the_lit_ones_stand_out():
    drawing = ElementTree.fromstring(make.pipeline_svg(["fusion"]))
    texts = {text.text: text.get("fill") for text in drawing.iter(f"{SVG}text")}
    assert set(texts) == set(make.STEPS)
    assert [step for step, ink in texts.items() if ink == "white"] == ["fusion"]
    assert "Lit here: fusion" in drawing.findtext(f"{SVG}title")
    _, _, width, height = map(int, drawing.get("viewBox").split())
    assert width <= TELEPHONE
    for box in drawing.iter(f"{SVG}rect"):
        assert int(box.get("x", 0)) + int(box.get("width")) <= width
        assert int(box.get("y", 0)) + int(box.get("height")) <= height


def test_a_step_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="got pooling"):
        make.pipeline_svg(["pooling"])


def test_drawings_are_what_the_script_makes_and_notebooks_say_in_words_what_they_show():
    for name, lit in make.LIT.items():
        file = FIGURES / f"pipeline-{name}.svg"
        assert file.read_text(encoding="utf-8") == make.pipeline_svg(lit), name
    heads = "".join(read(path).cells[0].source for path in LESSONS)
    drawn = re.findall(r"!\[(.*?)\]\(figures/pipeline-([\w-]+)\.svg\)", heads)
    assert {name for _, name in drawn} == set(make.LIT)
    for words, name in drawn:
        assert words == make.alternative(make.LIT[name])
