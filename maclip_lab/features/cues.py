"""The cues of every crop in a feature store, computed once for all the settings that share them.

A sweep over the fusion's constants needs the two cues of a crop, not its features; one over lambda
needs the features once for all lambdas. Work is cut into pieces small enough for a core's cache and
spread over threads, so memory is that of the cues: a few numbers a crop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maclip_lab.crops import Protocol
from maclip_lab.cues import box_cox, cosine_cue, l2_norm, mean_magnitude, scaled_magnitude
from maclip_lab.features.features import Features, StoreError
from maclip_lab.prompts import PROMPT_SETS
from maclip_lab.readahead import map_ahead
from maclip_lab.score import TextAnchors

Anchors = TextAnchors | Mapping[str, TextAnchors]

_SERIAL = 2**15 - 1  # torch splits larger work over threads that wait for each other


@dataclass(frozen=True, eq=False)
class StoredCues:
    """The cues of M crops laid flat, picture after picture, and whose they are.

    Attributes:
        pictures: one row a picture of the manifest: ``name, path, mos, status, flags,
            message``.
        higher_is_better: direction of ``mos``.
        protocol: that cut the crops.
        ok: positions in ``pictures`` of those that have crops, ascending.
        offsets: where each of these pictures' crops begin, ``(len(ok) + 1)``.
        grids: rows and columns of windows of each of these pictures, ``(len(ok), 2)``.
        q_cos: cosine cue ``(M,)`` by the name of the prompt set.
        q_mag: magnitude cue ``(M,)`` by box_lam.
        mean_magnitude: ``mean |f|``, ``(M,)``.
        norm: Euclidean length of the features, ``(M,)``.
    """

    pictures: pd.DataFrame
    higher_is_better: bool
    protocol: Protocol
    ok: np.ndarray
    offsets: np.ndarray
    grids: np.ndarray
    q_cos: Mapping[str, np.ndarray]
    q_mag: Mapping[float, np.ndarray]
    mean_magnitude: np.ndarray
    norm: np.ndarray

    def select(self, crops: str = "all") -> np.ndarray:
        """Positions of the crops of a subset, ``(m,)``, ascending.

        Args:
            crops: ``"all"``, ``"thumbnail"``, ``"windows"``, or ``"stride-256"`` for the windows
                that a stride of 256 pixels would have cut, and the thumbnail; any multiple of the
                store's stride.

        Raises:
            ValueError: there is no such subset in this store.
        """
        kinds = {
            "all": np.ones_like(self.thumbnails),
            "thumbnail": self.thumbnails,
            "windows": ~self.thumbnails,
        }
        if crops in kinds:
            chosen = np.flatnonzero(kinds[crops])
        else:
            chosen = np.flatnonzero(self.thumbnails | self._on_stride(crops))
        if not len(chosen):
            raise ValueError(f"no crop of the protocol {self.protocol.name!r} is in {crops!r}")
        return chosen

    def means(self, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Mean of a quantity ``(m,)`` over each picture's crops, of those chosen by `select`.

        Returns:
            ``(len(pictures),)`` float64; NaN for a picture without such crops or whose features
            are not finite.
        """
        edges = np.searchsorted(chosen, self.offsets)
        counts = np.diff(edges)
        filled = np.flatnonzero(counts)
        result = np.full(len(self.pictures), np.nan)
        sums = np.add.reduceat(values.astype(np.float64), edges[:-1][filled])
        result[self.ok[filled]] = sums / counts[filled]
        result[self.ok[~self.finite]] = np.nan
        return result

    @cached_property
    def thumbnails(self) -> np.ndarray:
        """Which crops are thumbnails, ``(M,)`` bool."""
        mask = np.zeros(self.offsets[-1], dtype=bool)
        if self.protocol.thumbnail:
            mask[self.offsets[1:] - 1 - self.protocol.whole] = True
        return mask

    @cached_property
    def finite(self) -> np.ndarray:
        """Which of the pictures in ``ok`` have only finite features."""
        bad = ~np.isfinite(self.norm)
        if not len(self.ok):
            return np.zeros(0, dtype=bool)
        return ~np.logical_or.reduceat(bad, self.offsets[:-1])

    def _on_stride(self, crops: str) -> np.ndarray:
        """Which windows lie on a coarser grid, ``(M,)`` bool."""
        kind, _, pixels = crops.partition("-")
        stride = self.protocol.stride
        if kind != "stride" or not pixels.isdigit() or int(pixels) < 1:
            raise ValueError(
                f"crops are 'all', 'thumbnail', 'windows' or 'stride-{2 * stride}', got {crops!r}"
            )
        step, rest = divmod(int(pixels), stride)
        if rest:
            raise ValueError(f"the store has windows every {stride} pixels, not every {pixels}")
        crops_of = np.diff(self.offsets)
        place = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], crops_of)
        rows, cols = (np.repeat(side, crops_of) for side in self.grids.T)
        row, col = np.divmod(place, np.maximum(cols, 1))
        return (row < rows) & (row % step == 0) & (col % step == 0)


def store_cues(view: Features, anchors: Anchors, box_lams: Sequence[float] = (0.5,)) -> StoredCues:
    """The cues of every crop in a store by one prompt set, or several by name, in one pass.

    Raises:
        StoreError: no picture has features.
        ValueError: the prompts were encoded by another backbone.
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
    crops = int(view.offsets[-1])
    columns = np.empty((len(sets) + len(lams) + 2, crops), dtype=np.float32)
    done = 0
    for block in map_ahead(partial(_cues, sets=list(sets.values()), lams=lams), view.blocks()):
        columns[:, done : done + block.shape[1]] = block
        done += block.shape[1]
    pictures = view.manifest.table[["name", "path", "mos"]].copy()
    told = ["status", "flags", "message"]
    pictures[told] = view.table[told].to_numpy()
    return StoredCues(
        pictures=pictures.reset_index(drop=True),
        higher_is_better=view.manifest.higher_is_better,
        protocol=view.config.protocol,
        ok=view.ok,
        offsets=view.offsets,
        grids=view.grids,
        q_cos=dict(zip(sets, columns, strict=False)),
        q_mag=dict(zip(lams, columns[len(sets) :], strict=False)),
        mean_magnitude=columns[-2],
        norm=columns[-1],
    )


def set_name(anchors: TextAnchors) -> str:
    """What a prompt set is called in results."""
    for name, pairs in PROMPT_SETS.items():
        if anchors.pairs == pairs:
            return name
    return "; ".join(f"{positive} / {negative}" for positive, negative in anchors.pairs)


@torch.inference_mode()
def _cues(block: np.ndarray, sets: Sequence[TextAnchors], lams: Sequence[float]) -> np.ndarray:
    """One row a quantity, one column a crop."""
    step = max(1, _SERIAL // block.shape[1])
    pieces = [block[first : first + step] for first in range(0, len(block), step)]
    return np.concatenate([_piece(piece, sets, lams) for piece in pieces], axis=1)


def _piece(piece: np.ndarray, sets: Sequence[TextAnchors], lams: Sequence[float]) -> np.ndarray:
    features = torch.from_numpy(piece.astype(np.float32))
    scaled = scaled_magnitude(features)
    quantities: list[Tensor] = [
        *(
            cosine_cue(features, one.features, one.logit_scale, one.logit_bias).mean(-1)
            for one in sets
        ),
        *(box_cox(scaled, lam).mean(-1) for lam in lams),
        mean_magnitude(features),
        l2_norm(features),
    ]
    return torch.stack(quantities).numpy()
