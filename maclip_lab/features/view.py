"""Features of a whole data set, extracted once into a store and served from it.

Prompts, lambda and fusion are applied afterwards, so one extraction serves every ablation. A
picture's features depend on its bytes and on the store's configuration alone: they are found by
the sha256 of the file, whatever it is called, and never served for a file that has changed.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maclip_lab.crops import WHOLE, CropGrid, Protocol, fitted, protocol_for
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.features import extraction
from maclip_lab.features.lookup import Lookup, identify
from maclip_lab.features.shards import PictureRecord
from maclip_lab.features.store import (
    FeatureStore,
    StoreConfig,
    StoreError,
    differences,
    stored_configs,
)
from maclip_lab.images import Preset, load_picture
from maclip_lab.readahead import map_ahead
from maclip_lab.score import PictureFeatures
from maclip_lab.scorer import Maclip

_TABLE = ("path", "status", "message", "width", "height", "sha256")


@dataclass(frozen=True, eq=False)
class Features:
    """A manifest's pictures and their raw features, read from the store as they are asked for.

    Attributes:
        manifest: whose pictures, in its order.
        config: how the features were made.
        table: one row a picture, in the manifest's order: ``path, status, flags, message, width,
            height, n_crops, sha256, shard, row``. Without features are rows whose status is not
            ``"ok"``.
        store: where they lie.
    """

    manifest: Manifest
    config: StoreConfig
    table: pd.DataFrame
    store: FeatureStore

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return (
            f"Features({self.manifest.dataset}: {len(self.ok)} of {len(self)} pictures, "
            f"{self.offsets[-1]} crops, {self.config.dtype})"
        )

    @cached_property
    def ok(self) -> np.ndarray:
        """Positions of the pictures that have features, ascending."""
        return np.flatnonzero(self.table["status"] == "ok")

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where each picture's crops begin when all are laid flat, ``(len(ok) + 1)`` int64."""
        crops = self.table["n_crops"].to_numpy()[self.ok]
        return np.concatenate([[0], np.cumsum(crops)]).astype(np.int64)

    @cached_property
    def segments(self) -> np.ndarray:
        """Position of the picture that each crop belongs to when all are laid flat, ``(M,)``."""
        return np.repeat(self.ok, np.diff(self.offsets))

    def features(self, i: int) -> Tensor:
        """Raw features ``(P, D)`` float32 of picture ``i``; mapped from the file where stored so.

        Raises:
            StoreError: the picture has none; the message says why.
        """
        arrays, row = self._place(i)
        start, stop = arrays["offsets"][row : row + 2]
        return torch.from_numpy(arrays["feats"][start:stop].astype(np.float32, copy=False))

    def grid(self, i: int) -> CropGrid:
        """Where the crops of picture ``i`` lie.

        Raises:
            StoreError: the picture has no features; the message says why.
        """
        arrays, row = self._place(i)
        height, width = arrays["sizes"][row].tolist()
        return CropGrid(height, width, self.config.protocol)

    def picture(self, i: int) -> PictureFeatures:
        """Picture ``i`` as `Maclip.score` takes it.

        Raises:
            StoreError: the picture has no features; the message says why.
        """
        row = self.table.iloc[i]
        return PictureFeatures(
            self.features(i),
            self.grid(i),
            source=row["path"],
            width=int(row["width"]),
            height=int(row["height"]),
            flags=tuple(row["flags"].split()),
        )

    @cached_property
    def grids(self) -> np.ndarray:
        """Rows and columns of windows of every picture in ``ok``, ``(len(ok), 2)`` int64."""
        grids = np.zeros((len(self.ok), 2), dtype=np.int64)
        done = 0
        for arrays, rows in self._runs():
            count = rows.stop - rows.start
            grids[done : done + count] = arrays["grid"][rows]
            done += count
        return grids

    def blocks(self, crops: int = 4096) -> Iterator[np.ndarray]:
        """All features laid flat, in the order of ``segments``, mapped a piece at a time.

        Args:
            crops: at most so many at once.

        Yields:
            ``(at most crops, D)`` of the stored type.
        """
        for arrays, rows in self._runs():
            start, stop = (int(arrays["offsets"][edge]) for edge in (rows.start, rows.stop))
            for first in range(start, stop, crops):
                yield arrays["feats"][first : min(first + crops, stop)]

    def stack(self) -> Tensor:
        """All features laid flat ``(M, D)`` float32, in memory."""
        return torch.cat([torch.from_numpy(block.astype(np.float32)) for block in self.blocks()])

    def _place(self, i: int) -> tuple[dict[str, np.ndarray], int]:
        row = self.table.iloc[i]
        if row["status"] != "ok":
            raise StoreError(
                f"{row['path']} has no features: {row['status']}"
                + (f", {row['message']}" if row["message"] else "")
            )
        return self.store.arrays(row["shard"]), int(row["row"])

    def _runs(self) -> Iterator[tuple[dict[str, np.ndarray], slice]]:
        """Stretches of pictures that lie one behind the other in one shard."""
        shards = self.table["shard"].to_numpy()[self.ok]
        rows = self.table["row"].to_numpy()[self.ok]
        breaks = np.flatnonzero((shards[1:] != shards[:-1]) | (np.diff(rows) != 1)) + 1
        for first, last in zip([0, *breaks], [*breaks, len(rows)], strict=True):
            if last > first:
                yield (
                    self.store.arrays(shards[first]),
                    slice(int(rows[first]), int(rows[last - 1]) + 1),
                )


def feature_config(
    manifest: Manifest,
    scorer: Maclip,
    *,
    preset: Preset | None = None,
    dtype: str = "fp32",
    protocol: Protocol | None = None,
) -> StoreConfig:
    """The configuration under which a store keeps a manifest's features.

    Args:
        manifest: whose crop protocol applies.
        scorer: whose backbone and precision.
        preset: how files are read; None for the manifest's.
        dtype: ``"fp32"`` or ``"fp16"``, how features are stored.
        protocol: instead of the manifest's.
    """
    return StoreConfig(
        weights_sha256=scorer.backbone.sha256,
        precision=scorer.encoder.precision,
        preset=preset or manifest.preset,
        protocol=fitted(protocol or protocol_for(manifest.protocol), scorer.backbone.crop),
        pos_embedding=scorer.pos_embedding,
        dtype=dtype,
        quick_gelu=scorer.backbone.metadata.get("quick_gelu", "true") == "true",
    )


def extract_features(
    manifest: Manifest,
    scorer: Maclip,
    store_folder: str | os.PathLike[str],
    *,
    preset: Preset | None = None,
    dtype: str = "fp32",
    protocol: Protocol | None = None,
    shard_size: int = 256,
    progress: bool = False,
) -> Features:
    """The features of a manifest's pictures: those that the store lacks are computed and kept.

    May be killed at any instant and called again: finished shards are kept, and the result is that
    of an uninterrupted run to the last bit. Several processes may extract into one store. A picture
    that cannot be read is a row that says why, looked at again once its file has changed.

    Args:
        manifest: the pictures.
        scorer: whose encoder computes.
        store_folder: of the store; made where absent.
        preset: how files are read; None for the manifest's.
        dtype: how features are stored; fp16 takes half the room and costs the magnitude cue about
            1e-4.
        protocol: instead of the manifest's.
        shard_size: pictures in a shard; fewer where they are large or slow.
        progress: show a progress bar, which begins at what the store holds.

    Raises:
        StorageFullError: the disk is full; what was finished is kept.
        ValueError: a setting is not one of those above.
    """
    configs = [feature_config(manifest, scorer, preset=preset, dtype=dtype, protocol=protocol)]
    return _extract(manifest, scorer, store_folder, configs, shard_size, progress)[0]


def extract_crops_and_whole(
    manifest: Manifest,
    scorer: Maclip,
    store_folder: str | os.PathLike[str],
    *,
    preset: Preset | None = None,
    dtype: str = "fp32",
    shard_size: int = 256,
    progress: bool = False,
) -> tuple[Features, Features]:
    """`extract_features` by the manifest's protocol and of the whole pictures, each decoded once.

    Returns:
        MA-CLIP's features, and CLIP-IQA's. A picture may have the first alone: a whole one of more
        than `WHOLE_PIXELS` is not encoded.
    """
    whole = replace(WHOLE, resize=protocol_for(manifest.protocol).resize)
    configs = [
        feature_config(manifest, scorer, preset=preset, dtype=dtype, protocol=protocol)
        for protocol in (None, whole)
    ]
    crops, wholes = _extract(manifest, scorer, store_folder, configs, shard_size, progress)
    return crops, wholes


def _extract(
    manifest: Manifest,
    scorer: Maclip,
    store_folder: str | os.PathLike[str],
    configs: Sequence[StoreConfig],
    shard_size: int,
    progress: bool,
) -> list[Features]:
    if shard_size < 1:
        raise ValueError(f"shard_size is a number of pictures, got {shard_size}")
    stores = [FeatureStore(Path(store_folder), config) for config in configs]
    jobs = zip(range(len(manifest)), manifest.table["path"], manifest.paths, strict=True)
    results = extraction.run(jobs, scorer, stores, shard_size=shard_size, progress=progress)
    return [
        _view(manifest, store, [found[i] for i in range(len(manifest))])
        for store, found in zip(stores, results, strict=True)
    ]


def open_features(
    manifest: Manifest,
    config: StoreConfig,
    store_folder: str | os.PathLike[str],
) -> Features:
    """The features that a store already holds; nothing is computed.

    Args:
        manifest: the pictures.
        config: from `feature_config`.
        store_folder: of the store.

    Returns:
        Pictures that the store lacks, or whose files have changed, have the status
        ``"not_extracted"``.

    Raises:
        StoreError: the store holds no features of this configuration; the message names the
            fields in which the nearest one differs.
    """
    root = Path(store_folder)
    stored = stored_configs(root)
    if not stored:
        raise StoreError(f"no feature store at {root}; extract_features makes one")
    nearest = min((differences(config.fields, other) for other in stored), key=len)
    if nearest:
        raise StoreError(
            f"{root} holds no features of this configuration; the nearest differs: "
            + "; ".join(nearest)
        )
    store = FeatureStore(root, config)
    lookup = Lookup(store.index)
    jobs = zip(manifest.table["path"], manifest.paths, strict=True)
    records = list(map_ahead(partial(_look, lookup=lookup), jobs))
    store.touch(lookup.touched(records))
    return _view(manifest, store, records)


def _look(job: tuple[str, Path], lookup: Lookup) -> PictureRecord:
    """What the store holds of a file as it is now."""
    record = identify(*job, [lookup])
    if not record.sha256:
        picture = load_picture(job[1])
        return replace(record, status=picture.status, message=picture.message)
    message = "the store does not hold this file's content"
    return lookup.result(record) or replace(record, message=message)


def _view(manifest: Manifest, store: FeatureStore, records: Sequence[PictureRecord]) -> Features:
    """The manifest's pictures joined to where their features lie."""
    lookup = Lookup(store.index)
    offsets: dict[str, np.ndarray] = {}
    rows = []
    for record in records:
        row = {name: getattr(record, name) for name in _TABLE}
        row |= {"flags": " ".join(record.flags), "n_crops": 0, "shard": "", "row": -1}
        if record.status == "ok":
            shard, place = lookup.location(record)
            if shard not in offsets:
                offsets[shard] = np.array(store.arrays(shard)["offsets"])
            row |= {"shard": shard, "row": place, "n_crops": int(np.diff(offsets[shard])[place])}
        rows.append(row)
    return Features(manifest, store.config, pd.DataFrame(rows), store)
