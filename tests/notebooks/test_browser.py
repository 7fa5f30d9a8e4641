"""Notebooks in a real browser: JupyterLab opened, all cells run, the explorer's slider moved."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from tests.conftest import needs_chromium
from tests.notebooks.reading import FOLDER, LESSONS, ROOT

OPENED = [path.stem for path in LESSONS if path.stem[:2] in ("00", "05")]
EXPLORER = "05_fusion"
LIMIT_MS = 240_000
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
RUNTIME, LAB_SETTINGS = "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR"
PLACES = ("JUPYTER_CONFIG_DIR", RUNTIME, LAB_SETTINGS, "JUPYTERLAB_WORKSPACES_DIR")
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
    """The address of a JupyterLab on loopback, with a token, over copies of the notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    notebooks, log = folder / "notebooks", folder / "jupyterlab.log"
    shutil.copytree(FOLDER, notebooks, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name, settings in SETTINGS.items():
        path = folder / LAB_SETTINGS / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={notebooks}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    environment = os.environ | {name: str(folder / name) for name in PLACES}
    how = {"env": environment, "stderr": subprocess.STDOUT}
    with log.open("w") as output, subprocess.Popen(command, stdout=output, **how) as server:
        try:
            yield address(server, folder / RUNTIME, log)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def address(server, runtime, log):
    """Where a server that was started can be reached; ``{}`` stands for the notebook."""
    end = time.monotonic() + LIMIT_MS / 1000
    while server.poll() is None and time.monotonic() < end:
        if [*runtime.glob("jpserver-*.html")]:
            info = json.loads(next(runtime.glob("jpserver-*.json")).read_text("utf-8"))
            return f"{info['url']}lab/tree/{{}}.ipynb?token={info['token']}&reset"
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def executed(page, lab, notebook):
    """Opens a notebook, clears its outputs and runs it; returns its cells as they are then."""
    page.set_default_timeout(LIMIT_MS)
    page.goto(lab.format(notebook))
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget?.content?.model")
    page.evaluate(CLEAR)
    page.evaluate(RUN_ALL)
    page.wait_for_function(FINISHED)
    return page.evaluate(CELLS)


def screenshot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def move_slider(page, name):
    """Moves a slider of the explorer's page in the notebook; the SRCC before and after."""
    inside = page.frame_locator("iframe[title='Explorer of MA-CLIP']")
    number = inside.locator("#all")
    number.scroll_into_view_if_needed()
    before = number.inner_text()
    inside.get_by_role("slider", name=name).focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    return before, number.inner_text()


@pytest.mark.parametrize("notebook", OPENED)
def test_a_notebook_runs_in_the_browser(notebook, lab, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    cells = executed(page, lab, notebook)
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert [output["evalue"] for output in outputs if output["output_type"] == "error"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    page.locator(".jp-OutputArea-output img").first.scroll_into_view_if_needed()
    screenshot(page, notebook)
    if notebook == EXPLORER:
        before, after = move_slider(page, "box_lam")
        assert before != after
        screenshot(page, f"{notebook}_moved")
    page.close()
