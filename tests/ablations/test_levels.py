import numpy as np
import pandas as pd
import pytest

from maclip_lab.ablations import cue_changes, directions, srcc_by_mixture
from tests.rated_world import rated_set


@pytest.fixture
def rated():
    """Twelve photographs; blur lowers the cue by 0.1 a level, noise raises it by 0.2."""
    rows = [(f"ref{i}", "pristine", 0) for i in range(12)]
    rows += [
        (f"ref{i}", kind, level)
        for i in range(12)
        for kind in ("blur", "noise")
        for level in (1, 3)
    ]
    facts = pd.DataFrame(rows, columns=["ref_id", "dist_type", "dist_level"])
    one = rated_set(len(rows), **{name: facts[name].tolist() for name in facts})
    slope = facts["dist_type"].map({"pristine": 0.0, "blur": -0.1, "noise": 0.2})
    own = facts["ref_id"].str[3:].astype(float) / 1000
    one.table["q_mag"] = own + slope * facts["dist_level"]
    one.quality[:] = 5.0 - facts["dist_level"]
    return one


def test_changes_are_against_the_clean_version_of_the_same_photograph(rated):
    changes = cue_changes(rated)
    means = changes.groupby(["dist_type", "dist_level"])["change"].agg(["mean", "std"])
    assert means["mean"].to_dict() == pytest.approx(
        {("blur", 0): 0, ("blur", 1): -0.1, ("blur", 3): -0.3,
         ("noise", 0): 0, ("noise", 1): 0.2, ("noise", 3): 0.6}
    )  # fmt: skip
    assert means["std"].max() < 1e-9
    assert directions(changes).to_dict() == pytest.approx({"blur": -0.3, "noise": 0.6})


def test_parts_of_a_mixture_can_point_apart(rated):
    table = srcc_by_mixture(rated, cue_changes(rated)).set_index("mixture")
    lower, higher, everything = table["srcc"]
    assert lower > 0.9
    assert higher < -0.9
    assert abs(everything) < 0.3
    assert table["kinds"].tolist() == [1, 1, 2]


def test_a_set_without_kinds_and_levels_is_refused():
    with pytest.raises(ValueError, match="does not name kinds, levels"):
        cue_changes(rated_set(20))


def test_mixtures_that_no_kind_belongs_to_are_left_out(rated):
    changes = cue_changes(rated)
    changes["change"] = -np.abs(changes["change"])
    assert len(srcc_by_mixture(rated, changes)) == 2
