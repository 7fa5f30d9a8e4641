from types import SimpleNamespace

import pytest
from PIL import Image

from maclip_lab import Maclip
from maclip_lab.crops import Protocol
from maclip_lab.lessons import extraction
from maclip_lab.lessons.extraction import encoding_estimate, extract, extract_both, is_watched
from tests.store_world import RN, manifest, pictures


@pytest.fixture
def rows(tmp_path):
    return manifest(tmp_path / "p", pictures(tmp_path / "p", 6))


@pytest.fixture(scope="module")
def scorer():
    return Maclip(RN, device="cpu")


def front_end(**metadata):
    return lambda: SimpleNamespace(get_parent=lambda: {"metadata": metadata})


def test_a_program_is_no_spectator_and_a_front_end_is(monkeypatch):
    monkeypatch.setattr(extraction, "get_ipython", front_end())
    assert not is_watched()
    monkeypatch.setattr(extraction, "get_ipython", front_end(cellId="a"))
    assert is_watched()
    monkeypatch.setattr(extraction, "get_ipython", lambda: None)
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: True))
    assert is_watched()


def test_the_estimate_counts_the_crops_that_extraction_makes(rows, scorer, tmp_path):
    promised = encoding_estimate(rows, scorer, tmp_path / "s")
    view = extract(rows, scorer, tmp_path / "s")
    assert f"6 pictures, about {view.offsets[-1]} crops" in promised
    assert "every feature is in the store" in encoding_estimate(rows, scorer, tmp_path / "s")
    finer = Protocol("dense", stride=64)
    assert "6 pictures" in encoding_estimate(rows, scorer, tmp_path / "s", protocol=finer)


def test_small_pictures_are_enlarged_and_unreadable_ones_cost_nothing(rows, scorer, tmp_path):
    Image.new("RGB", (50, 100)).save(rows.paths[0])
    rows.paths[1].write_bytes(b"no picture")
    promised = encoding_estimate(rows, scorer, tmp_path / "s")
    view = extract(rows, scorer, tmp_path / "s")
    assert len(view.ok) == 5
    assert f"about {view.offsets[-1]} crops" in promised


def test_only_a_spectator_is_told(rows, scorer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(extraction, "get_ipython", front_end())
    extract(rows, scorer, tmp_path / "quiet")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(extraction, "is_watched", lambda: True)
    crops, whole = extract_both(rows, scorer, tmp_path / "seen")
    said = capsys.readouterr()
    assert "crops to encode" in said.out
    assert "6/6" in said.err
    assert len(crops) == len(whole) == 6
