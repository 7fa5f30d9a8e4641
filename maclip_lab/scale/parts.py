"""The shard contract of scale-out: a part of the pictures in, one immutable Parquet file out.

A part's name is a hash of its pictures, as they are on disk, and of everything its numbers depend
on. Whoever computes it, whenever, writes the same rows under the same name, so to resume is to skip
the parts that exist and verify, and to do one twice is harmless.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from maclip_lab.crops import Protocol
from maclip_lab.errors import IntegrityError
from maclip_lab.features.lookup import file_times
from maclip_lab.files.atomic import write_bytes
from maclip_lab.files.provenance import config_sha256, versions
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Preset
from maclip_lab.prompts import PromptPairs, prompt_pairs
from maclip_lab.scorer import TABLE_COLUMNS, Maclip, score_row
from maclip_lab.weights.loading import fetch

_KEY = b"maclip_lab.part"
_NO_DIGEST = "0" * 64
_STAMP = re.compile(rb"(?P<key>[0-9a-f]{64}):(?P<digest>[0-9a-f]{64})")
_PLACES = ("weights_dir", "offline")


@dataclass(frozen=True)
class ScoreConfig:
    """Everything that scores depend on, except the pictures; small enough to send to a worker.

    Attributes:
        backbone: by name or file, see `Maclip`.
        weights_sha256: what every worker's weights must be; empty for what is found here.
        dataset: whose crop protocol to follow, by name, or a `Protocol`; None keeps native size.
        preset: how files are read, see `Maclip.__call__`.
        prompts: name of a prompt set, or pairs.
        settings: the fusion's constants.
        device: ``"auto"`` or a torch device.
        precision: of the encoder.
        pos_embedding: add the visual positional embedding.
        threads: of torch on a CPU, in a worker and in process alike, as they change last bits.
        weights_dir: folder to look for weights in first.
        offline: never use the network; None follows the environment.
    """

    backbone: str = "RN50"
    weights_sha256: str = ""
    dataset: str | Protocol | None = None
    preset: Preset | None = None
    prompts: str | PromptPairs = "maclip"
    settings: FusionSettings = FusionSettings()
    device: str = "auto"
    precision: str = "fp32"
    pos_embedding: bool = False
    threads: int = 1
    weights_dir: str | None = None
    offline: bool | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads is at least 1, got {self.threads}")
        pairs = prompt_pairs(self.prompts)
        if not isinstance(self.prompts, str):
            object.__setattr__(self, "prompts", pairs)

    @property
    def sha256(self) -> str:
        """Hash of what the numbers depend on; where weights are looked for is not among it."""
        fields = {name: value for name, value in asdict(self).items() if name not in _PLACES}
        fields["prompts"] = prompt_pairs(self.prompts)
        fields["versions"] = versions()
        return config_sha256(fields)

    def pinned(self) -> "ScoreConfig":
        """The same with the weights found, fetched if need be, and named by their sha256.

        Raises:
            WeightsError: no weights can be had.
        """
        path = Path(self.backbone)
        here = replace(self, backbone=str(path.absolute())) if path.is_file() else self
        found = fetch(
            here.backbone, weights_dir=self.weights_dir, offline=self.offline, progress=False
        )
        if self.weights_sha256 not in ("", found.sha256):
            raise IntegrityError(
                f"{self.backbone} is {found.sha256} here, not the {self.weights_sha256} asked for"
            )
        return replace(here, weights_sha256=found.sha256)


@dataclass(frozen=True)
class Part:
    """Some of the pictures.

    Attributes:
        number: its place in the order.
        paths: of the pictures, as they stand in the table.
        root: folder that relative paths start from.
    """

    number: int
    paths: tuple[str, ...]
    root: str

    def files(self) -> list[Path]:
        """Where the pictures lie, relative only where that means the same here."""
        same = os.getcwd() == self.root
        return [Path(path) if same else Path(self.root, path) for path in self.paths]

    def key(self, config: ScoreConfig) -> str:
        """Hash of the pictures, with their sizes and times, and of the configuration."""
        content = [config.sha256, *([path, *file_times(file)] for path, file in self._pairs())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def _pairs(self) -> Iterator[tuple[str, Path]]:
        return zip(self.paths, self.files(), strict=True)


@dataclass(frozen=True)
class FinishedPart:
    """A part that lies on the disk.

    Attributes:
        number: of the part.
        path: of its file.
        pictures: how many rows it has.
        resumed: whether it was there before.
    """

    number: int
    path: Path
    pictures: int
    resumed: bool


def divide(
    pictures: Sequence[str | os.PathLike[str]], part_size: int, root: Path | None = None
) -> Iterator[Part]:
    """The parts of a list of pictures, in order.

    Args:
        pictures: paths.
        part_size: pictures in a part; the last may have fewer.
        root: that relative paths start from; None for the working folder.

    Raises:
        ValueError: ``part_size`` is below 1.
    """
    if part_size < 1:
        raise ValueError(f"part_size is a number of pictures, got {part_size}")
    home = os.fspath(root or Path.cwd())
    for number, start in enumerate(range(0, len(pictures), part_size)):
        paths = tuple(Path(path).as_posix() for path in pictures[start : start + part_size])
        yield Part(number, paths, home)


def score_shard(part: Part, config: ScoreConfig, folder: Path) -> FinishedPart:
    """Score a part and commit it, unless a verified file of it exists.

    Args:
        part: the pictures.
        config: pinned, see `ScoreConfig.pinned`.
        folder: of the parts, the same for all workers.

    Raises:
        StorageFullError: there is no room.
        WeightsError: the weights cannot be had here, or are others.
    """
    key = part.key(config)
    path = Path(folder) / f"{part.number:06d}-{key[:16]}.parquet"
    if path.exists():
        try:
            read_part(path, key)
            return FinishedPart(part.number, path, len(part.paths), resumed=True)
        except IntegrityError:
            path.replace(path.with_name(path.name + ".corrupt"))
    with _threads(config.threads):
        scorer = _scorer(replace(config, device=_device(config.device)))
        results = scorer.score_all(
            part.files(), config.dataset, config.settings, preset=config.preset
        )
        named = zip(part.paths, results, strict=True)
        rows = [score_row(Path(name), result) for name, result in named]
    table = pa.Table.from_pandas(
        pd.DataFrame(rows, columns=list(TABLE_COLUMNS)), preserve_index=False
    )
    write_bytes(path, _stamped(table, key))
    return FinishedPart(part.number, path, len(part.paths), resumed=False)


def read_part(path: Path, key: str | None = None) -> pd.DataFrame:
    """The rows of a part.

    Args:
        path: of its file.
        key: that it must have been written under; None takes the one its name begins.

    Raises:
        IntegrityError: the file is damaged, or another part's.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error
    stamp = list(_STAMP.finditer(data))[-1:]
    if not stamp or _digest(data, stamp[0].start("digest")) != stamp[0]["digest"].decode():
        raise IntegrityError(f"{path} is damaged: its sha256 is not the one it was given")
    wanted = path.stem.partition("-")[2] if key is None else key
    if not wanted or not stamp[0]["key"].decode().startswith(wanted):
        raise IntegrityError(f"{path} is not the part that its name says")
    return pq.read_table(BytesIO(data)).to_pandas(ignore_metadata=True)


def _stamped(table: pa.Table, key: str) -> bytes:
    """A Parquet file that names its part and, in the same place, the sha256 of the whole file."""
    buffer = BytesIO()
    stamp = f"{key}:{_NO_DIGEST}".encode()
    with pq.ParquetWriter(buffer, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({_KEY: stamp})
    data = buffer.getvalue()
    place = data.rindex(stamp) + len(key) + 1
    return data[:place] + _digest(data, place).encode() + data[place + len(_NO_DIGEST) :]


def _digest(data: bytes, place: int) -> str:
    """The sha256 of a file whose digest, which stands at ``place``, is taken as zeros."""
    content = hashlib.sha256(data[:place] + _NO_DIGEST.encode())
    content.update(memoryview(data)[place + len(_NO_DIGEST) :])
    return content.hexdigest()


@lru_cache(maxsize=1)
def _scorer(config: ScoreConfig) -> Maclip:
    """The backbone, loaded once a process."""
    scorer = Maclip(
        config.backbone,
        device=config.device,
        precision=config.precision,
        prompts=config.prompts,
        pos_embedding=config.pos_embedding,
        weights_dir=config.weights_dir,
        offline=config.offline,
    )
    if scorer.backbone.sha256 != config.weights_sha256:
        raise IntegrityError(
            f"this worker's {config.backbone} is {scorer.backbone.sha256}, "
            f"not the {config.weights_sha256} of the run"
        )
    return scorer


def _device(device: str) -> str:
    """One worker a GPU: workers of a local cluster, which are numbered, share the GPUs out."""
    if device != "auto" or not torch.cuda.is_available():
        return device
    try:
        from distributed import get_worker

        name = str(get_worker().name)
    except (ImportError, ValueError):
        return "cuda"
    return f"cuda:{int(name) % torch.cuda.device_count()}" if name.isdigit() else "cuda"


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
