"""The explorer's page as a reader gets it, one file in a folder, beside the package's numbers."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

import maclip_lab as ml
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.fusion import FusionSettings
from maclip_lab.lessons.outputs import explorer_page
from tests.conftest import needs_chromium
from tests.notebooks.test_browser import LIMIT_MS, screenshot

PLACES = {
    "between two nodes": FusionSettings(box_lam=0.35, base_cos=-1.3, base_norm=0.2, alpha=2.4),
    "ends": FusionSettings(box_lam=2.0, base_cos=-2.0, base_norm=2.0, alpha=5.0),
    "logarithm": FusionSettings(box_lam=0.0, alpha=0.0),
}
WIDE = {"width": 1280, "height": 600}

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page alone in a folder."""
    cells = ml.Lesson("05").cells
    path = tmp_path_factory.mktemp("alone") / "explorer.html"
    rated = [cells[cell] for cell in cells if cell[1] != "severity"]
    path.write_text(explorer_page(rated), encoding="utf-8")
    return path


@pytest.fixture
def page(browser, file):
    opened = browser.new_page(viewport=WIDE)
    opened.set_default_timeout(LIMIT_MS)
    wrong = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: said.type in ("error", "warning") and wrong.append(said.text))
    opened.on("request", lambda asked: asked.url.startswith("file:") or wrong.append(asked.url))
    opened.goto(file.as_uri())
    yield opened
    assert wrong == []
    opened.close()


def signed(number):
    return f"{number:+.3f}".replace("-", "−")


def places(page, plot, dots="dots"):
    """Where a plot's dots stand, ``(N, 2)`` in its own units."""
    script = "dots => dots.map(dot => [dot.getAttribute('cx'), dot.getAttribute('cy')].map(Number))"
    return np.array(page.locator(f"#{plot} .{dots} circle").evaluate_all(script))


@pytest.mark.parametrize(("backbone", "pack"), [("tiny-rn", "CLIVE"), ("tiny-vit", "BIQ2021")])
def test_scores_and_agreement_are_the_packages_own(page, backbone, pack):
    page.get_by_role("combobox", name="pictures").select_option(pack)
    page.get_by_role("combobox", name="seen by").select_option(backbone)
    rated = ml.Lesson("05").cells[backbone, pack]
    held_out = np.array(page.evaluate("state.set.held_out"))
    assert held_out.sum() == rated.n // 2
    presets = {name: FusionSettings(**place) for name, place in page.evaluate("PRESETS").items()}
    assert presets["paper"] == FusionSettings()
    for name, settings in (presets | PLACES).items():
        if name in presets:
            page.get_by_role("button", name=name, exact=True).click()
        else:
            page.evaluate("settings => go(settings)", vars(settings))
        expected = score_store(rated.stored(settings.box_lam), settings=settings)
        assert page.evaluate("state.set.names") == expected["name"].tolist()
        rows = page.evaluate("state.rows")
        for column in ("score", "q_cos", "q_mag", "w_cos"):
            shown = [row[column] for row in rows]
            np.testing.assert_allclose(shown, expected[column], atol=1e-5, err_msg=name)
        srcc = [
            spearmanr(expected["score"][part], expected["mos"][part]).statistic
            for part in (held_out | True, ~held_out, held_out)
        ]
        agreement = page.evaluate("Object.values(agreement(state.set, state.rows))")
        np.testing.assert_allclose(agreement, srcc, atol=1e-6, err_msg=name)
        shown = page.locator("#three b").all_inner_texts()
        assert shown == [signed(value).removeprefix("+") for value in srcc]
    tied = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], [2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4]
    shared = page.evaluate("([x, y]) => spearman(x, y)", tied)
    assert shared == pytest.approx(spearmanr(*tied).statistic, abs=1e-12)


@pytest.mark.parametrize("name", ["box_lam", "base_cos", "base_norm", "alpha"])
def test_each_slider_moves_dots_lines_and_numbers_by_the_keyboard(page, name):
    def seen():
        lines = page.locator("#plane .curves").get_attribute("d")
        return lines, places(page, "scatter").tolist(), page.evaluate("state.rows[0].score")

    def still():
        axes = page.locator("svg .tick").all_text_contents()
        return axes, *(places(page, plot, "ghost").tolist() for plot in ("plane", "scatter"))

    before, fixed, cues = seen(), still(), places(page, "plane")
    page.get_by_role("slider", name=name).focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    after = seen()
    assert after[1:] != before[1:]
    assert (after[0] == before[0]) == (name == "box_lam")  # the lines are drawn over both cues
    assert (places(page, "plane") == cues).all() == (name != "box_lam")
    assert still() == fixed
    page.get_by_role("button", name="paper").click()
    assert seen() == before


def test_what_leaves_the_axes_stays_at_their_edge_and_is_counted(page):
    page.evaluate("go({...PAPER, box_lam: 2})")
    assert page.locator("#plane-note").inner_text() == "332 beyond the axes stay at the edge"
    page.get_by_label("all of it").check()
    assert page.locator("#plane-note").inner_text() == ""
    assert places(page, "plane")[:, 1].min() > 20


def test_a_dot_names_its_picture_and_the_list_rings_it(page):
    scores = page.evaluate("state.rows.map(row => row.score)")
    names = page.evaluate("state.set.names")
    lowest = int(np.argmin(scores))
    x, y = places(page, "scatter")[lowest]
    box = page.locator("#scatter svg").bounding_box()
    at = {"x": x * box["width"] / 440, "y": y * box["height"] / 370}
    page.locator("#scatter svg").hover(position=at)
    assert page.locator("#plane .tip").text_content() == names[lowest]
    page.locator("#scatter svg").click(position=at)
    page.mouse.move(0, 0)
    listed = page.locator("#picture")
    assert listed.input_value() == str(lowest)
    assert f"{scores[lowest]:.3f}" in page.locator("#details").inner_text()
    listed.focus()
    page.keyboard.press("ArrowDown")
    following = int(listed.input_value())
    ring = float(page.locator("#scatter .ring").get_attribute("cx"))
    assert ring == pytest.approx(places(page, "scatter")[following][0], abs=0.1)
    rank = rankdata(page.evaluate("state.set.mos"), "dense")
    assert rank[following] == rank[lowest] - 1


def test_tuning_raises_the_half_it_sees_and_says_what_the_other_half_makes_of_it(page):
    held_out = page.evaluate("state.set.held_out")
    page.get_by_role("button", name="tune on one half").click()
    before = page.evaluate("state.before")
    after = page.evaluate("agreement(state.set, state.rows)")
    assert after["tuned"] > before["tuned"] + 0.005
    tuned, held = (signed(after[part] - before[part]) for part in ("tuned", "held"))
    assert page.locator("#tuned-change").inner_text() == f"({tuned})"
    assert page.locator("#held-change").inner_text() == f"({held})"
    assert page.locator("#best").inner_text() == (
        f"Best place on the half to tune on so far: {tuned} there, and {held} on the half held out."
    )
    page.get_by_role("button", name="new halves").click()
    drawn = page.evaluate("state.set.held_out")
    assert drawn != held_out
    assert sum(drawn) == len(drawn) // 2


def test_what_moves_fits_into_600_pixels_and_a_plot_with_the_sliders_into_a_phones(page):
    for part in ("#controls", "#plane", "#scatter"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= WIDE["height"], part
    screenshot(page, "explorer")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    plot = page.locator("#plane svg").bounding_box()
    sliders = page.locator("#sliders").bounding_box()
    assert plot["width"] > 340
    assert sliders["y"] + sliders["height"] - plot["y"] < 800 - 60


def test_the_page_says_that_no_picture_is_here_and_asks_nothing_of_anyone(page, file):
    text = file.read_text(encoding="utf-8")
    assert len(text) < 3_000_000
    assert "http" not in text
    assert "not here" in page.locator("footer").inner_text()
