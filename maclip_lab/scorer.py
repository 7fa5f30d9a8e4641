"""The metric as one object: pictures in, scores out."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from inspect import signature
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from maclip_lab import crops
from maclip_lab.clip.foreign import Encoders, ForeignClip, Tokenizer, weights_sha256
from maclip_lab.clip.model import CLIP
from maclip_lab.crops import PreparedPicture, Protocol, prepare_picture
from maclip_lab.encoder import ImageEncoder, choose_device, map_ahead
from maclip_lab.errors import IntegrityError, PictureError
from maclip_lab.files.identity import joint_sha256
from maclip_lab.files.provenance import config_sha256, versions
from maclip_lab.fusion import FusionSettings, option
from maclip_lab.images import Picture, Preset, Source, announced_pixels, find_pictures
from maclip_lab.prompts import ATTRIBUTES, PromptPairs, encode_prompts, prompt_pairs
from maclip_lab.score import Score, TextAnchors, score_features
from maclip_lab.weights.loading import Backbone, load_backbone

_NUMBERS = ("score", "q_cos", "q_mag", "w_cos")
TABLE_COLUMNS = ("path", *_NUMBERS, "n_crops", "width", "height", "status", "flags", "message")
PROTOCOL = "Follow a data set's crop protocol; of a published one, read files as the authors do."
ACTIVATION = "Activation of a weights file that does not say; OpenAI's is QuickGELU."
READING = (
    'How files are read: "official" as the authors do, the rule for published sets; "default" with '
    "EXIF orientation and transparency respected, the rule for all else."
)


@dataclass(frozen=True)
class ScoreConfig:
    """Everything that scores depend on, except the pictures; small enough to send to a worker.

    Fields are arguments of `Maclip` and its call; ``weights_sha256`` is empty for what is found.
    """

    backbone: str = "RN50"
    weights_sha256: str = ""
    dataset: str | Protocol | None = option(None, PROTOCOL, type=str | None)
    preset: Preset | None = option(None, READING)
    prompts: str | PromptPairs = option("maclip", "maclip, clip-iqa or attributes.", type=str)
    settings: FusionSettings = FusionSettings()
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps.")
    precision: str = option("fp32", "fp32, bf16 or fp16, of the encoder alone.")
    pos_embedding: bool = False
    weights_dir: str | None = option(None, "Folder to look for weights in first.")
    offline: bool | None = option(None, "Never use the network.", flags="--offline")
    quick_gelu: bool | None = option(None, ACTIVATION, flags="--quick-gelu/--gelu")
    attributes: bool = option(False, "A column for each named axis.", flags="--attributes")

    def __post_init__(self) -> None:
        pairs = prompt_pairs(self.prompts)
        if not isinstance(self.prompts, str):
            object.__setattr__(self, "prompts", pairs)

    @property
    def protocol(self) -> Protocol:
        """The crop protocol that ``dataset`` means."""
        return crops.protocol_for(crops.NATIVE if self.dataset is None else self.dataset)

    @property
    def reading(self) -> Preset:
        """How files are read: unless told, as the authors do where a published set is named."""
        if self.preset is not None:
            return self.preset
        published = isinstance(self.dataset, str) and crops.is_published(self.dataset)
        return "official" if published else "default"

    @property
    def facts(self) -> dict[str, object]:
        """What the numbers depend on, every choice resolved, as results record it."""
        return {
            "backbone": self.backbone,
            "weights_sha256": self.weights_sha256,
            "protocol": asdict(self.protocol),
            "preset": self.reading,
            "prompts": [list(pair) for pair in prompt_pairs(self.prompts)],
            "precision": self.precision,
            "pos_embedding": self.pos_embedding,
            "quick_gelu": self.quick_gelu,
            **vars(self.settings),
            **({"attributes": True} if self.attributes else {}),
        }

    @property
    def sha256(self) -> str:
        """Hash of what the numbers depend on to the last bit."""
        return config_sha256({**self.facts, "device": self.device, "versions": versions()})

    def pinned(self) -> "ScoreConfig":
        """The same with the weights found, fetched if need be, and named by their sha256.

        Raises:
            WeightsError: no weights can be had.
        """
        file = Path(self.backbone)
        named = replace(self, backbone=str(file.absolute())) if file.is_file() else self
        where: dict[str, Any] = {"weights_dir": self.weights_dir, "offline": self.offline}
        backbone = load_backbone(named.backbone, **where, quick_gelu=self.quick_gelu)
        self.check(backbone)
        return replace(named, weights_sha256=backbone.sha256, quick_gelu=backbone.quick_gelu)

    def check(self, backbone: Backbone) -> None:
        """An IntegrityError where the weights are not those that the settings name."""
        if self.weights_sha256 not in ("", backbone.sha256):
            ours = f"{self.backbone} is {backbone.sha256} here"
            raise IntegrityError(f"{ours}, not the {self.weights_sha256} that was asked for")


class Maclip:
    """MA-CLIP with one backbone and one prompt set: ``float(Maclip("RN50")("photo.jpg"))``.

    Args:
        backbone: ``"RN50"`` and OpenAI's other names, ``"tiny-rn"``, ``"tiny-vit"``,
            ``"hf-hub:org/name"``, a weights file, ``"tiny-rn-untrained-0"`` for a new network
            of that shape, or a loaded model: a `CLIP`, open_clip's or one's own, as
            `maclip_lab.clip.foreign` describes it, copied, with crops of its size and positions.
        tokenizer: of such a model, from a list of strings to what its ``encode_text`` takes.
        device: ``"auto"`` (CUDA, else MPS, else CPU) or a torch device.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"`` of the encoder; cues are always fp32.
        prompts: ``"maclip"``, ``"clip-iqa"`` or pairs of (positive, negative).
        pos_embedding: add the visual positional embedding, which MA-CLIP leaves out.
        weights_dir: folder to look for weights in first.
        offline: never use the network; None follows the environment.
        trust: open a TorchScript archive although its sha256 is none of OpenAI's.
        quick_gelu: the activation, where the weights do not say; None is OpenAI's, with a warning.
        attributes: read the named axes too, see `Score.attributes`.

    Raises:
        WeightsError: no weights can be had; the message says what to do.
    """

    def __init__(
        self,
        backbone: str | CLIP | Encoders = "RN50",
        *,
        tokenizer: Tokenizer | None = None,
        device: str = "auto",
        precision: str = "fp32",
        prompts: str | Sequence[tuple[str, str]] = "maclip",
        pos_embedding: bool = False,
        weights_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
        trust: bool = False,
        quick_gelu: bool | None = None,
        attributes: bool = False,
    ) -> None:
        where = choose_device(device)
        pairs = prompt_pairs(prompts)
        if isinstance(backbone, str | os.PathLike):
            where_from: dict[str, Any] = {"weights_dir": weights_dir, "offline": offline}
            self.backbone = load_backbone(
                backbone, **where_from, trust=trust, quick_gelu=quick_gelu
            )
        else:
            self.backbone = _loaded(backbone, tokenizer)
        self.base = ScoreConfig(
            backbone=self.backbone.name,
            weights_sha256=self.backbone.sha256,
            prompts=pairs,
            device=str(where),
            precision=precision,
            pos_embedding=pos_embedding or self.backbone.crop is not None,
            weights_dir=None if weights_dir is None else os.fspath(weights_dir),
            offline=offline,
            quick_gelu=self.backbone.quick_gelu,
            attributes=attributes,
        )
        self.pos_embedding = self.base.pos_embedding
        self._texts: dict[object, TextAnchors] = {}
        self.encoder = ImageEncoder(self.backbone.clip, device=where, precision=precision)
        self.anchors = self.text_anchors(pairs)
        self.axes = self.text_anchors("attributes") if attributes else None

    @classmethod
    def from_config(cls, config: ScoreConfig) -> "Maclip":
        """The metric with these settings.

        Raises:
            IntegrityError: the weights found are not those that the settings name.
            WeightsError: no weights can be had.
        """
        names = [name for name in signature(cls).parameters if hasattr(config, name)]
        scorer = cls(**{name: getattr(config, name) for name in names})
        config.check(scorer.backbone)
        return scorer

    def __repr__(self) -> str:
        return (
            f"Maclip({self.backbone.name!r}, device={str(self.encoder.device)!r}, "
            f"precision={self.encoder.precision!r}, prompt pairs={len(self.anchors.pairs)})"
        )

    def config(
        self,
        dataset: str | Protocol | None = None,
        settings: FusionSettings = FusionSettings(),
        *,
        preset: Preset | None = None,
    ) -> ScoreConfig:
        """All settings of the scores that these arguments give."""
        config = replace(self.base, dataset=dataset, settings=settings, preset=preset)
        if self.backbone.crop is None:
            return config
        dataset = crops.fitted(config.protocol, self.backbone.crop)
        return replace(config, dataset=dataset, preset=config.reading)

    def text_anchors(self, prompts: str | Sequence[tuple[str, str]]) -> TextAnchors:
        """The text features of a prompt set, encoded once and kept."""
        pairs = prompt_pairs(prompts)
        if pairs not in self._texts:
            clip = self.backbone.clip
            features, scale = encode_prompts(clip, pairs).cpu(), float(clip.logit_scale.exp())
            bias = getattr(clip, "logit_bias", None)
            self._texts[pairs] = TextAnchors(pairs, features, scale, bias)
        return self._texts[pairs]

    def __call__(
        self,
        picture: Source,
        dataset: str | Protocol | None = None,
        *,
        box_lam: float = 0.5,
        base_cos: float = 1.0,
        base_norm: float = 0.6,
        alpha: float = 1.0,
        preset: Preset | None = None,
    ) -> Score:
        """The score of one picture, a source of `maclip_lab.images.load_picture`.

        The crop protocol is a data set's, by name, or a `Protocol`; None keeps the native size. The
        next four are `FusionSettings`. ``preset`` says how files are read: ``"official"`` as the
        authors do, ``"default"`` with EXIF orientation and transparency respected; None means
        official where ``dataset`` names one of the nine sets and default elsewhere.

        Raises:
            PictureError: the picture cannot be read or cut; the message says why.
        """
        settings = FusionSettings(box_lam, base_cos, base_norm, alpha)
        return self.score(self.extract(picture, dataset, preset=preset), settings)

    def score(self, picture: PreparedPicture, settings: FusionSettings = FusionSettings()) -> Score:
        """The score of a picture whose features are at hand, in about a millisecond."""
        return score_features(picture, self.anchors, settings, self.backbone.name, self.axes)

    def extract(
        self,
        picture: "Source | Picture",
        dataset: str | Protocol | None = None,
        *,
        preset: Preset | None = None,
    ) -> PreparedPicture:
        """A picture with the raw features of its crops; arguments and errors as in the call."""
        config = self.config(dataset, preset=preset)
        prepared = prepare_picture(picture, config.protocol, config.reading)
        if prepared.pixels is None:
            raise PictureError(prepared.picture.message)
        encode, positions = self.encoder.encode_picture, config.pos_embedding
        features = encode(prepared.pixels, config.protocol, positions)
        return replace(prepared, pixels=None, features=features)

    def clip_iqa(
        self, picture: Source, prompts: str | Sequence[tuple[str, str]] = "clip-iqa"
    ) -> float:
        """CLIP-IQA, the baseline: the cosine cue of the whole picture at native size, in [0, 1].

        ``prompts="maclip"`` is its multi-prompt form. Errors as in the call.
        """
        features = self.extract(picture, crops.WHOLE)
        return score_features(features, self.text_anchors(prompts)).q_cos

    def score_all(
        self, pictures: Iterable[Source], config: ScoreConfig | None = None, *, workers: int = 1
    ) -> Iterator[Score | Picture]:
        """Scores of many pictures of any sizes, in order, decoding ahead of the encoder.

        By default as the call scores them; ``workers`` are pictures that a CPU encodes at once,
        which changes no number. What cannot be read gives its `Picture`, which says why.
        """
        config = config or self.config()
        read = partial(prepare_picture, protocol=config.protocol, preset=config.reading)
        waiting: deque[PreparedPicture] = deque()

        def readable() -> Iterator[np.ndarray]:
            for prepared in map_ahead(read, pictures, announced_pixels):
                pixels, prepared = prepared.pixels, replace(prepared, pixels=None)
                waiting.append(prepared)
                if pixels is not None:
                    yield pixels
                    del pixels  # before the next one is decoded

        encode = partial(self.encoder.encode_pictures, workers=workers)
        for features in encode(readable(), config.protocol, config.pos_embedding):
            while waiting[0].grid is None:
                yield waiting.popleft().picture
            yield self.score(replace(waiting.popleft(), features=features), config.settings)
        for prepared in waiting:
            yield prepared.picture


def score_folder(
    pictures: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    scorer: Maclip | str,
    dataset: str | Protocol | None = None,
    settings: FusionSettings = FusionSettings(),
    *,
    preset: Preset | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Scores of all pictures below a folder, or of a list of files; one bad file stops nothing.

    A folder is searched recursively, in natural order. ``scorer`` may be a backbone's name;
    ``dataset`` and ``preset`` are those of `Maclip.__call__`.

    Returns:
        One row a picture, of ``TABLE_COLUMNS`` and the named axes where they are read. Where
        ``status`` is not ``"ok"`` the numbers are NaN and ``message`` says why. Backbone and
        settings stand in ``attrs``.
    """
    if isinstance(pictures, str | os.PathLike):
        pictures = find_pictures(pictures)
    paths = [Path(path) for path in pictures]
    scorer = Maclip(scorer) if isinstance(scorer, str) else scorer
    config = scorer.config(dataset, settings, preset=preset)
    results = scorer.score_all(paths, config)
    bar = tqdm(results, total=len(paths), unit="picture", disable=not progress)
    rows = [score_row(path, result) for path, result in zip(paths, bar, strict=True)]
    table = pd.DataFrame(rows, columns=[*TABLE_COLUMNS, *(ATTRIBUTES if scorer.axes else ())])
    content = joint_sha256((str(row["path"]), str(row["sha256"])) for row in rows)
    table.attrs = {**config.facts, "data": {"folder": os.getcwd(), "pictures_sha256": content}}
    return table


def score_row(path: Path, result: Score | Picture) -> dict[str, object]:
    """One row of `score_folder`'s table, and the sha256 of the picture."""
    columns = (*TABLE_COLUMNS, "sha256")
    row: dict[str, object] = {name: getattr(result, name, nan) for name in columns}
    # a name that is not UTF-8 could not be written to any table
    row["path"] = path.as_posix().encode("utf-8", "backslashreplace").decode()
    row["flags"] = " ".join(result.flags)
    if isinstance(result, Picture):
        return row | {"n_crops": 0}
    return row | dict(result.attributes)


def _loaded(clip: CLIP | Encoders, tokenizer: Tokenizer | None) -> Backbone:
    """A CLIP that is in memory, known by the hash of its weights."""
    if isinstance(clip, CLIP):
        metadata = {"quick_gelu": str(clip.quick_gelu).lower()}
        digest = weights_sha256(clip.state_dict())
        return Backbone("loaded CLIP", digest, "memory", clip, metadata)
    name, own = f"loaded {type(clip).__name__}", ForeignClip(clip, tokenizer)
    return Backbone(name, own.sha256, "memory", own, crop=own.image_size)
