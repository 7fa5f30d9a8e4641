"""The feature store on disk: one pack a set, and single pictures while it is extracted.

A store has one folder for every configuration, named by its hash. While a set is extracted each
picture becomes one small sealed file named by its content; when the last one is there they are
gathered into a pack, which everything opens, and go. Files appear whole, under names that say what
is in them, so any number of processes may use a store at once, without a lock, and be killed at any
instant.
"""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maclip_lab.crops import PreparedPicture
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import StorageFullError
from maclip_lab.features.features import (
    CUT,
    DTYPES,
    GRID,
    NO_FEATURES,
    Features,
    Part,
    StoreConfig,
    StoreError,
    StoreWarning,
    differences,
)
from maclip_lab.features.packs import read_part, save_pack
from maclip_lab.files.atomic import RECORD_SUFFIX, sweep, write_bytes
from maclip_lab.files.identity import file_times
from maclip_lab.files.sealed import Pieces, SealError, map_tensors, read_seal, seal

_LOGGER = logging.getLogger(__name__)
_SUFFIX = ".safetensors"
_HEX = "[0-9a-f]"
_PACKS = f"{_HEX * 12}-{_HEX * 20}{_SUFFIX}"  # rows and contents; what else lies there is not ours


@dataclass(frozen=True)
class Seen:
    """What a file holds, or why it cannot be read."""

    sha256: str = ""
    status: str = ""
    message: str = ""


class Memo:
    """What the files below a folder held when they were last read, by size and times.

    It spares hashing and may be lost. A file's time of change cannot be set back, so an edit that
    keeps name, size and modification time is noticed too; where a system keeps no such time,
    nothing is remembered.
    """

    def __init__(self, store: Path, root: Path) -> None:
        self.root = os.path.abspath(root)
        key = hashlib.sha256(os.fsencode(self.root)).hexdigest()
        self.path = store / "memo" / f"{key[:16]}.json"
        self.entries: dict[str, list[Any]] = {}
        self.changed = False
        with suppress(OSError, ValueError):
            digest, content = self.path.read_bytes().split(b"\n", 1)
            if hashlib.sha256(content).hexdigest().encode() == digest:
                self.entries = json.loads(content)

    def recall(self, name: str) -> str:
        """The sha256 of a file untouched since it was read; empty where it must be read."""
        entry = self.entries.get(name)
        if entry is None:
            return ""
        times = file_times(Path(self.root, name))
        return str(entry[3]) if times[2] and times == tuple(entry[:3]) else ""

    def learn(self, name: str, times: tuple[int, int, int], sha256: str) -> None:
        """Remember what a file of these times holds."""
        entry = [*times, sha256]
        if self.entries.get(name) != entry:
            self.entries[name] = entry
            self.changed = True

    def save(self) -> None:
        """Keep it, if that can be."""
        if not self.changed:
            return
        content = json.dumps(dict(self.entries)).encode()
        digest = hashlib.sha256(content).hexdigest().encode()
        try:
            write_bytes(self.path, digest + b"\n" + content, durable=False)
            self.changed = False
        except OSError as error:
            _LOGGER.info("the memo of file times is not kept: %s", error)


class FeatureStore:
    """The features of one configuration in a store: its packs, and pictures not yet in one.

    Opening sweeps what dead processes left a day ago. A pack is verified when it is first seen; a
    damaged one is set aside as ``*.corrupt`` with a warning, and its pictures are computed anew.

    Raises:
        StoreError: the folder cannot be made or written, or is a store of an earlier version.
        StorageFullError: there is no room.
    """

    def __init__(self, root: Path, config: StoreConfig) -> None:
        self.root, self.config = Path(root), config
        self.folder = self.root / config.sha256[:16]
        self.pictures = self.folder / "pictures"
        if any(self.root.glob("*/shards")):
            raise StoreError(
                f"{self.root} is a feature store of an earlier version, in shards, which are no "
                "longer read: delete it or name another folder (--store), and run the same again, "
                "or maclip-lab features, which extracts a set anew"
            )
        self._describe()
        for folder in (self.folder, self.pictures):
            sweep(folder)
        self.memo = Memo(self.root, self.folder)
        self.parts: dict[Path, Part] = {}
        self.strays: set[Path] = set()
        self._refresh()

    def holds(self, sha256: str) -> bool:
        """Whether anything is known of a file's content; no file holds the empty one."""
        return sha256 != "" and (
            self._packed(sha256)
            or os.path.exists(self._picture(sha256))
            or (self._refresh() and self._packed(sha256))
        )

    def put(self, sha256: str, prepared: PreparedPicture, features: np.ndarray) -> Path:
        """Keep what a picture gave; once this returns no kill can take it back.

        Raises:
            StorageFullError: there is no room; the store is as it was.
        """
        picture, grid = prepared.picture, prepared.grid
        row = NO_FEATURES | {
            "status": picture.status,
            "flags": " ".join(picture.flags),
            "message": picture.message,
            "width": picture.width,
            "height": picture.height,
            "sha256": sha256,
            "n_crops": len(features),
        }
        if grid is not None:
            windows, cut = (grid.rows, grid.cols), (grid.height, grid.width)
            row |= dict(zip([*GRID, *CUT], [*windows, *cut], strict=True))
        content = {"feats": features.astype(DTYPES[self.config.dtype], copy=False)}
        facts = {"config": self.config.sha256, "row": json.dumps(row)}
        path = self._picture(sha256)
        write_bytes(path, seal(content, facts), durable=False)
        return path

    def serve(self, manifest: Manifest, seen: Sequence[Seen], scorer: Any) -> Features:
        """The features of files that all are held, gathered into one pack.

        Raises:
            SealError: a file was damaged, and has been set aside; FileNotFoundError where it went.
        """
        wanted = {one.sha256 for one in seen} - {""}
        holding = [part for part in self.parts.values() if wanted <= part.contents.keys()]
        part = holding[0] if holding else self._gather(manifest, seen, sorted(wanted), scorer)
        self._tidy(part)
        table, following = part.table, count(len(part.table))
        if failed := [NO_FEATURES | vars(one) for one in seen if not one.sha256]:
            table = pd.concat([table, pd.DataFrame(failed)])
        rows = [part.contents[one.sha256] if one.sha256 else next(following) for one in seen]
        paths = manifest.table["path"].to_numpy()
        table = table.iloc[rows].assign(path=paths).reset_index(drop=True)
        return Features(manifest, self.config, table, part)

    def _gather(
        self, manifest: Manifest, seen: Sequence[Seen], wanted: Sequence[str], scorer: Any
    ) -> Part:
        """Put what is wanted, and only that, into one pack; what it replaces goes."""
        rows, readers = {}, {}
        for sha256 in wanted:
            rows[sha256], readers[sha256] = self._entry(sha256)
        table = pd.DataFrame(
            {**(rows[one.sha256] if one.sha256 else NO_FEATURES | vars(one)), "path": path}
            for path, one in zip(manifest.table["path"], seen, strict=True)
        ).drop_duplicates("path")
        dtype, dim = DTYPES[self.config.dtype], scorer.encoder.embed_dim
        if not wanted:
            return Part(self.config, table, np.zeros((0, dim), dtype))

        def pieces() -> Iterator[np.ndarray]:
            return (readers[sha256]() for sha256 in table["sha256"] if sha256)

        feats = Pieces(dtype, (int(table["n_crops"].sum()), dim), pieces)
        names = json.dumps([str(manifest.root), *table["path"]])
        rows_key = hashlib.sha256(names.encode()).hexdigest()[:12]
        content_key = hashlib.sha256("".join(wanted).encode()).hexdigest()[:20]
        path = self.folder / f"{rows_key}-{content_key}{_SUFFIX}"
        save_pack(path, manifest, {"crops": Part(self.config, table, feats)}, scorer)
        self.strays.discard(path)
        self._refresh()
        if path not in self.parts:  # a larger one of another process has replaced it
            raise FileNotFoundError(path)
        self._retire(path, rows_key)
        return self.parts[path]

    def _entry(self, sha256: str) -> tuple[dict[str, Any], Callable[[], np.ndarray]]:
        """The row of a content, and what reads its features."""
        for part in self.parts.values():
            if sha256 in part.contents:
                row = part.table.iloc[part.contents[sha256]].to_dict()
                crops = slice(row["start"], row["start"] + row["n_crops"])
                return row, partial(part.mapped.__getitem__, crops)
        path = self._picture(sha256)
        header = self._verified(path)
        if header.get("config") != self.config.sha256:
            path.unlink(missing_ok=True)  # it stands in the way of this configuration's own
            raise SealError(f"{path.name} was made under another configuration")
        return json.loads(header["row"]), lambda: map_tensors(path)["feats"]

    def _retire(self, path: Path, rows_key: str) -> None:
        """Delete packs whose pictures are all in another, and older ones of the same rows."""
        here = self.parts[path].contents.keys()
        for other in [other for other in self.parts if other != path]:
            with suppress(OSError):
                older = other.stat().st_mtime_ns < path.stat().st_mtime_ns
                inside = self.parts[other].contents.keys() < here
                if inside or (other.name.startswith(rows_key) and older):
                    other.unlink()
                    other.with_name(other.name + RECORD_SUFFIX).unlink(missing_ok=True)
                    del self.parts[other]

    def _tidy(self, part: Part) -> None:
        """Delete the single pictures that a pack has taken in."""
        with suppress(OSError):
            for name in os.listdir(self.pictures):
                if name.endswith(_SUFFIX) and name.removesuffix(_SUFFIX) in part.contents:
                    with suppress(OSError):
                        os.unlink(self.pictures / name)

    def _refresh(self) -> bool:
        """Take in packs that appeared since, and forget those that went; whether any appeared."""
        paths = set(self.folder.glob(_PACKS))
        parts = {path: part for path, part in self.parts.items() if path in paths}
        fresh = sorted(paths - parts.keys() - self.strays)
        for path in fresh:
            times = file_times(path)
            try:
                header = self._verified(path, known=bool(self.memo.recall(path.name)))
                part = read_part("crops", header, map_tensors(path))
                if part.config != self.config:
                    raise ValueError("it was made under another configuration")
            except (OSError, SealError, KeyError, TypeError, ValueError) as error:
                if not path.is_file():  # it went, was set aside or never was one
                    continue
                self.strays.add(path)
                message = f"{path.name} is no pack of this store: {error}; it is ignored"
                warnings.warn(message, StoreWarning, stacklevel=2)
            else:
                parts[path] = part
                self.memo.learn(path.name, times, header["file_sha256"])
        self.parts = parts
        self.memo.save()
        return bool(fresh)

    def _verified(self, path: Path, *, known: bool = False) -> dict[str, str]:
        """A sealed file's header; every byte is checked unless the file is known to be whole."""
        if not path.is_file():
            raise FileNotFoundError(path)
        try:
            return read_seal(path, "a file of features", verify=not known)
        except SealError as error:
            message = f"{error}; it is set aside as {path.name}.corrupt, its pictures are redone"
            try:
                path.replace(path.with_name(path.name + ".corrupt"))
            except OSError:
                message = f"{error}; it is ignored, and could not be renamed"
            warnings.warn(message, StoreWarning, stacklevel=2)
            raise

    def _describe(self) -> None:
        """Say in the folder whose features it holds, and in the log what is new about them."""
        path = self.folder / "config.json"
        content = json.dumps(self.config.fields, indent=2, sort_keys=True).encode()
        others = [] if path.exists() else stored_configs(self.root)
        if others:
            nearest = min((differences(self.config.fields, other) for other in others), key=len)
            _LOGGER.info(
                "no features of this configuration in %s: %s", self.root, "; ".join(nearest)
            )
        try:
            self.pictures.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                write_bytes(path, content)
        except StorageFullError:
            raise
        except OSError as error:
            raise StoreError(
                f"no store can be kept in {self.root} ({error}); name another store folder"
            ) from error

    def _packed(self, sha256: str) -> bool:
        return any(sha256 in part.contents for part in self.parts.values())

    def _picture(self, sha256: str) -> Path:
        return self.pictures / f"{sha256}{_SUFFIX}"


def stored_configs(root: Path) -> list[dict[str, object]]:
    """The fields of every configuration that a store holds features of."""
    configs = []
    for path in sorted(Path(root).glob("*/config.json")):
        try:
            fields = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            _LOGGER.info("%s is not readable and is passed over", path)
            continue
        if isinstance(fields, dict) and "weights_sha256" in fields:  # else another package's
            configs.append(fields)
    return configs
