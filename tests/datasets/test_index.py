import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maclip_lab.datasets.finding import FileIndex, fold_name
from maclip_lab.errors import DatasetError


def place(root: Path, *files: str) -> FileIndex:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    return FileIndex.scan(root)


PAIR, SUB = ("1024x768/1.jpg", "512x384/1.jpg"), ("Images/sub/1.jpg",)
FOUND = {
    "letter case": (("images/I01_11_1.bmp",), "i01_11_1.BMP", ("images/I01_11_1.bmp",)),
    "backslashes": (SUB, r"Images\sub\1.jpg", SUB),
    "dots and double separators": (SUB, "./images//sub/1.jpg", SUB),
    "both, in capitals": (SUB, r".\IMAGES\sub\1.JPG", SUB),
    "a folder that chooses": (PAIR, "512x384/1.jpg", PAIR[1:]),
    "folders of another machine": (PAIR, "/elsewhere/koniq/1024x768/1.jpg", PAIR[:1]),
    "a folder that disagrees": (PAIR[:1], "512x384/1.jpg", ()),
    "the root as a folder": (("1.jpg",), "root/1.jpg", ("1.jpg",)),
    "a bare name of several": (("a/1.jpg", "b/1.JPG"), "1.jpg", ("a/1.jpg", "b/1.JPG")),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_name_means_the_files_it_may_mean_and_no_others(tmp_path, case):
    files, name, meant = FOUND[case]
    assert place(tmp_path / "Root", *files).candidates(name) == meant


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_file_unzipped_with_backslashes_in_its_name_is_found(tmp_path):
    index = place(tmp_path, r"Images\1.jpg")
    assert index.candidates("1.jpg") == index.candidates("Images/1.jpg") == (r"Images\1.jpg",)


def test_litter_and_what_only_looks_like_a_picture_are_left_out(tmp_path):
    litter = ["__MACOSX/1.jpg", "$RECYCLE.BIN/1.jpg", "desktop.ini", "._1.jpg", ".DS_Store"]
    litter += ["Thumbs.db", "thumbs.DB", ".git/1.jpg"]
    (tmp_path / "x.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    assert place(tmp_path, "1.jpg", *litter).files == ("1.jpg",)


def test_a_root_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "koniq.zip").write_bytes(b"PK")
    with pytest.raises(DatasetError, match=r"koniq\.zip.*unpack the archive"):
        FileIndex.scan(tmp_path / "koniq.zip")
    with pytest.raises(DatasetError, match="nowhere"):
        FileIndex.scan(tmp_path / "nowhere")


WORDS = st.text(st.sampled_from("abcXYZ019 _-.éöñçåÅΩжщ"), min_size=1, max_size=8).filter(
    lambda word: word.strip(" .") == word
)


@settings(deadline=None)
@given(
    st.lists(WORDS, max_size=3),
    st.lists(WORDS, min_size=1, max_size=6, unique_by=fold_name),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from([str.upper, str.lower, str.swapcase, str, fold_name]),
    st.sampled_from(["/", "\\", "//", "/./"]),
)
def test_every_file_is_found_by_any_spelling_and_no_other_is(folders, names, form, case, separator):
    files = tuple("/".join([*folders, name]) for name in names)
    index = FileIndex(Path("/set"), files)
    for file in files:
        spelt = unicodedata.normalize(form, case(file)).replace("/", separator)
        assert index.candidates(spelt) == (file,)


def test_folders_of_a_file_system_without_numbers_are_all_searched(tmp_path, monkeypatch):
    place(tmp_path, "one/a.png", "two/b.png")
    numbered = os.stat

    def windows_share(path, **options):
        facts = list(numbered(path, **options))
        return os.stat_result([facts[0], 0, *facts[2:]])

    monkeypatch.setattr(os, "stat", windows_share)
    assert FileIndex.scan(tmp_path).files == ("one/a.png", "two/b.png")
