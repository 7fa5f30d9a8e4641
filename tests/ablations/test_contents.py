import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import wasserstein_distance

from maclip_lab.ablations.contents import (
    content_distances,
    content_groups,
    distance_change,
    mean_distance,
    stage_distances,
)
from maclip_lab.cues import box_cox, scaled_magnitude


class Store:
    """A store of which only what `content_groups` reads is there."""

    def __init__(self, references, features, ok=None, classes=None):
        classes = classes or [None] * len(references)
        table = pd.DataFrame({"ref_id": references, "subset": classes})
        self.manifest = type("M", (), {"table": table})
        self.table = self.manifest.table
        self.ok = np.arange(len(references)) if ok is None else np.array(ok)
        self._features = features

    def features(self, i):
        return self._features[i][None]


def test_contents_are_the_references_where_a_set_names_them():
    store = Store(["a", "a", "b"], torch.zeros(3, 4))
    found = content_groups(store)
    assert (found.tolist(), found.name) == (["a", "a", "b"], "reference")


def test_contents_are_the_classes_where_a_set_names_those_and_no_references():
    store = Store([None] * 3, torch.zeros(3, 4), classes=["dog", "cat", "dog"])
    found = content_groups(store)
    assert (found.tolist(), found.name) == (["dog", "cat", "dog"], "class")
    one = Store([None] * 3, torch.eye(3), classes=["training"] * 3)
    assert content_groups(one, n_groups=2).name == "cluster"


def test_contents_without_references_are_clusters_of_directions_whatever_the_lengths():
    east, north = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    features = torch.stack([east, 9 * east, 5 * north, north, 2 * east])
    found = content_groups(Store([None] * 5, features), n_groups=2, seed=1)
    assert found.nunique() == 2
    assert found[0] == found[1] == found[4]
    assert found[2] == found[3] != found[0]


def test_a_picture_without_features_has_no_content():
    found = content_groups(Store([None] * 3, torch.eye(3), ok=[0, 2]), n_groups=2)
    assert found.isna().tolist() == [False, True, False]


def test_distances_are_those_of_scipy_in_standard_deviations_of_all_values():
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(0, 1, 50), generator.normal(3, 2, 70)])
    labels = ["a"] * 50 + ["b"] * 70
    found = content_distances(values, labels)
    expected = wasserstein_distance(values[:50], values[50:]) / values.std()
    assert found.loc["a", "b"] == found.loc["b", "a"] == pytest.approx(expected)
    assert found.loc["a", "a"] == 0
    assert mean_distance(found) == pytest.approx(expected)


def test_a_change_of_unit_changes_no_distance():
    values, labels = np.random.default_rng(1).exponential(size=90), np.repeat(list("abc"), 30)
    pd.testing.assert_frame_equal(
        content_distances(values, labels), content_distances(250 * values + 7, labels)
    )


@pytest.mark.parametrize(("values", "labels"), [([1.0, 2.0], "aa"), ([1.0, 1.0], "ab")])
def test_one_group_or_constant_values_have_no_distances(values, labels):
    with pytest.raises(ValueError, match="at least two groups"):
        content_distances(values, list(labels))


def test_contents_that_move_closer_have_an_interval_above_zero():
    rng = np.random.default_rng(0)
    groups = np.repeat(list("abcdefgh"), 50)
    own = np.repeat(rng.normal(size=8), 50)
    noise = rng.normal(size=400)
    far, near = (content_distances(share * own + noise, groups) for share in (2.0, 0.2))
    change = distance_change(far, near)
    assert change.value == pytest.approx(mean_distance(far) - mean_distance(near))
    assert change.low > 0
    assert distance_change(near, far).high < 0
    assert [*distance_change(far, far)] == [0, 0, 0]


def test_the_stages_are_those_of_the_magnitude_cue():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(12, 32, generator=generator) * torch.arange(1, 13)[:, None]
    given, divided, bent = stage_distances(Store(list("aaabbbcccddd"), features)).values()
    assert mean_distance(divided) < mean_distance(given)
    expected = content_distances(
        box_cox(scaled_magnitude(features)).flatten().numpy(), np.repeat(list("abcd"), 96)
    )
    pd.testing.assert_frame_equal(bent, expected)


def test_few_contents_give_no_interval():
    far = content_distances([0.0, 1.0, 0.5, 3.0], list("aabb"))
    assert np.isnan(distance_change(far, far / 2).low)
