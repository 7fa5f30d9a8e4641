"""Random axes, means that leave a picture out of its own, whitening, and what is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cosine_similarity

from maclip_lab.ablations.controls import (
    answer_predictions,
    conformity,
    control_scores,
    mean_features,
    partial_srcc,
    random_rotations,
    rotation_null,
    whitened_length,
)
from maclip_lab.ablations.rated import Rated
from maclip_lab.crops import NATIVE
from maclip_lab.errors import DatasetError
from maclip_lab.features.features import StoreError
from maclip_lab.features.packs import open_pack
from maclip_lab.files.identity import data_path
from tests.rated_world import CROPS, given_features, rated_set


def seen(name="mine", **given):
    made = rated_set(**given)
    return Rated(made.features, made.anchors, name=name)


def of_features(features, name="given", **columns):
    table = {"mos": np.linspace(0, 1, len(features)), **columns}
    made = rated_set(n=4, dimensions=features.shape[-1])
    return Rated(given_features(features, table), made.anchors, name=name)


def test_rotations_keep_every_angle_and_length_and_are_those_of_one_large_draw():
    features = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    for turn in random_rotations(16, 3):
        turned = features @ turn
        torch.testing.assert_close(turned @ turned.T, features @ features.T, atol=1e-4, rtol=1e-4)
    generator = torch.Generator().manual_seed(0)
    together = torch.linalg.qr(torch.randn(6, 48, 48, generator=generator))[0]
    assert torch.equal(torch.stack(list(random_rotations(48, 6))), together)


def test_axes_that_carry_quality_are_no_lucky_ones_and_others_are_as_good_as_any():
    rated = seen(evenness=2.0)
    trained = rated.srcc(rated.table["q_mag"]).value
    assert trained > 0.5
    assert (rotation_null(rated, 60) >= trained).sum() < 2
    others = [seen(n=60, seed=seed) for seed in range(4)]
    as_good = [rotation_null(one, 40) >= one.srcc(one.table["q_mag"]).value for one in others]
    assert np.mean(as_good) == pytest.approx(0.5, abs=0.35)


def test_a_picture_is_left_out_of_its_own_mean_with_all_its_versions():
    rated = seen(n=12)
    means = mean_features(rated)
    for i in (0, 5):
        others = rated.crops[torch.from_numpy(rated.picture != i)]
        torch.testing.assert_close(means[i], others.mean(0))
    references = np.repeat(["a", "b", "c"], 4)
    clustered = seen(n=12, ref_id=references)
    means = mean_features(clustered)
    others = clustered.crops[torch.from_numpy(references[clustered.picture] != "b")]
    torch.testing.assert_close(means[4], others.mean(0))
    assert torch.equal(means[4], means[7])


def test_the_mean_of_other_pictures_is_one_and_of_a_part_of_them_where_a_part_is_chosen():
    rated, others = seen(n=9), seen("others", n=8, seed=1)
    means = mean_features(rated, others)
    torch.testing.assert_close(means, others.crops.mean(0).expand(9, -1))
    part = np.arange(8) < 3
    torch.testing.assert_close(
        mean_features(rated, others, part)[0], others.crops[: 3 * CROPS].mean(0)
    )
    same = cosine_similarity(rated.crops, others.crops[: 3 * CROPS].mean(0), dim=1)
    np.testing.assert_allclose(conformity(rated, others, part), rated.means(same), atol=1e-6)


def test_a_picture_that_lies_in_both_sets_is_left_out_too():
    rated = seen(n=10)
    twice = Rated(rated.features, rated.anchors, name="mine")
    torch.testing.assert_close(mean_features(rated, twice), mean_features(rated))
    with pytest.raises(DatasetError, match="whitened by pictures of its own"):
        whitened_length(rated, twice)


def test_the_whitened_length_of_what_whitens_is_one_a_dimension():
    generator = torch.Generator().manual_seed(0)
    shape = torch.diag(torch.linspace(0.2, 3, 6))
    clean = torch.randn(400, CROPS, 6, generator=generator) @ shape + 5
    likely = torch.randn(50, CROPS, 6, generator=generator) @ shape + 5
    far = likely + torch.tensor([2.0, 0, 0, 0, 0, 0])  # far along what hardly varies
    clean, likely, far = of_features(clean, "c"), of_features(likely, "l"), of_features(far, "f")
    assert whitened_length(likely, clean).mean() == pytest.approx(6, rel=0.15)
    assert (whitened_length(far, clean) > whitened_length(likely, clean) + 5).mean() > 0.9


def test_a_mean_is_refused_in_words_where_it_says_nothing():
    rated, others = seen(n=6), seen("others", n=5)
    foreign = SimpleNamespace(protocol=NATIVE, weights_sha256="other")
    other_weights = Rated(replace(others.features, config=foreign), others.anchors, name="others")
    for ask in (mean_features, conformity, whitened_length):
        with pytest.raises(StoreError, match="different weights, known and other"):
            ask(rated, other_weights)
        with pytest.raises(DatasetError, match="fewer than two pictures"):
            ask(rated, others, np.arange(5) == 2)
        with pytest.raises(DatasetError, match="are alike"):
            ask(rated, of_features(torch.ones(5, CROPS, 16), "alike"))
    with pytest.raises(DatasetError, match="fewer than two pictures"):
        mean_features(of_features(torch.randn(1, CROPS, 16)))
    with pytest.raises(DatasetError, match="are alike"):
        mean_features(of_features(torch.ones(4, CROPS, 16)))


PREDICTIONS = pd.read_csv(data_path("predictions.csv"), keep_default_na=False)


def test_predictions_are_answered_by_whole_intervals_and_only_as_far_as_they_can_be():
    rated, clean = seen(n=60, evenness=2.0), seen("clean", n=20, seed=3, dist_level=[0, 4] * 10)
    scores = control_scores(rated, clean)
    names = set(PREDICTIONS["larger"]) | set(PREDICTIONS["than"]) | set(PREDICTIONS["given"])
    assert names <= {*scores, "", "random_axes", "untrained"}
    assert scores["usual"].isna().all()  # ten clean photographs do not whiten
    for backbones in ("resnets", "vits"):
        answers = answer_predictions(rated, clean, backbones=backbones).set_index("id")
        made = PREDICTIONS[PREDICTIONS["backbones"].isin(["all", backbones])]
        assert list(answers.index) == list(made["id"])
        for row in answers.itertuples():
            low, high, least = row.estimate.low, row.estimate.high, row.at_least
            if row.sign == "+":
                wanted = "as predicted" if low > least else "not so" if high < least else None
            else:
                wanted = "as predicted" if -least < low and high < least else None
                wanted = "not so" if low > least or high < -least else wanted
            assert row.verdict == (wanted or "cannot tell")
    assert "60 clean" in answers.loc["P8", "estimate"].reason
    twins = [seen(n=60, evenness=2.0, seed=seed) for seed in (0, 1)]
    with_twins = answer_predictions(rated, clean, twins, "resnets").set_index("id")
    assert np.isfinite(with_twins.loc["P10", "estimate"].value)


def test_a_partial_correlation_leaves_what_the_other_does_not_know():
    rated, noise = seen(n=250), np.random.default_rng(5).normal(size=(4, 250))
    quality = rated.quality.to_numpy() / rated.quality.std()
    known, more = quality + noise[0], quality + noise[1]
    unrelated, copy = noise[2], known + noise[3] / 2
    plain = rated.srcc(known).value
    assert partial_srcc(rated, known, unrelated).value == pytest.approx(plain, abs=0.02)
    assert 0.1 < partial_srcc(rated, known, more).value < plain
    assert abs(partial_srcc(rated, copy, known).value) < 0.2 < rated.srcc(copy).value
    assert np.isnan(partial_srcc(rated, known, known).value)


def test_any_number_of_pictures_has_an_interval():
    rated = seen(n=300, evenness=2.0)
    q_mag, quality = rated.table["q_mag"].to_numpy(), rated.quality.to_numpy()
    own = rated.estimate(lambda rows: np.corrcoef(q_mag[rows], quality[rows])[0, 1])
    assert own.low < own.value < own.high
    assert own.n == 300


def test_the_packs_of_controls_are_small_and_say_what_saw_which_pictures():
    packs = data_path("packs")
    paths = [*packs.glob("*-untrained-*.safetensors"), *packs.glob("*-seed-*.safetensors")]
    assert sum(path.stat().st_size for path in [*paths, *packs.glob("clean.*")]) < 12_000_000
    weights = {}
    for path in paths:
        pack = open_pack(path)
        network = path.name.split(".")[1]
        assert pack.backbone == network
        assert pack.crops.config.protocol.stride == 2 * NATIVE.stride
        weights.setdefault(network, set()).add(pack.crops.config.weights_sha256)
    assert all(len(hashes) == 1 for hashes in weights.values())
    assert len(set.union(*weights.values())) == len(weights) >= 6


def test_what_was_recorded_of_untrained_networks_is_what_their_packs_give():
    table = pd.read_csv(data_path("untrained.csv"))
    counts = table.groupby(["set", "cue", table["network"].str.split("-untrained").str[0]]).size()
    assert set(counts) == {counts.iloc[0]}
    assert counts.iloc[0] >= 10
    known = table.set_index(["network", "set", "cue"])["srcc"]
    for dataset, name in (("clive-part", "CLIVE"), ("biq2021-part", "BIQ2021")):
        network = "tiny-vit-untrained-1"
        pack = open_pack(data_path("packs", f"{dataset}.{network}.safetensors"))
        twin = Rated(pack.crops, pack.anchors, name=name)
        for cue in ("q_mag", "norm"):
            found = twin.srcc(twin.table[cue]).value
            assert found == pytest.approx(known[network, name, cue], abs=0.02)
