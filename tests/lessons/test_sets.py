import pytest

from maclip_lab import Maclip
from maclip_lab.ablations import ladder
from maclip_lab.lessons import open_rated
from tests.store_world import RN, manifest, pictures


@pytest.fixture
def few(tmp_path, monkeypatch):
    """The data sets of a notebook in small: any name opens a few generated pictures."""
    names = pictures(tmp_path / "p", 6)
    opened = []

    def open_dataset(name, root=None, **choices):
        opened.append((name, root, choices))
        rows = manifest(tmp_path / "p", names)
        object.__setattr__(rows, "dataset", name)
        return rows

    monkeypatch.setattr("maclip_lab.lessons.dataset.open_dataset", open_dataset)
    monkeypatch.setattr("maclip_lab.lessons.dataset.work_folder", lambda *parts: tmp_path / "s")
    return opened


def test_opinion_comes_first_and_severity_beside_it(few):
    sets = open_rated("mine", Maclip(RN), "here", seed=3, n_pictures=6)
    assert list(sets) == ["opinion (mine)", "severity (synthetic)"]
    assert few == [("mine", "here", {"n_pictures": 6}), ("synthetic", None, {})]
    assert {one.statistics.seed for one in sets.values()} == {3}


def test_where_severity_is_asked_for_there_is_one_set(few):
    sets = open_rated("synthetic", Maclip(RN), whole=True)
    assert list(sets) == ["severity (synthetic)"]
    assert len(ladder(sets["severity (synthetic)"])) == 4
