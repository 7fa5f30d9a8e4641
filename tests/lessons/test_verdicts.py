import pytest

from maclip_lab.lessons.verdicts import Prediction, Verdict

CHOICES = ["the length", "the <shape>"]


def test_html_is_escaped_and_keeps_its_own_background():
    shown = Verdict(False, "<b> a < b")._repr_html_()
    assert "&lt;b&gt; a &lt; b" in shown
    assert "background:white" in shown
    assert "✗" in shown


def test_no_verdict_yet_is_not_good():
    assert not Verdict(None, "your turn")


def test_where_nothing_was_predicted_the_data_still_say_what_is_so():
    assert repr(Prediction("Which?", CHOICES).reveal("the length")) == (
        "✓ these data say: the length"
    )


def test_a_prediction_is_held_against_the_data():
    guess = Prediction("Which?", CHOICES)
    guess._radio.value = "the length"
    assert "well predicted" in repr(guess.reveal("the length"))
    guess._radio.value = "the <shape>"
    verdict = guess.reveal("the length")
    assert not verdict
    assert "you predicted: the <shape>; these data say: the length" in repr(verdict)


def test_without_a_kernel_it_is_text():
    shown = Prediction("Which?", CHOICES)._repr_mimebundle_()
    assert "<li>the &lt;shape&gt;</li>" in shown["text/html"]
    assert shown["text/plain"] == "Which?\n- the length\n- the <shape>"
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_an_answer_has_to_be_among_the_choices():
    with pytest.raises(ValueError, match="'neither' is none"):
        Prediction("Which?", CHOICES).reveal("neither")
