import numpy as np
import pytest

from maclip_lab.lessons.claims import Claims, Verdict


def test_a_claim_that_holds_shows_its_sentence():
    verdict = Claims()(True, "blur costs quality")
    assert verdict
    assert repr(verdict) == "✓ blur costs quality"


def test_a_broken_claim_is_an_error_with_the_parameters_it_was_written_for():
    with pytest.raises(AssertionError, match="does not hold: blur costs quality"):
        Claims(strict=True)(False, "blur costs quality")


def test_a_broken_claim_is_a_note_with_other_parameters():
    verdict = Claims(strict=False)(False, "blur costs quality")
    assert not verdict
    assert repr(verdict) == "✗ does not hold with these parameters: blur costs quality"


def test_a_claim_takes_whatever_has_a_truth_value():
    assert Claims()(np.bool_(True), "numpy's truth")
    assert not Claims(strict=False)(np.float64(0), "zero")


def test_a_claim_about_an_array_has_no_truth_value():
    with pytest.raises(ValueError, match="ambiguous"):
        Claims(strict=False)(np.array([True, False]), "some of them")


def test_html_is_escaped_and_keeps_its_own_background():
    shown = Verdict(False, "<b> a < b")._repr_html_()
    assert "&lt;b&gt; a &lt; b" in shown
    assert "background:white" in shown
    assert "✗" in shown


def test_no_verdict_yet_is_not_good():
    assert not Verdict(None, "your turn")
