import numpy as np
import pandas as pd
import pytest

from maclip_lab.evaluation.ratings import align, aligned_labels, aligned_numbers


def test_usable_rows_have_a_score_and_every_prediction():
    ratings = align({"a": [1, np.nan, 3, 4], "b": [1, 2, np.inf, 4]}, [1, 2, 3, np.nan])
    assert list(ratings.usable(0)) == [True, False, True, False]
    assert list(ratings.usable(0, 1)) == [True, False, False, False]


def test_quality_turns_dmos_round_and_leaves_mos():
    assert list(align({"a": [1, 2]}, [3, 4]).quality) == [3, 4]
    assert list(align({"a": [1, 2]}, [3, 4], higher_is_better=False).quality) == [-3, -4]


@pytest.mark.parametrize(
    ("predictions", "mos", "message"),
    [
        ({"a": [1, 2, 3]}, [1, 2], r"predictions\['a'\] has 3 rows but mos has 2"),
        ({"a": ["x", "y"]}, [1, 2], r"expected numbers in predictions\['a'\]"),
        ({"a": [[1, 2]]}, [1, 2], r"as a vector \(N,\), got shape \(1, 2\)"),
        ({}, [1, 2], "one column per method"),
        (pd.DataFrame([[1, 2]] * 2, columns=["a", "a"]), [1, 2], "names unique"),
        (
            pd.DataFrame({"a": [1, 2]}, index=[5, 6]),
            pd.Series([1, 2]),
            "different pandas indexes; align them first",
        ),
    ],
)
def test_wrong_predictions_say_what_came(predictions, mos, message):
    with pytest.raises(ValueError, match=message):
        align(predictions, mos)


def test_an_unnamed_vector_is_told_to_take_a_name():
    with pytest.raises(TypeError, match="mapping from method to scores"):
        align(np.arange(3.0), [1, 2, 3])


def test_further_columns_must_fit_the_scores():
    assert aligned_numbers(None, [1, 2], "mos_std") is None
    with pytest.raises(ValueError, match="mos_std has 1 rows but mos has 2"):
        aligned_numbers([1.0], [1, 2], "mos_std")
    with pytest.raises(ValueError, match="clusters has no label in 1 of 3 rows"):
        aligned_labels(["a", None, "b"], [1, 2, 3], "clusters")
