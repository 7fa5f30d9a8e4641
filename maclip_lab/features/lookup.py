"""Which picture a file is, and what a feature store already knows of it.

A file is what its bytes are: features are found by sha256. A file whose size and times are those
that the store saw is not read again; its time of change cannot be set back, so an edit that keeps
name, size and modification time is noticed too. Where a system keeps no such time, it is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd

from maclip_lab.features.shards import PictureRecord
from maclip_lab.files.identity import content_sha256, file_times

NOT_EXTRACTED = "not_extracted"

_Stat = tuple[str, int, int, int]


class Lookup:
    """What a store's index knows of files: by their times, by their content, by their paths."""

    def __init__(self, index: pd.DataFrame) -> None:
        self._by_stat: dict[_Stat, str] = {}
        self._by_content: dict[str, tuple[PictureRecord, str, int]] = {}
        self._by_path: dict[str, dict[str, PictureRecord]] = {}
        names = [field.name for field in fields(PictureRecord)]
        places = zip(index["shard"], index["row"], strict=True)
        for values, (shard, row) in zip(index[names].to_dict("records"), places, strict=True):
            values["flags"] = tuple(values["flags"].split())
            record = PictureRecord(**values)
            self._by_path.setdefault(record.path, {})[record.sha256] = record
            if record.sha256:
                self._by_stat[_stat(record)] = record.sha256
                first = self._by_content.get(record.sha256)
                if first is None or (first[0].status != "ok" == record.status):
                    self._by_content[record.sha256] = record, shard, int(row)

    def sha256(self, record: PictureRecord) -> str:
        """Content of a file untouched since the store saw it; empty where the file must be read."""
        return self._by_stat.get(_stat(record), "") if record.ctime_ns else ""

    def has_path(self, path: str) -> bool:
        """Whether the store holds anything under a path."""
        return path in self._by_path

    def result(self, record: PictureRecord) -> PictureRecord | None:
        """What extracting a file of this content gave, under this file's name and times."""
        if record.sha256 not in self._by_content:
            return None
        found = self._by_content[record.sha256][0]
        names = ("path", "size", "mtime_ns", "ctime_ns")
        return replace(found, **{name: getattr(record, name) for name in names})

    def location(self, record: PictureRecord) -> tuple[str, int]:
        """Shard and row of the features of a file of this content."""
        return self._by_content[record.sha256][1:]

    def has_failure(self, record: PictureRecord) -> bool:
        """Whether the store holds exactly this about a file that cannot be read."""
        known = self._by_path.get(record.path, {}).get("")
        return not record.sha256 and known is not None and known.status == record.status

    def touched(self, records: Iterable[PictureRecord]) -> list[PictureRecord]:
        """Those of the files whose times changed while path and content did not."""
        return [
            record
            for record in records
            if _stat(record) not in self._by_stat
            and record.sha256
            and record.sha256 in self._by_path.get(record.path, {})
        ]


def identify(name: str, path: Path, lookups: Sequence[Lookup]) -> PictureRecord:
    """Size, times and content hash of a file; the hash is empty where it cannot be read.

    The lookups spare reading what has not been touched.
    """
    record = PictureRecord(name, "", *file_times(path), status=NOT_EXTRACTED)
    known = next(filter(None, (lookup.sha256(record) for lookup in lookups)), "")
    return replace(record, sha256=known or content_sha256(path))


def untouched(path: Path, record: PictureRecord) -> bool:
    """Whether a file still is what it was when it was identified."""
    return file_times(path) == _stat(record)[1:]


def _stat(record: PictureRecord) -> _Stat:
    return record.path, record.size, record.mtime_ns, record.ctime_ns
