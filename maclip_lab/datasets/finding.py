"""Finding pictures and score files by name, and what was found as a manifest.

Annotation files and archives rarely agree on letter case, Unicode form or separators, so names are
compared folded, and of two files that bear one none is guessed. A name that is the path of a file
means that file; the rest is searched for, from the annotation file's folder upwards.
"""

import os
import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

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
    lower = unicodedata.normalize("NFC", _as_posix(name.strip())).lower()
    return unicodedata.normalize("NFC", lower)


def _as_posix(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


@dataclass(frozen=True)
class FileIndex:
    """The files below an absolute folder, and the folders that cannot be listed, found by name."""

    root: Path
    files: tuple[str, ...]
    unreadable: tuple[str, ...] = ()

    @classmethod
    def scan(cls, root: str | os.PathLike[str]) -> "FileIndex":
        """Index every file below a folder but litter and what is hidden; links are followed."""
        folder = Path(os.path.abspath(Path(root).expanduser()))
        if not folder.is_dir():
            hint = "; unpack the archive first" if folder.is_file() else ""
            raise DatasetError(f"expected a folder, got {str(folder)!r}, which is not one{hint}")
        unreadable: list[str] = []
        files = sorted(path for path, regular in files_below(str(folder), unreadable) if regular)
        return cls(folder, tuple(files), tuple(unreadable))

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The files whose suffix is a picture's."""
        return tuple(f for f in self.files if PurePosixPath(f).suffix.lower() in EXTENSIONS)

    @cached_property
    def _by_ending(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """The files by every ending of their folded paths, and the pictures without suffix."""
        by_name: dict[str, list[str]] = defaultdict(list)
        by_stem: dict[str, list[str]] = defaultdict(list)
        stems = [(file, str(PurePosixPath(file).with_suffix(""))) for file in self.images]
        for table, named in ((by_name, zip(self.files, self.files, strict=True)), (by_stem, stems)):
            for file, name in named:
                parts = fold_name(f"{self.root.as_posix()}/{name}").split("/")
                for first in range(len(parts)):
                    table["/".join(parts[first:])].append(file)
        return by_name, by_stem

    def candidates(self, name: str, home: str = "") -> tuple[str, ...]:
        """The files below ``home``, relative to ``root``, that a name may mean.

        Of its folders at least the last has to agree, and where more agree nothing else is meant.
        What is not found may be a picture's name without its suffix.
        """
        parts = fold_name(name).split("/")
        endings = ["/".join(parts[first:]) for first in range(max(1, len(parts) - 1))]
        for table in self._by_ending:
            for ending in endings:
                held = table.get(ending, ())
                if same := tuple(f for f in held if not home or f.startswith(home + "/")):
                    return same
        return ()


@dataclass(frozen=True)
class Annotated:
    """Rows as published, before any picture is looked for.

    ``table`` has ``name``, ``mos`` and more; ``source`` is its file, relative to the index's root;
    ``mos_range`` is not the card's; ``folder`` is the pictures' where several have their names.
    """

    table: pd.DataFrame
    source: str = ""
    mos_range: tuple[float, float] | None = None
    folder: str | None = None
    keep_duplicates: bool = False
    note: str = ""


@dataclass(frozen=True)
class _Finder:
    """Looks names up, in a folder of the index and under the set's other names."""

    index: FileIndex
    folder: str | None
    stand_in: Mapping[str, str]
    on_collision: str
    beside: Path | None

    def home(self, source: str, names: list[str]) -> str:
        """The narrowest folder around the annotation file that holds most of the pictures."""
        homes = [str(parent).removeprefix(".") for parent in PurePosixPath(source).parents]
        counts = {home: sum(bool(self._candidates(n, home)) for n in names) for home in homes}
        return max(counts, key=lambda home: counts[home], default="")

    def find(self, name: str, home: str) -> str | None:
        """The file that a name is the path of, else the one that a search finds; absolute."""
        exact = self.exact(name, home)
        files = () if exact else self._candidates(name, home)
        if len(files) > 1 and self.on_collision == "error":
            raise DatasetError(
                f"{name!r} is {len(files)} files under {str(self.index.root / home)!r}: "
                f"{', '.join(files[:4])}; keep one copy, give a narrower root, "
                'or pass on_collision="first" (--on-collision first)'
            )
        if files:
            return str(self.index.root / min(files, key=lambda file: (file.count("/"), file)))
        return exact

    def exact(self, name: str, home: str = "") -> str | None:
        """The file that a name is the path of, from the root or a list's own folder."""
        root = os.path.join(self.index.root, "")
        for folder in (self.index.root / home, *([self.beside] if self.beside else [])):
            file = os.path.abspath(os.path.join(folder, name))
            inside = file.removeprefix(root).replace(os.sep, "/")
            if "/" not in name and not self._in_folder((inside,)):
                continue  # a bare name of KonIQ-10k beside pictures of another resolution
            outside = self.beside and not file.startswith(root) and os.path.isfile(file)
            if outside or inside in self.index.candidates(inside):
                return file
        return None

    def _candidates(self, name: str, home: str) -> tuple[str, ...]:
        files = self._in_folder(self.index.candidates(name, home))
        if not files and name in self.stand_in:
            files = self.index.candidates(self.stand_in[name], home)
        return files

    def _in_folder(self, files: tuple[str, ...]) -> tuple[str, ...]:
        """Of several resolutions the wanted one; a folder that names none holds what it holds."""
        if self.folder is None:
            return files
        stated = {file: _SIZE.findall(file.rpartition("/")[0].lower()) for file in files}
        return tuple(f for f, sizes in stated.items() if not sizes or sizes[-1] == self.folder)


def build_manifest(
    annotated: Annotated,
    index: FileIndex,
    choices: Choices,
    card: Card,
    variant: str,
    *,
    protocol: str | None = None,
    beside: Path | None = None,
) -> Manifest:
    """A manifest of annotated rows whose pictures lie under an index, or a `DatasetError`.

    The protocol is that of the card's name unless it is given. ``beside`` is the folder of a list
    that may name pictures outside the index: the note then says what had to be searched for.
    """
    table = annotated.table.reset_index(drop=True)
    names = [str(name) for name in table["name"]]
    nameless = [row for row, name in enumerate(names, 1) if not fold_name(name)]
    if nameless:
        raise DatasetError(f"{card.name} has no name of a picture in row {nameless[0]}")
    finder = _Finder(index, annotated.folder, card.stand_in, choices.on_collision, beside)
    home = finder.home(annotated.source, names)
    files = [finder.find(name, home) for name in names]
    absent = tuple(name for name, file in zip(names, files, strict=True) if file is None)
    owner: dict[str, str] = {}
    for name, file in zip(names, files, strict=True):  # a mistake whatever repeated rows mean
        if file is not None and fold_name(owner.setdefault(file, name)) != fold_name(name):
            raise DatasetError(f"{owner[file]!r} and {name!r} both lead to {file!r}")
    inner = index.root / home
    where, of = f"under {str(inner)!r}", f"of {len(names)} pictures"
    if absent and choices.missing == "error":
        raise DatasetError(
            f"{card.name}: {len(absent)} {of} are not {where}, the first "
            f'{_examples(absent)}; pass missing="drop" (--missing drop) to go on without them'
        )
    if len(absent) == len(names) and choices.missing == "drop":
        folder = f" in a folder for {annotated.folder}" if annotated.folder else ""
        raise DatasetError(
            f"{card.name}: none {of} is {where}{folder}: {_examples(absent)} ...; there "
            f"are {_examples(index.images) or 'no pictures'}. Names are written as on the disk, "
            "and the root is the set's own folder or one above it"
        )
    folders = {os.path.dirname(file) for file in files if file}
    outside = [folder for folder in folders if not Path(folder).is_relative_to(inner)]
    root = Path(os.path.commonpath([inner, *outside]))
    table["path"] = [
        Path(file).relative_to(root).as_posix() if file else _as_posix(name)
        for name, file in zip(names, files, strict=True)
    ]
    described = [card.describe(_as_posix(name).rpartition("/")[2]) for name in names]
    facets = pd.DataFrame(described, dtype=object, index=table.index)
    for column in facets:  # where the list itself says nothing
        table[column] = table[column].fillna(facets[column]) if column in table else facets[column]
    table = table[[column for column in COLUMNS if column in table]]
    present = pd.Series([file is not None for file in files])
    note, pairs = annotated.note, zip(names, files, strict=True)
    sought = [pair for pair in pairs if beside and pair[1] and not finder.exact(pair[0])]
    if sought:
        note += (
            f"; {len(sought)} of {len(names)} pictures were found by a search for the ends of "
            f"their names, or for their names without suffix, the first {sought[0][0]!r} as "
            f"{os.path.relpath(str(sought[0][1]), index.root)!r}"
        )
    keep = annotated.keep_duplicates or choices.on_duplicate == "keep"
    return Manifest(
        table=table[present] if choices.missing == "drop" else table,
        dataset=card.name,
        higher_is_better=card.higher_is_better,
        mos_range=annotated.mos_range or card.mos_range,
        protocol=protocol or card.name,
        variant=variant,
        root=root,
        on_duplicate="keep" if keep else "error",
        note=note,
        missing=absent,
    )


def _examples(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names[:3])


def warn_of_gaps(manifest: Manifest, choices: Choices, complete: tuple[int, ...] = ()) -> None:
    """One warning for whatever a copy lacks; ``complete`` are the row counts of a whole one."""
    missing = manifest.missing if choices.missing == "drop" else ()
    rows = len(manifest) + len(missing)
    gaps = []
    if complete and rows not in complete:
        gaps.append(f"its annotations have {rows} rows where a whole copy has {complete[0]}")
    if missing:
        gaps.append(
            f"{len(missing)} of {rows} pictures are not under {str(manifest.root)!r} and are left "
            f"out, the first {_examples(missing)}"
        )
    low, high = manifest.mos_range
    outside = int((~manifest.table["mos"].between(low, high)).sum())
    if outside:
        gaps.append(f"{outside} scores are not within {low:g} to {high:g}")
    if gaps:
        warnings.warn(f"{manifest.dataset}: {'; '.join(gaps)}", DatasetWarning, stacklevel=4)
