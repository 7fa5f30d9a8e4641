"""A notebook's set-up: sets, cells, checks, the matrix, exercises and files."""

from itertools import product
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

import maclip_lab as ml
from maclip_lab.datasets import DatasetError, Edition, synthetic
from maclip_lab.evaluation import Estimate
from maclip_lab.lessons import lesson, outputs
from maclip_lab.lessons.lesson import extract, open_set, work_folder
from tests.store_world import RN


@pytest.fixture(scope="module", autouse=True)
def lab():
    """Of the shipped sets, without weights; the house style ends with these tests."""
    with mpl.rc_context():
        lab = ml.Lesson("04")
        lab._open_scorer = None
        yield lab


def estimate(value, p, **more):
    return Estimate(value, value - 0.1, value + 0.1, p, 100, 100, "jackknife-t", **more)


def test_the_cells_are_both_backbones_on_three_sets_and_what_is_asked_comes_first(lab):
    shipped = product(("tiny-rn", "tiny-vit"), ("CLIVE", "BIQ2021", "severity"))
    assert list(lab.cells) == list(shipped)
    own = ml.Lesson("04", "mine.safetensors", "mine=list.csv")
    assert list(own.cells)[:2] == [("mine.safetensors", "mine"), ("mine.safetensors", "severity")]
    assert list(own.cells)[2:] == list(lab.cells)
    assert ("mine.safetensors-untrained-2", "mine") in own.twins
    assert set(lab.twins) < set(own.twins)
    assert {"mine.safetensors", "mine"} <= set(ml.plots.PALETTE)
    assert lab.cells["tiny-vit", "BIQ2021"].table["clip_iqa"].notna().all()


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


def test_sixty_clean_photographs_and_a_harmed_copy_of_each_are_at_hand(lab):
    for backbone, clean in lab.clean.items():
        levels = clean.table["dist_level"].to_numpy()
        assert (clean.n, (levels == 0).sum()) == (120, 60)
        assert set(levels) == {0, 3, 4, 5}
        theirs = clean.features.config.weights_sha256
        assert theirs == lab.cells[backbone, "CLIVE"].features.config.weights_sha256


def test_a_part_of_the_set_asked_for_is_no_longer_what_the_prose_was_written_for(lab):
    few = ml.Lesson("04", n_pictures=40)
    assert (lab.asked.n, few.asked.n) == (332, 40)
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


@pytest.fixture
def own(tmp_path):
    """A folder of four pictures, and a list of three of them."""
    for i in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / f"p{i}.png")
    (tmp_path / "own.csv").write_text("image,mos\np0.png,0\np1.png,1\np2.png,2\n")
    return tmp_path


def picture_names(name, root=None, **choices):
    """Names of the pictures that a notebook shows one by one."""
    return [path.name for path in ml.Lesson("00", dataset=name, root=root, **choices).pictures]


def test_a_synthetic_set_is_made_where_all_notebooks_share_it_or_where_it_is_asked_for(
    tmp_path, monkeypatch
):
    edition = Edition("synthetic", ("jpeg",), (5,), (64, 48))
    monkeypatch.setitem(synthetic.EDITIONS, "synthetic", edition)
    monkeypatch.setattr(lesson, "work_folder", lambda *parts: tmp_path.joinpath("build", *parts))
    assert open_set("Synthetic").root == tmp_path / "build" / "synthetic"
    assert open_set("synthetic", tmp_path / "own").root == tmp_path / "own"
    assert open_set("synthetic", store=tmp_path / "kept").root == tmp_path / "kept" / "synthetic"


def test_a_checkout_keeps_what_it_makes_in_its_build_folder_and_others_in_the_cache(
    tmp_path, monkeypatch
):
    assert work_folder("features").parts[-3:] == ("build", "notebooks", "features")
    monkeypatch.setattr(lesson, "data_path", lambda: tmp_path / "maclip_lab" / "data")
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    assert work_folder("features") == tmp_path / "cache" / "notebooks" / "features"


def test_a_list_has_the_name_it_is_given_and_is_opened_as_it_is_told(own):
    manifest = open_set(f"holiday={own / 'own.csv'}")
    assert (manifest.dataset, len(manifest)) == ("holiday", 3)
    (own / "own.csv").write_text("image,DMOS,Note\np0.png,1,7\np1.png,2,9\n")
    told = {"score_column": "Note", "path_column": "image"}
    assert picture_names(str(own / "own.csv"), **told) == ["p0.png", "p1.png"]
    assert open_set(str(own / "own.csv"), **told).table["mos"].tolist() == [7, 9]


def test_pictures_come_from_a_folder_or_ones_own_list_and_a_few_are_always_the_same(own):
    everything = [f"p{i}.png" for i in range(4)]
    sources = {str(own): everything, str(own / "own.csv"): everything[:3]}
    sources[f"holiday={own / 'own.csv'}"] = everything[:3]
    for name, listed in sources.items():
        assert picture_names(name) == picture_names(name, n_pictures=99) == listed
        few = picture_names(name, n_pictures=2)
        assert len(few) == 2
        assert few == picture_names(name, n_pictures=2)
    assert picture_names("synthetic", own) == everything


def test_a_set_without_a_root_is_shown_by_the_shipped_photographs():
    assert len(picture_names("spaq")) == 12
    assert picture_names("spaq") == picture_names("synthetic")
    with pytest.raises(ValueError, match="nowhere"):
        picture_names("nowhere")


def test_a_shipped_set_is_its_pack_whatever_the_root_and_needs_no_store(tmp_path, monkeypatch):
    monkeypatch.setattr(lesson, "work_folder", lambda *parts: tmp_path / "none")
    rated = ml.Lesson("04", dataset="CLIVE-part", root=tmp_path).asked
    assert (rated.n, rated.name, rated.features.manifest.has_pictures) == (332, "CLIVE", False)
    assert not (tmp_path / "none").exists()
    with pytest.raises(DatasetError, match=r"no pack of biq2021-part as rn\.safetensors sees it"):
        ml.Lesson("04", "rn.safetensors", "biq2021-part").asked  # noqa: B018


def test_a_variant_is_of_a_published_set_and_of_nothing_else(own, monkeypatch):
    asked = []
    monkeypatch.setattr(lesson, "open_dataset", lambda *_, **choices: asked.append(choices))
    for name in ("KonIQ-10k", "synthetic", f"koniq={own / 'own.csv'}", str(own / "own.csv")):
        open_set(name, own, variant="paper")
    assert [choices.get("variant") for choices in asked] == ["paper", None, None, None]


@pytest.mark.parametrize(
    ("cell", "terminal", "is_watched"),
    [({}, True, False), ({"cellId": "a"}, False, True), (None, True, True), (None, False, False)],
)
def test_features_lie_in_the_store_that_is_named_and_only_a_spectator_is_told(
    own, monkeypatch, capsys, cell, terminal, is_watched
):
    kernel = SimpleNamespace(get_parent=lambda: {"metadata": cell})
    monkeypatch.setattr(lesson, "get_ipython", lambda: None if cell is None else kernel)
    scorer, manifest = ml.Maclip(RN, device="cpu"), open_set(str(own / "own.csv"))
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    extract(manifest, scorer, own / "store")
    assert (own / "store").is_dir()
    said = capsys.readouterr()
    assert ("crops to encode" in said.out) == is_watched
    assert ("3/3" in said.err) == is_watched
