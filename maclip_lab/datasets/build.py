"""From annotated names to a manifest: each name is looked up, and what is absent is accounted for.

A name that is the path of a file, from the root or from the list's folder, means that file. Only
what is left is searched for. The root may be the set's own folder or any folder above it: the
search starts beside the annotation file and widens upwards until the pictures are found.
"""

import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets
from maclip_lab.datasets.errors import DatasetError, DatasetWarning
from maclip_lab.datasets.index import FileIndex, fold_name
from maclip_lab.datasets.manifest import COLUMNS, Manifest

Missing = Literal["error", "drop", "keep"]
_SIZE = re.compile(r"(?<!\d)\d+x\d+(?!\d)")

OnCollision = Literal["error", "first"]
OnDuplicate = Literal["error", "keep", "mean"]


def check_choice(option: str, value: str, *choices: str) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{option} is one of {', '.join(choices)}; got {value!r}")


def build_manifest(
    annotated: Annotated,
    index: FileIndex,
    describe: Callable[[str], Facets],
    *,
    dataset: str,
    higher_is_better: bool,
    mos_range: tuple[float, float],
    protocol: str,
    variant: str,
    missing: Missing = "drop",
    on_collision: OnCollision = "error",
    on_duplicate: OnDuplicate = "error",
    aliases: Mapping[str, str] | None = None,
    beside: Path | None = None,
) -> Manifest:
    """A manifest of annotated rows whose pictures lie under an index.

    The choices are those of `load_dataset`. ``aliases`` are names under which a picture may lie
    on disk instead; ``beside`` is the folder of a list that may name pictures outside the
    index: the note then says what had to be searched for.

    Raises:
        DatasetError: the rows do not make a valid manifest.
    """
    check_choice("missing", missing, "error", "drop", "keep")
    check_choice("on_collision", on_collision, "error", "first")
    check_choice("on_duplicate", on_duplicate, "error", "keep")
    table = annotated.table.reset_index(drop=True)
    names = [str(name) for name in table["name"]]
    if not all(fold_name(name) for name in names):
        raise DatasetError(f"{annotated.source!r} has rows without a name")
    finder = _Finder(index, annotated.folder, aliases or {}, on_collision, beside)
    home = finder.home(annotated.source, names)
    found = [finder.find(name, home) for name in names]
    absent = tuple(name for name, path in zip(names, found, strict=True) if path is None)
    _check_distinct(names, found)
    _check_present(dataset, index.root / home, annotated.folder, absent, len(table), missing)
    root = _shared_root(index.root / home, found)
    table["path"] = [
        Path(path).relative_to(root).as_posix() if path else _as_posix(name)
        for name, path in zip(names, found, strict=True)
    ]
    table = _with_facets(table, describe)
    present = pd.Series([path is not None for path in found])
    notes = [annotated.note, finder.searched(names, found) if beside else ""]
    return Manifest(
        table=table[present] if missing == "drop" else table,
        dataset=dataset,
        higher_is_better=higher_is_better,
        mos_range=annotated.mos_range or mos_range,
        protocol=protocol,
        variant=variant,
        root=root,
        on_duplicate="keep" if annotated.keep_duplicates else on_duplicate,
        note="; ".join(filter(None, notes)),
        missing=absent,
    )


def find_home(
    annotated: Annotated, index: FileIndex, aliases: Mapping[str, str] | None = None
) -> Path | None:
    """The folder that holds the annotated pictures; None where not one of them is."""
    names = [str(name) for name in annotated.table["name"]]
    finder = _Finder(index, annotated.folder, aliases or {}, "first")
    home = finder.home(annotated.source, names)
    return index.root / home if any(finder.find(name, home) for name in names) else None


@dataclass(frozen=True)
class _Finder:
    """Looks names up, in a folder of the index and under the set's other names."""

    index: FileIndex
    folder: str | None
    aliases: Mapping[str, str]
    on_collision: str
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

    def searched(self, names: list[str], found: list[str | None]) -> str:
        """What had to be searched for, in words."""
        pairs = zip(names, found, strict=True)
        sought = [(name, file) for name, file in pairs if file and not self._exact(name, "")]
        if not sought:
            return ""
        name, file = sought[0]
        return (
            f"{len(sought)} of {len(names)} pictures were found by a search below the root for the "
            f"ends of their names, the first {name!r} as {os.path.relpath(file, self.index.root)!r}"
        )

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
        found = self._candidates(name, home)
        if len(found) > 1 and self.on_collision == "error":
            raise DatasetError(
                f"{name!r} is {len(found)} files under {str(self.index.root / home)!r}: "
                f"{', '.join(found[:4])}; keep one copy, give a narrower root, "
                'or pass on_collision="first"'
            )
        nearest = min(found, key=lambda file: (file.count("/"), file), default=None)
        return None if nearest is None else str(self.index.root / nearest)

    def _candidates(self, name: str, home: str) -> tuple[str, ...]:
        found = self.index.candidates(name, home)
        if self.folder is not None:
            found = self._in_folder(found)
        if not found and name in self.aliases:
            found = self.index.candidates(self.aliases[name], home)
        return found

    def _in_folder(self, found: tuple[str, ...]) -> tuple[str, ...]:
        """Of several resolutions the wanted one; a folder that names none holds what it holds."""
        stated = {file: _SIZE.findall(file.rpartition("/")[0].lower()) for file in found}
        return tuple(f for f, sizes in stated.items() if not sizes or sizes[-1] == self.folder)


def _shared_root(home: Path, found: list[str | None]) -> Path:
    """The home of the pictures, or the nearest folder above it that holds those elsewhere too."""
    outside = {
        os.path.dirname(file) for file in found if file and not Path(file).is_relative_to(home)
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


def _check_distinct(names: list[str], found: list[str | None]) -> None:
    """Two names of one file are a mistake whatever one thinks of repeated rows."""
    owner: dict[str, str] = {}
    for name, path in zip(names, found, strict=True):
        if path is not None and fold_name(owner.setdefault(path, name)) != fold_name(name):
            raise DatasetError(f"{owner[path]!r} and {name!r} both lead to {path!r}")


def _with_facets(table: pd.DataFrame, describe: Callable[[str], Facets]) -> pd.DataFrame:
    bare = [_as_posix(str(name)).rpartition("/")[2] for name in table["name"]]
    facets = pd.DataFrame([describe(name) for name in bare], dtype=object, index=table.index)
    known = [column for column in facets if column not in table]
    joined = pd.concat([table, facets[known]], axis=1)
    return joined[[column for column in COLUMNS if column in joined]]


def _check_present(
    dataset: str,
    where: Path,
    folder: str | None,
    absent: tuple[str, ...],
    rows: int,
    missing: Missing,
) -> None:
    if absent and missing == "error":
        raise DatasetError(
            f"{dataset}: {len(absent)} of {rows} pictures are not under {str(where)!r}, the first "
            f'{_examples(absent)}; pass missing="drop" to go on without them'
        )
    if len(absent) == rows and missing == "drop":
        raise DatasetError(
            f"{dataset}: none of {rows} pictures is under {str(where)!r}"
            + (f" in a folder for {folder}" if folder else "")
            + f": {_examples(absent)} ...; the root is the set's own folder or one above it"
        )


def _examples(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names[:3])


def warn_of_gaps(manifest: Manifest, missing: Missing, complete: tuple[int, ...] = ()) -> None:
    """One warning, at the caller's caller, for whatever a copy lacks.

    Rows kept on purpose give none; ``complete`` are the row counts of a whole copy.
    """
    rows = len(manifest) + (len(manifest.missing) if missing == "drop" else 0)
    gaps = []
    if complete and rows not in complete:
        gaps.append(f"its annotations have {rows} rows where a whole copy has {complete[0]}")
    if manifest.missing and missing == "drop":
        gaps.append(
            f"{len(manifest.missing)} of {rows} pictures are not under {str(manifest.root)!r} and "
            f"are left out, the first {_examples(manifest.missing)}"
        )
    low, high = manifest.mos_range
    outside = int((~manifest.table["mos"].between(low, high)).sum())
    if outside:
        gaps.append(f"{outside} scores are not within {low:g} to {high:g}")
    if gaps:
        warnings.warn(f"{manifest.dataset}: {'; '.join(gaps)}", DatasetWarning, stacklevel=3)
