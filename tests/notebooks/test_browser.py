"""Notebooks in a real browser: JupyterLab opened, all cells run, the explorer's slider moved."""

import pytest

from tests.conftest import needs_chromium
from tests.notebooks.jupyter import running_lab
from tests.notebooks.reading import LESSONS, ROOT

OPENED = [path.stem for path in LESSONS if path.stem[:2] in ("00", "05")]
EXPLORER = "05_fusion"
LIMIT_MS = 240_000
SCREENSHOTS = ROOT / "build" / "screenshots"

RUN_ALL = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
}"""
FINISHED = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = panel.content.model.toJSON().cells.filter(c => c.cell_type === 'code');
    const skipped = c => (c.metadata.tags || []).includes('nbval-skip');
    return panel.sessionContext.kernelDisplayStatus === 'idle'
        && cells.every(c => c.execution_count !== null || skipped(c));
}"""
CELLS = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"
CLEAR = "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


def opened(browser, lab, notebook):
    """A page with the notebook open and its outputs cleared."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(LIMIT_MS)
    page.goto(lab.url(notebook))
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget?.content?.model")
    page.evaluate(CLEAR)
    return page


def run_all(page):
    """Runs the open notebook; returns its cells as they are afterwards."""
    page.evaluate(RUN_ALL)
    page.wait_for_function(FINISHED)
    return page.evaluate(CELLS)


def screenshot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def move_slider(page, name, steps=3):
    """Moves a slider of the explorer's page in the notebook; the SRCC before and after."""
    inside = page.frame_locator("iframe[title='Explorer of MA-CLIP']")
    number = inside.locator("#all")
    number.scroll_into_view_if_needed()
    before = number.inner_text()
    inside.get_by_role("slider", name=name).focus()
    for _ in range(steps):
        page.keyboard.press("ArrowRight")
    return before, number.inner_text()


@pytest.mark.parametrize("notebook", OPENED)
def test_a_notebook_runs_in_the_browser(notebook, lab, browser):
    page = opened(browser, lab, notebook)
    cells = [cell for cell in run_all(page) if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert [output["evalue"] for output in outputs if output["output_type"] == "error"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert page.locator(".jp-OutputArea-output img").count() >= 1
    page.locator(".jp-OutputArea-output img").first.scroll_into_view_if_needed()
    screenshot(page, notebook)
    if notebook == EXPLORER:
        before, after = move_slider(page, "box_lam")
        screenshot(page, f"{notebook}_moved")
        assert before != after
    page.close()
