"""The contract of scale-out: a part of the pictures in, one immutable Parquet file out.

A part's name is a hash of its pictures, as they are on disk, and of everything its numbers depend
on, and a hash of its rows. Whoever computes it writes the same file under the same name, so to
resume is to skip the parts that exist and verify, and to do one twice is harmless.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import pandas as pd
import torch

from maclip_lab.encoder import choose_device
from maclip_lab.errors import IntegrityError
from maclip_lab.files.atomic import write_bytes
from maclip_lab.files.identity import content_sha256, file_times
from maclip_lab.prompts import ATTRIBUTES
from maclip_lab.scorer import TABLE_COLUMNS, Maclip, ScoreConfig, score_row

_COLUMNS = [*TABLE_COLUMNS, "sha256"]
_scorer = lru_cache(maxsize=1)(Maclip.from_config)  # a process loads its backbone once


@dataclass(frozen=True)
class Part:
    """Some of the pictures; relative paths start from ``root``."""

    number: int
    paths: tuple[str, ...]
    root: str

    def files(self) -> list[Path]:
        """Where the pictures lie, relative only where that means the same here."""
        same = os.getcwd() == self.root
        return [Path(path) if same else Path(self.root, path) for path in self.paths]

    def key(self, config: ScoreConfig) -> str:
        """Hash of the pictures, with their sizes and times, and of the configuration.

        Where a system does not tell when a file was changed, its content takes the place.
        """
        kind = str(choose_device(config.device)).partition(":")[0]  # that numbers come from
        config = replace(config, device=kind)
        content: list[object] = [_COLUMNS, config.sha256]
        for path, file in zip(self.paths, self.files(), strict=True):
            size, edited, changed = file_times(file)
            content.append([path, size, edited, changed or content_sha256(file)])
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """Where the rows of a part lie, and if they did so before; else its pictures and the error."""

    number: int
    path: Path | None = None
    resumed: bool = False
    lost: tuple[str, ...] = ()
    error: str = ""


def divide(pictures: Sequence[str | os.PathLike[str]], part_size: int) -> Iterator[Part]:
    """The parts of a list of pictures, in order; the last may have fewer."""
    if part_size < 1:
        raise ValueError(f"part_size is a number of pictures, got {part_size}")
    for number, start in enumerate(range(0, len(pictures), part_size)):
        paths = tuple(Path(path).as_posix() for path in pictures[start : start + part_size])
        yield Part(number, paths, os.getcwd())


def score_part(part: Part, config: ScoreConfig, folder: Path, workers: int = 1) -> Outcome:
    """Score a part and commit it, unless a verified file of it exists.

    Every picture is encoded on one thread, so that its numbers are the same to the last bit on
    every device of a kind. The configuration is pinned, see `ScoreConfig.pinned`; ``workers`` are
    pictures that a CPU encodes at once.
    """
    name = f"{part.number:06d}-{part.key(config)[:16]}"
    for path in sorted(folder.glob(f"{name}-*.parquet")):
        try:
            read_part(path)
            return Outcome(part.number, path, resumed=True)
        except IntegrityError:
            path.replace(path.with_name(path.name + ".corrupt"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        scorer = _scorer(replace(config, device=_device(config.device)))
        results = scorer.score_all(part.files(), config, workers=workers)
        named = zip(part.paths, results, strict=True)
        rows = [score_row(Path(name), result) for name, result in named]
    finally:
        torch.set_num_threads(threads)
    columns = [*_COLUMNS, *(ATTRIBUTES if config.attributes else ())]
    data = pd.DataFrame(rows, columns=columns).to_parquet(index=False)
    path = folder / f"{name}-{_digest(name, data)}.parquet"
    write_bytes(path, data)
    return Outcome(part.number, path)


def read_part(path: Path) -> pd.DataFrame:
    """The rows of a part; an IntegrityError where the file is damaged, or another part's."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error
    name, _, digest = path.stem.rpartition("-")
    if _digest(name, data) != digest:
        raise IntegrityError(f"{path} is damaged: its sha256 is not the one in its name")
    return pd.read_parquet(BytesIO(data))


def _digest(name: str, data: bytes) -> str:
    """The end of a part's file name, of its beginning and its bytes."""
    return hashlib.sha256(name.encode() + data).hexdigest()[:32]


def _device(asked: str) -> str:
    """One worker a GPU: workers of a local cluster, which are numbered, share the GPUs out."""
    device = str(choose_device(asked))
    if asked != "auto" or device != "cuda":
        return device
    try:
        from distributed import get_worker

        name = str(get_worker().name)
    except (ImportError, ValueError):
        return device
    return f"cuda:{int(name) % torch.cuda.device_count()}" if name.isdigit() else device
