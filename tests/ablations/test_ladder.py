import numpy as np
import pytest

from maclip_lab.ablations import RatedSet, ladder
from maclip_lab.ablations.ladder import RUNGS
from tests.rated_world import rated_set


def test_each_rung_is_the_one_below_and_its_step():
    rated = rated_set(cosine=0.6, evenness=0.5, whole=True)
    table = ladder(rated)
    assert tuple(table["rung"]) == RUNGS
    np.testing.assert_allclose(table["srcc"].diff(), table["step"], atol=1e-12)
    assert table["step"].isna().tolist() == [True, False, False, False]
    assert table["srcc"].iloc[1] == pytest.approx(rated.srcc(rated.table["q_cos"]).value)
    assert table["srcc"].iloc[3] == pytest.approx(rated.srcc(rated.table["score"]).value)
    assert (table["step_lo"].iloc[1:] <= table["step"].iloc[1:]).all()


def test_without_whole_pictures_there_is_no_first_rung():
    rated = rated_set(30)
    with pytest.raises(ValueError, match="without its whole pictures"):
        ladder(RatedSet(rated.features, rated.anchors))
