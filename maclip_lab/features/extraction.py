"""The run from picture files to shards.

Files are looked at, read and cut in threads, a few ahead of the encoder. The encoder works picture
by picture in the calling thread, so that no feature depends on what was computed beside it, and a
run that was killed ends with the bits of one that was not.
"""

import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tqdm.auto import tqdm

from maclip_lab.crops import CropGrid, prepare
from maclip_lab.features.lookup import Lookup, identify, untouched
from maclip_lab.features.shards import Extracted, PictureRecord
from maclip_lab.features.store import ShardStore, StoreConfig
from maclip_lab.files.provenance import versions
from maclip_lab.images import announced_pixels, load_picture
from maclip_lab.readahead import ahead
from maclip_lab.scorer import Maclip

Job = tuple[int, str, Path]

SHARD_BYTES = 64 * 2**20
SHARD_SECONDS = 20.0
"""What a kill may cost at most, beside the picture at hand."""
_READS = 3


@dataclass(frozen=True)
class Visit:
    """A picture on its way to the encoder.

    Attributes:
        position: in the manifest.
        record: of the file.
        known: whether the store already holds the result.
        pixels: the picture as it is cut, or None where there is nothing to encode.
    """

    position: int
    record: PictureRecord
    known: bool
    pixels: np.ndarray | None = None


def visit(job: Job, lookup: Lookup, config: StoreConfig) -> Visit:
    """Look at a file, and read it if the store does not know its content.

    Args:
        job: position in the manifest, name and path.
        lookup: of the store's index.
        config: how files are read and cut.
    """
    position, name, path = job
    record = identify(name, path, lookup)
    for _ in range(_READS):
        known = lookup.result(record)
        if known is not None:
            return Visit(position, known, known=True)
        record, pixels = _read(record, path, config)
        if untouched(path, record):
            return Visit(position, record, lookup.says(record), pixels)
        record = identify(name, path, lookup)
    message = "the file changes while it is read"
    return Visit(position, replace(record, sha256="", status="unreadable", message=message), False)


def run(
    jobs: Iterable[Job],
    scorer: Maclip,
    store: ShardStore,
    *,
    shard_size: int,
    progress: bool = False,
) -> dict[int, PictureRecord]:
    """Extract what a store lacks.

    Args:
        jobs: position in the manifest, name and path of every picture.
        scorer: whose encoder computes.
        store: that is filled.
        shard_size: pictures in a chunk of the manifest, each a shard or more.
        progress: show a progress bar, which begins at what the store holds.

    Returns:
        What became of every picture, by position.
    """
    jobs = list(jobs)
    lookup = Lookup(store.index)
    held = {position for position, name, _ in jobs if lookup.saw(name)}
    chunks = [jobs[first : first + shard_size] for first in range(0, len(jobs), shard_size)]
    numbers = list(range(len(chunks)))
    start = random.SystemRandom().randrange(len(numbers) or 1)
    results: dict[int, PictureRecord] = {}
    with tqdm(total=len(jobs), initial=len(held), unit="picture", disable=not progress) as bar:
        for number in numbers[start:] + numbers[:start]:
            for seen in _extract_chunk(number, chunks[number], scorer, store):
                results[seen.position] = seen.record
                bar.update(seen.position not in held)
    return results


def _extract_chunk(
    number: int, jobs: list[Job], scorer: Maclip, store: ShardStore
) -> Iterator[Visit]:
    """Extract a chunk; every picture is told of as it is done."""
    store.refresh()
    lookup = Lookup(store.index)
    facts = _facts(scorer)
    records: list[PictureRecord] = []
    pending: list[Extracted] = []
    size, since = 0, time.monotonic()
    look = partial(visit, lookup=lookup, config=store.config)
    for seen in ahead(look, jobs, partial(_cost, lookup=lookup)):
        records.append(seen.record)
        if not seen.known:
            pending.append(_encode(seen, scorer, store.config))
            size += pending[-1].features.nbytes
        if size > SHARD_BYTES or (pending and time.monotonic() - since > SHARD_SECONDS):
            store.append(number, pending, facts)
            pending, size, since = [], 0, time.monotonic()
        yield replace(seen, pixels=None)
    if pending:
        store.append(number, pending, facts)
    store.touch(lookup.moved(records))


def _cost(job: Job, lookup: Lookup) -> int:
    """Pixels that looking at a file may bring into memory."""
    seen = lookup.saw(job[1]) or not os.path.isfile(job[2])  # to open a pipe is to wait
    return 0 if seen else announced_pixels(job[2])


def _read(
    record: PictureRecord, path: Path, config: StoreConfig
) -> tuple[PictureRecord, np.ndarray | None]:
    preset: Literal["default", "official"] = (
        "official" if config.preset == "official" else "default"
    )
    picture = load_picture(path, preset=preset)
    record = replace(
        record,
        status=picture.status,
        message=picture.message,
        flags=picture.flags,
        width=picture.width,
        height=picture.height,
    )
    if picture.image is None:
        return record, None
    try:
        pixels, upscaled = prepare(picture.image, config.protocol)
    except ValueError as error:
        return replace(record, status="too_small", message=str(error)), None
    except MemoryError as error:
        return replace(record, status="too_large", message=str(error)), None
    flags = (*picture.flags, "upscaled") if upscaled else picture.flags
    return replace(record, flags=flags), pixels


def _encode(seen: Visit, scorer: Maclip, config: StoreConfig) -> Extracted:
    if seen.pixels is None:
        return Extracted(seen.record, np.zeros((0, scorer.encoder.embed_dim), dtype=np.float32))
    features = scorer.encoder.encode_picture(seen.pixels, config.protocol, config.pos_embedding)
    height, width = seen.pixels.shape[:2]
    grid = CropGrid(height, width, config.protocol)
    return Extracted(seen.record, features.numpy(), (grid.rows, grid.cols), (height, width))


def _facts(scorer: Maclip) -> Mapping[str, str]:
    return {
        "backbone": scorer.backbone.name,
        "weights_sha256": scorer.backbone.sha256,
        "device": str(scorer.encoder.device),
        "threads": str(torch.get_num_threads()),
        **versions(),
    }
