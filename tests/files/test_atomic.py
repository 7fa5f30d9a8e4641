"""A file appears whole or not at all, and what died beside it goes in time."""

import errno
import os
import time
from contextlib import nullcontext

import pytest

from maclip_lab.errors import MaclipError, StorageFullError
from maclip_lab.files import atomic
from maclip_lab.files.atomic import sweep, temporary_beside, write_bytes, write_together


def test_a_file_appears_whole_with_the_users_permissions_and_no_temporary(tmp_path):
    mask = os.umask(0o022)
    try:
        write_bytes(tmp_path / "deep" / "a.bin", b"first")
    finally:
        os.umask(mask)
    write_bytes(tmp_path / "deep" / "a.bin", b"second")
    (path,) = (tmp_path / "deep").iterdir()
    assert (path.name, path.read_bytes()) == ("a.bin", b"second")
    assert path.stat().st_mode & 0o777 == 0o644


def test_files_that_belong_together_appear_only_if_there_is_room_for_all(tmp_path):
    def failing(file):
        raise OSError(errno.ENOSPC, "full", file.name)

    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(StorageFullError, match="no room for the bytes of b") as caught:
        write_together({tmp_path / "a": b"new", tmp_path / "b": failing})
    assert isinstance(caught.value, MaclipError)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "b"))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_what_nobody_has_written_to_for_a_day_is_swept_and_nothing_else(tmp_path):
    day = 24 * 3600
    ages = {
        temporary_beside(tmp_path / "dead.bin"): day + 60,
        tmp_path / ".x.host-7.123.0a0a0a0a.0b0b0b0b.tmp": day + 60,
        temporary_beside(tmp_path / "living.bin"): day - 60,
        tmp_path / "notes.tmp": 9 * day,
        tmp_path / ".hidden.tmp": 9 * day,
        tmp_path / "result.csv": 9 * day,
    }
    for path, age in ages.items():
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    gone = list(ages)[:2]
    assert sorted(sweep(tmp_path)) == sorted(gone)
    assert set(tmp_path.iterdir()) == set(ages) - set(gone)


@pytest.mark.parametrize(
    ("winerror", "refused", "waits"), [(5, 2, 2), (32, 1, 1), (5, 99, 5), (None, 99, 0)]
)
def test_on_windows_a_file_that_is_being_read_is_replaced_once_it_is_free_or_stays(
    tmp_path, monkeypatch, winerror, refused, waits
):
    write_bytes(tmp_path / "a", b"old")
    refusal, replace = PermissionError(13, "Access is denied"), os.replace
    refusal.winerror = winerror
    refusals, waited = [refusal] * refused, []

    def busy(source, target):
        if refusals:
            raise refusals.pop()
        replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", busy)
    monkeypatch.setattr(atomic.time, "sleep", waited.append)
    with pytest.raises(PermissionError) if refused == 99 else nullcontext():
        write_bytes(tmp_path / "a", b"new")
    left = b"old" if refused == 99 else b"new"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", left)]
    assert len(waited) == waits


def test_where_folders_cannot_be_synced_a_file_is_written_all_the_same(tmp_path, monkeypatch):
    opened = os.open

    def windows(path, *flags):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        return opened(path, *flags)

    monkeypatch.setattr(atomic.os, "open", windows)
    write_bytes(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
