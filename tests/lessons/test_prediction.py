import pytest

from maclip_lab.lessons import predict

CHOICES = ["the length", "the <shape>"]


def test_where_nothing_was_predicted_the_data_still_say_what_is_so():
    assert repr(predict("Which?", CHOICES, "the length").reveal()) == (
        "✓ these data say: the length"
    )


def test_a_prediction_is_held_against_the_data():
    guess = predict("Which?", CHOICES, "the length")
    guess._radio.value = "the length"
    assert "well predicted" in repr(guess.reveal())
    guess._radio.value = "the <shape>"
    verdict = guess.reveal()
    assert not verdict
    assert "you predicted: the <shape>; these data say: the length" in repr(verdict)


def test_without_a_kernel_it_is_text_with_the_answer_folded_away():
    shown = predict("Which?", CHOICES, "the length")._repr_mimebundle_()
    before, _, folded = shown["text/html"].partition("<details>")
    assert "<li>the &lt;shape&gt;</li>" in before
    assert "these data" not in before
    assert folded.endswith("the length</details>")
    assert shown["text/plain"] == "Which?\n- the length\n- the <shape>"
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_an_answer_has_to_be_among_the_choices():
    with pytest.raises(ValueError, match="'neither' is none"):
        predict("Which?", CHOICES, "neither")
