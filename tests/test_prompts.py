from copy import deepcopy

import pytest
import torch

from maclip_lab.prompts import PROMPT_SETS, encode_prompts, prompt_pairs, unread_words
from maclip_lab.weights.loading import load_backbone


def test_pairs_are_found_by_the_name_of_their_set_or_taken_as_given():
    assert prompt_pairs("clip-iqa") == (("Good photo.", "Bad photo."),)
    assert prompt_pairs([["a calm sea", "a wild sea"]]) == (("a calm sea", "a wild sea"),)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ("maklip", "no prompt set is called 'maklip'; known are maclip, clip-iqa"),
        ([], "at least one prompt pair"),
        ([("good",)], r"expected pairs of \(positive, negative\) texts, got \('good',\)"),
        (["good", "bad"], r"expected pairs of .*, got \('good',\)"),
        ([("good", " ")], "expected pairs"),
        ([("good", 3)], "expected pairs"),
    ],
)
def test_anything_else_is_refused_by_value(prompts, message):
    with pytest.raises(ValueError, match=message):
        prompt_pairs(prompts)


@pytest.mark.parametrize("name", ["tiny-rn", "tiny-vit"])
def test_words_that_an_embedded_backbone_has_never_read_are_named(name):
    clip = load_backbone(name).clip
    known = [text for pairs in PROMPT_SETS.values() for pair in pairs for text in pair]
    assert unread_words(clip, known) == []
    with pytest.warns(UserWarning, match="never read 'Dull', 'thingamajig': .* other words"):
        encode_prompts(clip, (("a Dull, dark photo", "Dull thingamajig."),))


def test_a_whole_vocabulary_has_no_unknown_words(golden_clips):
    clip = deepcopy(golden_clips["vit"])
    torch.nn.init.normal_(clip.token_embedding.weight)
    encode_prompts(clip, (("thingamajig", "Dull"),))
