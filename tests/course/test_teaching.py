"""The instructor's page: its first cells run, its minutes add up, and what it names is there."""

import re

import pytest

from tests.notebooks.reading import LESSONS, ROOT, code_cells, figures, markdown, read

PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
FIRST_CELLS = re.findall(r"### (\d+)\. .*?```python\n(.*?)```", PAGE, re.DOTALL)
STARS = {"★": 5, "★★": 10, "★★★": 20}
HEADINGS = {path.name: re.findall(r"^#+ (.*)$", markdown(read(path)), re.M) for path in LESSONS}


def section(title):
    """The page from a heading to the next of its level or above."""
    level, rest = re.search(rf"^(#+) {re.escape(title)}\n(.*)", PAGE, re.M | re.DOTALL).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", rest, flags=re.M)[0]


def table(text, first):
    """Rows of the table whose first column has this title, as lists of cells."""
    rows = re.search(rf"^\| {first} \|.*\n\|[- |]+\n((?:\|.*\n)+)", text, re.M)[1]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()]


SIZES = {
    re.search(r"notebooks/([\w.]+)", name)[1]: [int(x) for x in numbers]
    for name, *numbers in table(section("How long a notebook takes"), "notebook")
}


@pytest.mark.parametrize(("number", "cell"), FIRST_CELLS, ids=[n for n, _ in FIRST_CELLS])
def test_a_projects_first_cell_runs(number, cell, capsys):
    exec(compile(cell, f"project {number}", "exec"), {"__name__": "__main__"})
    assert len(capsys.readouterr().out) > 40


def test_there_are_ten_projects_each_with_a_question_and_what_a_good_answer_is():
    parts = re.split(r"^### \d+\. ", section("Ten projects"), flags=re.M)[1:]
    assert len(parts) == len(FIRST_CELLS) == 10
    for part in parts:
        for said in ("**Question.**", "**Needed:**", "**A good answer**"):
            assert part.count(said) == 1, part[:60]


@pytest.mark.parametrize("path", LESSONS, ids=[path.stem[:2] for path in LESSONS])
def test_minutes_of_a_notebook_follow_from_its_size(path):
    notebook = read(path)
    words = len(re.findall(r"\w+", re.sub(r"\]\([^)]*\)", "]", markdown(notebook))))
    lines = sum(bool(line.strip()) for c in code_cells(notebook) for line in c.source.splitlines())
    minutes = words / 120 + lines / 12 + figures(notebook)
    exercises = re.findall(r"\*\*\d\.\*\* (★+)(?:,? (\d+) minutes)?", markdown(notebook))
    study, solve, *_ = SIZES[path.name]
    assert study == pytest.approx(minutes, abs=8), (
        f"the page should say {minutes:.0f}, rounded up to five"
    )
    assert solve == sum(int(given or STARS[stars]) for stars, given in exercises)
    assert re.findall(r"(\d+) minutes to (?:study|read)", markdown(notebook)) == [str(study)]


@pytest.mark.parametrize(
    ("title", "total"),
    [("The lab: 90 minutes", 90), ("The day: 380 minutes, breaks included", 380)],
)
def test_a_timetable_adds_up(title, total):
    assert sum(int(minutes) for minutes, *_ in table(section(title), "minutes")) == total


def test_two_weeks_are_25_hours_in_which_every_notebook_has_its_minutes():
    rows = table(section("Two weeks: 25 hours"), "day")
    assert [int(row[0]) for row in rows] == list(range(1, 11))
    assert sum(int(minutes) for row in rows for minutes in row[1:4]) == 25 * 60
    seen = []
    for _, study, solve, talk, what in rows:
        named = re.findall(r"notebooks/([\w.]+)", what)
        assert int(study) == sum(SIZES[name][0] for name in named)
        assert int(solve) == sum(SIZES[name][1] for name in named)
        assert int(study) + int(solve) + int(talk) == 150
        seen += named
    assert seen == [path.name for path in LESSONS]


def test_every_title_that_it_quotes_is_a_heading_of_that_notebook():
    quoted = 0
    for row in re.findall(r"^\| \d+ \|.*$", section("Three tracks"), re.M):
        for name, words in re.findall(r"notebooks/([\w.]+)\)([^\[]*)", row):
            for title in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", words):
                assert title in HEADINGS[name], (name, title)
                quoted += 1
    assert quoted > 15


def test_what_thirty_seats_need_follows_from_one():
    server = int(re.search(r"server took (\d+) MiB", PAGE)[1])
    tracks = {"the lab": ("00", "01", "05"), "the day": ("00", "01", "02", "03", "05")}
    for track, largest, memory, seconds, minutes in table(section("The room"), "track"):
        seats = {n[:2]: s[2:] for n, s in SIZES.items() if n[:2] in tracks.get(track, n)}
        peak = max(peak for peak, _ in seats.values())
        assert seats[largest][0] == peak
        assert int(memory) == round(30 * (peak + server) / 1024)
        assert int(seconds) == 30 * max(cpu for _, cpu in seats.values())
        assert float(minutes) == round(int(seconds) / 8 / 60, 1)
