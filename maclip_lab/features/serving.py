"""The features of a manifest's pictures: computed into a store, read from one, or from a pack.

Prompts, lambda and fusion are applied afterwards, so one extraction serves every ablation. A
picture's features depend on its bytes and on the store's configuration alone: they are found by
the sha256 of the file, whatever it is called, and never served for a file that has changed.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maclip_lab.crops import WHOLE, Protocol, fitted, protocol_for
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.features import extraction
from maclip_lab.features.lookup import Lookup, identify
from maclip_lab.features.packs import Pack, open_pack
from maclip_lab.features.shards import PictureRecord
from maclip_lab.features.store import (
    FeatureStore,
    StoreConfig,
    StoreError,
    differences,
    stored_configs,
)
from maclip_lab.features.view import Features
from maclip_lab.images import Preset, load_picture
from maclip_lab.readahead import map_ahead
from maclip_lab.scorer import Maclip

_TABLE = ("path", "status", "message", "width", "height", "sha256")


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
        quick_gelu=scorer.backbone.quick_gelu,
    )


def extract_features(
    manifest: Manifest,
    scorer: Maclip | Pack,
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
    that cannot be read is a row that says why, looked at again once its file has changed. Where the
    manifest is a pack's, its features are that pack's, and no store is touched.

    Args:
        manifest: the pictures.
        scorer: whose encoder computes; for a pack's manifest the pack itself will do.
        store_folder: of the store; made where absent.
        preset: how files are read; None for the manifest's.
        dtype: how features are stored; fp16 takes half the room and costs the magnitude cue about
            1e-4.
        protocol: instead of the manifest's.
        shard_size: pictures in a shard; fewer where they are large or slow.
        progress: show a progress bar, which begins at what the store holds.

    Raises:
        StorageFullError: the disk is full; what was finished is kept.
        StoreError: the manifest's pack holds features of another backbone, or made otherwise.
        ValueError: a setting is not one of those above.
    """
    if not manifest.has_pictures or isinstance(scorer, Pack):
        return _pack_of(manifest, scorer, preset, protocol).crops.subset(manifest)
    configs = [feature_config(manifest, scorer, preset=preset, dtype=dtype, protocol=protocol)]
    return _extract(manifest, scorer, store_folder, configs, shard_size, progress)[0]


def extract_crops_and_whole(
    manifest: Manifest,
    scorer: Maclip | Pack,
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

    Raises:
        StoreError: as `extract_features`, or the manifest's pack has no whole pictures.
    """
    if not manifest.has_pictures or isinstance(scorer, Pack):
        pack = _pack_of(manifest, scorer, preset)
        if pack.whole is None:
            raise StoreError(
                f"{pack.name} holds no features of whole pictures, which CLIP-IQA needs; leave "
                "that out (--no-clip-iqa), or make the pack anew with them"
            )
        return pack.crops.subset(manifest), pack.whole.subset(manifest)
    whole = replace(WHOLE, resize=protocol_for(manifest.protocol).resize)
    configs = [
        feature_config(manifest, scorer, preset=preset, dtype=dtype, protocol=protocol)
        for protocol in (None, whole)
    ]
    crops, wholes = _extract(manifest, scorer, store_folder, configs, shard_size, progress)
    return crops, wholes


def pending_pictures(
    manifest: Manifest,
    scorer: Maclip,
    store_folder: str | os.PathLike[str],
    *,
    protocol: Protocol | None = None,
    dtype: str = "fp32",
) -> list[Path]:
    """The pictures of a manifest that a store holds nothing of, by their paths alone."""
    config = feature_config(manifest, scorer, protocol=protocol, dtype=dtype)
    lookup = Lookup(FeatureStore(Path(store_folder), config).index)
    named = zip(manifest.table["path"], manifest.paths, strict=True)
    return [path for name, path in named if not lookup.has_path(name)]


def _pack_of(
    manifest: Manifest,
    scorer: Maclip | Pack,
    preset: Preset | None,
    protocol: Protocol | None = None,
) -> Pack:
    """The pack a manifest comes from, once it is what is asked for."""
    pack = scorer if isinstance(scorer, Pack) else open_pack(manifest.root)
    if pack.manifest.pack_sha256 != manifest.pack_sha256:
        raise StoreError(
            f"{pack.name} is not the pack that the rows of {manifest.dataset} come from: its "
            f"sha256 is {pack.manifest.pack_sha256}, not {manifest.pack_sha256 or 'that of a pack'}"
        )
    made = pack.crops.config
    asked: dict[str, Any] = {"preset": preset or made.preset, "protocol": protocol or made.protocol}
    if isinstance(scorer, Pack):
        wanted = replace(made, **asked)
    else:
        wanted = feature_config(manifest, scorer, dtype=made.dtype, **asked)
        if wanted.weights_sha256 != made.weights_sha256:
            raise StoreError(
                f"{pack.name} holds features of {pack.backbone} (weights {made.weights_sha256}), "
                f"not of {scorer.backbone.name} (weights {wanted.weights_sha256}); maclip-lab pack "
                "makes a pack of another backbone"
            )
    if apart := differences(wanted.fields, made.fields):
        raise StoreError(f"{pack.name} holds other features: " + "; ".join(apart))
    return pack


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
