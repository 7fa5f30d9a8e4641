import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from maclip_lab.crops import protocol_for
from maclip_lab.datasets import DatasetError, open_dataset
from maclip_lab.datasets.degradations import DEGRADATIONS, degrade
from maclip_lab.datasets.synthetic import EDITIONS, Edition, make_synthetic
from maclip_lab.files.identity import data_path

TYPES = ("gaussian_blur", "white_noise", "darken", "patch_shuffle")
DARK = ("darken",)


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two pictures of smooth structure and noise, made from integers alone."""
    folder = tmp_path_factory.mktemp("photos")
    y, x = np.mgrid[:48, :64]
    for name, step in (("first", 3), ("second", 5)):
        grain = np.random.Generator(np.random.PCG64(step)).integers(0, 40, (48, 64))
        planes = [(x * step + grain) % 256, (y * step + grain) % 256, (x + y + grain) % 256]
        Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8)).save(folder / f"{name}.png")
    return [folder / "first.png", folder / "second.png"]


def test_rows_say_what_was_done_to_pixels_that_are_pinned(photos, tmp_path):
    manifest = make_synthetic(tmp_path, Edition("synthetic", TYPES, (1, 5)), photos=photos)
    content = hashlib.sha256()
    for name, path in zip(manifest.table["name"], manifest.paths, strict=True):
        content.update(f"{name} {pixels(path).shape}".encode() + pixels(path).tobytes())
    assert content.hexdigest()[:16] == "42c6eb682c5addc9"
    assert manifest.sha256[:16] == "9d16f40ad3c6dc2e"
    table = manifest.table
    assert len(table) == 2 * (1 + len(TYPES) * 2)
    assert set(table["ref_id"]) == {"first", "second"}
    assert set(table["dist_type"]) == {"pristine", *TYPES}
    assert (table["mos"] == 5 - table["dist_level"]).all()
    assert ((table["dist_level"] == 0) == (table["dist_type"] == "pristine")).all()
    assert (manifest.dataset, manifest.mos_range) == ("synthetic", (0, 5))
    assert manifest.higher_is_better
    assert "pseudo-MOS" in manifest.note
    assert protocol_for(manifest.protocol).resize is None
    assert all(path.is_file() for path in manifest.paths)


def test_right_files_are_kept_and_wrong_ones_made_again(photos, tmp_path):
    edition = Edition("mine", TYPES, (1, 2))
    manifest = make_synthetic(tmp_path, edition, photos=photos)
    content = [path.read_bytes() for path in manifest.paths]
    times = [path.stat().st_mtime_ns for path in manifest.paths]
    manifest.paths[0].write_bytes(content[0][:50])
    manifest.paths[1].unlink()
    make_synthetic(tmp_path, edition, photos=photos)
    assert [path.read_bytes() for path in manifest.paths] == content
    assert [path.stat().st_mtime_ns for path in manifest.paths[2:]] == times[2:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "synthetic.json"]
    assert len(list((tmp_path / "images").iterdir())) == len(manifest)


@pytest.mark.parametrize("junk", ["", "[]", "{", '{"images/first.png": 3}'])
def test_a_damaged_record_only_means_more_work(photos, tmp_path, junk):
    first = make_synthetic(tmp_path, Edition("mine", DARK), photos=photos)
    (tmp_path / "synthetic.json").write_text(junk)
    assert make_synthetic(tmp_path, Edition("mine", DARK), photos=photos).sha256 == first.sha256
    assert len(json.loads((tmp_path / "synthetic.json").read_text())) == 12


def test_the_pictures_are_the_banks_of_a_centre_crop(photos, tmp_path):
    make_synthetic(tmp_path, Edition("mine", DARK, (3,)), photos=photos)  # not taken for right
    manifest = make_synthetic(tmp_path, Edition("mine", DARK, (3,), (32, 16)), photos=photos)
    pristine, dark = map(pixels, manifest.paths[:2])
    np.testing.assert_array_equal(pristine, pixels(photos[0])[16:32, 16:48])
    np.testing.assert_array_equal(dark, degrade(pristine, "darken", level=3))


def test_the_full_edition_is_the_whole_bank_and_the_small_one_has_two_windows(photos, tmp_path):
    manifest = make_synthetic(tmp_path, EDITIONS["synthetic-full"], photos=photos[1:])
    assert (manifest.dataset, set(manifest.table["ref_id"])) == ("synthetic-full", {"second"})
    assert set(manifest.table["dist_type"]) == {"pristine", *DEGRADATIONS}
    assert len(manifest) == 1 + 5 * len(DEGRADATIONS)
    width, height = EDITIONS["synthetic"].size
    assert (width >= 224 + 128, height >= 224) == (True, True)


def test_bad_requests_are_named(photos, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x")
    for edition, pictures, message in (
        (Edition("mine", DARK, (1, 1)), photos, "repeat a picture"),
        (Edition("mine", DARK), photos[:1] * 2, "repeat a picture"),
        (Edition("mine", DARK, size=(100, 100)), photos, "smaller than 100 x 100"),
        (Edition("mine", DARK), [tmp_path / "bad.png"], r"bad\.png' cannot be read"),
    ):
        with pytest.raises(DatasetError, match=message):
            make_synthetic(tmp_path, edition, pictures)


@pytest.mark.parametrize("name", ["synthetic", "Synthetic-Full", "synthetic-demo"])
def test_an_edition_of_the_synthetic_set_is_made_under_its_name(name, tmp_path, monkeypatch):
    edition = Edition(name.lower(), ("jpeg",), (5,), (64, 48))
    monkeypatch.setitem(EDITIONS, edition.name, edition)
    monkeypatch.setattr("maclip_lab.datasets.synthetic.synthetic_folder", tmp_path.joinpath)
    for root in (tmp_path, None):
        manifest = open_dataset(name, root)
        assert manifest.dataset == edition.name
        assert manifest.root == (root or tmp_path / edition.name)
        assert all(path.is_file() for path in manifest.paths)
        assert set(manifest.table["dist_level"]) == {0, 5}
        assert len(manifest) == 2 * len(list(data_path("photos").glob("*.jpg")))
    for choice in ({"variant": "paper"}, {"resolution": "512x384"}, {"scores": "raw"}):
        with pytest.raises(ValueError, match="for the known data sets as published"):
            open_dataset(name, tmp_path, **choice)
