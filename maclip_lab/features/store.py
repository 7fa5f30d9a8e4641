"""The feature store on disk: immutable shards, and an index that can be rebuilt from them.

One folder below the store for every configuration, named by its hash, so that features made one
way are never served for another. Nothing in it is shared and mutable: shards appear whole under
unique names, and the index is replaced whole and believed only as far as the shards agree, so any
number of processes may use a store at once, without a lock, and be killed at any instant.
"""

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from maclip_lab.crops import Protocol
from maclip_lab.errors import MaclipError, StorageFullError
from maclip_lab.features.shards import (
    DTYPES,
    Extracted,
    PictureRecord,
    ShardHeader,
    verify_shard,
    write_shard,
)
from maclip_lab.files.atomic import sweep, write_bytes
from maclip_lab.files.identity import file_times
from maclip_lab.files.sealed import SealError, map_tensors
from maclip_lab.images import Preset

_LOGGER = logging.getLogger(__name__)
_LAYOUT = 1
_STAMP = ("shard_size", "shard_mtime_ns", "shard_ctime_ns")


class StoreError(MaclipError):
    """A feature store cannot serve what was asked of it."""


class StoreWarning(UserWarning):
    """A feature store is less than whole; what is missing is computed anew."""


@dataclass(frozen=True)
class StoreConfig:
    """Everything a feature depends on, except the picture.

    ``dtype`` is how features are stored, ``"fp32"`` or ``"fp16"``; ``quick_gelu`` is the
    activation, which a weights file alone does not tell.
    """

    weights_sha256: str
    precision: str
    preset: Preset
    protocol: Protocol
    pos_embedding: bool = False
    dtype: str = "fp32"
    quick_gelu: bool = True

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is one of {', '.join(DTYPES)}, got {self.dtype!r}")
        if self.preset not in ("default", "official"):
            raise ValueError(f"preset is 'default' or 'official', got {self.preset!r}")

    @property
    def fields(self) -> dict[str, object]:
        """All fields flat, those of the protocol as ``protocol.name`` and so on."""
        protocol = {f"protocol.{name}": value for name, value in asdict(self.protocol).items()}
        plain = {name: value for name, value in vars(self).items() if name != "protocol"}
        return plain | protocol | {"layout": _LAYOUT}

    @property
    def sha256(self) -> str:
        """The key of the features."""
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()


def differences(ours: Mapping[str, object], theirs: Mapping[str, object]) -> list[str]:
    """The fields in which two configurations differ, in words.

    >>> differences({"precision": "fp32"}, {"precision": "bf16"})
    ["precision is 'fp32' here and 'bf16' there"]
    """
    ours, theirs = json.loads(json.dumps([dict(ours), dict(theirs)]))
    return [
        f"{name} is {ours.get(name)!r} here and {theirs.get(name)!r} there"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]


class FeatureStore:
    """The features of one configuration in a store.

    Opening sweeps what dead processes left a day ago, verifies shards not verified before, sets
    damaged ones aside as ``*.corrupt`` with a warning, and brings the index up to date.

    Args:
        root: folder of the store; made where absent.
        config: whose features.

    Raises:
        StoreError: the folder cannot be made or written.
        StorageFullError: there is no room.

    Attributes:
        index: one row a picture entry: a `PictureRecord`'s fields, the shard and the row in it,
            and the shard's size and times when it was verified.
    """

    def __init__(self, root: Path, config: StoreConfig) -> None:
        self.root, self.config = Path(root), config
        self.folder = self.root / config.sha256[:16]
        self.shards = self.folder / "shards"
        _announce(self.root, config)
        self._describe()
        for folder in (self.folder, self.shards):
            sweep(folder)
        self.index = self._stored_index()
        self.refresh()

    def refresh(self) -> bool:
        """Take in shards that appeared since, and forget those that went; whether any did."""
        stamps = self._stamps()
        rows = self.index[["shard", *_STAMP]].drop_duplicates("shard").itertuples(index=False)
        known = {name: tuple(stamp) for name, *stamp in rows}
        trusted = {name for name in known if known[name] == stamps.get(name)}
        fresh = [name for name in stamps if name not in trusted]
        if not fresh and len(trusted) == len(known):
            return False
        tables = [self.index[self.index["shard"].isin(trusted)]]
        for name in fresh:
            header = self._verified(self.shards / name)
            if header is not None:
                tables.append(_rows(name, header.records, stamps[name]))
        self._replace_index(tables)
        return True

    def append(self, number: int, pictures: Sequence[Extracted], facts: Mapping[str, str]) -> Path:
        """Commit a shard; once this returns no kill can take it back.

        Raises:
            StorageFullError: there is no room; the store is as it was.
        """
        path = write_shard(
            self.shards,
            number,
            pictures,
            dtype=self.config.dtype,
            config_sha256=self.config.sha256,
            facts=facts,
            created_ns=time.time_ns(),
        )
        records = [picture.record for picture in pictures]
        self._replace_index([self.index, _rows(path.name, records, file_times(path))])
        return path

    def touch(self, records: Iterable[PictureRecord]) -> None:
        """Note that files with new times still hold what they held."""
        fresh = {(record.path, record.sha256): record for record in records}
        if not fresh:
            return
        index = self.index.copy()
        keys = pd.MultiIndex.from_frame(index[["path", "sha256"]])
        for row in np.flatnonzero(keys.isin(list(fresh))):
            record = fresh[keys[row]]
            for name in ("size", "mtime_ns", "ctime_ns"):
                index.loc[row, name] = getattr(record, name)
        self._replace_index([index])

    def arrays(self, shard: str) -> dict[str, np.ndarray]:
        """The mapped tensors of a shard: ``feats``, ``offsets``, ``grid`` and ``sizes``."""
        return _mapped(self.shards / shard)

    def verify(self) -> list[Path]:
        """Read every byte of every shard; damaged ones are set aside.

        Returns:
            The shards that were damaged, under the names they had.
        """
        paths = [self.shards / name for name in self._stamps()]
        damaged = [path for path in paths if self._verified(path) is None]
        self.refresh()
        return damaged

    def _describe(self) -> None:
        path = self.folder / "config.json"
        content = json.dumps(self.config.fields, indent=2, sort_keys=True).encode()
        try:
            self.shards.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                write_bytes(path, content)
        except StorageFullError:
            raise
        except OSError as error:
            raise StoreError(
                f"no store can be kept in {self.root} ({error}); name another store folder"
            ) from error

    def _stamps(self) -> dict[str, tuple[int, int, int]]:
        """Size and times of every shard; what else bears such a name, or just went, is none."""
        stamps = {}
        for path in sorted(self.shards.glob("*.safetensors")):
            with suppress(OSError):
                if path.is_file() and (times := file_times(path))[0] >= 0:
                    stamps[path.name] = times
        return stamps

    def _stored_index(self) -> pd.DataFrame:
        empty = _rows("", [], (0, 0, 0))
        try:
            table = pq.read_table(self.folder / "index.parquet", page_checksum_verification=True)
            return table.to_pandas(ignore_metadata=True)[list(empty)].astype(empty.dtypes)
        except Exception:  # the reader of damaged bytes raises anything; the shards are the truth
            return empty

    def _replace_index(self, tables: list[pd.DataFrame]) -> None:
        filled = [table for table in tables if len(table)] or tables[:1]
        self.index = pd.concat(filled, ignore_index=True).sort_values(
            ["shard", "row"], ignore_index=True
        )
        buffer = BytesIO()
        content = pa.Table.from_pandas(self.index, preserve_index=False)
        pq.write_table(content, buffer, write_page_checksum=True)
        try:
            write_bytes(self.folder / "index.parquet", buffer.getvalue())
        except OSError as error:
            _LOGGER.info("the index stays in memory, to be rebuilt at the next start: %s", error)

    def _verified(self, path: Path) -> ShardHeader | None:
        """A shard's header, or None for a shard that must not be used."""
        try:
            header = verify_shard(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            message = f"{path.name} cannot be read ({error}); its pictures are redone"
        except SealError as error:
            message = f"{error}; it is set aside as {path.name}.corrupt, its pictures are redone"
            try:
                path.replace(path.with_name(path.name + ".corrupt"))
            except OSError:
                _LOGGER.info("%s could not be renamed and is ignored", path)
        else:
            if header.config_sha256 == self.config.sha256:
                return header
            message = f"{path.name} was made under another configuration and is ignored"
        warnings.warn(message, StoreWarning, stacklevel=2)
        return None


def stored_configs(root: Path) -> list[dict[str, object]]:
    """The fields of every configuration that a store holds features of."""
    found = []
    for path in sorted(Path(root).glob("*/config.json")):
        try:
            fields = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            _LOGGER.info("%s is not readable and is passed over", path)
            continue
        if isinstance(fields, dict) and "weights_sha256" in fields:  # else another package's
            found.append(fields)
    return found


def _announce(root: Path, config: StoreConfig) -> None:
    """Say what is new about a configuration that a store has not seen."""
    others = stored_configs(root)
    if others and not (root / config.sha256[:16] / "config.json").exists():
        nearest = min((differences(config.fields, other) for other in others), key=len)
        _LOGGER.info("no features of this configuration in %s: %s", root, "; ".join(nearest))


def _rows(
    shard: str, records: Sequence[PictureRecord], stamp: tuple[int, int, int]
) -> pd.DataFrame:
    """The index's rows for one shard."""
    columns = list(PictureRecord.__dataclass_fields__)
    table = pd.DataFrame([vars(record) for record in records], columns=columns)
    table["flags"] = [" ".join(flags) for flags in table["flags"]]
    table["shard"], table["row"] = shard, np.arange(len(records))
    for name, value in zip(_STAMP, stamp, strict=True):
        table[name] = value
    integers = ["size", "mtime_ns", "ctime_ns", "width", "height", "row", *_STAMP]
    texts = ["path", "sha256", "status", "flags", "message", "shard"]
    return table.astype(dict.fromkeys(integers, "int64") | dict.fromkeys(texts, "object"))


_mapped = lru_cache(maxsize=4)(map_tensors)
