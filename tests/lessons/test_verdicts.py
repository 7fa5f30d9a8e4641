import pytest

from maclip_lab.lessons.verdicts import Prediction, Verdict


def test_html_is_escaped_and_keeps_its_own_background():
    shown = Verdict("✗", "<b> a < b")._repr_html_()
    assert "&lt;b&gt; a &lt; b" in shown
    assert "background:white" in shown
    assert [bool(Verdict(mark, "")) for mark in "✓=✗…"] == [True, True, False, False]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (None, "✓ these data say: the length"),
        ("the length", "✓ well predicted, these data say: the length"),
        ("the <shape>", "✗ you predicted: the <shape>; these data say: the length"),
    ],
)
def test_a_prediction_is_held_against_the_data(said, shown):
    guess = Prediction("Which?", ["the length", "the <shape>"])
    guess._radio.value = said
    assert repr(guess.reveal("the length")) == shown
    with pytest.raises(ValueError, match="'neither' is none"):
        guess.reveal("neither")


def test_without_a_kernel_it_is_text():
    shown = Prediction("Which?", ["the length", "the <shape>"])._repr_mimebundle_()
    assert "<li>the &lt;shape&gt;</li>" in shown["text/html"]
    assert shown["text/plain"] == "Which?\n- the length\n- the <shape>"
    assert "application/vnd.jupyter.widget-view+json" in shown
