import numpy as np
import pytest

from backbones.captions import (
    CONCEPTS,
    CONTENTS,
    FAULTS,
    SEEN_TYPES,
    acceptance,
    concept_harms,
    content_acceptance,
    content_captions,
    fault_acceptance,
    fault_captions,
    overall_harm,
    quality_captions,
)
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.prompts import CLIP_IQA_PROMPTS, MACLIP_PROMPTS


def one_type(name: str, severities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    types = np.full((len(severities), 3), -1)
    types[:, 0] = SEEN_TYPES.index(name)
    return types, np.stack([severities, 0 * severities, 0 * severities], axis=1)


def test_the_prompts_of_both_methods_come_first_and_nothing_twice():
    captions = quality_captions()
    expected = [text for pair in MACLIP_PROMPTS + CLIP_IQA_PROMPTS for text in pair]
    assert [c.text for c in captions[: len(expected)]] == expected
    assert [c.sign for c in captions[: len(expected)]] == [1, -1] * 6
    spoken = [c.text.lower() for c in captions] + fault_captions()
    assert len(spoken) == len(set(spoken))
    assert len(tokenize([*spoken, *content_captions()]).unique(dim=0)) == len(spoken) + 16


@pytest.mark.parametrize("name", SEEN_TYPES)
def test_more_harm_never_wins_praise(name: str):
    types, severities = one_type(name, np.linspace(0, 1, 6))
    captions = quality_captions()
    accepted = acceptance(concept_harms(types, severities), captions)
    praise = np.array([c.sign for c in captions]) > 0
    assert np.all(np.diff(accepted[:, praise], axis=0) < 0)
    assert np.all(np.diff(accepted[:, ~praise], axis=0) > 0)
    assert accepted.min() > 0
    assert accepted.max() < 1


def test_plain_antonyms_share_the_viewers():
    types, severities = one_type("jpeg", np.linspace(0, 1, 6))
    accepted = acceptance(concept_harms(types, severities), quality_captions()[:12])
    np.testing.assert_allclose(accepted[:, ::2] + accepted[:, 1::2], 1)


def test_blur_harms_sharpness_more_than_colour_and_the_halo_harms_both():
    types, severities = one_type("gaussian_blur", np.array([0.8]))
    harms = concept_harms(types, severities)[0]
    sharpness, colour = CONCEPTS.index("sharpness"), CONCEPTS.index("colour")
    assert harms[sharpness] > harms[colour] > 0


def test_harms_add_up_within_the_unit_interval_and_what_is_absent_counts_for_nothing():
    severities = np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.5, 0.5, 0.0], [1.0, 0.5, 0.2]])
    np.testing.assert_allclose(overall_harm(severities), [0, 0.5, 0.75, 1])
    assert concept_harms(np.full((1, 3), -1), np.full((1, 3), 0.9)).max() == 0


def test_fault_captions_follow_their_own_degradation_alone():
    types, severities = one_type("jpeg", np.array([0.05, 0.45, 0.95]))
    accepted = fault_acceptance(types, severities)
    named = 2 * list(FAULTS).index("jpeg")
    there, strong = accepted[:, named], accepted[:, named + 1]
    np.testing.assert_array_equal(there > 0.5, [False, True, True])
    np.testing.assert_array_equal(strong > 0.5, [False, False, True])
    assert np.delete(accepted, [named, named + 1], axis=1).max() < 0.1


def test_content_is_told_of_clear_pictures_and_fades_with_their_claim():
    contents = np.random.default_rng(0).normal(size=(50, len(CONTENTS)))
    clear = content_acceptance(contents, np.ones(50))
    worse = content_acceptance(contents, np.full(50, 0.4))
    assert clear.shape == (50, len(content_captions()))
    np.testing.assert_allclose(clear[:, ::2] + clear[:, 1::2], 1)
    assert np.all((clear[:, ::2] > 0.5) == (contents > contents.mean(axis=0)))
    np.testing.assert_allclose(worse - 0.5, 0.4 * (clear - 0.5))
