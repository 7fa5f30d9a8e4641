"""Feature packs: a rated data set as one backbone sees it, in one file without a picture.

A sealed safetensors file holds raw features of every crop and of the whole pictures, the manifest
with its opinions, text features of the prompts, and a record. Whatever follows the encoder runs on
it. A feature store keeps its sets in the same format, see `store`.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maclip_lab.crops import Protocol
from maclip_lab.datasets.manifest import PACK_SUFFIX, Manifest, pack_header, read_pack_header
from maclip_lab.errors import DatasetError
from maclip_lab.features.features import (
    CUT,
    DTYPES,
    GRID,
    PICTURE,
    Features,
    StoreConfig,
    StoreError,
)
from maclip_lab.files.atomic import Pieces, map_tensors, write_sealed
from maclip_lab.files.identity import data_path
from maclip_lab.files.provenance import provenance_record, write_result
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Preset
from maclip_lab.prompts import PROMPT_SETS, PromptPairs, prompt_pairs
from maclip_lab.score import TextAnchors
from maclip_lab.scorer import Maclip, ScoreConfig

SHIPPED = ("clive-part", "biq2021-part")
"""The rated sets of which this package ships packs, one for each embedded backbone."""
SEVERITY = "severity"
"""The synthetic set's packs, shipped beside them: levels of harm, and no person's opinion."""


@dataclass(frozen=True, eq=False)
class Pack:
    """A pack, opened. It stands in for the scorer wherever nothing is encoded any more.

    ``whole`` are CLIP-IQA's features, of the whole pictures; ``texts`` raw text features ``(D,)``
    by prompt; ``record`` is the provenance of the file.
    """

    manifest: Manifest
    backbone: str
    crops: Features
    whole: Features | None
    texts: Mapping[str, Tensor]
    logit_scale: float
    record: Mapping[str, object]

    def __repr__(self) -> str:
        return f"Pack({self.name}, {self.backbone}: {self.crops!r})"

    @property
    def name(self) -> str:
        """Of the file."""
        return self.manifest.root.name

    @property
    def anchors(self) -> TextAnchors:
        """The text features of MA-CLIP's five prompt pairs."""
        return self.text_anchors("maclip")

    def text_anchors(self, prompts: str | Iterable[tuple[str, str]]) -> TextAnchors:
        """The text features of a prompt set, as `Maclip.text_anchors` gives them.

        Raises:
            StoreError: the pack lacks one of the prompts.
        """
        pairs = prompt_pairs(prompts if isinstance(prompts, str) else list(prompts))
        if lacking := [text for text in chain(*pairs) if text not in self.texts]:
            raise StoreError(
                f"{self.name} has no text features of {', '.join(map(repr, lacking))}, only of "
                f"{', '.join(map(repr, self.texts))}; {self.backbone} itself has to encode others"
            )
        features = torch.stack([self.texts[text] for text in chain(*pairs)])
        return TextAnchors(pairs, features, self.logit_scale)

    def config(
        self,
        dataset: str | Protocol | None = None,
        settings: FusionSettings = FusionSettings(),
        *,
        preset: Preset | None = None,
    ) -> ScoreConfig:
        """All settings of scores from these features, as `Maclip.config` gives them."""
        made = asdict(self.crops.config)
        encoder = ("weights_sha256", "precision", "pos_embedding", "quick_gelu")
        return ScoreConfig(
            self.backbone,
            dataset=dataset,
            preset=preset,
            prompts=self.anchors.pairs,
            settings=settings,
            **{name: made[name] for name in encoder},
        )


def write_pack(
    path: str | os.PathLike[str],
    crops: Features,
    whole: Features | None,
    scorer: Maclip,
    *,
    prompts: Iterable[PromptPairs] = tuple(PROMPT_SETS.values()),
) -> Path:
    """Write a pack, ``*.safetensors``, and its record beside it; an older one is replaced whole.

    Args:
        path: of the pack.
        crops: from `Extractor`; written as it stores them, in fp32 or fp16.
        whole: of the same pictures' whole; None for a pack that CLIP-IQA cannot be computed from.
        scorer: that made them, and encodes the prompts.
        prompts: the sets whose text features go with them.

    Raises:
        StoreError: no picture has features, or they are another backbone's.
        StorageFullError: there is no room; an older file is as it was.
    """
    path, manifest, weights = Path(path), crops.manifest, scorer.backbone.sha256
    if path.suffix != PACK_SUFFIX:
        raise ValueError(f"a pack's name ends in {PACK_SUFFIX}, got {path.name!r}")
    if (made := crops.config.weights_sha256) != weights:
        whose = f"{scorer.backbone.name} with weights {weights}"
        raise StoreError(f"the features are of weights {made}, the scorer is {whose}")
    if not len(crops.ok):
        raise StoreError(f"none of the {len(crops)} pictures of {manifest.dataset} has features")
    if scorer.anchors.logit_bias is not None:
        raise ValueError(f"{scorer.backbone.name} has a logit_bias, which a pack cannot hold")
    parts = {}
    for name, view in {"crops": crops, "whole": whole}.items():
        if view is not None:
            rows = view.subset(manifest).table.drop_duplicates("path")
            parts[name] = view.config, rows, replace(view, table=rows).blocks
    return save_pack(path, manifest, parts, scorer, prompts)


def save_pack(
    path: Path,
    manifest: Manifest,
    parts: Mapping[str, tuple[StoreConfig, pd.DataFrame, Callable[[], Iterable[np.ndarray]]]],
    scorer: Maclip,
    prompts: Iterable[PromptPairs] = tuple(PROMPT_SETS.values()),
) -> Path:
    """Write a pack a piece at a time: how each part was made, its rows, and what gives features."""
    anchors = [scorer.text_anchors(pairs) for pairs in prompts]
    texts = {
        text: features.numpy()
        for one in anchors
        if one.logit_bias is None  # a store keeps features of such a backbone too, without texts
        for text, features in zip(chain(*one.pairs), one.features, strict=True)
    }
    made, table, _ = parts["crops"]
    facts = scorer.config(made.protocol, preset=made.preset).facts | manifest.facts
    pictures = table.set_index("path", drop=False).loc[manifest.table["path"]]
    facts |= {"dtype": made.dtype, "data": manifest.data(pictures)}
    record = provenance_record(facts)
    header = {
        **pack_header(manifest),
        "backbone": scorer.backbone.name,
        "logit_scale": repr(anchors[0].logit_scale),
        "record": json.dumps(record),
        "texts": json.dumps(list(texts)),
    }
    dim, tensors = anchors[0].features.shape[1], dict[str, np.ndarray | Pieces]()
    tensors["texts"] = np.array([*texts.values()], np.float32).reshape(-1, dim)
    for name, (made, table, pieces) in parts.items():
        about = {"config": asdict(made), "pictures": table[PICTURE].to_dict("list")}
        header[name] = json.dumps(about)
        offsets = np.cumsum([0, *table["n_crops"]], dtype=np.int64)
        tensors[f"{name}.feats"] = Pieces(DTYPES[made.dtype], (int(offsets[-1]), dim), pieces)
        tensors[f"{name}.offsets"] = offsets
        tensors[f"{name}.grid"] = table[GRID].to_numpy(np.int16)
        tensors[f"{name}.sizes"] = table[CUT].to_numpy(np.int32)
    return write_result(lambda file: write_sealed(file, tensors, header), path, record)


def open_pack(path: str | os.PathLike[str], *, verify: bool = True) -> Pack:
    """Open a pack, once every byte of it has been checked, unless that was done before.

    Raises:
        DatasetError: there is none, or it is damaged, or of another version than is read here.
    """
    path = Path(path).expanduser()
    manifest, header = read_pack_header(path, verify=verify)
    try:
        tensors = map_tensors(path)
        names = json.loads(header["texts"])
        return Pack(
            manifest,
            header["backbone"],
            _features("crops", header, tensors, manifest),
            _features("whole", header, tensors, manifest) if "whole" in header else None,
            dict(zip(names, torch.from_numpy(tensors["texts"]), strict=True)),
            float(header["logit_scale"]),
            json.loads(header["record"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path.name} is no whole pack: {error!r}") from error


def _features(
    name: str, header: Mapping[str, str], tensors: Mapping[str, np.ndarray], manifest: Manifest
) -> Features:
    """The crops of a pack, or its whole pictures; ValueError where they do not fit together."""
    content = json.loads(header[name])
    protocol = content["config"].pop("protocol")
    resize = protocol.pop("resize")
    protocol = Protocol(**protocol, resize=None if resize is None else tuple(resize))
    config = StoreConfig(**content["config"], protocol=protocol)
    feats, offsets, grid, sizes = (
        tensors[f"{name}.{field}"] for field in ("feats", "offsets", "grid", "sizes")
    )
    table = pd.DataFrame(content["pictures"], columns=PICTURE)
    table = table.assign(n_crops=np.diff(offsets), start=offsets[:-1])
    table[GRID], table[CUT] = grid.astype(np.int64), sizes.astype(np.int64)
    expected = np.prod(grid, axis=1) + protocol.thumbnail + protocol.whole
    if not np.array_equal(table["n_crops"], np.where(table["status"] == "ok", expected, 0)):
        raise ValueError(f"the {name} do not fit their grids")
    if offsets[-1] != len(feats):
        raise ValueError(f"{len(feats)} features for {offsets[-1]} {name}")
    view = Features(manifest, config, table, feats)
    in_order = table["path"].tolist() == manifest.table["path"].tolist()
    return view if in_order else view.subset(manifest)


def shipped_pack(dataset: str, backbone: str) -> Path:
    """Where the package's own pack lies.

    Raises:
        DatasetError: no pack of this backbone is there.
    """
    path = data_path("packs", f"{dataset}.{backbone}{PACK_SUFFIX}")
    if not path.is_file():
        others = sorted(path.parent.glob(f"{dataset}.*{PACK_SUFFIX}"))
        there = " or ".join(other.name.split(".")[1] for other in others) or "nobody"
        raise DatasetError(
            f"there is no pack of {dataset} as {backbone} sees it, only as {there} does: give the "
            "data set itself and the folder of its pictures, or the path of a pack that maclip-lab "
            "pack made of it"
        )
    return path
