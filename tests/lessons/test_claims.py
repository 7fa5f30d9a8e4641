import numpy as np
import pytest

from maclip_lab.evaluation import Estimate
from maclip_lab.lessons import Claims
from maclip_lab.lessons.claims import Verdict


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


SURE, SURELY_NOT, OPEN = (
    Estimate(0.2, 0.1, 0.3),
    Estimate(-0.2, -0.3, -0.1),
    Estimate(0.1, -0.1, 0.3),
)


def test_a_sentence_of_the_paper_agrees_disagrees_or_cannot_be_told():
    claim = Claims()
    agrees, disagrees, open_ = (claim.paper("two beat one", by) for by in (SURE, SURELY_NOT, OPEN))
    assert repr(agrees) == "✓ as in the paper: two beat one: +0.20 [+0.10, +0.30]"
    assert repr(disagrees).startswith("✗ unlike the paper, it is not so that two beat one")
    assert repr(open_).startswith("… cannot tell whether, with the paper, two beat one")
    assert [verdict.good for verdict in (agrees, disagrees, open_)] == [True, False, None]


@pytest.mark.parametrize("by", [SURE, SURELY_NOT, OPEN])
def test_nothing_is_as_in_the_paper_where_the_score_knows_nothing(by):
    verdict = Claims().paper("two beat one", by, needs=[OPEN])
    assert verdict.good is None
    assert "as in the paper" not in verdict.text
    assert "does not surely follow quality" in verdict.text


def test_a_measured_sentence_is_no_error_where_it_is_denied():
    verdict = Claims(strict=True).measured("blur is seen", SURELY_NOT)
    assert repr(verdict) == "✗ not so: blur is seen: -0.20 [-0.30, -0.10]"
    assert Claims().measured("steady", Estimate(0.01, 0.0, 0.02), within=0.03)


def test_an_identity_is_marked_and_its_failure_is_always_an_error():
    assert repr(Claims().identity(True, "weights sum to one")) == "= weights sum to one"
    with pytest.raises(AssertionError, match="holds by construction"):
        Claims(strict=False).identity(False, "weights sum to one")


def test_the_summary_says_each_sentence_once_and_as_it_came_out_last():
    claim = Claims(strict=False)
    claim(True, "first")
    claim.paper("second", OPEN)
    claim(False, "first")
    summary = claim.summary()
    assert [verdict.good for verdict in summary.verdicts] == [False, None]
    assert repr(summary).count("\n") == 1
    assert summary._repr_html_().count("<br>") == 1
    assert Claims().summary().verdicts == ()
