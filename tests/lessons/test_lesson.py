"""A notebook's set-up: cells, checks, the matrix, exercises and files."""

from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

import maclip_lab as ml
from maclip_lab.evaluation import Estimate
from maclip_lab.lessons import lesson, outputs


@pytest.fixture(scope="module", autouse=True)
def style():
    """The house style ends with these tests."""
    with mpl.rc_context():
        yield


@pytest.fixture(scope="module")
def lab():
    return ml.Lesson("04")


def estimate(value, p, **more):
    return Estimate(value, value - 0.1, value + 0.1, p, 100, 100, "jackknife-t", **more)


def test_the_cells_are_both_backbones_on_three_sets_and_what_is_asked_comes_first(lab):
    assert list(lab.cells) == [
        (backbone, name)
        for backbone in ("tiny-rn", "tiny-vit")
        for name in ("CLIVE", "BIQ2021", "severity")
    ]
    own = ml.Lesson("04", "mine.safetensors", "mine=list.csv")
    assert list(own.cells)[:2] == [("mine.safetensors", "mine"), ("mine.safetensors", "severity")]
    assert list(own.cells)[2:] == list(lab.cells)
    assert {"mine.safetensors", "mine"} <= set(ml.plots.PALETTE)


def test_a_cell_is_opened_once_and_only_when_it_is_asked_for(monkeypatch):
    opened = []
    monkeypatch.setattr(lesson.Lesson, "_open", lambda self, *which: opened.append(which) or 1)
    lab = ml.Lesson("04")
    assert opened == []
    assert lab.cells["tiny-vit", "CLIVE"] == lab.cells["tiny-vit", "CLIVE"] == 1
    assert opened == [("tiny-vit", "clive-part")]


def test_untrained_networks_of_both_shapes_stand_beside_every_set(lab):
    for backbone, name in lab.cells:
        twins = [network for network, of in lab.twins if of == name and backbone in network]
        assert sum("-untrained-" in network for network in twins) >= 3
    twin = lab.twins["tiny-rn-untrained-0", "CLIVE"]
    assert (twin.n, twin.name, twin.backbone) == (128, "CLIVE", "tiny-rn-untrained-0")
    assert set(twin.table["name"]) < set(lab.asked.table["name"])
    own = ml.Lesson("04", "mine.safetensors", "mine=list.csv")
    assert ("mine.safetensors-untrained-2", "mine") in own.twins
    assert set(lab.twins) < set(own.twins)


def test_sixty_clean_photographs_and_a_harmed_copy_of_each_are_at_hand(lab):
    for backbone, clean in lab.clean.items():
        levels = clean.table["dist_level"].to_numpy()
        assert (clean.n, (levels == 0).sum()) == (120, 60)
        assert set(levels) == {0, 3, 4, 5}
        theirs = clean.features.config.weights_sha256
        assert theirs == lab.cells[backbone, "CLIVE"].features.config.weights_sha256


def test_no_weights_are_loaded_for_the_shipped_sets(lab, monkeypatch):
    monkeypatch.setattr(lab, "_open_scorer", None)
    assert lab.asked.n == 332
    assert lab.cells["tiny-vit", "BIQ2021"].table["clip_iqa"].notna().all()


def test_a_part_of_the_set_asked_for_is_no_longer_what_the_prose_was_written_for(lab):
    few = ml.Lesson("04", n_pictures=40)
    assert few.asked.n == 40
    assert (lab.shipped, few.shipped) == (True, False)
    assert not few.check(False, "a broken sentence")
    with pytest.raises(AssertionError, match="does not hold: a broken sentence"):
        lab.check(False, "a broken sentence")
    with pytest.raises(AssertionError, match="by construction"):
        few.identity(False, "a fault")


def test_the_matrix_judges_all_its_claims_by_one_correction_and_says_so():
    lab, x, sure = ml.Lesson("04"), ("a", "x"), estimate(0.3, 0.001)
    with pytest.raises(ValueError, match="no claim"):
        lab.matrix()
    lab.claim("<clear>", {x: estimate(0.1, 0.5)})
    both = {("a", "y"): estimate(-0.3, 0.001), ("a", "severity"): sure}
    lab.claim("<clear>", {x: sure, **both}, "+", note="<b>")  # said again, it takes its own place
    lab.claim("turned", {x: sure}, "-")
    lab.claim("open", {x: estimate(0.1, 0.03, se=0.06)})
    matrix = lab.matrix()
    assert matrix.table["verdict"].tolist() == [
        *("in the paper's direction", "against it", "the paper's sign"),
        *("against it", "yes"),
    ]
    shown = matrix._repr_html_()
    assert "over the 5 tests of this table" in shown
    assert "&lt;clear&gt;<br><small>&lt;b&gt;</small>" in shown
    lab.claim("wide", {x: estimate(0.1, 0.06, se=0.0576)})
    assert repr(lab.matrix()).splitlines()[-1] == (
        "… wide, a on x: +0.10 [0.00, 0.20], cannot tell, could have shown 0.20"
    )
    assert shown.count("<td></td>") == 4  # cells that were not asked


def test_an_exercise_waits_and_judges_and_never_fails(lab, monkeypatch):
    monkeypatch.setattr(lesson, "judges", lambda: {"04.9": lambda answer, lab: answer > 2})
    assert repr(lab.exercise("04.9", None)) == "… your turn"
    assert lab.exercise("04.9", 3)
    assert not lab.exercise("04.9", 1)
    assert "cannot be judged" in repr(lab.exercise("04.9", "words"))


NOISE = np.random.default_rng(7)
NO_ANSWERS = (
    *("", "noise", [], {}, 0, -1, True, False, float("nan"), print, lambda *given: given),
    lambda *given: np.nan,
)


@pytest.mark.parametrize("number", sorted(lesson.judges()))
def test_neither_nothing_nor_noise_is_ever_an_answer(number, lab):
    for answer in NO_ANSWERS:
        assert not lab.exercise(number, answer), answer
    for _ in range(20):
        noise = NOISE.normal(size=lab.asked.n)
        for answer in (float(noise[0]), tuple(noise[:2]), noise):
            assert not lab.exercise(number, answer)
        assert not lab.exercise(number, lambda *given: NOISE.normal(size=np.shape(given[0])))


def test_what_is_shown_is_written_with_the_table_it_was_drawn_from(monkeypatch, tmp_path):
    shell = SimpleNamespace(display_formatter=DisplayFormatter(), user_ns={})
    monkeypatch.setattr(outputs, "get_ipython", lambda: shell)
    lab = ml.Lesson("04", out=tmp_path)
    table = lab.keep(pd.DataFrame({"x": [0, 1], "y": [2, 3]}))
    figure, ax = plt.subplots()
    ax.plot(table["x"], table["y"])
    ax.set_title("The curve is flat, between 0.3 and 0.7, almost everywhere")
    shell.display_formatter.format(figure)
    plt.close(figure)
    shell.display_formatter.format(table.assign(q_cos=1))
    lab.claim("it", {("a", "x"): estimate(0.2, 0.001)})
    lab.matrix()
    title = "04-01-the-curve-is-flat-between-0-3-and"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"{title}.{form}" for form in ("csv", "pdf", "png")),
        *("04-02-table.csv", "04-02-table.tex", "04-03-matrix.csv", "04-03-matrix.tex"),
    ]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / f"{title}.csv", index_col=0), table)
    assert b"/Type3" not in (tmp_path / f"{title}.pdf").read_bytes()
    assert r"q\_cos" in (tmp_path / "04-02-table.tex").read_text()


def test_the_explorer_is_one_frame_beside_which_no_picture_is_named(lab):
    shown = lab.explorer()._repr_html_()
    frame, _, beside = shown.partition("</iframe>")
    assert lab.asked.table["name"][0] in frame
    assert beside == "<p>Nothing moves here? Run this cell.</p>"


def test_a_cue_of_ones_own_goes_through_the_whole_matrix_as_the_recipe_says():
    page = (ml.data_path().parent / "docs" / "howto.md").read_text(encoding="utf-8")
    recipe = page.split("## Try a cue of your own")[1].split("```python\n")[1].split("```")[0]
    known: dict[str, object] = {}
    exec(recipe, known)
    table = known["lab"].matrix().table
    assert len(table) == 12
    assert table["value"].notna().all()
