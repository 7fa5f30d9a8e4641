from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from maclip_lab import encoder
from maclip_lab.ablations import AUTHORS_GRID, score_store, sweep
from maclip_lab.ablations.sweeps import CROP_GRID, LAMBDA_GRID, RULE_GRID, RULES, named_sweep
from maclip_lab.crops import PreparedPicture, Protocol
from maclip_lab.cues import cosine_cue, magnitude_cue
from maclip_lab.errors import DatasetWarning
from maclip_lab.features import Extractor
from maclip_lab.features.features import store_cues
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Picture
from maclip_lab.prompts import CLIP_IQA_PROMPTS, MACLIP_PROMPTS
from maclip_lab.score import TextAnchors, score_features
from tests.store_world import PlainScorer, grid_of, manifest, picture, pictures

GENERATOR = torch.Generator().manual_seed(3)
ANCHORS = TextAnchors(MACLIP_PROMPTS, torch.randn(10, 48, generator=GENERATOR), 100.0)
BASELINE = TextAnchors(CLIP_IQA_PROMPTS, torch.randn(2, 48, generator=GENERATOR), 100.0)
SETTINGS = FusionSettings(0.3, 0.8, 0.2, 1.5)


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """Nine pictures of several sizes, one of them unreadable, as a store."""
    folder = tmp_path_factory.mktemp("sweeps")
    names = pictures(folder / "p", 8)
    picture(folder / "p" / "large.png", 50, (660, 500))
    (folder / "p" / "bad.png").write_text("no picture")
    rows = manifest(folder / "p", [*names[:4], "bad.png", "large.png", *names[4:]])
    return Extractor(PlainScorer(), folder / "s").crops(rows)


@pytest.fixture(scope="module")
def cues(view):
    lams = [one.box_lam for one in LAMBDA_GRID]
    return store_cues(view, {"maclip": ANCHORS, "clip-iqa": BASELINE}, lams)


def direct(view, settings=SETTINGS):
    """Scores of the readable pictures, one by one through the scorer's own functions."""
    read = (("", Picture(None, "ok"), None, grid_of(view, i), view.features(i)) for i in view.ok)
    return [score_features(PreparedPicture(*parts), ANCHORS, settings) for parts in read]


@pytest.mark.parametrize("box_lam", [-0.5, 0, 0.3, 0.5, 2])
def test_scores_from_the_store_are_those_of_the_scorer(view, box_lam):
    settings = replace(SETTINGS, box_lam=box_lam)
    table = score_store(view, ANCHORS, settings, rule="adaptive")
    assert list(table["path"]) == list(view.manifest.table["path"])
    assert list(table["mos"]) == list(view.manifest.table["mos"])
    assert list(table.loc[view.ok, "status"]) == ["ok"] * 9
    for row, one in zip(table.loc[view.ok].itertuples(), direct(view, settings), strict=True):
        for name in ("score", "q_cos", "q_mag", "w_cos", "mean_magnitude", "norm"):
            assert getattr(row, name) == pytest.approx(one.crops[name].mean(), rel=2e-6)
        assert row.n_crops == one.n_crops
    row = table.loc[4]  # a picture without features
    assert row["status"] == "unsupported"
    assert "bad.png" in row["message"]
    assert row[["score", "q_cos", "q_mag", "w_cos", "norm"]].isna().all()
    assert row["n_crops"] == 0


def test_stored_cues_are_sums_of_float64_so_that_no_processor_ranks_what_is_equal(view, cues):
    features = view.stack().double()  # noqa: PD013 (no table)
    texts = ANCHORS.features.double()
    exact = cosine_cue(features, texts, ANCHORS.logit_scale).mean(-1)
    np.testing.assert_allclose(cues.q_cos["maclip"], exact, rtol=1e-12)
    np.testing.assert_allclose(cues.norm, features.norm(dim=-1), rtol=1e-12)
    np.testing.assert_allclose(cues.mean_magnitude, features.abs().mean(-1), rtol=1e-12)
    np.testing.assert_allclose(cues.q_mag[0.5], magnitude_cue(features), rtol=1e-7)


def test_opinions_that_are_a_methods_own_scores_are_named(tmp_path, recwarn):
    rated = manifest(tmp_path / "p", pictures(tmp_path / "p", 12))
    view = Extractor(PlainScorer(), tmp_path / "s").crops(rated)
    own = score_store(view, ANCHORS)
    for opinions, method in (
        (own["score"].round(7), "MA-CLIP"),
        (-3 * own["score"] + 1, "MA-CLIP"),
        (own["q_mag"], "magnitude cue"),
        (own["score"] * np.arange(12), None),
    ):
        assert not recwarn.list
        table = rated.table.assign(mos=opinions)
        score_store(replace(view, manifest=replace(rated, table=table)), ANCHORS)
        if method is not None:
            said = str(recwarn.pop(DatasetWarning).message)
            assert said.startswith(f"the opinions equal the scores of {method}: this is a method ")
    assert not recwarn.list


@pytest.mark.parametrize("rule", [*RULES[1:], 0.7, 0.0])
def test_every_other_rule_is_its_formula_on_every_crop_and_then_the_mean(view, rule):
    table = score_store(view, ANCHORS, SETTINGS, rule=rule).loc[view.ok]
    weights = {"mean": 0.5, "cosine": 1.0, "magnitude": 0.0}
    for row, one in zip(table.itertuples(), direct(view), strict=True):
        cos, mag = (torch.tensor(one.crops[name].to_numpy()) for name in ("q_cos", "q_mag"))
        weight = weights.get(rule, rule)
        fused = cos * mag if rule == "product" else weight * cos + (1 - weight) * mag
        assert row.score == pytest.approx(float(fused.mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("subset", "protocol"),
    [
        ("thumbnail", Protocol(windows=False)),
        ("windows", Protocol(thumbnail=False)),
        ("stride-256", Protocol(stride=256)),
        ("stride-384", Protocol(stride=384)),
        ("stride-128", Protocol()),
    ],
)
def test_a_subset_of_crops_is_what_that_protocol_would_have_cut(view, tmp_path, subset, protocol):
    other = Extractor(PlainScorer(), tmp_path).crops(view.manifest, protocol)
    ours = sweep(view, ANCHORS, [SETTINGS], crops=[subset])
    theirs = sweep(other, ANCHORS, [SETTINGS]).assign(crops=subset)
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-5)


def test_correlations_are_scipys_on_the_pictures_that_have_both(view, cues):
    kept = view.manifest.table["mos"].to_numpy()[view.ok]
    scores = [one.score for one in direct(view, FusionSettings())]
    turned = replace(view, manifest=replace(view.manifest, higher_is_better=False))
    for table, sign in ((sweep(cues), 1), (sweep(turned, ANCHORS), -1)):
        row = table[table["prompts"] == "maclip"].iloc[0]
        assert row["srcc"] == pytest.approx(sign * stats.spearmanr(scores, kept).statistic)
        plcc = sign * stats.pearsonr(scores, kept).statistic
        assert row["plcc_raw"] == pytest.approx(plcc, rel=1e-5)
        assert (row["n"], row["n_dropped"]) == (9, 1)


def test_every_combination_is_one_row_and_the_grids_are_the_papers(cues):
    table = sweep(cues, settings=AUTHORS_GRID, rules=("adaptive", 0.7), crops=("all", "windows"))
    assert len(table) == 2 * 70 * 2 * 2
    assert not table.duplicated(list(table.columns[:7])).any()
    assert set(table["rule"]) == {"adaptive", "fixed 0.7"}
    assert set(table["base_norm"]) == {-2, -0.2, 0.2, 0.4, 0.6, 1.0, 1.4}
    assert set(table["alpha"]) == {0.2, 0.5, 1.0, 1.5, 2.0}
    usual = table.query("rule == 'adaptive' and crops == 'all' and base_cos == 1 and alpha == 1")
    paper = sweep(cues)
    assert usual.query("base_norm == 0.6")["srcc"].tolist() == paper["srcc"].tolist()
    assert [LAMBDA_GRID[end].box_lam for end in (0, 5, -1)] == [0, 0.5, 2]


def test_what_cannot_be_swept_is_answered_with_what_may_be_asked(view, cues):
    unrated = view.manifest.table.assign(mos=np.nan)
    silent = replace(view, manifest=replace(view.manifest, table=unrated))
    for source, options, said in (
        (cues, {"rules": ["median"]}, r"a rule is one of adaptive, .*got 'median'"),
        (cues, {"rules": [1.5]}, r"weight of the cosine cue in \[0, 1\], got 1.5"),
        (cues, {"crops": ["corner"]}, r"crops are 'all', .*got 'corner'"),
        (cues, {"crops": ["stride-200"]}, "windows every 128 pixels, not every 200"),
        (cues, {"settings": [FusionSettings(9)]}, r"read for box_lam .* not for 9"),
        (cues, {"anchors": ANCHORS}, "features need anchors"),
        (view, {}, "features need anchors"),
        (silent, {"anchors": ANCHORS}, "no scores to compare with"),
    ):
        with pytest.raises(ValueError, match=said):
            sweep(source, **options)
    with pytest.raises(ValueError, match="cues of one prompt set"):
        score_store(cues)


def test_cues_are_the_same_however_the_work_is_cut_over_threads(view, monkeypatch):
    whole, blocks, sizes = store_cues(view, ANCHORS), type(view).blocks, []

    def watched(work, items):
        for result in encoder.map_ahead(work, items):
            sizes.append(result.shape[1])
            yield result

    monkeypatch.setattr("maclip_lab.features.features._SERIAL", 100)
    monkeypatch.setattr(type(view), "blocks", lambda view: blocks(view, crops=9))
    monkeypatch.setattr("maclip_lab.features.features.map_ahead", watched)
    cut = store_cues(view, ANCHORS)
    assert sum(sizes) == view.offsets[-1]
    assert len(sizes) > 4
    np.testing.assert_allclose(cut.q_mag[0.5], whole.q_mag[0.5], rtol=1e-6)
    np.testing.assert_allclose(cut.q_cos["maclip"], whole.q_cos["maclip"], rtol=1e-4)


def test_named_ablations_are_those_of_the_general_sweep(view):
    def encode(prompts):
        pairs = MACLIP_PROMPTS if prompts == "maclip" else prompts
        return ANCHORS if pairs == MACLIP_PROMPTS else replace(BASELINE, pairs=pairs)

    prompts = named_sweep("prompts", view, encode)
    assert len(prompts) == 8
    for row in prompts.itertuples():
        anchors = ANCHORS if row.prompts == "maclip" else BASELINE
        assert row.srcc == sweep(view, anchors)["srcc"][0]
    for grid, options in {
        "rules": {"rules": RULE_GRID},
        "crops": {"crops": CROP_GRID},
        "bases": {"settings": AUTHORS_GRID},
        "lambda": {"settings": LAMBDA_GRID, "rules": ("adaptive", "magnitude")},
    }.items():
        wanted = sweep(view, ANCHORS, **options)
        pd.testing.assert_frame_equal(named_sweep(grid, view, encode), wanted)
