"""A data set's features as every ablation reads them, and everything that they depend on."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maclip_lab.crops import CropGrid, Protocol
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import MaclipError
from maclip_lab.files.sealed import Pieces
from maclip_lab.images import Preset
from maclip_lab.score import PictureFeatures

DTYPES: dict[str, np.dtype[Any]] = {"fp32": np.dtype(np.float32), "fp16": np.dtype(np.float16)}
PICTURE = ["path", "status", "flags", "message", "width", "height", "sha256"]
"""What is told of a picture beside its features; the last is of the file, empty where unread."""
_LAYOUT = 2


class StoreError(MaclipError):
    """A feature store or a pack cannot serve what was asked of it."""


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


@dataclass(frozen=True, eq=False)
class Part:
    """The crops that a pack holds, or its whole pictures.

    Attributes:
        config: how the features were made.
        pictures: one row a picture file, columns `PICTURE`.
        feats: all crops flat, ``(M, D)``, mapped; or the pieces they are written from.
        offsets: where each picture's crops begin, ``(N + 1)``.
        grid: rows and columns of windows of each picture, ``(N, 2)``.
        sizes: height and width of each picture as it was cut, ``(N, 2)``.
    """

    config: StoreConfig
    pictures: pd.DataFrame
    feats: np.ndarray | Pieces
    offsets: np.ndarray
    grid: np.ndarray
    sizes: np.ndarray

    @cached_property
    def table(self) -> pd.DataFrame:
        """The pictures as `Features` tell of them."""
        crops = np.diff(self.offsets)
        return self.pictures.assign(n_crops=crops, row=np.arange(len(crops)))

    @cached_property
    def by_content(self) -> pd.DataFrame:
        """One row of the table for every content, by its sha256."""
        known = self.table[self.table["sha256"] != ""]
        return known.drop_duplicates("sha256").set_index("sha256", drop=False)

    @cached_property
    def contents(self) -> set[str]:
        """The sha256 of all files it holds anything of."""
        return set(self.by_content.index)


@dataclass(frozen=True, eq=False)
class Features:
    """A manifest's pictures and their raw features, read from where they lie as one asks for them.

    Attributes:
        manifest: whose pictures, in its order.
        config: how the features were made.
        table: one row a picture, in the manifest's order: ``path, status, flags, message, width,
            height, sha256, n_crops, row``. Without features are rows whose status is not ``"ok"``.
        store: that holds them.
    """

    manifest: Manifest
    config: StoreConfig
    table: pd.DataFrame
    store: Part

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

    @cached_property
    def grids(self) -> np.ndarray:
        """Rows and columns of windows of every picture in ``ok``, ``(len(ok), 2)`` int64."""
        return self.store.grid[self._rows].astype(np.int64)

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
        row = self._row(i)
        start, stop = self.store.offsets[row : row + 2]
        return torch.from_numpy(self._mapped[start:stop].astype(np.float32, copy=False))

    def grid(self, i: int) -> CropGrid:
        """Where the crops of picture ``i`` lie.

        Raises:
            StoreError: the picture has no features; the message says why.
        """
        height, width = self.store.sizes[self._row(i)].tolist()
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

    def blocks(self, crops: int = 4096) -> Iterator[np.ndarray]:
        """All features laid flat, in the order of ``segments``, mapped a piece at a time.

        Args:
            crops: at most so many at once.

        Yields:
            ``(at most crops, D)`` of the stored type.
        """
        breaks = np.flatnonzero(np.diff(self._rows) != 1) + 1
        for rows in np.split(self._rows, breaks):  # stretches that lie one behind the other
            if len(rows):
                start, stop = self.store.offsets[[rows[0], rows[-1] + 1]].tolist()
                for first in range(start, stop, crops):
                    yield self._mapped[first : min(first + crops, stop)]

    def stack(self) -> Tensor:
        """All features laid flat ``(M, D)`` float32, in memory."""
        return torch.cat([torch.from_numpy(block.astype(np.float32)) for block in self.blocks()])

    def part(self) -> Part:
        """What a pack holds of these pictures, each once."""
        once = self.table.drop_duplicates("path")
        chosen = replace(self, table=once)
        has = (once["status"] == "ok").to_numpy()[:, None]
        rows = once["row"].to_numpy()
        shape = int(chosen.offsets[-1]), self._mapped.shape[1]
        return Part(
            self.config,
            once[PICTURE],
            Pieces(self._mapped.dtype, shape, chosen.blocks),
            np.cumsum([0, *np.where(has[:, 0], once["n_crops"], 0)], dtype=np.int64),
            np.where(has, self.store.grid[rows], 0).astype(np.int16),
            np.where(has, self.store.sizes[rows], 0).astype(np.int32),
        )

    @cached_property
    def _rows(self) -> np.ndarray:
        return self.table["row"].to_numpy()[self.ok]

    @property
    def _mapped(self) -> np.ndarray:
        assert isinstance(self.store.feats, np.ndarray)
        return self.store.feats

    def _row(self, i: int) -> int:
        row = self.table.iloc[i]
        if row["status"] != "ok":
            raise StoreError(
                f"{row['path']} has no features: {row['status']}"
                + (f", {row['message']}" if row["message"] else "")
            )
        return int(row["row"])
