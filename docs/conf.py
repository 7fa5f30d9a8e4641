"""The site: this repository's own pages and executed notebooks, drawn by Sphinx.

The source is the whole checkout, so a link works alike on the site and where the files are read as
they lie. Nothing is executed and nothing fetched: mathematics becomes MathML, the theme and the
search are files of the site.
"""

import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

from pages import write_pages  # noqa: E402

import maclip_lab  # noqa: E402
from maclip_lab.lessons.outputs import explorer_page  # noqa: E402

project = "maclip_lab"
author = "The maclip_lab authors"
copyright = f"{author}; MIT licence"
release = maclip_lab.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "README"
APPENDED = {"README": "contents.md", "docs/datasets": "generated/cards.md"}
include_patterns = [
    "docs/**",
    "README.md",
    "notebooks/*.ipynb",
    "benchmarks/README.md",
    "data/*/README.md",
    "tests/faults/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SCALING.md",
    "SECURITY.md",
]
exclude_patterns = [".*", "build", "dist", "maclip_lab", "docs/contents.md"]
exclude_patterns += ["docs/generated/cards.md", "docs/generated/gallery.md"]
default_role = "py:obj"

nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # a static page has no kernel, and its script would come from a network
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
maximum_signature_line_length = 60
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"maclip_lab {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_additional_pages = {"index": "redirect.html"}
html_math_renderer = "mathml"
html_sourcelink_suffix = ""  # so that a notebook can be downloaded under its own name
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00507a", "color-brand-content": "#00507a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ee", "color-brand-content": "#7cc4ee"},
}


def inline_math(writer: nodes.NodeVisitor, node: nodes.math) -> None:
    """Writes a formula in a line as MathML, which browsers draw themselves."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_math(writer: nodes.NodeVisitor, node: nodes.math_block) -> None:
    """Writes a formula of its own line; it scrolls where a page is too narrow."""
    formula = convert(node.astext(), display="block")
    writer.body.append(f'<div class="math">{formula}</div>')
    raise nodes.SkipNode


def adapt(app: Sphinx, docname: str, source: list[str]) -> None:
    """Gives pages that are read in the repository as well what only the site can show there."""
    if docname in APPENDED:
        source[0] += (DOCS / APPENDED[docname]).read_text(encoding="utf-8")
    elif docname.startswith("notebooks/"):  # solutions are downloads, not pages
        source[0] = source[0].replace("](solutions/", "](path:solutions/")


def forget_builtins(app: Sphinx, env: BuildEnvironment) -> None:
    """Keeps the index of sources from naming one that has no page."""
    getattr(env, "_viewcode_modules", {}).pop("builtins", None)


EXPLORER_FOOT = (
    '<p><a href="README.html">The project</a> · <a href="docs/method.html">the method on one '
    'page</a> · <a href="notebooks/05_fusion.html">the notebook, for your own pictures</a> · '
    '<a href="data/packs/README.html">where opinions and features come from</a></p>'
)


def write_explorer(app: Sphinx, error: Exception | None) -> None:
    """Puts the explorer, a page that stands alone, beside the others."""
    if error is None:
        cells = maclip_lab.Lesson("05").cells
        rated = [cells[cell] for cell in cells if cell[1] != "severity"]
        page = explorer_page(rated, foot=EXPLORER_FOOT)
        (Path(app.outdir) / "explorer.html").write_text(page, encoding="utf-8")


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Gives a notebook's figures their alternative text.

    That which its cell gives; else the heading above says what is asked, the first sentence below
    what there is to see.
    """
    for image in doctree.findall(nodes.image):
        cells = [node for node in ancestors(image) if "cell_metadata" in node.attributes]
        if cells and "alt" in cells[0]["cell_metadata"]:
            image["alt"] = cells[0]["cell_metadata"]["alt"]
        if image.get("alt"):
            continue
        section = image
        while not isinstance(section, nodes.section):
            section = section.parent
        words = [section.next_node(nodes.title).astext()]
        below = image.next_node(nodes.paragraph, ascend=True)
        if below is not None and section in ancestors(below):
            words.append(" ".join(below.astext().split()).partition(". ")[0])
        image["alt"] = ": ".join(words)


def ancestors(node: nodes.Node) -> list[nodes.Element]:
    """The nodes above a node, from the nearest on."""
    above = []
    while node.parent is not None:
        node = node.parent
        above.append(node)
    return above


def setup(app: Sphinx) -> None:
    """Adds what Sphinx lacks."""
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("builder-inited", write_pages)
    app.connect("source-read", adapt)
    app.connect("env-updated", forget_builtins)
    app.connect("doctree-read", describe_figures)
    app.connect("build-finished", write_explorer)
