"""The summary sheet: two printed pages, and no number that nothing stands behind."""

import re
from pathlib import Path

import pytest

from tests.conftest import needs_chromium, script

COURSE = Path(__file__).parents[2] / "course"
SHEET = COURSE / "handout" / "summary.html"
TEXT = SHEET.read_text(encoding="utf-8")
UNCHECKED = {
    *("2026", "2511.09948"),  # the paper
    *("224", "128", "1024", "768"),  # in the formula, and a picture that it is tried on
    "2021",  # the name of a set
}
summary = script(COURSE / "summary.py")


def test_every_number_is_that_of_package_packs_and_notebooks_or_is_put_right():
    changed = TEXT.replace(">0.6<", ">0.7<").replace("<td>332</td>", "<td>333</td>")
    assert changed != TEXT
    assert summary.written(changed) == TEXT, "run python course/summary.py"


def test_no_other_number_stands_in_it():
    bare = summary.CELLS.sub("", summary.VALUE.sub("", TEXT.partition("<body>")[2]))
    numbers = re.findall(r"\d[\d.,]*\d", re.sub(r"<[^>]+>|<!--.*?-->", " ", bare))
    numbers = {number.strip(".,") for number in numbers}
    assert {number for number in numbers if len(number) > 2} == UNCHECKED


def test_it_says_what_the_six_cells_show():
    cells = summary.cells()
    opinion = {cell: rated for cell, rated in cells.items() if cell[1] != "severity"}
    assert (len(cells), len(opinion)) == (6, 4)
    for rated in opinion.values():
        assert rated.srcc(rated.table["score"]).low > 0
        assert not rated.lead(rated.table["score"], rated.table["clip_iqa"]).low > 0


def test_its_words_are_those_of_the_glossary():
    glossary = (COURSE.parent / "docs" / "glossary.md").read_text(encoding="utf-8").lower()
    words = re.findall(r"<dt>(.*?)</dt>", TEXT)
    assert len(words) > 10
    missing = [word for word in words if word.lower() not in glossary]
    assert missing == ["Cell"]  # which the notebooks explain, each in its place


def test_it_needs_no_network():
    assert not re.findall(r"(?:src|href|url\()\s*=?\s*[\"']?https?:", TEXT)
    assert "<script" not in TEXT


@needs_chromium
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_it_prints_on_two_pages(browser, paper):
    page = browser.new_page()
    page.goto(SHEET.as_uri())
    printed = page.pdf(format=paper)
    assert len(re.findall(rb"/Type /Page\b", printed)) == 2
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
