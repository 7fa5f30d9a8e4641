"""The run from picture files to shards.

Files are looked at, read and cut in threads, a few ahead of the encoder; each is decoded once,
however many crop protocols want it. The encoder works picture by picture in the calling thread, so
that no feature depends on what was computed beside it, and a run that was killed ends with the bits
of one that was not.
"""

import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from maclip_lab.crops import PreparedPicture, prepare_picture
from maclip_lab.features.lookup import Lookup, identify, untouched
from maclip_lab.features.shards import Extracted, PictureRecord
from maclip_lab.features.store import FeatureStore, StoreConfig
from maclip_lab.files.provenance import versions
from maclip_lab.images import Picture, announced_pixels, load_picture
from maclip_lab.readahead import map_ahead
from maclip_lab.scorer import Maclip

Job = tuple[int, str, Path]

SHARD_BYTES = 64 * 2**20
SHARD_SECONDS = 20.0
"""What a kill may cost at most, beside the picture at hand."""
_READS = 3


@dataclass(frozen=True)
class FoundPicture:
    """A picture on its way to the encoder of one store.

    ``known`` says that the store already holds the result; ``prepared`` is None where there is
    nothing to encode.
    """

    position: int
    record: PictureRecord
    known: bool
    prepared: PreparedPicture | None = None


def find_picture(
    job: Job, lookups: Sequence[Lookup], configs: Sequence[StoreConfig]
) -> tuple[FoundPicture, ...]:
    """Look at a file, and read it once if any of the stores does not know its content.

    All stores have files read alike.
    """
    position, name, path = job
    record = identify(name, path, lookups)
    for _ in range(_READS):
        known = [lookup.result(record) for lookup in lookups]
        picture = None if all(known) else load_picture(path, preset=configs[0].preset)
        if picture is None or untouched(path, record):
            return tuple(
                FoundPicture(position, one, known=True)
                if one is not None
                else _read(position, record, picture, lookup, config)
                for one, lookup, config in zip(known, lookups, configs, strict=True)
            )
        record = identify(name, path, lookups)
    message = "the file changes while it is read"
    record = replace(record, sha256="", status="unreadable", message=message)
    return (FoundPicture(position, record, known=False),) * len(lookups)


def _read(
    position: int,
    record: PictureRecord,
    picture: Picture | None,
    lookup: Lookup,
    config: StoreConfig,
) -> FoundPicture:
    assert picture is not None  # read above, as one of the stores does not know it
    prepared = prepare_picture(picture, config.protocol, config.preset)
    told = ("status", "message", "flags", "width", "height")
    record = replace(record, **{name: getattr(prepared.picture, name) for name in told})
    return FoundPicture(position, record, lookup.has_failure(record), prepared)


def run(
    jobs: Iterable[Job],
    scorer: Maclip,
    stores: Sequence[FeatureStore],
    *,
    shard_size: int,
    progress: bool = False,
) -> list[dict[int, PictureRecord]]:
    """Extract what some stores lack of the same pictures.

    Each store cuts the pictures in its own way. A chunk of ``shard_size`` pictures of the
    manifest becomes a shard or more; the progress bar begins at what the stores hold.

    Returns:
        What became of every picture in each store, by position.
    """
    jobs = list(jobs)
    lookups = [Lookup(store.index) for store in stores]
    held = {position for position, name, _ in jobs if all(one.has_path(name) for one in lookups)}
    chunks = [jobs[first : first + shard_size] for first in range(0, len(jobs), shard_size)]
    numbers = list(range(len(chunks)))
    start = random.SystemRandom().randrange(len(numbers) or 1)
    results: list[dict[int, PictureRecord]] = [{} for _ in stores]
    with tqdm(total=len(jobs), initial=len(held), unit="picture", disable=not progress) as bar:
        for number in numbers[start:] + numbers[:start]:
            for found in _extract_chunk(number, chunks[number], scorer, stores):
                for result, one in zip(results, found, strict=True):
                    result[one.position] = one.record
                bar.update(found[0].position not in held)
    return results


def _extract_chunk(
    number: int, jobs: list[Job], scorer: Maclip, stores: Sequence[FeatureStore]
) -> Iterator[tuple[FoundPicture, ...]]:
    """Extract a chunk; every picture is told of as it is done."""
    for store in stores:
        store.refresh()
    lookups = [Lookup(store.index) for store in stores]
    pending = [_Pending(store, number, _facts(scorer)) for store in stores]
    look = partial(find_picture, lookups=lookups, configs=[store.config for store in stores])
    for found in map_ahead(look, jobs, partial(_cost, lookups=lookups)):
        for shard, one in zip(pending, found, strict=True):
            shard.records.append(one.record)
            shard.take(None if one.known else _encode(one, scorer, shard.store.config))
        yield tuple(replace(one, prepared=None) for one in found)
        del found  # and its pixels, before the next one is waited for
    for shard, lookup in zip(pending, lookups, strict=True):
        shard.commit()
        shard.store.touch(lookup.touched(shard.records))


@dataclass
class _Pending:
    """What waits to become a shard of one store."""

    store: FeatureStore
    number: int
    facts: Mapping[str, str]
    records: list[PictureRecord] = field(default_factory=list)
    pictures: list[Extracted] = field(default_factory=list)
    size: int = 0
    since: float = field(default_factory=time.monotonic)

    def take(self, picture: Extracted | None) -> None:
        """Add a picture, if there is one, and commit what has become large or old."""
        if picture is not None:
            self.pictures.append(picture)
            self.size += picture.features.nbytes
        if self.size > SHARD_BYTES or time.monotonic() - self.since > SHARD_SECONDS:
            self.commit()

    def commit(self) -> None:
        if self.pictures:
            self.store.append(self.number, self.pictures, self.facts)
        self.pictures, self.size, self.since = [], 0, time.monotonic()


def _cost(job: Job, lookups: Sequence[Lookup]) -> int:
    """Pixels that looking at a file may bring into memory."""
    missing = sum(not lookup.has_path(job[1]) for lookup in lookups)
    if not missing or not os.path.isfile(job[2]):  # to open a pipe is to wait
        return 0
    return missing * announced_pixels(job[2])


def _encode(found: FoundPicture, scorer: Maclip, config: StoreConfig) -> Extracted:
    pixels = None if found.prepared is None else found.prepared.pixels
    if found.prepared is None or found.prepared.grid is None or pixels is None:
        empty = np.zeros((0, scorer.encoder.embed_dim), dtype=np.float32)
        return Extracted(found.record, empty)
    features = scorer.encoder.encode_picture(pixels, config.protocol, config.pos_embedding)
    grid = found.prepared.grid
    size = grid.height, grid.width
    return Extracted(found.record, features.numpy(), (grid.rows, grid.cols), size)


def _facts(scorer: Maclip) -> Mapping[str, str]:
    return {
        "backbone": scorer.backbone.name,
        "weights_sha256": scorer.backbone.sha256,
        "device": str(scorer.encoder.device),
        "threads": str(torch.get_num_threads()),
        **versions(),
    }
