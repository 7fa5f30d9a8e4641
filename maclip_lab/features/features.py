"""A data set's features as every ablation reads them, all they depend on, and their crops' cues.

A sweep over the fusion's constants needs a crop's two cues, not its features, one over lambda the
features once. Pieces that fit a core's cache go to threads; memory is that of a few numbers a crop.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maclip_lab.crops import Protocol
from maclip_lab.cues import box_cox, cosine_cue, mean_magnitude, scaled_magnitude
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.encoder import map_ahead
from maclip_lab.errors import MaclipError
from maclip_lab.images import Preset
from maclip_lab.prompts import PROMPT_SETS
from maclip_lab.score import TextAnchors

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
        """All features laid flat, picture after picture, ``(at most crops, D)`` at a time.

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


Anchors = TextAnchors | Mapping[str, TextAnchors]

_SERIAL = 2**15 - 1  # torch splits larger work over threads that wait for each other


@dataclass(frozen=True, eq=False)
class StoredCues:
    """The cues of the M crops of all pictures that have features, laid flat, picture after picture.

    ``q_cos`` ``(M,)`` is by the name of the prompt set, ``q_mag`` ``(M,)`` by box_lam;
    ``mean_magnitude`` is ``mean |f|``, and ``norm`` the Euclidean length, both ``(M,)``.
    """

    features: Features
    q_cos: Mapping[str, np.ndarray]
    q_mag: Mapping[float, np.ndarray]
    mean_magnitude: np.ndarray
    norm: np.ndarray

    @cached_property
    def pictures(self) -> pd.DataFrame:
        """One row a picture of the manifest: ``name, path, mos, status, flags, message``."""
        notes = self.features.table[["status", "flags", "message"]]
        return self.features.manifest.table[["name", "path", "mos"]].join(notes.astype(object))

    def select(self, crops: str = "all") -> np.ndarray:
        """Positions of the crops of a subset, ``(m,)``, ascending.

        ``crops`` are ``"all"``, ``"thumbnail"``, ``"windows"``, or ``"stride-256"`` for the windows
        that a stride of 256 pixels, or any multiple of the store's, would cut, and the thumbnail.
        """
        offsets, protocol = self.features.offsets, self.features.config.protocol
        counts = np.diff(offsets)
        rows, cols = (np.repeat(side, counts) for side in self.features.grids.T)
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        windows = place < rows * cols
        thumbnails = (place == rows * cols) & protocol.thumbnail
        masks = {"all": place >= 0, "thumbnail": thumbnails, "windows": windows}
        kind, _, pixels = crops.partition("-")
        if kind == "stride" and pixels.isdigit() and int(pixels):
            step, rest = divmod(int(pixels), protocol.stride)
            if rest:
                raise ValueError(
                    f"the store has windows every {protocol.stride} pixels, not every {pixels}"
                )
            row, col = np.divmod(place, np.maximum(cols, 1))
            masks[crops] = thumbnails | (windows & (row % step == 0) & (col % step == 0))
        if crops not in masks:
            names = f"'all', 'thumbnail', 'windows' or 'stride-{2 * protocol.stride}'"
            raise ValueError(f"crops are {names}, got {crops!r}")
        if not masks[crops].any():
            raise ValueError(f"no crop of the protocol {protocol.name!r} is in {crops!r}")
        return np.flatnonzero(masks[crops])

    def means(self, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Mean of a quantity ``(m,)`` over each picture's crops, of those chosen by `select`.

        ``(len(pictures),)`` float64; NaN without such crops, or where features are not finite.
        """
        ok, offsets = self.features.ok, self.features.offsets
        edges = np.searchsorted(chosen, offsets)
        counts = np.diff(edges)
        filled = np.flatnonzero(counts)
        result = np.full(len(self.features), np.nan)
        sums = np.add.reduceat(values.astype(np.float64), edges[:-1][filled])
        result[ok[filled]] = sums / counts[filled]
        result[ok[~np.logical_and.reduceat(np.isfinite(self.norm), offsets[:-1])]] = np.nan
        return result


def store_cues(view: Features, anchors: Anchors, box_lams: Sequence[float] = (0.5,)) -> StoredCues:
    """The cues of every crop in a store by one prompt set, or several by name, in one pass.

    Raises:
        StoreError: no picture has features.
    """
    sets = {set_name(anchors): anchors} if isinstance(anchors, TextAnchors) else dict(anchors)
    if not len(view.ok):
        first = view.table.iloc[0]
        raise StoreError(
            f"none of the {len(view)} pictures of {view.manifest.dataset} has features; of "
            f"{first['path']} it says: {first['status']} {first['message']}"
        )
    if not sets or not len(box_lams):
        raise ValueError("expected at least one prompt set and one box_lam")
    lams = list(dict.fromkeys(float(lam) for lam in box_lams))
    blocks = map_ahead(partial(_cues, sets=list(sets.values()), lams=lams), view.blocks())
    columns = np.concatenate(list(blocks), axis=1)
    q_cos = dict(zip(sets, columns, strict=False))
    q_mag = dict(zip(lams, columns[len(sets) :], strict=False))
    norm = np.where(columns[-1] < 2.0**64, columns[-1], np.inf)  # no more has a square in float32
    return StoredCues(view, q_cos, q_mag, mean_magnitude=columns[-2], norm=norm)


def set_name(anchors: TextAnchors) -> str:
    """What a prompt set is called in results."""
    names = {pairs: name for name, pairs in PROMPT_SETS.items()}
    pairs = "; ".join(f"{positive} / {negative}" for positive, negative in anchors.pairs)
    return names.get(anchors.pairs, pairs)


@torch.inference_mode()
def _cues(block: np.ndarray, sets: Sequence[TextAnchors], lams: Sequence[float]) -> np.ndarray:
    """One row a quantity, one column a crop; in float64, or a processor's rounding would rank."""
    pieces, step = [], max(1, _SERIAL // block.shape[1])
    for first in range(0, len(block), step):
        features = torch.from_numpy(block[first : first + step].astype(np.float64))
        texts = ((each.features.double(), each.logit_scale, each.logit_bias) for each in sets)
        cosines = (cosine_cue(features, *anchors) for anchors in texts)
        scaled = scaled_magnitude(features).float()
        magnitudes = (box_cox(scaled, lam) for lam in lams)
        means = [cue.mean(-1, dtype=torch.float64) for cue in (*cosines, *magnitudes)]
        pieces.append(torch.stack([*means, mean_magnitude(features), features.norm(dim=-1)]))
    return torch.cat(pieces, dim=1).numpy()
