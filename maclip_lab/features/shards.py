"""One immutable file of features: what it holds, how it is written, read and verified.

A shard is a sealed safetensors file with the raw features of a few hundred pictures, all crops
flat; its header carries what the pictures were.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from maclip_lab.files.atomic import write_bytes
from maclip_lab.files.sealed import seal, verify_seal

DTYPES = {"fp32": np.float32, "fp16": np.float16}


@dataclass(frozen=True)
class PictureRecord:
    """What is known of one picture file in a store.

    Attributes:
        path: relative to the manifest's root.
        sha256: of the file's bytes; empty where they could not be read.
        size: of the file, in bytes.
        mtime_ns: when the content was last changed.
        ctime_ns: when the file was last touched in any way; unlike mtime it cannot be set back. 0
            where the system does not tell.
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
    """The head of a shard file; its facts are for whoever reads the file alone."""

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
    """Write one shard under a name of its own; the number is for human readers.

    Raises:
        StorageFullError: there is no room.
    """
    metadata = {
        "config_sha256": config_sha256,
        "created_ns": str(created_ns),
        "facts": json.dumps(dict(facts), sort_keys=True),
        "pictures": json.dumps([asdict(picture.record) for picture in pictures]),
    }
    path = folder / f"{number:06d}-{uuid.uuid4().hex}.safetensors"
    write_bytes(path, seal(picture_tensors(pictures, dtype), metadata))
    return path


def picture_tensors(pictures: Sequence[Extracted], dtype: str) -> dict[str, np.ndarray]:
    """What a file holds of some pictures, all crops flat.

    Returns:
        ``feats`` ``(M, D)``; ``offsets`` ``(N + 1)``, where each picture's crops begin; ``grid``
        and ``sizes`` ``(N, 2)``, as in `Extracted`.
    """
    crops = [len(picture.features) for picture in pictures]
    return {
        "feats": np.concatenate([picture.features for picture in pictures], dtype=DTYPES[dtype]),
        "grid": np.array([picture.grid for picture in pictures], dtype=np.int16),
        "offsets": np.cumsum([0, *crops], dtype=np.int64),
        "sizes": np.array([picture.size for picture in pictures], dtype=np.int32),
    }


def verify_shard(path: Path) -> ShardHeader:
    """Read a whole shard and check every byte of it.

    Raises:
        SealError: a byte differs from what was written, or the file is no shard.
        OSError: the file cannot be read.
    """
    metadata = verify_seal(path, "a shard of features")
    return ShardHeader(
        tuple(
            PictureRecord(**record | {"flags": tuple(record["flags"])})
            for record in json.loads(metadata["pictures"])
        ),
        metadata["config_sha256"],
        json.loads(metadata["facts"]),
        int(metadata["created_ns"]),
    )
