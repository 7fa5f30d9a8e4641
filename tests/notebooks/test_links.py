"""The repository's address, in the cell that installs the package and in the links to services."""

import importlib.util
import json
import shutil

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.conftest import script
from tests.notebooks.reading import FOLDER, LESSONS, ROOT, SOLUTIONS, read

links = script(FOLDER / "links.py")
ADDRESS = "https://github.com/someone/something"
SERVICES = (
    "https://colab.research.google.com/github/someone/something/blob/main/notebooks/",
    "https://mybinder.org/v2/gh/someone/something/main?labpath=notebooks/",
)


@pytest.fixture
def installed(monkeypatch):
    """Runs the cell as a kernel without the package does; returns what it gave to pip."""
    find, asked = importlib.util.find_spec, []
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "maclip_lab" else find(n)
    )

    def run(address, folder):
        monkeypatch.chdir(folder)
        shell = InteractiveShell()
        shell.register_magic_function(asked.append, magic_name="pip")
        shell.run_cell(links.INSTALL.replace("{address}", address)).raise_error()
        return asked.pop()

    return run


def test_the_address_of_pyproject_stands_wherever_it_should():
    where = links.address(ROOT)
    for path in LESSONS + SOLUTIONS:
        text = path.read_text(encoding="utf-8")
        assert links.INSTALL.replace("{address}", where) in [c.source for c in read(path).cells]
        assert links.with_install(text, where) == text, "run python notebooks/links.py"
    page = (ROOT / links.PAGE).read_text(encoding="utf-8")
    assert links.with_links(page, where, [path.name for path in LESSONS]) == page


def test_a_new_address_is_written_to_every_notebook_and_to_the_page(tmp_path):
    (tmp_path / "docs").mkdir()
    shutil.copytree(FOLDER, tmp_path / "notebooks")
    shutil.copy(ROOT / links.PAGE, tmp_path / links.PAGE)
    project = f'[project.urls]\nRepository = "{ADDRESS}.git"\n'
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    assert len(links.write(tmp_path)) == 2 * len(LESSONS) + 1
    assert links.write(tmp_path) == []
    for path in tmp_path.glob("notebooks/**/*.ipynb"):
        old = json.loads((FOLDER / path.relative_to(tmp_path / "notebooks")).read_text("utf-8"))
        new = json.loads(path.read_text(encoding="utf-8"))
        changed = [a["id"] for a, b in zip(old["cells"], new["cells"], strict=True) if a != b]
        assert changed == ["install"]
        assert f'REPOSITORY = "{ADDRESS}"' in "".join(new["cells"][1]["source"])
    page = (tmp_path / links.PAGE).read_text(encoding="utf-8")
    assert all(f"({to}{path.name})" in page for to in SERVICES for path in LESSONS)


def test_without_the_package_the_checkout_around_or_else_the_repository_is_installed(
    installed, tmp_path
):
    for folder in (ROOT, FOLDER, FOLDER / "solutions"):
        assert installed(ADDRESS, folder) == f'install --quiet "maclip-lab[lab] @ {ROOT.as_uri()}"'
    assert installed(ADDRESS, tmp_path) == f'install --quiet "maclip-lab[lab] @ git+{ADDRESS}"'
    with pytest.raises(AssertionError, match="fill in REPOSITORY"):
        installed("", tmp_path)


@pytest.mark.parametrize("address", ["", "https://example.org/name"])
def test_a_host_that_no_service_opens_gets_no_links(address):
    text = "\n".join(links.links(address, ["00_quickstart.ipynb"]))
    assert "colab.research" not in text
    assert (address or "not given yet") in text
