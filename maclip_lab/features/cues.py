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

from maclip_lab.cues import box_cox, cosine_cue, mean_magnitude, scaled_magnitude
from maclip_lab.encoder import map_ahead
from maclip_lab.features.features import Features, StoreError
from maclip_lab.prompts import PROMPT_SETS
from maclip_lab.score import TextAnchors

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
        that a stride of 256 pixels would have cut, and the thumbnail; any multiple of the store's
        stride.
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
            known = f"'all', 'thumbnail', 'windows' or 'stride-{2 * protocol.stride}'"
            raise ValueError(f"crops are {known}, got {crops!r}")
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
    return StoredCues(view, q_cos, q_mag, mean_magnitude=columns[-2], norm=columns[-1])


def set_name(anchors: TextAnchors) -> str:
    """What a prompt set is called in results."""
    for name, pairs in PROMPT_SETS.items():
        if anchors.pairs == pairs:
            return name
    return "; ".join(f"{positive} / {negative}" for positive, negative in anchors.pairs)


@torch.inference_mode()
def _cues(block: np.ndarray, sets: Sequence[TextAnchors], lams: Sequence[float]) -> np.ndarray:
    """One row a quantity, one column a crop."""
    pieces, step = [], max(1, _SERIAL // block.shape[1])
    for first in range(0, len(block), step):
        features = torch.from_numpy(block[first : first + step].astype(np.float32))
        scaled = scaled_magnitude(features)
        cosines = (cosine_cue(features, s.features, s.logit_scale, s.logit_bias) for s in sets)
        magnitudes = (box_cox(scaled, lam) for lam in lams)
        means = [cue.mean(-1) for cue in (*cosines, *magnitudes)]
        pieces.append(torch.stack([*means, mean_magnitude(features), features.norm(dim=-1)]))
    return torch.cat(pieces, dim=1).numpy()
