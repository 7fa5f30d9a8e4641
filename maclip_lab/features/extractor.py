"""Features extracted once: picture files into a store, and from it to every ablation.

Prompts, lambda and fusion are applied afterwards, so one extraction serves all. Features are found
by the sha256 of a picture's file, whatever it is called, and never served for one that has changed.
"""

import logging
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from maclip_lab.crops import WHOLE, PreparedPicture, Protocol, fitted, prepare_picture, protocol_for
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.encoder import map_ahead
from maclip_lab.features.features import Features, StoreConfig, StoreError
from maclip_lab.features.packs import Pack, open_pack
from maclip_lab.features.store import FeatureStore, Memo
from maclip_lab.files.atomic import SealError
from maclip_lab.files.identity import content_sha256, file_times
from maclip_lab.fusion import option
from maclip_lab.images import Picture, Preset, announced_pixels, load_picture
from maclip_lab.scorer import READING, Maclip

_LOGGER = logging.getLogger(__name__)
_ATTEMPTS = 5  # to gather what others gather and damage meanwhile
_MEMO_SECONDS = 20.0
_LOOKED_AT = 5  # pictures that an estimate encodes; the others are taken to be alike
_WHOLE_WORK = 1.5  # how much more work it is to show the encoder the whole pictures too


@dataclass(frozen=True)
class Extractor:
    """A backbone and the store that keeps what it sees, for any data set.

    May be killed at any instant and called again: finished pictures are kept, and the result is
    that of an uninterrupted run to the last bit. Several processes may extract into one store. A
    picture that cannot be read is a row that says why, looked at again once its file has changed.
    The features of a pack's manifest are that pack's, no store is touched, and the pack itself will
    do as ``scorer``. Half precision costs the magnitude cue about 1e-4.
    """

    scorer: Maclip | Pack
    folder: str | os.PathLike[str] = option(
        Path("build/features"),
        "Folder of the feature store; made where absent.",
        flags="--store",
        type=Path,
    )
    dtype: str = option("fp32", "How features are stored: fp32, or fp16 in half the room.")
    progress: bool = False
    preset: Preset | None = option(None, READING)

    def config(self, manifest: Manifest, protocol: Protocol | None = None) -> StoreConfig:
        """The configuration under which the store keeps a manifest's features."""
        scorer = self.scorer
        if isinstance(scorer, Pack):
            made = scorer.crops.config
            preset, protocol = self.preset or made.preset, protocol or made.protocol
            return replace(made, preset=preset, protocol=protocol)
        return StoreConfig(
            weights_sha256=scorer.backbone.sha256,
            precision=scorer.encoder.precision,
            preset=self.preset or manifest.preset,
            protocol=fitted(protocol or protocol_for(manifest.protocol), scorer.backbone.crop),
            pos_embedding=scorer.pos_embedding,
            dtype=self.dtype,
            quick_gelu=scorer.backbone.quick_gelu,
        )

    def crops(self, manifest: Manifest, protocol: Protocol | None = None) -> Features:
        """The features of a manifest's pictures; those that the store lacks are computed and kept.

        ``protocol`` takes the place of the manifest's.

        Raises:
            StorageFullError: the disk is full; what was finished is kept.
            StoreError: the folder cannot hold a store, or the manifest's pack holds features of
                another backbone, or made otherwise.
        """
        return self._features(manifest, protocol)[0]

    def crops_and_whole(self, manifest: Manifest) -> tuple[Features, Features]:
        """MA-CLIP's features and CLIP-IQA's, of the whole pictures; each picture is decoded once.

        A picture may have the first alone: a whole one of more than `WHOLE_PIXELS` is not encoded.

        Raises:
            StorageFullError: as `crops`.
            StoreError: as `crops`, or the manifest's pack has no whole pictures.
        """
        whole = replace(WHOLE, resize=protocol_for(manifest.protocol).resize)
        crops, wholes = self._features(manifest, None, whole)
        return crops, wholes

    def pending(self, manifest: Manifest) -> list[Path]:
        """The pictures that the store is not known to hold anything of; no file is read."""
        if self._is_packed(manifest):
            return []
        (store,) = self._stores(manifest, None)
        return [path for path in manifest.paths if not store.holds(store.memo.recall(path))]

    def estimate(self, manifest: Manifest) -> str:
        """What extracting still costs, whole pictures too, in a line; a few are encoded for it."""
        pending = self.pending(manifest)
        if not pending:
            return f"{manifest.dataset}: every feature is in the store"
        config = self.config(manifest)
        looked_at = pending[:: max(1, len(pending) // _LOOKED_AT)]
        share, start, crops = len(pending) / len(looked_at), time.perf_counter(), 0
        for path in looked_at:
            prepared = prepare_picture(path, config.protocol, config.preset)
            crops += len(_encode(self.scorer, prepared, config))
        minutes = (time.perf_counter() - start) * share * _WHOLE_WORK / 60
        return (
            f"{manifest.dataset}: {len(pending):,} pictures, about {crops * share:,.0f} crops to "
            f"encode, {minutes:.1f} minutes on this machine"
        )

    def _is_packed(self, manifest: Manifest) -> bool:
        return not manifest.has_pictures or isinstance(self.scorer, Pack)

    def _pack_of(self, manifest: Manifest, protocol: Protocol | None) -> Pack:
        """The pack a manifest comes from, once it is what is asked for."""
        scorer = self.scorer
        pack = scorer if isinstance(scorer, Pack) else open_pack(manifest.root)
        made = pack.crops.config
        asked = replace(self, preset=self.preset or made.preset, dtype=made.dtype)
        wanted = asked.config(manifest, protocol or made.protocol)
        ours = {"sha256": manifest.pack_sha256 or "that of no pack", **wanted.fields}
        theirs = {"sha256": pack.manifest.pack_sha256, **made.fields}
        if ours != theirs:
            unlike = [
                f"{name} is {ours[name]!r} here and {theirs[name]!r} there"
                for name in ours
                if ours[name] != theirs[name]
            ]
            whose = pack.backbone if isinstance(scorer, Pack) else scorer.backbone.name
            raise StoreError(
                f"{pack.name} holds features of {pack.backbone} that are not those asked for, of "
                f"{whose} for the rows of {manifest.dataset}: {'; '.join(unlike)}; maclip-lab pack "
                "makes another pack"
            )
        return pack

    def _stores(self, manifest: Manifest, *protocols: Protocol | None) -> list[FeatureStore]:
        folder, memo = Path(self.folder), Memo(Path(self.folder), manifest.root)
        return [FeatureStore(folder, self.config(manifest, each), memo) for each in protocols]

    def _features(self, manifest: Manifest, *protocols: Protocol | None) -> list[Features]:
        """By a first protocol, and by that of whole pictures; what is lacking is made at once."""
        if self._is_packed(manifest):
            pack = self._pack_of(manifest, protocols[0])
            views = [pack.crops, pack.whole][: len(protocols)]
            if None in views:
                raise StoreError(
                    f"{pack.name} holds no features of whole pictures, which CLIP-IQA needs; leave "
                    "that out (--no-clip-iqa), or make the pack anew with them"
                )
            return [view.subset(manifest) for view in views if view is not None]
        stores = self._stores(manifest, *protocols)
        for _ in range(_ATTEMPTS):
            contents, unread = self._read(manifest, stores)
            try:
                return [store.serve(manifest, contents, unread, self.scorer) for store in stores]
            except (FileNotFoundError, SealError) as error:
                _LOGGER.info("looking again: %s", error)  # another process gathered it, or damage
            finally:
                stores[0].memo.save()
        raise StoreError(f"files in the store {self.folder} go or are damaged while they are read")

    def _read(
        self, manifest: Manifest, stores: Sequence[FeatureStore]
    ) -> tuple[dict[str, str], dict[str, Picture]]:
        """The contents of all files by path, which no store lacks, and what cannot be read."""
        places = dict(zip(manifest.table["path"], manifest.paths, strict=True))
        memo = stores[0].memo
        contents = {path: memo.recall(place) for path, place in places.items()}
        unread = dict[str, Picture]()
        jobs = [
            (path, places[path])
            for path, sha256 in contents.items()
            if not all(store.holds(sha256) for store in stores)
        ]
        start = random.SystemRandom().randrange(len(jobs) or 1)  # so that processes share the work
        ahead = map_ahead(
            partial(_look, stores=stores),
            jobs[start:] + jobs[:start],
            lambda job: len(stores) * announced_pixels(job[1]),
        )
        stored, saved = len(places) - len(jobs), time.monotonic()
        options = {"total": len(places), "initial": stored, "unit": "picture"}
        with tqdm(**options, disable=not self.progress) as bar:
            for path, picture, pictures in ahead:
                contents[path] = sha256 = picture.sha256
                if not sha256:
                    unread[path] = picture
                while pictures:  # whose pixels go before the next one is waited for
                    store, prepared = pictures.pop(0)
                    if not store.holds(sha256):
                        store.put(sha256, prepared, _encode(self.scorer, prepared, store.config))
                    del prepared
                bar.update()
                if time.monotonic() - saved > _MEMO_SECONDS:
                    memo.save()
                    saved = time.monotonic()
        return contents, unread


def _look(
    job: tuple[str, Path], stores: Sequence[FeatureStore]
) -> tuple[str, Picture, list[tuple[FeatureStore, PreparedPicture]]]:
    """What a file holds; read, once, if any of the stores does not know its content."""
    name, path = job
    memo, preset = stores[0].memo, stores[0].config.preset  # all stores have files read alike
    times = file_times(path)  # of before: whoever edits it meanwhile is noticed the next time
    sha256 = memo.recall(path) or content_sha256(path)
    picture, pictures = Picture(None, "ok", sha256=sha256), []
    if not all(store.holds(sha256) for store in stores):
        picture = load_picture(path, preset=preset)
        sha256 = picture.sha256
        if not sha256:
            return name, picture, []
        lacking = [store for store in stores if not store.holds(sha256)]
        pictures = [(one, prepare_picture(picture, one.config.protocol, preset)) for one in lacking]
    memo.learn(path, times, sha256)
    return name, replace(picture, image=None), pictures


def _encode(scorer: Any, prepared: PreparedPicture, config: StoreConfig) -> np.ndarray:
    if prepared.grid is None or prepared.pixels is None:
        return np.zeros((0, scorer.encoder.embed_dim), dtype=np.float32)
    features = scorer.encoder.encode_picture(prepared.pixels, config.protocol, config.pos_embedding)
    return np.asarray(features.numpy())
