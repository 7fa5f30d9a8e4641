"""Finding pictures and score files by name, and what was found as a manifest.

Annotation files and unpacked archives rarely agree on letter case, Unicode form or separators:
TID2013 alone ships ``i01_01_1.bmp``, ``I01_01_1.bmp`` and ``I01_11_1.BMP``. The index maps a folded
name to the files that bear it and refuses to guess between two.

A name that is the path of a file, from the root or from the list's folder, means that file. Only
what is left is searched for. The root may be the set's own folder or any folder above it: the
search starts beside the annotation file and widens upwards until the pictures are found.
"""

import os
import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pandas as pd

from maclip_lab.datasets.cards import Card, Choices
from maclip_lab.datasets.manifest import COLUMNS, Manifest
from maclip_lab.errors import DatasetError, DatasetWarning
from maclip_lab.files.identity import files_below
from maclip_lab.formats import EXTENSIONS

_SIZE = re.compile(r"(?<!\d)\d+x\d+(?!\d)")


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
    """The files below an absolute folder, POSIX paths relative to it, found by name.

    ``unreadable`` are the folders that could not be listed.
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
                agreeing = {file: self._common_tail(folders, file) for file in same}
                best = max(agreeing.values(), default=0)
                same = [file for file, tail in agreeing.items() if tail == best >= 1]
            if same:
                return tuple(same)
        return ()

    def spelt(self, file: str) -> str:
        """A file's path as it stands on the disk, where case or Unicode form may be another's."""
        if file in self._files:
            return file
        bare = self._by_name.get(fold_name(file).rpartition("/")[2], ())
        same = [other for other in bare if fold_name(other) == fold_name(file)]
        return same[0] if len(same) == 1 else file

    def beside(self, file: str, name: str) -> str | None:
        """The file called ``name`` in the folder of ``file``; None where there is none."""
        folder = file.rpartition("/")[0]
        return next((f for f in self.candidates(name) if f.rpartition("/")[0] == folder), None)

    def named(self, *names: str) -> tuple[str, ...]:
        """All files that bear one of these bare names, the least deep first."""
        found = [file for name in names for file in self.candidates(name)]
        return tuple(sorted(found, key=lambda file: (file.count("/"), file)))

    def _common_tail(self, wanted: list[str], file: str) -> int:
        """How many of the last folders agree."""
        folders = fold_name(f"{self.root.as_posix()}/{file}").split("/")[:-1]
        pairs = zip(reversed(wanted), reversed(folders), strict=False)
        return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _grouped(files: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = defaultdict(list)
    for file in files:
        table[key(file)].append(file)
    return dict(table)


@dataclass(frozen=True)
class Annotated:
    """Rows as published, before any picture is looked for.

    ``table`` has ``name``, ``mos`` and what else is known of a manifest's columns; ``source`` is
    its file, relative to the index's root. ``mos_range`` is given where it differs from the card's,
    ``folder`` as last of the pictures' folders where the same names lie in several, and
    ``keep_duplicates`` where the list is meant to repeat a picture.
    """

    table: pd.DataFrame
    source: str = ""
    mos_range: tuple[float, float] | None = None
    folder: str | None = None
    keep_duplicates: bool = False
    note: str = ""


@dataclass(frozen=True)
class Finder:
    """Looks names up, in a folder of the index and under the set's other names."""

    index: FileIndex
    folder: str | None = None
    stand_in: Mapping[str, str] = field(default_factory=dict)
    on_collision: str = "error"
    beside: Path | None = None

    def home(self, source: str, names: list[str]) -> str:
        """The narrowest folder around the annotation file that holds most of the pictures."""
        best, most = "", -1
        for parent in PurePosixPath(source).parents:
            home = "" if str(parent) == "." else str(parent)
            count = sum(bool(self._candidates(name, home)) for name in names)
            if count > most:
                best, most = home, count
            if count == len(names):
                break
        return best

    def find(self, name: str, home: str) -> str | None:
        """The file that a name is the path of, else the one that a search finds; absolute."""
        return self._exact(name, home) or self._searched(name, home)

    def searched(self, names: list[str], files: list[str | None]) -> str:
        """What had to be searched for, in words."""
        pairs = zip(names, files, strict=True)
        sought = [(name, file) for name, file in pairs if file and not self._exact(name, "")]
        stems = [p for p in sought if fold_name(p[0]).endswith(PurePosixPath(fold_name(p[1])).stem)]
        ends = [pair for pair in sought if pair not in stems]
        said = []
        for how, some in (
            ("a search below the root for the ends of their names", ends),
            ("their names without suffix", stems),
        ):
            if some:
                name, where = some[0][0], os.path.relpath(some[0][1], self.index.root)
                count = f"{len(some)} of {len(names)} pictures"
                said.append(f"{count} were found by {how}, the first {name!r} as {where!r}")
        return "; ".join(said)

    def _exact(self, name: str, home: str) -> str | None:
        folders = [self.index.root / home, *([self.beside] if self.beside else [])]
        root = os.path.join(self.index.root, "")
        for file in (os.path.abspath(os.path.join(folder, name)) for folder in folders):
            inside = file.removeprefix(root).replace(os.sep, "/") if file.startswith(root) else ""
            if not (inside or self.beside) or not self._of_wanted_size(name, inside or file):
                continue
            if os.path.isfile(file):
                return str(self.index.root / self.index.spelt(inside)) if inside else file
        return None

    def _of_wanted_size(self, name: str, file: str) -> bool:
        """A bare name of KonIQ-10k must not mean the file of another resolution beside a list."""
        return self.folder is None or "/" in name or bool(self._in_folder((file,)))

    def _searched(self, name: str, home: str) -> str | None:
        files = self._candidates(name, home)
        if len(files) > 1 and self.on_collision == "error":
            raise DatasetError(
                f"{name!r} is {len(files)} files under {str(self.index.root / home)!r}: "
                f"{', '.join(files[:4])}; keep one copy, give a narrower root, "
                'or pass on_collision="first" (--on-collision first)'
            )
        nearest = min(files, key=lambda file: (file.count("/"), file), default=None)
        return None if nearest is None else str(self.index.root / nearest)

    def _candidates(self, name: str, home: str) -> tuple[str, ...]:
        files = self.index.candidates(name, home)
        if self.folder is not None:
            files = self._in_folder(files)
        if not files and name in self.stand_in:
            files = self.index.candidates(self.stand_in[name], home)
        return files

    def _in_folder(self, files: tuple[str, ...]) -> tuple[str, ...]:
        """Of several resolutions the wanted one; a folder that names none holds what it holds."""
        stated = {file: _SIZE.findall(file.rpartition("/")[0].lower()) for file in files}
        return tuple(f for f, sizes in stated.items() if not sizes or sizes[-1] == self.folder)


def build_manifest(
    annotated: Annotated,
    index: FileIndex,
    choices: Choices,
    facts: Mapping[str, Any],
    *,
    card: Card | None = None,
    beside: Path | None = None,
) -> Manifest:
    """A manifest of annotated rows whose pictures lie under an index.

    Of ``choices`` those about missing and repeated pictures apply; ``facts`` are further fields of
    the `Manifest`, ``card`` is that of the set whose names the pictures bear. ``beside`` is the
    folder of a list that may name pictures outside the index: the note then says what had to be
    searched for.

    Raises:
        DatasetError: the rows do not make a valid manifest.
    """
    table = annotated.table.reset_index(drop=True)
    names = [str(name) for name in table["name"]]
    if not all(map(fold_name, names)):
        raise DatasetError(f"{annotated.source!r} has rows without a name")
    stand_in = card.stand_in if card else {}
    finder = Finder(index, annotated.folder, stand_in, choices.on_collision, beside)
    home = finder.home(annotated.source, names)
    files = [finder.find(name, home) for name in names]
    absent = tuple(name for name, file in zip(names, files, strict=True) if file is None)
    owner: dict[str, str] = {}
    for name, file in zip(names, files, strict=True):  # a mistake whatever repeated rows mean
        if file is not None and fold_name(owner.setdefault(file, name)) != fold_name(name):
            raise DatasetError(f"{owner[file]!r} and {name!r} both lead to {file!r}")
    _check_present(absent, len(table), finder, home, choices.missing, str(facts["dataset"]))
    root = _shared_root(index.root / home, files)
    table["path"] = [
        Path(file).relative_to(root).as_posix() if file else _as_posix(name)
        for name, file in zip(names, files, strict=True)
    ]
    if card:
        table = _with_facets(table, card)
    present = pd.Series([file is not None for file in files])
    notes = [annotated.note, finder.searched(names, files) if beside else ""]
    keep = annotated.keep_duplicates or choices.on_duplicate == "keep"
    return Manifest(
        table=table[present] if choices.missing == "drop" else table,
        root=root,
        on_duplicate="keep" if keep else "error",
        note="; ".join(filter(None, notes)),
        missing=absent,
        **{**facts, "mos_range": annotated.mos_range or facts["mos_range"]},
    )


def find_home(annotated: Annotated, index: FileIndex, card: Card) -> Path | None:
    """The folder that holds the annotated pictures; None where not one of them is."""
    names = [str(name) for name in annotated.table["name"]]
    finder = Finder(index, annotated.folder, card.stand_in, "first")
    home = finder.home(annotated.source, names)
    return index.root / home if any(finder.find(name, home) for name in names) else None


def _shared_root(home: Path, files: list[str | None]) -> Path:
    """The home of the pictures, or the nearest folder above it that holds those elsewhere too."""
    outside = {
        os.path.dirname(file) for file in files if file and not Path(file).is_relative_to(home)
    }
    try:
        return Path(os.path.commonpath([home, *outside])) if outside else home
    except ValueError as error:
        raise DatasetError(
            f"the pictures lie on several drives, {str(home)!r} and {min(outside)!r} for two; "
            "a manifest needs a folder that holds them all: bring them together"
        ) from error


def _as_posix(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _with_facets(table: pd.DataFrame, card: Card) -> pd.DataFrame:
    """With what the names say, where the list itself says nothing."""
    bare = [_as_posix(str(name)).rpartition("/")[2] for name in table["name"]]
    said = pd.DataFrame([card.describe(name) for name in bare], dtype=object, index=table.index)
    for column in said:
        table[column] = table[column].fillna(said[column]) if column in table else said[column]
    return table[[column for column in COLUMNS if column in table]]


def _check_present(
    absent: tuple[str, ...], rows: int, finder: Finder, home: str, missing: str, dataset: str
) -> None:
    where = str(finder.index.root / home)
    if absent and missing == "error":
        raise DatasetError(
            f"{dataset}: {len(absent)} of {rows} pictures are not under {where!r}, the first "
            f'{_examples(absent)}; pass missing="drop" (--missing drop) to go on without them'
        )
    if len(absent) == rows and missing == "drop":
        raise DatasetError(
            f"{dataset}: none of {rows} pictures is under {where!r}"
            + (f" in a folder for {finder.folder}" if finder.folder else "")
            + f": {_examples(absent)} ...; "
            + (hint_for(absent, finder.index) or "the root is the set's own folder or one above it")
        )


def _examples(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names[:3])


def hint_for(names: Iterable[str], index: FileIndex) -> str:
    """Why names lead to no file although their pictures are there, in words; else nothing."""
    for name in names:
        plain, address = unquote(name), urlsplit(name)
        parts = PurePosixPath(unquote(parse_qs(address.query).get("d", [address.path])[0])).parts
        inner = ["/".join(parts[first:]) for first in range(len(parts))]
        readings = dict.fromkeys([plain], "has its blanks and signs written as %20 and the like")
        if address.scheme or address.query:
            readings |= dict.fromkeys(inner, "is an address, of which its path alone is wanted")
        for reading, cause in readings.items():
            if reading != name and index.candidates(reading):
                return f"{name!r} {cause}: {reading!r} is there; write the names so"
        stem = PurePosixPath(fold_name(name)).stem
        if stem.isdecimal():
            for file in index.images:
                other = PurePosixPath(file)
                if other.stem != stem and other.stem.lstrip("0") == stem:
                    why = f"as spreadsheets do to numbers: {file!r} is there"
                    return f"{name!r} has lost zeros, {why}; format the column as text"
    return ""


def warn_of_gaps(
    manifest: Manifest, choices: Choices, complete: tuple[int, ...] = (), hint: str = ""
) -> None:
    """One warning, at the caller's caller, for whatever a copy lacks.

    Rows kept on purpose give none; ``complete`` are the row counts of a whole copy.
    """
    dropped = choices.missing == "drop"
    rows = len(manifest) + (len(manifest.missing) if dropped else 0)
    gaps = []
    if complete and rows not in complete:
        gaps.append(f"its annotations have {rows} rows where a whole copy has {complete[0]}")
    if manifest.missing and dropped:
        gaps.append(
            f"{len(manifest.missing)} of {rows} pictures are not under {str(manifest.root)!r} and "
            f"are left out, the first {_examples(manifest.missing)}" + (f" ({hint})" * bool(hint))
        )
    low, high = manifest.mos_range
    outside = int((~manifest.table["mos"].between(low, high)).sum())
    if outside:
        gaps.append(f"{outside} scores are not within {low:g} to {high:g}")
    if gaps:
        warnings.warn(f"{manifest.dataset}: {'; '.join(gaps)}", DatasetWarning, stacklevel=4)
