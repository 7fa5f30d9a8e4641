"""One immutable file of features: what it holds, how it is written, read and verified.

A shard is a safetensors file with the raw features of a few hundred pictures, all crops flat. Its
header carries what the pictures were and, since the format has no checksum of its own, the sha256
of the whole file with that digest's digits taken as zeros.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from maclip_lab.errors import MaclipError
from maclip_lab.files.atomic import write_bytes

DTYPES = {"fp32": np.float32, "fp16": np.float16}
_NUMPY = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16}
_NO_DIGEST = "0" * 64


class ShardError(MaclipError):
    """A shard's bytes are not those that were written."""


@dataclass(frozen=True)
class PictureRecord:
    """What is known of one picture file in a store.

    Attributes:
        path: relative to the manifest's root.
        sha256: of the file's bytes; empty where they could not be read.
        size: of the file, in bytes.
        mtime_ns: when the content was last changed.
        ctime_ns: when the file was last touched in any way; unlike mtime it cannot be set back.
        status: ``"ok"``, or why there are no features.
        flags: what was done to the picture on the way in.
        message: empty when ok.
        width: of the picture as decoded, in pixels.
        height: of the picture as decoded, in pixels.
    """

    path: str
    sha256: str = ""
    size: int = -1
    mtime_ns: int = 0
    ctime_ns: int = 0
    status: str = "ok"
    flags: tuple[str, ...] = ()
    message: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Extracted:
    """A picture's record with its features.

    Attributes:
        record: of the picture.
        features: raw ``(P, D)`` float32; P is 0 unless the status is ok.
        grid: windows that fit from top to bottom and from left to right.
        size: height and width of the picture as it was cut, in pixels.
    """

    record: PictureRecord
    features: np.ndarray = field(repr=False)
    grid: tuple[int, int] = (0, 0)
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ShardHeader:
    """The head of a shard file.

    Attributes:
        records: of its pictures.
        config_sha256: of the configuration that made the features.
        facts: weights, versions and device, for whoever reads the file alone.
        created_ns: when it was written.
    """

    records: tuple[PictureRecord, ...]
    config_sha256: str
    facts: dict[str, str]
    created_ns: int


def write_shard(
    folder: Path,
    number: int,
    pictures: Sequence[Extracted],
    *,
    dtype: str,
    config_sha256: str,
    facts: Mapping[str, str],
    created_ns: int,
) -> Path:
    """Write one shard under a name of its own.

    Args:
        folder: of the shards.
        number: of the manifest's chunk, for human readers.
        pictures: at least one.
        dtype: ``"fp32"`` or ``"fp16"``, how features are stored.
        config_sha256: of the configuration that made them.
        facts: weights, versions and device.
        created_ns: the time, in nanoseconds.

    Raises:
        StorageFullError: there is no room.
    """
    crops = [len(picture.features) for picture in pictures]
    tensors = {
        "feats": np.concatenate([picture.features for picture in pictures], dtype=DTYPES[dtype]),
        "grid": np.array([picture.grid for picture in pictures], dtype=np.int16),
        "offsets": np.cumsum([0, *crops], dtype=np.int64),
        "sizes": np.array([picture.size for picture in pictures], dtype=np.int32),
    }
    metadata = {
        "config_sha256": config_sha256,
        "created_ns": str(created_ns),
        "facts": json.dumps(dict(facts), sort_keys=True),
        "file_sha256": _NO_DIGEST,
        "pictures": json.dumps([asdict(picture.record) for picture in pictures]),
    }
    data = save(tensors, metadata=metadata)
    length = 8 + int.from_bytes(data[:8], "little")
    digest = hashlib.sha256(data).hexdigest()
    head = data[:length].replace(_digest_entry(_NO_DIGEST), _digest_entry(digest), 1)
    path = folder / f"{number:06d}-{uuid.uuid4().hex}.safetensors"
    write_bytes(path, head + data[length:])
    return path


def verify_shard(path: Path) -> ShardHeader:
    """Read a whole shard and check every byte of it.

    Raises:
        ShardError: a byte differs from what was written, or the file is no shard.
        OSError: the file cannot be read.
    """
    data = path.read_bytes()
    try:
        length = 8 + int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8:length])["__metadata__"]
        digest = metadata["file_sha256"]
        head = data[:length].replace(_digest_entry(digest), _digest_entry(_NO_DIGEST), 1)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ShardError(f"{path.name} is not a shard of features: {error!r}") from error
    content = hashlib.sha256(head)
    content.update(memoryview(data)[length:])
    if content.hexdigest() != digest:
        raise ShardError(f"{path.name} is damaged: its sha256 is not the {digest} it was given")
    return ShardHeader(
        tuple(
            PictureRecord(**record | {"flags": tuple(record["flags"])})
            for record in json.loads(metadata["pictures"])
        ),
        metadata["config_sha256"],
        json.loads(metadata["facts"]),
        int(metadata["created_ns"]),
    )


def _digest_entry(digest: str) -> bytes:
    """The digest's place in the header, which no picture's name can imitate."""
    return f'"file_sha256":"{digest}"'.encode()


def map_shard(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a shard, mapped from the file without reading it; writes stay in memory.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__")
    size = os.path.getsize(path) - 8 - length
    block = np.memmap(path, dtype=np.uint8, mode="c", offset=8 + length, shape=(size,))
    return {
        name: block[slice(*entry["data_offsets"])]
        .view(_NUMPY[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in header.items()
    }
