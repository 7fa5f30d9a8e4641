import string

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maclip_lab.clip.tokenizer import encode, tokenize, vocabulary


def test_tokens_are_those_of_the_authors(expected):
    for text, ids in expected["tokens"].items():
        assert tokenize([text])[0].tolist() == ids, text


def test_the_vocabulary_has_the_published_size_and_marks():
    assert len(vocabulary()) == 49408
    assert vocabulary()["<|endoftext|>"] == 49407


@settings(deadline=None)
@given(st.text(st.characters(), max_size=300))
@example("\ud800 image")
def test_any_text_is_tokenised_between_its_marks(text):
    row = tokenize([text], truncate=True)[0]
    assert row.shape == (77,)
    assert row[0] == 49406
    assert 0 <= row.min() < row.max() == 49407
    if len(encode(text)) <= 75:
        assert torch.equal(tokenize([text])[0], row)


@given(st.text(alphabet=string.ascii_letters + " ", max_size=20))
def test_case_and_surrounding_space_do_not_matter(text):
    assert encode(f"  {text} ") == encode(text)
    assert encode(text.upper().lower()) == encode(text.upper())


def test_an_over_long_prompt_is_named_or_cut_on_request_and_keeps_its_end_mark():
    with pytest.raises(ValueError, match=r"'very very.* has 92 tokens, CLIP reads 77"):
        tokenize(["good", "very " * 90])
    row = tokenize(["very " * 90], truncate=True)[0]
    assert (row == 49407).nonzero().tolist() == [[76]]


def test_one_string_is_not_a_list_of_letters():
    with pytest.raises(TypeError, match="wrap one prompt in a list"):
        tokenize("good image")


def test_no_prompts_give_no_rows():
    assert tokenize([]).shape == (0, 77)
    assert tokenize([]).dtype == torch.long
