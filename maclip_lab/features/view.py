"""A data set's features as every ablation reads them, wherever they lie."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maclip_lab.crops import CropGrid
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.features.store import StoreConfig, StoreError
from maclip_lab.score import PictureFeatures


class Holder(Protocol):
    """What holds features: a `FeatureStore`, or a part of a pack."""

    def arrays(self, shard: str) -> dict[str, np.ndarray]:
        """The tensors of a shard, see `picture_tensors`."""


@dataclass(frozen=True, eq=False)
class Features:
    """A manifest's pictures and their raw features, read from where they lie as one asks for them.

    Attributes:
        manifest: whose pictures, in its order.
        config: how the features were made.
        table: one row a picture, in the manifest's order: ``path, status, flags, message, width,
            height, n_crops, sha256, shard, row``. Without features are rows whose status is not
            ``"ok"``.
        store: that holds them.
    """

    manifest: Manifest
    config: StoreConfig
    table: pd.DataFrame
    store: Holder

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

    def subset(self, manifest: Manifest) -> "Features":
        """The features of some of the same pictures, in another manifest's order.

        Raises:
            StoreError: a picture is none of these.
        """
        rows = self.table.drop_duplicates("path").set_index("path", drop=False)
        unknown = ~manifest.table["path"].isin(rows.index)
        if unknown.any():
            raise StoreError(
                f"{manifest.table['path'][unknown].iloc[0]} is not among the {len(self)} pictures "
                f"of {self.manifest.dataset}"
            )
        chosen = rows.loc[manifest.table["path"]].reset_index(drop=True)
        return replace(self, manifest=manifest, table=chosen)

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
