"""Random axes, means that leave a picture out of its own, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from maclip_lab.ablations.controls import PREDICTIONS, mean_features, random_rotations
from maclip_lab.ablations.rated import Rated
from maclip_lab.crops import NATIVE
from maclip_lab.errors import DatasetError
from maclip_lab.features.features import StoreError
from maclip_lab.features.packs import open_pack
from maclip_lab.files.identity import data_path
from tests.rated_world import CROPS, given_features, rated_set


def seen(name="mine", features=None, **given):
    made = rated_set(**given)
    if features is not None:
        made.features = given_features(features, {"mos": np.linspace(0, 1, len(features))})
    return Rated(made.features, made.anchors, name=name)


def test_rotations_keep_every_angle_and_length_and_are_those_of_one_large_draw():
    features = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    for turn in random_rotations(16, 3):
        turned = features @ turn
        torch.testing.assert_close(turned @ turned.T, features @ features.T, atol=1e-4, rtol=1e-4)
    generator = torch.Generator().manual_seed(0)
    together = torch.linalg.qr(torch.randn(6, 48, 48, generator=generator))[0]
    assert torch.equal(torch.stack(list(random_rotations(48, 6))), together)


def test_a_picture_is_left_out_of_its_own_mean_with_all_its_versions():
    alone, references = seen(n=12), np.repeat(["a", "b", "c"], 4)
    for rated, photographs in ((alone, np.arange(12)), (seen(n=12, ref_id=references), references)):
        means = mean_features(rated)
        for i in (0, 5, 7):
            others = photographs[rated.picture] != photographs[i]
            torch.testing.assert_close(means[i], rated.crops[torch.from_numpy(others)].mean(0))


def test_the_mean_of_another_set_or_its_part_is_one_but_for_pictures_in_both():
    rated, others = seen(n=9), seen("others", n=8, seed=1)
    means = mean_features(rated, others)
    torch.testing.assert_close(means, others.crops.mean(0).expand(9, -1))
    means = mean_features(rated, others, np.arange(8) < 3)
    torch.testing.assert_close(means[0], others.crops[: 3 * CROPS].mean(0))
    torch.testing.assert_close(mean_features(rated, seen(n=9)), mean_features(rated))


def test_a_mean_is_refused_in_words_where_it_says_nothing():
    rated, others, other_weights = seen(n=6), seen("others", n=5), seen("others", n=5)
    other_weights.features.config.weights_sha256 = "other"
    alone = seen(features=torch.randn(1, CROPS, 16))
    alike = seen(features=torch.ones(4, CROPS, 16))
    for error, said, *asked in (
        (StoreError, "different weights, known and other", rated, other_weights),
        (DatasetError, "fewer than two pictures", rated, others, np.arange(5) == 2),
        (DatasetError, "fewer than two pictures", alone),
        (DatasetError, "are alike", rated, alike),
        (DatasetError, "are alike", alike),
    ):
        with pytest.raises(error, match=said):
            mean_features(*asked)


def test_every_prediction_asks_for_what_notebook_10_computes():
    page = (data_path().parent / "notebooks" / "10_reproduce.ipynb").read_text(encoding="utf-8")
    for name in {*PREDICTIONS["larger"], *PREDICTIONS["than"], *PREDICTIONS["given"]}:
        assert name in page


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
    assert counts.min() == counts.max() >= 10
    known = table.set_index(["network", "set", "cue"])["srcc"]
    for dataset, name in (("clive-part", "CLIVE"), ("biq2021-part", "BIQ2021")):
        network = "tiny-vit-untrained-1"
        pack = open_pack(data_path("packs", f"{dataset}.{network}.safetensors"))
        twin = Rated(pack.crops, pack.anchors, name=name)
        for cue in ("q_mag", "norm"):
            found = twin.srcc(twin.table[cue]).value
            assert found == pytest.approx(known[network, name, cue], abs=0.02)
