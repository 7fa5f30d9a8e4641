import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from maclip_lab.crops import Protocol
from maclip_lab.cues import magnitude_cue
from maclip_lab.features.cues import StoredCues
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.lessons.drawings import (
    details_html,
    equal_scores,
    number_html,
    scatter_svg,
    thumbnail_html,
)
from maclip_lab.lessons.explorer import PRESETS, RANGES, STOPS, Explorer, ExplorerModel

PICTURES, CROPS, D = 12, 3, 64
FEATURES = torch.randn(PICTURES * CROPS, D, generator=torch.Generator().manual_seed(0))
FEATURES[::4] **= 3  # heavy tails, where Box-Cox bends most
Q_COS = torch.rand(PICTURES * CROPS, generator=torch.Generator().manual_seed(1))


def cues(*, mos=None, higher_is_better=True, status=("ok",) * PICTURES):
    """Cues of a dozen pictures; one that is not ok has no crops."""
    names = [f"p{i}.png" for i in range(PICTURES)]
    mos = np.linspace(1, 5, PICTURES) if mos is None else mos
    ok = np.flatnonzero(np.array(status) == "ok")
    kept = np.concatenate([np.arange(i * CROPS, (i + 1) * CROPS) for i in ok])
    q_mag = {lam: magnitude_cue(FEATURES, lam).numpy()[kept] for lam in STOPS}
    columns = {
        "name": names,
        "path": names,
        "mos": mos,
        "status": status,
        "flags": "",
        "message": "",
    }
    return StoredCues(
        pictures=pd.DataFrame(columns),
        higher_is_better=higher_is_better,
        protocol=Protocol(),
        ok=ok,
        offsets=np.arange(len(ok) + 1) * CROPS,
        grids=np.tile([1, 2], (len(ok), 1)),
        q_cos={"maclip": Q_COS.numpy()[kept]},
        q_mag=q_mag,
        mean_magnitude=np.ones(len(kept), np.float32),
        norm=np.ones(len(kept), np.float32),
    )


@pytest.fixture
def model(tmp_path):
    for i in range(PICTURES):
        Image.new("RGB", (300, 200), (20 * i, 100, 100)).save(tmp_path / f"p{i}.png")
    return ExplorerModel(cues(), tmp_path)


def test_the_magnitude_cue_is_known_wherever_the_slider_can_stand():
    low, high, step = RANGES["box_lam"]
    q_mag = ExplorerModel(cues(), ".").q_mag
    for place in range(round((high - low) / step) + 1):
        lam = low + place * step  # as a browser counts, with the rounding of binary fractions
        expected = magnitude_cue(FEATURES, round(lam, 2)).numpy()
        np.testing.assert_array_equal(q_mag(lam), expected)


def test_a_move_is_the_packages_own_fusion(model):
    settings = FusionSettings(box_lam=0.7, base_cos=0.3, base_norm=0.9, alpha=2.0)
    move = model.move(settings)
    score, w_cos, _ = fuse(Q_COS, magnitude_cue(FEATURES, 0.7), settings)
    expected = score.reshape(PICTURES, CROPS).mean(1).numpy()
    np.testing.assert_allclose(move.table["score"], expected, atol=1e-5)
    np.testing.assert_allclose(
        move.table["w_cos"], w_cos.reshape(PICTURES, CROPS).mean(1).numpy(), atol=1e-5
    )
    assert move.srcc["score"] == pytest.approx(spearmanr(expected, np.arange(12)).statistic)
    assert move.settings == settings


def test_srcc_of_the_cues_stands_beside_that_of_the_score(model):
    q_cos = Q_COS.reshape(PICTURES, CROPS).mean(1)
    expected = spearmanr(q_cos, np.arange(PICTURES)).statistic
    assert model.move().srcc["q_cos"] == pytest.approx(expected)


def test_on_a_dmos_set_correlations_are_turned_round(model, tmp_path):
    lower = ExplorerModel(cues(mos=-np.linspace(1, 5, PICTURES), higher_is_better=False), tmp_path)
    assert lower.move().srcc == pytest.approx(model.move().srcc)
    assert (np.diff(lower.move().table["quality"]) > 0).all()


def test_without_mos_there_are_scores_and_no_srcc(tmp_path):
    move = ExplorerModel(cues(mos=np.full(PICTURES, np.nan)), tmp_path).move()
    assert move.table["score"].notna().all()
    assert all(np.isnan(value) for value in move.srcc.values())
    assert "nan" in number_html(move.srcc, move.halves, move.table)


def test_a_picture_that_cannot_be_read_is_no_choice_and_no_number(tmp_path):
    status = ["ok"] * PICTURES
    status[3] = "missing"
    model = ExplorerModel(cues(status=tuple(status)), tmp_path)
    assert "p3.png" not in model.names
    move = model.move()
    assert np.isnan(move.table["score"][3])
    assert np.isfinite(move.srcc["score"])


@pytest.mark.parametrize("lam", [-0.1, 2.1, 0.77])
def test_a_lambda_beside_the_stops_is_refused(model, lam):
    with pytest.raises(ValueError, match=rf"between 0 and 2 in steps of 0.05 here, got {lam}"):
        model.move(FusionSettings(box_lam=lam))


def test_cues_of_other_lambdas_are_refused(tmp_path):
    given = cues()
    del given.q_mag[STOPS[2]]
    with pytest.raises(ValueError, match="41 STOPS"):
        ExplorerModel(given, tmp_path)


def test_moving_a_slider_changes_everything_that_is_shown(model):
    explorer = Explorer(model, "tiny-rn", chosen=["p1.png"])
    seen = [(explorer.number.value, explorer.scatter.value, explorer.details.value)]
    for name, slider in explorer.sliders.items():
        explorer.reset()
        slider.value = slider.value + 3 * slider.step
        seen.append((explorer.number.value, explorer.scatter.value, explorer.details.value))
        assert getattr(explorer.settings, name) == slider.value
    for shown in zip(*seen, strict=True):
        assert len(set(shown)) == 5


def test_sliders_start_at_the_papers_constants_and_return_to_them(model):
    explorer = Explorer(model, "tiny-rn")
    assert explorer.settings == FusionSettings()
    assert [slider.description for slider in explorer.sliders.values()] == [
        "box_lam", "base_cos", "base_norm", "alpha",
    ]  # fmt: skip
    before = explorer.number.value
    explorer.sliders["box_lam"].value = 1.5
    explorer.reset()
    assert explorer.number.value == before


def test_every_end_of_every_slider_can_be_reached(model):
    explorer = Explorer(model, "tiny-rn")
    for slider in explorer.sliders.values():
        for end in (slider.min, slider.max):
            slider.value = end
            assert "nan" not in explorer.number.value


def test_the_number_is_found_by_its_class(model):
    explorer = Explorer(model, "tiny-rn")
    assert "maclip-score" in explorer.number._dom_classes
    assert f"{model.move().srcc['score']:.3f}" in explorer.number.value


def test_choosing_pictures_changes_the_table_and_the_rings(model):
    explorer = Explorer(model, "tiny-rn")
    explorer.choice.value = ("p2.png", "p5.png", "p7.png")
    assert explorer.scatter.value.count("r='7'") == 3
    for name in explorer.choice.value:
        assert name in explorer.details.value
    assert explorer.details.value.count("<img") == 3
    explorer.choice.value = ()
    assert "r='7'" not in explorer.scatter.value


def test_the_drawing_puts_better_scores_higher_and_hides_no_name(model):
    table = pd.DataFrame({"name": ["a", "b"], "quality": [1.0, 5.0], "score": [0.2, 0.9]})
    svg = scatter_svg(table, table, [], "a <b> title", "MOS")
    heights = [float(part.split("'")[0]) for part in svg.split("cy='")[1:]]
    assert heights[1] < heights[0]
    assert "&lt;b&gt;" in svg


def test_a_click_on_a_dot_chooses_its_picture_alone_again_and_again(model):
    explorer = Explorer(model, "tiny-rn", chosen=["p1.png", "p2.png"])
    for name in ("p4.png", "p7.png", "p4.png"):
        assert f"<title>{name}</title>" in explorer.scatter.value
        assert f"<title>{name}</title>" in explorer.plane.value
        explorer.clicked.value = name  # as the drawing's script does
        assert explorer.choice.value == (name,)
        assert explorer.details.value.count("<img") == 1
        assert name in explorer.details.value
        explorer.choice.value = ()
    explorer.clicked.value = "gone.png"
    assert explorer.choice.value == ()


def test_without_a_kernel_a_still_picture_of_the_same_stands_there(model):
    explorer = Explorer(model, "tiny-rn")
    shown = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    for part in (explorer.number, explorer.scatter, explorer.plane, explorer.details):
        assert part.value in shown["text/html"]


def test_the_papers_scores_stay_as_ghosts_while_the_dots_move(model):
    table = pd.DataFrame({"name": ["a", "b"], "quality": [1.0, 5.0], "score": [0.2, 0.9]})
    before = scatter_svg(table, table, [], "", "MOS")
    after = scatter_svg(table.assign(score=[0.4, 99.0]), table, [], "", "MOS")
    ghosts, dots = (after.split("<g fill")[i].count("<circle") for i in (1, 2))
    assert (ghosts, dots) == (2, 2)
    assert before.split("<g fill")[1] == after.split("<g fill")[1]
    assert before.split("<text")[1:] == after.split("<text")[1:]  # the axes stay, whatever comes
    assert "cy='30.0'" in after  # what leaves them stays at their edge


@pytest.mark.parametrize("settings", PRESETS.values(), ids=PRESETS)
def test_lines_of_equal_score_run_through_crops_of_that_score(settings):
    x, y = equal_scores(settings, 1.5)
    score = fuse(torch.from_numpy(x), torch.from_numpy(y), settings)[0].numpy()
    assert len(x) > 100
    np.testing.assert_allclose(10 * score, np.round(10 * score), atol=5e-3)
    assert (x.min() >= 0, x.max() <= 1, y.min() >= 0, y.max() <= 1.5) == (True,) * 4


def test_two_halves_of_the_pictures_are_judged_apart_and_versions_stay_together(tmp_path):
    references = np.arange(PICTURES) // 2
    move = ExplorerModel(cues(), None, references).move()
    assert ExplorerModel(cues(), None, references).move().halves == move.halves
    table = move.table
    found = {
        round(spearmanr(table["score"][rows], table["quality"][rows]).statistic, 9)
        for chosen in itertools.combinations(range(PICTURES // 2), PICTURES // 4)
        for rows in [np.isin(references, chosen)]
    }
    assert {round(srcc, 9) for srcc in move.halves} <= found


def test_a_preset_moves_all_sliders_at_once(model):
    explorer = Explorer(model, "tiny-rn")
    for name, settings in PRESETS.items():
        explorer.go(settings)
        assert explorer.settings == settings, name
        assert f"{model.move(settings).halves[1]:.3f}" in explorer.number.value


def test_without_pictures_there_are_numbers_and_drawings_alone():
    explorer = Explorer(ExplorerModel(cues(), None), "tiny-rn", chosen=["p1.png"])
    assert "features only" in explorer.details.value
    assert "<circle" in explorer.plane.value


def test_a_name_cannot_smuggle_markup_into_the_table(model):
    row = model.move().table.head(1).assign(name="<script>")
    assert "<script>" not in details_html(row, ["x"])


def test_a_picture_that_is_gone_is_said_so(tmp_path):
    assert "(unreadable)" in thumbnail_html(tmp_path / "gone.png")
