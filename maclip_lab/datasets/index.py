"""Finding a data set's files by name, whatever happened to their case on the way.

Annotation files and unpacked archives rarely agree on letter case, Unicode form or separators:
TID2013 alone ships ``i01_01_1.bmp``, ``I01_01_1.bmp`` and ``I01_11_1.BMP``. The index maps a folded
name to the files that bear it and refuses to guess between two.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from maclip_lab.datasets.errors import DatasetError
from maclip_lab.images import EXTENSIONS, is_junk


def fold_name(name: str) -> str:
    r"""The form under which two spellings of a path are the same: POSIX, NFC, lower case.

    >>> fold_name(".\\Images\\T1.BMP")
    'images/t1.bmp'
    """
    parts = [part for part in name.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    if name.isascii():
        return "/".join(parts).lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", "/".join(parts)).lower())


@dataclass(frozen=True)
class FileIndex:
    """The files below a folder, found by name.

    Attributes:
        root: the folder, absolute.
        files: POSIX paths relative to ``root``, in order.
        unreadable: folders below ``root`` that could not be listed.
    """

    root: Path
    files: tuple[str, ...]
    unreadable: tuple[str, ...] = ()

    @classmethod
    def scan(cls, root: str | os.PathLike[str]) -> "FileIndex":
        """Index every file below ``root``, leaving out what systems litter folders with.

        Links are followed, each folder once; ``__MACOSX``, ``Thumbs.db`` and names that begin
        with a dot are skipped.

        Raises:
            DatasetError: ``root`` is not a folder.
        """
        folder = Path(root).expanduser().absolute()
        if not folder.is_dir():
            hint = "; unpack the archive first" if folder.is_file() else ""
            raise DatasetError(f"expected a folder, got {str(folder)!r}, which is not one{hint}")
        unreadable: list[str] = []
        files = tuple(sorted(_walk(str(folder), unreadable)))
        return cls(folder, files, tuple(unreadable))

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The files whose suffix is a picture's."""
        return tuple(f for f in self.files if PurePosixPath(f).suffix.lower() in EXTENSIONS)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            table[fold_name(file).rpartition("/")[2]].append(file)
        return dict(table)

    def candidates(self, name: str, home: str = "") -> tuple[str, ...]:
        """The files a name may mean.

        A bare name matches in any folder. A name with folders matches where at least its last
        folder agrees, and where more of them agree it matches nothing else.

        Args:
            name: from an annotation file.
            home: restricts the search to this folder, relative to ``root``.
        """
        wanted = fold_name(name).split("/")
        same = self._by_name.get(wanted[-1], ())
        if home:
            same = [file for file in same if file.startswith(home + "/")]
        if len(wanted) == 1:
            return tuple(same)
        agreeing = {file: _common_tail(wanted, self._parts(file)) for file in same}
        best = max(agreeing.values(), default=0)
        return tuple(file for file, tail in agreeing.items() if tail == best >= 2)

    def beside(self, file: str, name: str) -> str | None:
        """The file called ``name`` in the folder of ``file``; None where there is none."""
        folder = file.rpartition("/")[0]
        return next((f for f in self.candidates(name) if f.rpartition("/")[0] == folder), None)

    def named(self, *names: str) -> tuple[str, ...]:
        """All files that bear one of these bare names, the least deep first."""
        found = [file for name in names for file in self.candidates(name)]
        return tuple(sorted(found, key=lambda file: (file.count("/"), file)))

    def _parts(self, file: str) -> list[str]:
        return fold_name(f"{self.root.as_posix()}/{file}").split("/")


def _walk(root: str, unreadable: list[str]) -> Iterator[str]:
    waiting, seen = [""], set()
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(os.path.join(root, folder))
            if status.st_ino and (status.st_dev, status.st_ino) in seen:
                continue  # without numbers, as on a Windows share, there are no links either
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(os.path.join(root, folder)), key=lambda e: e.name)
        except OSError:
            unreadable.append(folder)
            continue
        folders = []
        for entry in entries:
            if is_junk(entry.name):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is(entry, "is_dir"):
                folders.append(path)
            elif _is(entry, "is_file"):
                yield path
        waiting.extend(reversed(folders))


def _is(entry: "os.DirEntry[str]", kind: str) -> bool:
    """A link that leads in a circle is neither file nor folder."""
    try:
        return bool(getattr(entry, kind)())
    except OSError:
        return False


def _common_tail(wanted: list[str], parts: list[str]) -> int:
    count = 0
    for a, b in zip(reversed(wanted), reversed(parts), strict=False):
        if a != b:
            break
        count += 1
    return count
