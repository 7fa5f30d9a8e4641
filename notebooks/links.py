"""Writes the repository's address, which stands in pyproject.toml alone, to where readers need it.

    python notebooks/links.py

That is each notebook's cell that installs the package where it is missing, and the links that open
a notebook on Colab or Binder in docs/teaching.md. Outputs are not touched, and nothing is executed.
"""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path("docs", "teaching.md")
MARKS = "<!-- links: written by notebooks/links.py -->", "<!-- end of links -->"
INSTALL = """\
# only where the package is missing, as on Colab: installs it from the checkout around this notebook, or
# else from its repository, whose address notebooks/links.py writes here from pyproject.toml
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = "{address}"
if find_spec("maclip_lab") is None:
    around = [folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "maclip_lab").is_dir()]
    assert around or REPOSITORY, "fill in REPOSITORY, such as https://example.org/name, and run this cell again"
    source = around[0].as_uri() if around else f"git+{REPOSITORY}"
    %pip install --quiet "maclip-lab[lab] @ {source}\""""
"""The first code cell of every notebook; ``{address}`` is the repository's."""


def address(root: Path) -> str:
    """The repository's address by ``[project.urls]``; nothing where none is given."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"].get("Repository", "").removesuffix("/").removesuffix(".git")


def with_install(text: str, address: str) -> str:
    """A notebook's text with the cell ``install`` as it should be."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell.get("id") == "install":
            cell["source"] = INSTALL.replace("{address}", address).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def with_links(text: str, address: str, notebooks: list[str]) -> str:
    """A page's text with a row of links for each notebook between the marks."""
    first, last = MARKS
    lines = "\n".join(links(address, notebooks))
    return re.sub(f"{first}.*?{last}", lambda _: f"{first}\n{lines}\n{last}", text, flags=re.S)


def links(address: str, notebooks: list[str]) -> list[str]:
    """The lines between the marks: a table, or a sentence where no service knows the address."""
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        place = address or "not given yet"
        return [
            f"The address of this repository: {place}. Colab and Binder open one on GitHub: give it as `Repository`",
            "in `pyproject.toml`, run `python notebooks/links.py`, and links stand here.",
        ]
    name = address.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{name}/blob/main/notebooks"
    binder = f"https://mybinder.org/v2/gh/{name}/main?labpath=notebooks"
    rows = [f"| {n} | [Colab]({colab}/{n}) | [Binder]({binder}/{n}) |" for n in notebooks]
    return ["| notebook | | |", "| --- | --- | --- |", *rows]


def write(root: Path) -> list[Path]:
    """Writes the address everywhere below ``root``; returns the files that changed."""
    lessons = sorted((root / "notebooks").glob("*.ipynb"))
    solutions = sorted((root / "notebooks" / "solutions").glob("*.ipynb"))
    changed = []
    for path in [*lessons, *solutions, root / PAGE]:
        old = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            new = with_install(old, address(root))
        else:
            new = with_links(old, address(root), [lesson.name for lesson in lessons])
        if new != old:
            path.write_text(new, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    print(address(ROOT) or "pyproject.toml names no repository", *write(ROOT), sep="\n")
