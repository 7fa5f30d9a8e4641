"""The feature store on disk: one pack a set, and single pictures while it is extracted.

A store has one folder for every configuration, named by its hash. While a set is extracted each
picture becomes one small sealed file named by its content; the last one there, they are gathered
into a pack, which everything opens, and go. Files appear whole, under names that say what is in
them, so any number of processes may use a store at once, without a lock, and be killed at any time.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maclip_lab.crops import CropGrid, PreparedPicture
from maclip_lab.datasets.manifest import PACK_SUFFIX, Manifest
from maclip_lab.errors import DatasetError, StorageFullError
from maclip_lab.features.features import (
    CUT,
    DTYPES,
    GRID,
    PICTURE,
    Features,
    StoreConfig,
    StoreError,
    StoreWarning,
)
from maclip_lab.features.packs import open_pack, save_pack
from maclip_lab.files.atomic import (
    SealError,
    map_tensors,
    read_seal,
    sweep,
    write_bytes,
    write_sealed,
)
from maclip_lab.files.identity import file_times
from maclip_lab.files.provenance import record_path
from maclip_lab.images import Picture

_HEX = "[0-9a-f]"
_PACKS = f"{_HEX * 12}-{_HEX * 20}{PACK_SUFFIX}"  # rows, contents; what else lies there is not ours


class Memo:
    """What a set's files, and packs, held when they were last read, by size and times.

    It spares hashing and may be lost. A file's time of change cannot be set back, so every edit is
    noticed; where a system keeps no such time, nothing is remembered.
    """

    def __init__(self, store: Path, root: Path) -> None:
        key = hashlib.sha256(os.fsencode(os.path.abspath(root))).hexdigest()
        self.path = store / "memo" / key[:16]
        self.entries: dict[str, list[Any]] = {}
        with suppress(OSError, SealError, KeyError):
            self.entries = json.loads(read_seal(self.path, "a memo")["entries"])
        self.changed = False

    def recall(self, path: Path) -> str:
        """The sha256 of a file untouched since it was read; empty where it must be read."""
        *read_at, sha256 = self.entries.get(str(path), [""])
        times = file_times(path)
        return sha256 if times[2] and read_at == [*times] else ""

    def learn(self, path: Path, times: tuple[int, int, int], sha256: str) -> None:
        """Remember what a file of these times holds."""
        entry = [*times, sha256]
        self.changed |= self.entries.get(str(path)) != entry
        self.entries[str(path)] = entry

    def save(self) -> None:
        """Keep it, if that can be."""
        if self.changed:
            entries = json.dumps(self.entries.copy())  # others may learn meanwhile
            with suppress(OSError):
                content = partial(write_sealed, tensors={}, metadata={"entries": entries})
                write_bytes(self.path, content, durable=False)
                self.changed = False


class FeatureStore:
    """The features of one configuration in a store: its packs, and pictures not yet in one.

    Opening sweeps what dead processes left a day ago, and refuses a store of an earlier version. A
    pack is verified when it is first seen. What is damaged, or another configuration's, is set
    aside as ``*.corrupt`` with a warning, and its pictures are computed anew.
    """

    def __init__(self, root: Path, config: StoreConfig, memo: Memo) -> None:
        self.config, self.memo = config, memo
        self.folder = root / config.sha256[:16]
        self.pictures = self.folder / "pictures"
        if any(root.glob("*/shards")):
            raise StoreError(
                f"{root} is a feature store of an earlier version, in shards, which are no longer "
                "read: delete it or name another folder (--store), and run the same again, or "
                "maclip-lab features, which extracts a set anew"
            )
        about = self.folder / "config.json"
        try:
            self.pictures.mkdir(parents=True, exist_ok=True)
            if not about.exists():
                write_bytes(about, json.dumps(config.fields, indent=2, sort_keys=True).encode())
        except StorageFullError:
            raise
        except OSError as error:
            raise StoreError(
                f"no store can be kept in {root} ({error}); name another store folder"
            ) from error
        sweep(self.folder)
        sweep(self.pictures)
        self.packs: dict[Path, Features] = {}
        self.passed: set[Path] = set()  # what could not be set aside
        self._look_again()

    def holds(self, sha256: str) -> bool:
        """Whether anything is known of a file's content; no file holds the empty one."""
        if not sha256:
            return False
        is_held = self._pack_of(sha256) is not None or os.path.exists(self._picture(sha256))
        return is_held or (self._look_again() and self._pack_of(sha256) is not None)

    def put(self, sha256: str, prepared: PreparedPicture, features: np.ndarray) -> None:
        """Keep what a picture gave; once this returns no kill can take it back."""
        row = _row(prepared.picture, prepared.grid, len(features)) | {"sha256": sha256}
        tensors = {"feats": features.astype(DTYPES[self.config.dtype], copy=False)}
        facts = {"config": self.config.sha256, "row": json.dumps(row)}
        content = partial(write_sealed, tensors=tensors, metadata=facts)
        write_bytes(self._picture(sha256), content, durable=False)

    def serve(
        self,
        manifest: Manifest,
        contents: Mapping[str, str],
        unread: Mapping[str, Picture],
        scorer: Any,
    ) -> Features:
        """The features of all files by path, gathered into one pack.

        Their contents are held; it is empty of those unread. It is a SealError where one is damaged
        and set aside, a FileNotFoundError where one went.
        """
        wanted = set(contents.values()) - {""}
        holding = (path for path, pack in self.packs.items() if wanted <= pack.contents.keys())
        path = next(holding, None) or self._gather(manifest, contents, unread, scorer)
        self._tidy(path)
        pack = self.packs[path]
        table, places = pack.table, {path: len(pack) + i for i, path in enumerate(unread)}
        if unread:
            table = pd.concat([table, pd.DataFrame([_row(one) for one in unread.values()])])
        paths = manifest.table["path"].tolist()
        rows = [places[path] if path in unread else pack.contents[contents[path]] for path in paths]
        table = table.iloc[rows].assign(path=paths).reset_index(drop=True)
        return Features(manifest, self.config, table, pack.feats)

    def _gather(
        self,
        manifest: Manifest,
        contents: Mapping[str, str],
        unread: Mapping[str, Picture],
        scorer: Any,
    ) -> Path:
        """Put the pictures, and only these, into one pack."""
        rows = [
            {**(self._known(sha256) if sha256 else _row(unread[path])), "path": path}
            for path, sha256 in contents.items()
        ]
        held = [sha256 for sha256 in contents.values() if sha256]
        names = json.dumps([str(manifest.root), *manifest.table["path"]])
        keys = [names, "".join(sorted(set(held)))]
        by_rows, by_contents = (hashlib.sha256(key.encode()).hexdigest() for key in keys)
        path = self.folder / f"{by_rows[:12]}-{by_contents[:20]}{PACK_SUFFIX}"
        crops = self.config, pd.DataFrame(rows), lambda: map(self._feats, held)
        save_pack(path, manifest, {"crops": crops}, scorer)
        self._look_again()
        if path not in self.packs:  # a larger one of another process has replaced it
            raise FileNotFoundError(path)
        return path

    def _known(self, sha256: str) -> dict[str, Any]:
        """What is told of a content, once the single picture that holds it is verified."""
        if (pack := self._pack_of(sha256)) is not None:
            return dict(pack.table.iloc[pack.contents[sha256]])
        path = self._picture(sha256)
        try:
            header = read_seal(path, "a file of features")
            if header.get("config") != self.config.sha256:
                raise SealError(f"{path.name} was made under another configuration")
        except SealError as error:
            self._set_aside(path, error)
            raise
        return dict(json.loads(header["row"]))

    def _feats(self, sha256: str) -> np.ndarray:
        """The features of a content that is known."""
        if (pack := self._pack_of(sha256)) is None:
            return map_tensors(self._picture(sha256))["feats"]
        row = pack.table.iloc[pack.contents[sha256]]
        return pack.feats[row["start"] : row["start"] + row["n_crops"]]

    def _tidy(self, path: Path) -> None:
        """Delete what a pack has taken in: pictures, packs, and older packs of the same rows."""
        here = self.packs[path].contents.keys()
        for other in self.packs.keys() - {path}:
            with suppress(OSError):
                older = other.stat().st_mtime_ns < path.stat().st_mtime_ns
                of_these_rows = other.name[:12] == path.name[:12]
                if self.packs[other].contents.keys() < here or (of_these_rows and older):
                    other.unlink()
                    record_path(other).unlink(missing_ok=True)
                    del self.packs[other]
        for name in os.listdir(self.pictures):
            if name.removesuffix(PACK_SUFFIX) in here:
                with suppress(OSError):
                    os.unlink(self.pictures / name)

    def _look_again(self) -> bool:
        """Take in packs that appeared since, and forget those that went; whether any appeared."""
        paths = set(self.folder.glob(_PACKS))
        fresh = paths - self.packs.keys() - self.passed
        packs = {path: pack for path, pack in self.packs.items() if path in paths}
        for path in filter(Path.is_file, sorted(fresh)):
            times = file_times(path)
            try:
                pack = open_pack(path, verify=not self.memo.recall(path))
                if pack.crops.config != self.config:
                    raise DatasetError(f"{path.name} was made under another configuration")
            except (DatasetError, StoreError, FileNotFoundError) as error:
                self._set_aside(path, error)
            else:
                packs[path] = pack.crops
                self.memo.learn(path, times, pack.manifest.pack_sha256)
        self.packs = packs  # at once: threads ask what is held
        return bool(fresh)

    def _set_aside(self, path: Path, error: Exception) -> None:
        message = f"{error}; it is set aside as {path.name}.corrupt, its pictures are redone"
        try:
            path.replace(path.with_name(path.name + ".corrupt"))
        except FileNotFoundError:  # another process was there before
            return
        except OSError:
            self.passed.add(path)
            message = f"{error}; it is ignored, and could not be renamed"
        warnings.warn(message, StoreWarning, stacklevel=2)

    def _pack_of(self, sha256: str) -> Features | None:
        return next((pack for pack in self.packs.values() if sha256 in pack.contents), None)

    def _picture(self, sha256: str) -> Path:
        return self.pictures / f"{sha256}{PACK_SUFFIX}"


def _row(picture: Picture, grid: CropGrid | None = None, n_crops: int = 0) -> dict[str, Any]:
    """What a pack tells of a picture, but for its path."""
    row = {name: getattr(picture, name) for name in PICTURE if name != "path"}
    cut = (0, 0, 0, 0) if grid is None else (grid.rows, grid.cols, grid.height, grid.width)
    row |= dict(zip([*GRID, *CUT], cut, strict=True))
    return row | {"flags": " ".join(picture.flags), "n_crops": n_crops, "start": 0}
