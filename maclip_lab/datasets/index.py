"""Finding a data set's files by name, whatever happened to their case on the way.

Annotation files and unpacked archives rarely agree on letter case, Unicode form or separators:
TID2013 alone ships ``i01_01_1.bmp``, ``I01_01_1.bmp`` and ``I01_11_1.BMP``. The index maps a folded
name to the files that bear it and refuses to guess between two.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from maclip_lab.datasets.errors import DatasetError
from maclip_lab.files.identity import files_below
from maclip_lab.formats import EXTENSIONS


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
        folder = Path(os.path.abspath(Path(root).expanduser()))
        if not folder.is_dir():
            hint = "; unpack the archive first" if folder.is_file() else ""
            raise DatasetError(f"expected a folder, got {str(folder)!r}, which is not one{hint}")
        unreadable: list[str] = []
        found = files_below(str(folder), unreadable)
        files = tuple(sorted(path for path, regular in found if regular))
        return cls(folder, files, tuple(unreadable))

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The files whose suffix is a picture's."""
        return tuple(f for f in self.files if PurePosixPath(f).suffix.lower() in EXTENSIONS)

    @cached_property
    def _files(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _grouped(self.files, lambda file: fold_name(file).rpartition("/")[2])

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped(self.images, lambda file: fold_name(PurePosixPath(file).stem))

    def candidates(self, name: str, home: str = "") -> tuple[str, ...]:
        """The files a name may mean.

        A bare name matches in any folder. A name with folders matches where at least its
        last folder agrees, and where more of them agree it matches nothing else. What is
        not found may be a picture's name without its suffix. ``home`` restricts the search
        to this folder, relative to ``root``.
        """
        *folders, last = fold_name(name).split("/")
        for table in ("_by_name", "_by_stem"):
            same = getattr(self, table).get(last, ())
            if home:
                same = [file for file in same if file.startswith(home + "/")]
            if folders:
                agreeing = {file: _common_tail(folders, self._folders(file)) for file in same}
                best = max(agreeing.values(), default=0)
                same = [file for file, tail in agreeing.items() if tail == best >= 1]
            if same:
                return tuple(same)
        return ()

    def spelt(self, file: str) -> str:
        """A file's path as it stands on the disk, where case or Unicode form may be another's."""
        if file in self._files:
            return file
        same = [
            f
            for f in self._by_name.get(fold_name(file).rpartition("/")[2], ())
            if fold_name(f) == fold_name(file)
        ]
        return same[0] if len(same) == 1 else file

    def beside(self, file: str, name: str) -> str | None:
        """The file called ``name`` in the folder of ``file``; None where there is none."""
        folder = file.rpartition("/")[0]
        return next((f for f in self.candidates(name) if f.rpartition("/")[0] == folder), None)

    def named(self, *names: str) -> tuple[str, ...]:
        """All files that bear one of these bare names, the least deep first."""
        found = [file for name in names for file in self.candidates(name)]
        return tuple(sorted(found, key=lambda file: (file.count("/"), file)))

    def _folders(self, file: str) -> list[str]:
        return fold_name(f"{self.root.as_posix()}/{file}").split("/")[:-1]


def _grouped(files: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = defaultdict(list)
    for file in files:
        table[key(file)].append(file)
    return dict(table)


def _common_tail(wanted: list[str], parts: list[str]) -> int:
    count = 0
    for a, b in zip(reversed(wanted), reversed(parts), strict=False):
        if a != b:
            break
        count += 1
    return count
