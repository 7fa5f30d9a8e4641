from maclip_lab.datasets import Edition, synthetic
from maclip_lab.lessons import dataset
from maclip_lab.lessons.dataset import open_dataset, work_folder


def test_without_a_folder_all_notebooks_share_one(tmp_path, monkeypatch):
    edition = Edition("synthetic", ("jpeg",), (5,), (64, 48))
    monkeypatch.setitem(synthetic.EDITIONS, "synthetic", edition)
    monkeypatch.setattr(dataset, "work_folder", lambda *parts: tmp_path.joinpath(*parts))
    assert open_dataset("Synthetic").root == tmp_path / "synthetic"
    assert open_dataset("synthetic", tmp_path / "own").root == tmp_path / "own"


def test_a_checkout_keeps_what_it_makes_in_its_build_folder():
    folder = work_folder("features")
    assert folder.parts[-3:] == ("build", "notebooks", "features")


def test_an_installed_package_keeps_it_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "data_path", lambda: tmp_path / "maclip_lab" / "data")
    monkeypatch.setenv("MACLIP_LAB_CACHE", str(tmp_path / "cache"))
    assert work_folder("features") == tmp_path / "cache" / "notebooks" / "features"
