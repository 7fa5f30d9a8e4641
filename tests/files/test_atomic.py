"""A file appears whole or not at all, and what died beside it goes in time."""

import os
import time

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
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.bin"]
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"second"
    assert (tmp_path / "deep" / "a.bin").stat().st_mode & 0o777 == 0o644


def test_files_that_belong_together_appear_only_if_all_can_be_written(tmp_path):
    def failing(file):
        raise StorageFullError(28, "full", file.name)

    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(StorageFullError):
        write_together({tmp_path / "a": b"new", tmp_path / "b": failing})
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


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


def test_a_full_disk_is_an_error_of_ours_and_of_the_system():
    error = StorageFullError(28, "no room", "x")
    assert isinstance(error, MaclipError)
    assert isinstance(error, OSError)
    assert (error.errno, error.strerror, error.filename) == (28, "no room", "x")


def in_use():
    """What Windows says of a file that another process reads."""
    refusal = PermissionError(13, "Access is denied")
    refusal.winerror = 5
    return refusal


def test_on_windows_a_file_that_is_being_read_is_replaced_once_it_is_free(tmp_path, monkeypatch):
    write_bytes(tmp_path / "a", b"old")
    refusals, waits, replace = [in_use(), in_use()], [], os.replace

    def busy(source, target):
        if refusals:
            raise refusals.pop()
        replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", busy)
    monkeypatch.setattr(atomic.time, "sleep", waits.append)
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(waits) == 2


@pytest.mark.parametrize("winerror", [5, None])
def test_a_file_that_stays_refused_is_an_error_and_the_old_one_stays(
    tmp_path, monkeypatch, winerror
):
    write_bytes(tmp_path / "a", b"old")
    refusal, waits = in_use(), []
    refusal.winerror = winerror

    def never(source, target):
        raise refusal

    monkeypatch.setattr(atomic.os, "replace", never)
    monkeypatch.setattr(atomic.time, "sleep", waits.append)
    with pytest.raises(PermissionError):
        write_bytes(tmp_path / "a", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]
    assert bool(waits) == (winerror == 5)


def test_where_folders_cannot_be_synced_a_file_is_written_all_the_same(tmp_path, monkeypatch):
    opened = os.open

    def windows(path, *flags):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        return opened(path, *flags)

    monkeypatch.setattr(atomic.os, "open", windows)
    write_bytes(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
