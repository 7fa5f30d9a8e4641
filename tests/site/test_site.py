"""The site as a reader gets it: built from this checkout, opened from a folder, with no network."""

import html
import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import maclip_lab
from tests.conftest import needs_chromium
from tests.notebooks.reading import LESSONS, ROOT, figures, read

pytest.importorskip("myst_nb", reason="needs the extra: pip install -e '.[site]'")
pytest.importorskip("furo", reason="needs the extra: pip install -e '.[site]'")

LAID_OUT = ("README.html", "docs/method.html", "notebooks/00_quickstart.html", "explorer.html")
ADDRESS = r"https?://[\w-]+(\.[\w-]+)+([/?#]\S*)?"
MAKE = ["-m", "sphinx", "-qW", "--keep-going", "-j", "auto", "-c", "docs"]

CONTRAST = """() => {
    const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const colour = channels(getComputedStyle(node).backgroundColor);
            if (colour.length && (colour.length < 4 || colour[3] > 0.95)) return colour;
        }
        return [255, 255, 255];
    };
    const texts = document.createTreeWalker(document.querySelector('article'), 4);
    const pale = new Set();
    while (texts.nextNode()) {
        const node = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !node.checkVisibility({opacityProperty: true})
            || node.closest('math, .headerlink, button, style, script')) continue;
        const pair = [channels(getComputedStyle(node).color), behind(node)].map(light);
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        const size = parseFloat(getComputedStyle(node).fontSize);
        if (ratio < (size >= 24 ? 3 : 4.5))
            pale.add(`${ratio.toFixed(1)}: ${texts.currentNode.data.trim().slice(0, 40)}`);
    }
    return [...pale];
}"""
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
    [...document.querySelectorAll('article *')]
        .filter(node => node.getBoundingClientRect().right > innerWidth
            && !node.parentElement.closest('.highlight, .table-wrapper, .text_html, .math'))
        .slice(0, 3).map(node => node.outerHTML.slice(0, 90))"""


@pytest.fixture(scope="module")
def site():
    """The folder of the site, made as ``make site`` makes it."""
    folder = ROOT / "build" / "site"
    command = [sys.executable, *MAKE, "-d", ROOT / "build" / "doctrees", ROOT, folder]
    made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """Every page's text by its file."""
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    return {path: path.read_text(encoding="utf-8") for path in paths}


def links(page):
    return [html.unescape(href) for href in re.findall(r'<a [^>]*?href="([^"]*)"', page)]


def test_every_link_has_its_page_and_its_anchor_or_is_a_well_formed_address(pages):
    anchors = {path: {"", *re.findall(r' id="([^"]+)"', page)} for path, page in pages.items()}
    dead, outside = [], set()
    for path, page in pages.items():
        for href in links(page):
            address = urlsplit(href)
            if address.scheme:
                outside.add(href)
            elif href != "#":
                target = (path.parent / unquote(address.path)).resolve() if address.path else path
                held = anchors.get(target, {address.fragment})
                if not target.exists() or unquote(address.fragment) not in held:
                    dead.append((path.name, href))
    assert dead == []
    assert len(outside) > 10
    malformed = [href for href in outside if not re.fullmatch(ADDRESS, href)]
    assert malformed == []


def test_every_picture_has_words_for_those_who_do_not_see_it(pages):
    figures = [tag for page in pages.values() for tag in re.findall(r"<img [^>]*>", page)]
    assert len(figures) > 40
    for tag in figures:
        words = re.search(r' alt="\s*([^"\s][^"]*)"', tag)
        assert words, tag
        assert not re.search(r"\.(png|svg|jpe?g)$", words[1]), tag


def test_every_notebook_is_shown_whole_and_can_be_downloaded(site, pages):
    for path in LESSONS:
        page = pages[site / "notebooks" / f"{path.stem}.html"]
        button = re.search(r'<a href="([^"]+)" download>Download', page)
        download = (site / "notebooks" / button[1]).resolve()
        assert download.name == path.name
        assert download.read_bytes() == path.read_bytes()
        assert page.count("<img ") >= figures(read(path))


def test_every_public_name_stands_in_the_reference(site):
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as stream:
        held = InventoryFile.load(stream, "", lambda base, to: to)
    known = {name for kind, names in held.items() if kind.startswith("py:") for name in names}
    wanted = set()
    modules = [m.name for m in pkgutil.walk_packages(maclip_lab.__path__, "maclip_lab.")]
    for module in modules:
        for name, value in vars(importlib.import_module(module)).items():
            own = inspect.isclass(value) or inspect.isfunction(value)
            if own and not name.startswith("_") and value.__module__ == module:
                wanted.add(f"{module}.{name}")
    assert len(wanted) > 100
    assert wanted - known == set()


def test_the_prose_is_spelt():
    codespell = shutil.which("codespell") or Path(sys.executable).with_name("codespell")
    if not Path(codespell).exists():
        pytest.skip("needs the extra: pip install -e '.[site]'")
    pages = ["*.md", "docs/*.md", "benchmarks/*.md", "data/*/*.md", "notebooks/*.ipynb"]
    pages += ["course/*.md", "course/*.toml", "course/*.py", "course/handout/*.html"]
    files = [path for pattern in pages for path in ROOT.glob(pattern)]
    ignored = r'"image/(png|jpeg)": ".*"|[A-Za-z0-9+/=]{60,}'
    command = [codespell, "--ignore-regex", ignored, *files, ROOT / "maclip_lab"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_opens_without_error_network_or_sideways_scrolling(site, pages, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    wrong = []
    page.on("pageerror", lambda error: wrong.append((page.url, str(error))))
    page.on("console", lambda said: said.type == "error" and wrong.append((page.url, said.text)))
    page.on("request", lambda asked: asked.url.startswith("http") and wrong.append(asked.url))
    for path in pages:
        if path == site / "index.html":  # leads on to the start page at once
            continue
        page.goto(path.as_uri(), wait_until="load")
        wrong += [(path.name, wide) for wide in page.evaluate(TOO_WIDE)]
    page.close()
    assert wrong == []


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(site, browser, scheme):
    page = browser.new_page(color_scheme=scheme)
    for name in LAID_OUT:
        page.goto((site / name).as_uri())
        assert page.evaluate(CONTRAST) == [], name
    page.close()


@needs_chromium
def test_search_works_from_a_folder(site, browser):
    page = browser.new_page()
    page.goto((site / "search.html").as_uri() + "?q=16-bit+TIFF")
    page.wait_for_selector("ul.search li a")
    hits = page.locator("ul.search li a").evaluate_all("tags => tags.map(tag => tag.href)")
    assert any("howto.html" in href for href in hits)
    page.close()


@needs_chromium
def test_paper_gets_the_page_without_its_menus(site, browser):
    page = browser.new_page()
    page.goto((site / LAID_OUT[2]).as_uri())
    page.emulate_media(media="print")
    for menu in (".sidebar-drawer", ".toc-drawer", ".downloads"):
        assert not page.locator(menu).first.is_visible(), menu
    assert page.locator(".cell_output img").first.is_visible()
    assert page.pdf().startswith(b"%PDF")
    page.close()
