"""The repository's address, in the cell that installs the package and in the links to services."""

import importlib.util
import json
import re
import shutil

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.conftest import script
from tests.notebooks.reading import FOLDER, LESSONS, ROOT

ADDRESS = "https://github.com/someone/something"


@pytest.fixture(scope="module")
def links():
    return script(FOLDER / "links.py")


@pytest.fixture
def checkout(tmp_path, links):
    """What the script writes to, in a folder of its own and with an address."""
    (tmp_path / "docs").mkdir()
    shutil.copytree(FOLDER, tmp_path / "notebooks")
    shutil.copy(ROOT / links.PAGE, tmp_path / links.PAGE)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = re.sub(
        r"(\[project.urls\])(\n[^\n\[]+)*", rf'\1\nRepository = "{ADDRESS}.git"', project
    )
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    return tmp_path


@pytest.fixture
def installed(monkeypatch):
    """Runs a cell as a kernel without the package does; returns what it gave to pip."""
    find, asked = importlib.util.find_spec, []
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "maclip_lab" else find(n)
    )

    def run(cell, folder):
        monkeypatch.chdir(folder)
        shell = InteractiveShell()
        shell.register_magic_function(asked.append, magic_name="pip")
        shell.run_cell(cell).raise_error()
        return asked.pop()

    return run


def test_the_address_of_pyproject_stands_wherever_it_should(links):
    where = links.address(ROOT)
    for path in [*LESSONS, *(FOLDER / "solutions").glob("*.ipynb")]:
        text = path.read_text(encoding="utf-8")
        assert links.INSTALL.replace("{address}", where) in cells(text)
        assert links.with_install(text, where) == text, "run python notebooks/links.py"
    page = (ROOT / links.PAGE).read_text(encoding="utf-8")
    assert links.with_links(page, where, [path.name for path in LESSONS]) == page


def cells(text):
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]


def test_a_new_address_is_written_to_every_notebook_and_to_the_page(links, checkout):
    assert len(links.write(checkout)) == 2 * len(LESSONS) + 1
    assert links.write(checkout) == []
    for path in checkout.glob("notebooks/**/*.ipynb"):
        old = json.loads((FOLDER / path.relative_to(checkout / "notebooks")).read_text("utf-8"))
        new = json.loads(path.read_text(encoding="utf-8"))
        changed = [a["id"] for a, b in zip(old["cells"], new["cells"], strict=True) if a != b]
        assert changed == ["install"]
        assert f'REPOSITORY = "{ADDRESS}"' in "".join(new["cells"][1]["source"])
    page = (checkout / links.PAGE).read_text(encoding="utf-8")
    for name in (path.name for path in LESSONS):
        assert (
            f"(https://colab.research.google.com/github/someone/something/blob/main/notebooks/{name})"
            in page
        )
        assert (
            f"(https://mybinder.org/v2/gh/someone/something/main?labpath=notebooks/{name})" in page
        )


def test_without_the_package_the_checkout_around_the_notebook_is_installed(links, installed):
    cell = links.INSTALL.replace("{address}", ADDRESS)
    for folder in (ROOT, FOLDER, FOLDER / "solutions"):
        assert installed(cell, folder) == f'install --quiet "maclip-lab[lab] @ {ROOT.as_uri()}"'


def test_without_a_checkout_the_repository_is_installed_or_asked_for(links, installed, tmp_path):
    cell = links.INSTALL.replace("{address}", ADDRESS)
    assert installed(cell, tmp_path) == f'install --quiet "maclip-lab[lab] @ git+{ADDRESS}"'
    with pytest.raises(AssertionError, match="fill in REPOSITORY"):
        installed(links.INSTALL.replace("{address}", ""), tmp_path)


def test_a_host_that_no_service_opens_gets_no_links(links):
    for address in ("", "https://example.org/name"):
        text = "\n".join(links.links(address, ["00_quickstart.ipynb"]))
        assert "colab.research" not in text
        assert (address or "not given yet") in text
