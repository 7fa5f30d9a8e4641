"""The metric as one object: pictures in, scores out."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm.auto import tqdm

from maclip_lab.clip.foreign import Encoders, ForeignClip, Tokenizer, weights_sha256
from maclip_lab.clip.model import CLIP
from maclip_lab.config import ScoreConfig
from maclip_lab.crops import WHOLE, Protocol, fitted
from maclip_lab.encoder import ImageEncoder, choose_device
from maclip_lab.errors import IntegrityError, PictureError
from maclip_lab.files.identity import content_sha256, joint_sha256
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Picture, Preset, Source, find_pictures
from maclip_lab.prepared import PreparedPicture, pixels_to_decode, prepare_picture
from maclip_lab.prompts import ATTRIBUTES, encode_prompts, prompt_pairs
from maclip_lab.readahead import map_ahead
from maclip_lab.score import NONFINITE, PictureFeatures, Score, TextAnchors, score_features
from maclip_lab.weights.loading import Backbone, load_backbone

TABLE_COLUMNS = (
    *("path", "score", "q_cos", "q_mag", "w_cos", "n_crops"),
    *("width", "height", "status", "flags", "message"),
)


class Maclip:
    """MA-CLIP with one backbone and one prompt set.

    Args:
        backbone: ``"RN50"`` and OpenAI's other names, ``"tiny-rn"``, ``"tiny-vit"``,
            ``"hf-hub:org/name"``, a weights file, a `CLIP` that is loaded already, or any other
            loaded model, as `maclip_lab.clip.foreign` describes it: open_clip's, or one's own.
            That is copied and used as it stands, with crops of its size and its positions.
        tokenizer: of such a model, from a list of strings to what its ``encode_text`` takes.
        device: ``"auto"`` (CUDA, else MPS, else CPU) or a torch device.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"`` of the encoder; cues are always fp32.
        prompts: ``"maclip"``, ``"clip-iqa"`` or pairs of (positive, negative).
        pos_embedding: add the visual positional embedding, which MA-CLIP leaves out.
        weights_dir: folder to look for weights in first.
        offline: never use the network; None follows the environment.
        trust: open a TorchScript archive although its sha256 is none of OpenAI's.
        quick_gelu: the activation, where the weights do not say; None takes OpenAI's QuickGELU and
            logs a warning.
        attributes: read the named axes too, see `Score.attributes`.

    Raises:
        WeightsError: no weights can be had; the message says what to do.
        TypeError: an object is no CLIP; the message says what it lacks.
        ValueError: a setting is not one of those above, or a model's features are not raw.

    Example:
        >>> scorer = Maclip("tiny-rn")                      # doctest: +SKIP
        >>> float(scorer("photo.jpg"))                      # doctest: +SKIP
        0.78
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
        pairs = prompt_pairs(prompts)
        where = choose_device(device)
        self.backbone = (
            load_backbone(
                backbone,
                weights_dir=weights_dir,
                offline=offline,
                trust=trust,
                quick_gelu=quick_gelu,
                progress=True,
            )
            if isinstance(backbone, str | os.PathLike)
            else _loaded(backbone, tokenizer)
        )
        self.pos_embedding = pos_embedding or self.backbone.crop is not None
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
        scorer = cls(
            config.backbone,
            device=config.device,
            precision=config.precision,
            prompts=config.prompts,
            pos_embedding=config.pos_embedding,
            weights_dir=config.weights_dir,
            offline=config.offline,
            quick_gelu=config.quick_gelu,
            attributes=config.attributes,
        )
        if config.weights_sha256 not in ("", scorer.backbone.sha256):
            raise IntegrityError(
                f"this worker's {config.backbone} is {scorer.backbone.sha256}, "
                f"not the {config.weights_sha256} of the run"
            )
        return scorer

    def __repr__(self) -> str:
        """The backbone, where it runs, and the prompts."""
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
        """All settings of the scores that these arguments of a call give."""
        config = ScoreConfig(
            backbone=self.backbone.name,
            weights_sha256=self.backbone.sha256,
            dataset=dataset,
            preset=preset,
            prompts=self.anchors.pairs,
            settings=settings,
            device=str(self.encoder.device),
            precision=self.encoder.precision,
            pos_embedding=self.pos_embedding,
            quick_gelu=self.backbone.quick_gelu,
            attributes=self.axes is not None,
        )
        if self.backbone.crop is None:
            return config
        protocol = fitted(config.protocol, self.backbone.crop)
        return replace(config, dataset=protocol, preset=config.reading)

    def text_anchors(self, prompts: str | Sequence[tuple[str, str]]) -> TextAnchors:
        """The text features of a prompt set, encoded once and kept."""
        pairs = prompt_pairs(prompts)
        if pairs not in self._texts:
            clip = self.backbone.clip
            bias = clip.logit_bias if isinstance(clip, ForeignClip) else None
            self._texts[pairs] = TextAnchors(
                pairs, encode_prompts(clip, pairs).cpu(), float(clip.logit_scale.exp()), bias
            )
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
        """The score of one picture.

        Args:
            picture: path, bytes, PIL image, uint8 or uint16 array ``(H, W[, C])``, or float
                tensor ``(3, H, W)`` in [0, 1].
            dataset: data set whose crop protocol to follow, by name, or a `Protocol`; None
                keeps the native size.
            box_lam: see `FusionSettings`, as the next three.
            base_cos: see `FusionSettings`.
            base_norm: see `FusionSettings`.
            alpha: see `FusionSettings`.
            preset: how files are read. ``"official"`` as the authors do, ``"default"`` with EXIF
                orientation and transparency respected; None means official where ``dataset`` is
                named and default elsewhere.

        Raises:
            PictureError: the picture cannot be read or cut; the message says why.
            ValueError: no such data set, or settings that are not finite.
        """
        settings = FusionSettings(box_lam, base_cos, base_norm, alpha)
        return self.score(self.extract(picture, dataset, preset=preset), settings)

    def score(
        self, features: PictureFeatures, settings: FusionSettings = FusionSettings()
    ) -> Score:
        """The score of a picture whose features are at hand, in about a millisecond."""
        return score_features(features, self.anchors, settings, self.backbone.name, self.axes)

    def extract(
        self,
        picture: "Source | Picture",
        dataset: str | Protocol | None = None,
        *,
        preset: Preset | None = None,
    ) -> PictureFeatures:
        """The raw features of a picture's crops; arguments and errors as in the call."""
        config = self.config(dataset, preset=preset)
        prepared = prepare_picture(picture, config.protocol, config.reading)
        if prepared.pixels is None:
            raise PictureError(prepared.picture.message)
        features = self.encoder.encode_picture(prepared.pixels, config.protocol, self.pos_embedding)
        return _picture_features(features, prepared)

    def clip_iqa(
        self, picture: Source, prompts: str | Sequence[tuple[str, str]] = "clip-iqa"
    ) -> float:
        """CLIP-IQA, the baseline: the cosine cue of the whole picture at native size, in [0, 1].

        ``prompts`` are ``"clip-iqa"`` for the single pair, or ``"maclip"`` for the
        multi-prompt form.

        Raises:
            PictureError: the picture cannot be read.
        """
        features = self.extract(picture, WHOLE)
        return score_features(features, self.text_anchors(prompts)).q_cos

    def score_all(
        self,
        pictures: Iterable[Source],
        dataset: str | Protocol | None = None,
        settings: FusionSettings = FusionSettings(),
        *,
        preset: Preset | None = None,
        workers: int = 1,
    ) -> Iterator[Score | Picture]:
        """Scores of many pictures of any sizes, in order, decoding ahead of the encoder.

        Arguments are those of the call; ``workers`` are pictures that a CPU encodes at
        once, which changes no number.

        Yields:
            A `Score`, or for a picture that cannot be read its `Picture`, whose ``status`` and
            ``message`` say why.
        """
        config = self.config(dataset, settings, preset=preset)
        protocol = config.protocol
        read = partial(prepare_picture, protocol=protocol, preset=config.reading)
        waiting: deque[PreparedPicture] = deque()

        def readable() -> Iterator[np.ndarray]:
            for prepared in map_ahead(read, pictures, pixels_to_decode):
                pixels = prepared.pixels
                prepared = replace(prepared, pixels=None)
                waiting.append(prepared)
                if pixels is not None:
                    yield pixels
                    del pixels  # before the next one is decoded

        for features in self.encoder.encode_pictures(
            readable(), protocol, self.pos_embedding, workers=workers
        ):
            while waiting[0].grid is None:
                yield waiting.popleft().picture
            yield self.score(_picture_features(features, waiting.popleft()), settings)
        for prepared in waiting:
            yield prepared.picture


def score_folder(
    pictures: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    scorer: Maclip,
    dataset: str | Protocol | None = None,
    settings: FusionSettings = FusionSettings(),
    *,
    preset: Preset | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Scores of all pictures below a folder, or of a list of files; one bad file stops nothing.

    A folder is searched recursively, in natural order. ``dataset`` and ``preset`` are those of
    `Maclip.__call__`.

    Returns:
        One row a picture: ``path, score, q_cos, q_mag, w_cos, n_crops, width, height, status,
        flags, message``, and the named axes where they are read. Where ``status`` is not ``"ok"``
        the numbers are NaN and the message says why. Backbone and settings stand in ``attrs``.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    if isinstance(pictures, str | os.PathLike):
        paths = find_pictures(pictures)
    else:
        paths = [Path(path) for path in pictures]
    results = scorer.score_all(paths, dataset, settings, preset=preset)
    bar = tqdm(results, total=len(paths), unit="picture", disable=not progress)
    rows = [score_row(path, result) for path, result in zip(paths, bar, strict=True)]
    table = pd.DataFrame(rows, columns=[*TABLE_COLUMNS, *(ATTRIBUTES if scorer.axes else ())])
    pairs = (
        (str(row["path"]), content_sha256(path)) for row, path in zip(rows, paths, strict=True)
    )
    data = {"folder": os.getcwd(), "pictures_sha256": joint_sha256(pairs)}
    table.attrs = {**scorer.config(dataset, settings, preset=preset).facts, "data": data}
    return table


def score_row(path: Path, result: Score | Picture) -> dict[str, object]:
    """One row of `score_folder`'s table."""
    row: dict[str, object] = {name: float("nan") for name in TABLE_COLUMNS}
    row |= {
        # a name that is not UTF-8 could not be written to any table
        "path": path.as_posix().encode("utf-8", "backslashreplace").decode(),
        "n_crops": 0,
        "width": result.width,
        "height": result.height,
        "status": result.status,
        "flags": " ".join(result.flags),
        "message": "",
    }
    if isinstance(result, Picture):
        return row | {"message": result.message}
    if result.status != "ok":
        row["message"] = NONFINITE
    return (
        row
        | {name: getattr(result, name) for name in ("score", "q_cos", "q_mag", "w_cos")}
        | {"n_crops": result.n_crops, **result.attributes}
    )


def _loaded(clip: CLIP | Encoders, tokenizer: Tokenizer | None) -> Backbone:
    """A CLIP that is in memory, known by the hash of its weights."""
    if isinstance(clip, CLIP):
        metadata = {"quick_gelu": str(clip.quick_gelu).lower()}
        digest = weights_sha256(clip.state_dict())
        return Backbone("loaded CLIP", digest, "memory", clip, metadata)
    name, own = f"loaded {type(clip).__name__}", ForeignClip(clip, tokenizer)
    return Backbone(name, own.sha256, "memory", own, crop=own.image_size)


def _picture_features(features: Tensor, prepared: PreparedPicture) -> PictureFeatures:
    assert prepared.grid is not None  # pixels were encoded, so there is a grid
    return PictureFeatures(
        features,
        prepared.grid,
        source=prepared.source,
        width=prepared.picture.width,
        height=prepared.picture.height,
        flags=prepared.picture.flags,
    )
