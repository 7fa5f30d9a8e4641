"""Which photographs train, with what people said of them, and which are held out.

A folder may hold ``captions.tsv``: a photograph's path in that folder, a tab, and a sentence, one
a line and several a photograph. A folder without it trains quality alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

CAPTIONS = "captions.tsv"
PHOTOGRAPH_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
CAPTIONED = (300, 500)
"""Captioned photographs of a folder held out to choose by and to test retrieval on."""
UNCAPTIONED = (10, 10, 10)
"""Held out of a folder without captions: to choose by, to test severity on, and for pilots."""
_MOST_HELD_OUT = 0.1
_NAMED = 5


@dataclass(frozen=True)
class Photograph:
    """A photograph and the sentences people wrote about it, none where nobody did."""

    path: Path
    sentences: tuple[str, ...] = ()


@dataclass
class Collection:
    """Photographs by what they are for; nothing is in two lists.

    Attributes:
        training: those that are degraded and learned from.
        choosing: captioned ones whose sentences choose between runs.
        retrieval: captioned ones on which retrieval is tested.
        severity: uncaptioned ones, of each folder in turn: to choose by, to test on, for pilots.
        notes: what was wrong with the folders, a sentence each.
    """

    training: list[Photograph] = field(default_factory=list)
    choosing: list[Photograph] = field(default_factory=list)
    retrieval: list[Photograph] = field(default_factory=list)
    severity: tuple[list[Path], list[Path], list[Path]] = field(
        default_factory=lambda: ([], [], [])
    )
    notes: list[str] = field(default_factory=list)


def find_photographs(folder: Path) -> list[Path]:
    """Every photograph below a folder, in a fixed order.

    Raises:
        ValueError: there is none.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTOGRAPH_SUFFIXES)
    if not found:
        raise ValueError(f"no photographs ({', '.join(PHOTOGRAPH_SUFFIXES)}) below {folder}")
    return found


def collect(folders: Sequence[Path]) -> Collection:
    """The photographs of several folders, split alike for every run.

    The split depends on the names alone, at most a tenth of a folder is held out, and a folder
    with captions gives its captioned photographs up for that and keeps the others.

    Raises:
        ValueError: a folder holds no photographs, or a captions file has a line without a tab.
    """
    collection = Collection()
    for folder in folders:
        paths = find_photographs(folder)
        said = read_captions(folder / CAPTIONS) if (folder / CAPTIONS).exists() else {}
        told = {folder / name: tuple(sentences) for name, sentences in said.items()}
        absent = sorted(str(p.relative_to(folder)) for p in told.keys() - set(paths))
        if absent:
            collection.notes.append(
                f"{folder / CAPTIONS} names {_listed(absent)} that are not there; skipped"
            )
        captioned = [p for p in paths if p in told]
        if not captioned:
            collection.notes.append(f"{folder} has no captions: it trains quality alone")
        source, counts = (captioned, CAPTIONED) if captioned else (paths, UNCAPTIONED)
        held = _held_out(source, counts)
        if captioned:
            collection.choosing += [Photograph(p, told[p]) for p in held[0]]
            collection.retrieval += [Photograph(p, told[p]) for p in held[1]]
        else:
            for kept, more in zip(collection.severity, held, strict=True):
                kept += more
        gone = {p for part in held for p in part}
        collection.training += [Photograph(p, told.get(p, ())) for p in paths if p not in gone]
    return collection


def read_captions(path: Path) -> dict[str, list[str]]:
    """Sentences of a captions file by the photograph's name, in the file's order.

    Raises:
        ValueError: a line is not a name, a tab and a sentence.
    """
    said: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, tab, sentence = line.partition("\t")
        if not (tab and name.strip() and sentence.strip()):
            raise ValueError(f"{path}, line {number}: expected a path, a tab and a sentence")
        said[name.strip()].append(sentence.strip())
    return dict(said)


def readable(photographs: Iterable[Photograph]) -> tuple[list[Photograph], list[str]]:
    """The photographs that can be decoded, and a note about the others if there are any."""
    good, bad = [], []
    for photograph in photographs:
        try:
            with Image.open(photograph.path) as image:
                image.load()
            good.append(photograph)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            bad.append(str(photograph.path))
    notes = [f"cannot read {_listed(bad)}; skipped"] if bad else []
    return good, notes


def evenly(photographs: Sequence[Photograph], most: int) -> list[Photograph]:
    """At most so many of the photographs, spread over all of them."""
    if len(photographs) <= most:
        return list(photographs)
    return [photographs[i * len(photographs) // most] for i in range(most)]


def _held_out(paths: Sequence[Path], counts: Sequence[int]) -> list[list[Path]]:
    """So many paths for each count, in proportion where a tenth of all is less than their sum."""
    most = int(len(paths) * _MOST_HELD_OUT)
    share = min(1.0, most / sum(counts))
    sizes = [int(count * share) for count in counts]
    order = np.random.Generator(np.random.PCG64(2026)).permutation(len(paths))
    kept = [paths[i] for i in sorted(order[: sum(sizes)].tolist())]
    starts = np.cumsum([0, *sizes])
    return [kept[a:b] for a, b in pairwise(starts)]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} photographs ({shown}{rest})"
