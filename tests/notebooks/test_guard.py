"""What every committed notebook must be, checked without running it."""

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.reading import (
    COMPLETE,
    FOLDER,
    LESSONS,
    PLANNED,
    ROOT,
    SOLUTIONS,
    code_cells,
    figures,
    is_laboratory,
    links,
    markdown,
    names_of_ours,
    read,
    shown,
    tags,
)

Check = Callable[[Path], None]

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
MAX_BYTES = 400_000
MAX_FIGURES = 8
MAX_LINES = 15
MAX_CELLS = 40
MAX_NAMES = 14


def of_all(paths: list[Path]) -> Callable[[Check], Callable[[], None]]:
    """Makes a check of one notebook a test of all of them; a failure names the notebook."""

    def decorate(check: Check) -> Callable[[], None]:
        def test() -> None:
            for path in paths:
                try:
                    check(path)
                except Exception as error:
                    error.add_note(f"in {path.relative_to(FOLDER)}")
                    raise

        return test

    return decorate


EVERY = of_all(LESSONS + SOLUTIONS)
LESSON = of_all(LESSONS)
LABORATORY = of_all([path for path in LESSONS if is_laboratory(path)])


CHECKS = re.compile(
    r"^\s*(assert |claim[.(]|check\(|lab\.(check|identity|exercise)\()|assert_(allclose|close)",
    re.M,
)


def checks(source):
    return CHECKS.search(source)


def test_there_are_notebooks():
    assert LESSONS


@EVERY
def test_it_is_valid_and_of_this_kernel(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata


@EVERY
def test_it_was_executed_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in read(path).cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@EVERY
def test_its_outputs_are_there_and_none_is_an_unmarked_error(path):
    cells = code_cells(read(path))
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) / 3
    for cell in cells:
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in tags(cell)), cell.source


@EVERY
def test_nothing_was_written_to_stderr(path):
    for cell in code_cells(read(path)):
        noise = [output.text for output in cell.outputs if output.get("name") == "stderr"]
        assert not noise, f"{cell.source}\nwrote\n{noise[0]}"


@EVERY
def test_it_opens_with_a_title(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")


@EVERY
def test_its_first_code_is_the_cell_that_installs_the_package(path):
    cell = next(cell for cell in read(path).cells if cell.cell_type == "code")
    assert tags(cell) == ["nbval-skip"]
    assert (cell.id, cell.outputs) == ("install", [])


@LESSON
def test_its_first_cell_says_what_it_needs_and_how_long_it_takes(path):
    first = read(path).cells[0].source
    assert "**You need" in first
    assert "**You will see" in first
    assert re.search(r"\*\*Time\D*[\d.]+", first)


@LESSON
def test_papermill_finds_its_parameters_in_its_second_code_cell(path):
    cells = code_cells(read(path))
    assert [i for i, cell in enumerate(cells) if "parameters" in tags(cell)] == [1]
    assert set(re.findall(r"^(\w+) =", cells[1].source, re.MULTILINE)) >= PARAMETERS


@EVERY
def test_its_cells_are_short(path):
    for cell in code_cells(read(path)):
        written = [line for line in cell.source.splitlines() if line.strip()]
        assert len(written) <= MAX_LINES, cell.source


@EVERY
def test_it_checks_what_it_says(path):
    assert sum(bool(checks(cell.source)) for cell in code_cells(read(path))) >= 2


@EVERY
def test_its_tags_are_known(path):
    notebook = read(path)
    assert {tag for cell in notebook.cells for tag in tags(cell)} <= TAGS


@EVERY
def test_its_cells_have_ids_of_their_own(path):
    ids = [cell.id for cell in read(path).cells]
    assert len(set(ids)) == len(ids)


@EVERY
def test_no_cell_ends_in_a_semicolon_or_calls_the_shell(path):
    for cell in code_cells(read(path)):
        assert not cell.source.rstrip().endswith(";"), cell.source
        assert not re.search(r"^\s*[!%]|sys\.path", cell.source, re.MULTILINE), cell.source


@EVERY
def test_it_names_no_path_of_one_machine(path):
    for cell in read(path).cells:
        text = cell.source + (shown(cell) if cell.cell_type == "code" else "")
        found = MACHINE_PATH.search(text)
        assert not found, text[max(0, found.start() - 40) : found.end() + 40]


@EVERY
def test_it_is_small(path):
    assert path.stat().st_size < MAX_BYTES
    assert figures(read(path)) <= MAX_FIGURES


@LESSON
def test_it_ends_with_what_we_saw_exercises_and_what_comes_next(path):
    headings = re.findall(r"^## .*$", markdown(read(path)), re.MULTILINE)
    assert [heading for heading in headings[-4:] if heading != "## References"][-3:] == SECTIONS


@LESSON
def test_it_keeps_what_it_shows_under_its_own_number(path):
    written = "\n".join(cell.source for cell in code_cells(read(path)))
    number = path.name[:2]
    assert f'keep_shown(OUT, "{number}")' in written or (
        f'ml.Lesson(\n    "{number}"' in written or f'ml.Lesson("{number}"' in written
    )


@LESSON
def test_it_asks_before_a_figure_what_the_data_say_after_it(path):
    sources = [cell.source for cell in code_cells(read(path))]
    asked = next(i for i, source in enumerate(sources) if "predict(" in source)
    revealed = next(i for i, source in enumerate(sources) if ".reveal(" in source)
    assert any("plt.show()" in source for source in sources[asked + 1 : revealed])


@LESSON
def test_it_leaves_two_questions_open(path):
    text = markdown(read(path)).split("## Exercises")[1]
    thought = text.partition("**To think about.**")[2].split("##")[0]
    asked = thought.count("\n- ") or len(re.findall(r"\([ab]\) ", text.partition("**Open.**")[2]))
    assert asked >= 2


@LESSON
def test_its_exercises_wait_for_an_answer_and_the_solutions_are_right(path):
    exercises = {cell.id: cell for cell in code_cells(read(path), "exercise")}
    solution = FOLDER / "solutions" / path.name
    assert solution.is_file(), "its solutions are missing"
    solved = {cell.id: cell for cell in code_cells(read(solution), "exercise")}
    assert exercises
    assert list(solved) == list(exercises)
    for name, cell in exercises.items():
        assert "your turn" in shown(cell), f"{name} does not wait"
        assert "correct" in shown(solved[name]), f"{name} is not solved"


@EVERY
def test_its_links_lead_somewhere(path):
    text = markdown(read(path))
    for target in links(text):
        if not COMPLETE and (path.parent / target).stem in PLANNED:
            continue
        assert (path.parent / target).exists(), target


@LESSON
def test_it_links_on_to_the_next_one(path):
    last = markdown(read(path)).split("## Next")[-1]
    if COMPLETE and path.stem != PLANNED[-1]:
        assert f"{PLANNED[PLANNED.index(path.stem) + 1]}.ipynb" in links(last)


@LABORATORY
def test_it_needs_one_import_and_few_names_of_ours(path):
    written = "\n".join(cell.source for cell in code_cells(read(path)))
    assert re.findall(r"^(?:from|import) maclip_lab.*$", written, re.M) == [
        "import maclip_lab as ml"
    ]
    assert len(names_of_ours(read(path))) <= MAX_NAMES, names_of_ours(read(path))


@LABORATORY
def test_it_has_few_cells_and_names_its_sources(path):
    cells = read(path).cells
    assert len(cells) <= MAX_CELLS, len(cells)
    assert any("references.md" in target for target in links(markdown(read(path))))


@LABORATORY
def test_every_figure_is_described_for_those_who_cannot_see_it(path):
    for cell in code_cells(read(path)):
        if any("image/" in kind for output in cell.outputs for kind in output.get("data", {})):
            assert len(cell.metadata.get("alt", "")) > 40, cell.source


@LABORATORY
def test_no_sentence_of_ours_calls_an_embedded_backbone_as_in_the_paper(path):
    text = markdown(read(path)) + "".join(shown(cell) for cell in code_cells(read(path)))
    assert "as in the paper" not in text


@pytest.mark.skipif(not COMPLETE, reason="some of the planned notebooks are still to be written")
def test_the_index_lists_them_all_in_order():
    lines = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8").splitlines()
    table = "\n".join(line for line in lines if line.startswith("|"))
    listed = [t for t in links(table) if re.fullmatch(r"../notebooks/\d\d_\w+\.ipynb", t)]
    assert list(dict.fromkeys(listed)) == [f"../notebooks/{path.name}" for path in LESSONS]
    assert [path.stem for path in LESSONS] == list(PLANNED)
