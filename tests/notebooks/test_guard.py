"""What every committed notebook must be, checked without running it."""

import re
from itertools import pairwise

import nbformat
import pytest

from tests.notebooks.reading import (
    FOLDER,
    LESSONS,
    ROOT,
    SOLUTIONS,
    code_cells,
    figures,
    links,
    markdown,
    names_of_ours,
    read,
    shown,
    tags,
)

TAGS = {
    "parameters",
    "exercise",
    "raises-exception",
    "nbval-check-output",
    "nbval-ignore-output",
    "nbval-skip",
}
PARAMETERS = {"BACKBONE", "DATASET", "ROOT", "SEED", "DEVICE", "PRECISION", "VARIANT", "OUT"}
SECTIONS = ["## What we saw", "## Exercises", "## Next"]
MACHINE_PATH = re.compile(r"/(?:home|Users|root|tmp|work|var|mnt|opt)/|[A-Z]:\\\\?\w")
CHECKS = re.compile(r"^\s*(assert |lab\.(check|identity|exercise)\()|assert_close", re.M)
MAX_BYTES = 400_000
MAX_FIGURES = 8
MAX_LINES = 15
MAX_CELLS = 40
MAX_NAMES = 14


def named(path):
    return path.relative_to(FOLDER).as_posix()


EVERY = pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=named)
LESSON = pytest.mark.parametrize("path", LESSONS, ids=named)


@EVERY
def test_it_is_valid_and_was_executed_by_this_kernel_from_top_to_bottom(path):
    notebook = read(path)
    nbformat.validate(notebook)  # which warns of ids that are not a cell's own
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@EVERY
def test_its_outputs_are_there_without_noise_or_an_unmarked_error(path):
    cells = code_cells(read(path))
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) / 3
    for cell in cells:
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in tags(cell)), cell.source
        noise = [output.text for output in cell.outputs if output.get("name") == "stderr"]
        assert not noise, f"{cell.source}\nwrote\n{noise[0]}"


@EVERY
def test_it_opens_with_a_title_and_its_first_code_installs_the_package(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    cell = next(cell for cell in read(path).cells if cell.cell_type == "code")
    assert tags(cell) == ["nbval-skip"]
    assert (cell.id, cell.outputs) == ("install", [])


@LESSON
def test_its_head_says_what_it_needs_and_papermill_finds_its_parameters(path):
    first = read(path).cells[0].source
    assert "**You need" in first
    assert "**You will see" in first
    assert re.search(r"\*\*Time\D*[\d.]+", first)
    cells = code_cells(read(path))
    assert [i for i, cell in enumerate(cells) if "parameters" in tags(cell)] == [1]
    assert set(re.findall(r"^(\w+) =", cells[1].source, re.MULTILINE)) >= PARAMETERS


@EVERY
def test_its_cells_are_short_python_and_check_what_it_says(path):
    cells = code_cells(read(path))
    assert sum(bool(CHECKS.search(cell.source)) for cell in cells) >= 2
    for cell in cells:
        written = [line for line in cell.source.splitlines() if line.strip()]
        assert len(written) <= MAX_LINES, cell.source
        assert not cell.source.rstrip().endswith(";"), cell.source
        assert not re.search(r"^\s*[!%]|sys\.path", cell.source, re.MULTILINE), cell.source


@EVERY
def test_it_is_small_and_names_no_path_of_one_machine(path):
    assert path.stat().st_size < MAX_BYTES
    assert figures(read(path)) <= MAX_FIGURES
    for cell in read(path).cells:
        assert set(tags(cell)) <= TAGS
        text = cell.source + (shown(cell) if cell.cell_type == "code" else "")
        place = MACHINE_PATH.search(text)
        assert not place, text[max(0, place.start() - 40) : place.end() + 40]


@LESSON
def test_it_keeps_what_it_shows_under_its_own_number(path):
    written = "\n".join(cell.source for cell in code_cells(read(path)))
    assert re.findall(r'ml\.Lesson\(\s*"(\d\d)"', written) == [path.name[:2]]


@LESSON
def test_it_asks_before_a_figure_what_is_computed_from_the_data_after_it(path):
    sources = [cell.source for cell in code_cells(read(path))]
    asked = next(i for i, source in enumerate(sources) if "predict(" in source)
    (revealed,) = (i for i, source in enumerate(sources) if ".reveal(" in source)
    written = re.search(r"\.reveal\(\s*[\"']", sources[revealed])
    assert not written or " if " in sources[revealed]
    assert any("plt.show()" in source for source in sources[asked + 1 : revealed])


@LESSON
def test_it_ends_with_what_we_saw_exercises_open_questions_and_what_comes_next(path):
    text = markdown(read(path))
    headings = re.findall(r"^## .*$", text, re.MULTILINE)
    assert [heading for heading in headings[-4:] if heading != "## References"][-3:] == SECTIONS
    exercises = text.split("## Exercises")[1]
    thought = exercises.partition("**To think about.**")[2].split("##")[0]
    in_line = exercises.partition("**Open.**")[2]
    assert (thought.count("\n- ") or len(re.findall(r"\([ab]\) ", in_line))) >= 2


@LESSON
def test_its_exercises_wait_for_an_answer_and_the_solutions_are_right(path):
    exercises = {cell.id: cell for cell in code_cells(read(path), "exercise")}
    solutions = read(FOLDER / "solutions" / path.name)
    solved = {cell.id: cell for cell in code_cells(solutions, "exercise")}
    assert exercises
    assert list(solved) == list(exercises)
    for name, cell in exercises.items():
        assert "your turn" in shown(cell), f"{name} does not wait"
        assert "correct" in shown(solved[name]), f"{name} is not solved"


@EVERY
def test_its_links_lead_somewhere(path):
    for target in links(markdown(read(path))):
        assert (path.parent / target).exists(), target


@LESSON
def test_it_needs_one_import_few_names_of_ours_and_few_cells_and_names_its_sources(path):
    notebook = read(path)
    written = "\n".join(cell.source for cell in code_cells(notebook))
    imports = re.findall(r"^(?:from|import) maclip_lab.*$", written, re.M)
    assert imports == ["import maclip_lab as ml"]
    assert len(names_of_ours(notebook)) <= MAX_NAMES, names_of_ours(notebook)
    assert len(notebook.cells) <= MAX_CELLS
    assert any("references.md" in target for target in links(markdown(notebook)))


@LESSON
def test_every_figure_is_described_for_those_who_cannot_see_it(path):
    for cell in code_cells(read(path)):
        if any("image/" in kind for output in cell.outputs for kind in output.get("data", {})):
            assert len(cell.metadata.get("alt", "")) > 40, cell.source


@LESSON
def test_no_sentence_of_ours_calls_an_embedded_backbone_as_in_the_paper(path):
    text = markdown(read(path)) + "".join(shown(cell) for cell in code_cells(read(path)))
    assert "as in the paper" not in text


def test_the_index_lists_them_all_in_order_and_each_leads_to_the_next():
    lines = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8").splitlines()
    table = "\n".join(line for line in lines if line.startswith("|"))
    listed = [t for t in links(table) if re.fullmatch(r"../notebooks/\d\d_\w+\.ipynb", t)]
    assert list(dict.fromkeys(listed)) == [f"../notebooks/{path.name}" for path in LESSONS]
    for path, following in pairwise(LESSONS):
        assert following.name in links(markdown(read(path)).split("## Next")[-1]), path.name
