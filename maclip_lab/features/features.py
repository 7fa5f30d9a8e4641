"""A data set's features as every ablation reads them, and everything that they depend on."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maclip_lab.crops import Protocol
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import MaclipError
from maclip_lab.images import Preset

DTYPES: dict[str, np.dtype[Any]] = {"fp32": np.dtype(np.float32), "fp16": np.dtype(np.float16)}
PICTURE = ["path", "status", "flags", "message", "width", "height", "sha256"]
"""What is told of a picture beside its features; the last is of the file, empty where unread."""
GRID, CUT = ["rows", "cols"], ["cut_height", "cut_width"]
"""Columns of a picture's windows, and of its size as it was cut."""
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
        fields = {**vars(self), "layout": _LAYOUT}
        protocol = vars(fields.pop("protocol"))
        return fields | {f"protocol.{name}": value for name, value in protocol.items()}

    @property
    def sha256(self) -> str:
        """The key of the features."""
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Features:
    """A manifest's pictures and their raw features, read from where they lie as one asks for them.

    ``table`` has one row a picture, in the manifest's order: `PICTURE`, `GRID`, `CUT`, ``n_crops``
    and the ``start`` of its crops in ``feats``, the features ``(M, D)`` of these and perhaps other
    pictures, mapped from a pack. Rows whose status is not ``"ok"`` have none.
    """

    manifest: Manifest
    config: StoreConfig
    table: pd.DataFrame
    feats: np.ndarray

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
        return np.cumsum([0, *self.table["n_crops"].iloc[self.ok]], dtype=np.int64)

    @cached_property
    def segments(self) -> np.ndarray:
        """Position of the picture that each crop belongs to when all are laid flat, ``(M,)``."""
        return np.repeat(self.ok, np.diff(self.offsets))

    @cached_property
    def grids(self) -> np.ndarray:
        """Rows and columns of windows of every picture in ``ok``, ``(len(ok), 2)`` int64."""
        return self.table[GRID].to_numpy(np.int64)[self.ok]

    @cached_property
    def contents(self) -> dict[str, int]:
        """Position of every file content of which anything is known, by sha256."""
        return {sha256: row for row, sha256 in enumerate(self.table["sha256"]) if sha256}

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
        row = self.table.iloc[i]
        if row["status"] != "ok":
            why = f", {row['message']}" if row["message"] else ""
            raise StoreError(f"{row['path']} has no features: {row['status']}{why}")
        feats = self.feats[row["start"] : row["start"] + row["n_crops"]]
        return torch.from_numpy(feats.astype(np.float32, copy=False))

    def blocks(self, crops: int = 4096) -> Iterator[np.ndarray]:
        """All features laid flat, in the order of ``segments``, ``(at most crops, D)`` at a time.

        They are of the stored type.
        """
        starts = self.table["start"].to_numpy()[self.ok]
        shift = np.repeat(starts - self.offsets[:-1], np.diff(self.offsets))
        places = np.arange(len(shift)) + shift
        for first in range(0, len(places), crops):
            yield self.feats[places[first : first + crops]]

    def stack(self) -> Tensor:
        """All features laid flat ``(M, D)`` float32, in memory."""
        return torch.cat([torch.from_numpy(block.astype(np.float32)) for block in self.blocks()])
