"""Slides of a lesson: its title, its headings, its questions and its figures, by nbconvert."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from latex2mathml.converter import convert
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from sheets import HERE, NOTEBOOKS, read

LONGEST = 420  # letters of text on a slide; the rest are the speaker's notes
INSIDE = "sphinx_revealjs/_static/revealjs/"  # of the package that carries reveal.js
THEME = r"dist/theme/(white\.css|fonts/source.*\.(css|woff))"
TAKEN = rf"LICENSE|dist/(reveal|reset)\.(js|css)|{THEME}|plugin/notes/notes\.js"


def as_mathml(text: str) -> str:
    """Markdown whose formulas are MathML, which browsers draw themselves."""
    text = re.sub(
        r"\$\$(.+?)\$\$", lambda m: convert(m[1].strip(), display="block"), text, flags=re.S
    )
    return re.sub(r"\$([^$\n]+?)\$", lambda m: convert(m[1]), text)


def slide(cell: NotebookNode, kind: str) -> NotebookNode:
    """The cell, tagged as nbconvert's slides want it."""
    cell.metadata["slideshow"] = {"slide_type": kind}
    return cell


def shown(text: str) -> str:
    """Markdown of a slide: no tags, links or drawings, and no more of a lesson than it asks."""
    text = re.sub(r"</?span[^>]*>|!\[[^]]*\]\([^)]*\)|\*\*You need\*\*.*", "", text, flags=re.S)
    return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text)


def text_slides(text: str) -> list[NotebookNode]:
    """Each heading with the sentences that fit below it, and what follows them as notes."""
    cells = []
    for part in re.split(r"(?m)^(?=#{1,2} )", shown(text)):
        heading, _, rest = part.strip().partition("\n")
        if not heading.startswith("#"):
            cells.append(slide(new_markdown_cell(as_mathml(part)), "notes"))
            continue
        kept, words = "", re.split(r"(?<=[.?!])\s+(?=[A-Z*`\[(])", rest.strip())
        while words and len(kept) + len(words[0]) < LONGEST:
            kept += words.pop(0) + " "
        cells.append(slide(new_markdown_cell(as_mathml(f"{heading}\n\n{kept}")), "slide"))
        if words:
            cells.append(slide(new_markdown_cell(as_mathml(" ".join(words))), "notes"))
    return cells


def deck(notebook: NotebookNode) -> NotebookNode:
    """The notebook as slides: every heading, every question with its choices, every figure."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.split(r"(?m)^## (?:Exercises|Next)", cell.source)[0]
            cells += text_slides(text) if text.strip() else []
            continue
        shows = [o for o in cell.outputs if any(k.startswith("image/") for k in o.get("data", {}))]
        asks = [o for o in cell.outputs if ".predict(" in cell.source]
        if shows or asks:
            cell.outputs = (shows or asks)[:1]
            cells.append(slide(cell, "subslide"))
    notebook.cells = cells
    return notebook


def write_slides(out: Path, wheels: Path) -> str:
    """Writes slides of all lessons into ``out``; returns why there are none, or nothing."""
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    fetch += ["--requirement", str(HERE / "reveal.txt"), "--dest", str(wheels)]
    ways = (["--no-index", "--find-links", str(wheels)], [])  # what was fetched before, else anew
    if all(subprocess.run([*fetch, *way], capture_output=True).returncode for way in ways):
        return "no slides: reveal.js cannot be fetched without a network; the rest is there"
    with zipfile.ZipFile(next(wheels.glob("sphinx_revealjs-*.whl"))) as package:
        for name in package.namelist():
            if re.fullmatch(TAKEN, name.removeprefix(INSIDE)):
                file = out / "reveal.js" / name.removeprefix(INSIDE)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(package.read(name))
    exporter = SlidesExporter(
        template_file=str(HERE / "slides.html.j2"), reveal_url_prefix="reveal.js",
        reveal_theme="white", exclude_input=True,
    )  # fmt: skip
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        page, _ = exporter.from_notebook_node(deck(read(path)))
        (out / f"{path.stem}.html").write_text(page, encoding="utf-8")
    return ""
