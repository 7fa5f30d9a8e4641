"""The metric as one object: pictures in, scores out."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from maclip_lab.crops import NATIVE, WHOLE, CropGrid, Protocol, prepare, protocol_for
from maclip_lab.encoder import ImageEncoder, choose_device
from maclip_lab.errors import PictureError
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Picture, Preset, announced_pixels, find_pictures, load_picture
from maclip_lab.prompts import encode_prompts, prompt_pairs
from maclip_lab.readahead import ahead, release_freed_memory
from maclip_lab.score import PictureFeatures, Score, TextAnchors, score_features
from maclip_lab.weights.loading import load_backbone

Source = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Tensor
TABLE_COLUMNS = (
    *("path", "score", "q_cos", "q_mag", "w_cos", "n_crops"),
    *("width", "height", "status", "flags", "message"),
)

WHOLE_PIXELS = 12_000_000
"""Largest picture that a ``whole`` protocol encodes: its memory grows with the picture."""

_LARGE = 12_000_000  # pixels; what decoding a larger picture took is not kept for the next


class Maclip:
    """MA-CLIP with one backbone and one prompt set.

    Args:
        backbone: ``"RN50"`` and OpenAI's other names, ``"tiny-rn"``, ``"tiny-vit"``,
            ``"hf-hub:org/name"`` or a weights file.
        device: ``"auto"`` (CUDA, else MPS, else CPU) or a torch device.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"`` of the encoder; cues are always fp32.
        prompts: ``"maclip"``, ``"clip-iqa"`` or pairs of (positive, negative).
        pos_embedding: add the visual positional embedding, which MA-CLIP leaves out.
        weights_dir: folder to look for weights in first.
        offline: never use the network; None follows the environment.
        trust: open a TorchScript archive although its sha256 is none of OpenAI's.

    Raises:
        WeightsError: no weights can be had; the message says what to do.
        ValueError: a setting is not one of those above.

    Example:
        >>> scorer = Maclip("tiny-rn")                      # doctest: +SKIP
        >>> float(scorer("photo.jpg"))                      # doctest: +SKIP
        0.78
    """

    def __init__(
        self,
        backbone: str = "RN50",
        *,
        device: str = "auto",
        precision: str = "fp32",
        prompts: str | Sequence[tuple[str, str]] = "maclip",
        pos_embedding: bool = False,
        weights_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
        trust: bool = False,
    ) -> None:
        pairs = prompt_pairs(prompts)
        where = choose_device(device)
        self.backbone = load_backbone(
            backbone, weights_dir=weights_dir, offline=offline, trust=trust, progress=True
        )
        self.pos_embedding = pos_embedding
        self._texts: dict[object, TextAnchors] = {}
        self.encoder = ImageEncoder(self.backbone.clip, device=where, precision=precision)
        self.anchors = self.text_anchors(pairs)

    def __repr__(self) -> str:
        """The backbone, where it runs, and the prompts."""
        return (
            f"Maclip({self.backbone.name!r}, device={str(self.encoder.device)!r}, "
            f"precision={self.encoder.precision!r}, prompt pairs={len(self.anchors.pairs)})"
        )

    def text_anchors(self, prompts: str | Sequence[tuple[str, str]]) -> TextAnchors:
        """The text features of a prompt set, encoded once and kept."""
        pairs = prompt_pairs(prompts)
        if pairs not in self._texts:
            clip = self.backbone.clip
            self._texts[pairs] = TextAnchors(
                pairs, encode_prompts(clip, pairs).cpu(), float(clip.logit_scale.exp())
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
        return score_features(features, self.anchors, settings, self.backbone.name)

    def extract(
        self,
        picture: Source | Picture,
        dataset: str | Protocol | None = None,
        *,
        preset: Preset | None = None,
    ) -> PictureFeatures:
        """The raw features of a picture's crops; arguments and errors as in the call."""
        protocol = _protocol(dataset)
        decoded = _read(picture, protocol, _preset(dataset, preset))
        if decoded.pixels is None:
            raise PictureError(decoded.picture.message)
        features = self.encoder.encode_picture(decoded.pixels, protocol, self.pos_embedding)
        return _picture_features(features, decoded)

    def clip_iqa(
        self, picture: Source, prompts: str | Sequence[tuple[str, str]] = "clip-iqa"
    ) -> float:
        """CLIP-IQA, the baseline: the cosine cue of the whole picture at native size, in [0, 1].

        Args:
            picture: as in the call.
            prompts: ``"clip-iqa"`` for the single pair, ``"maclip"`` for the multi-prompt form.

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
    ) -> Iterator[Score | Picture]:
        """Scores of many pictures of any sizes, in order, decoding ahead of the encoder.

        Yields:
            A `Score`, or for a picture that cannot be read its `Picture`, whose ``status`` and
            ``message`` say why.
        """
        protocol = _protocol(dataset)
        read = partial(_read, protocol=protocol, preset=_preset(dataset, preset))
        waiting: deque[_Decoded] = deque()

        def readable() -> Iterator[np.ndarray]:
            for decoded in ahead(read, pictures, _cost):
                pixels = decoded.pixels
                decoded = replace(decoded, pixels=None)
                waiting.append(decoded)
                if pixels is not None:
                    yield pixels
                    del pixels  # before the next one is decoded

        for features in self.encoder.encode_pictures(readable(), protocol, self.pos_embedding):
            while waiting[0].grid is None:
                yield waiting.popleft().picture
            yield self.score(_picture_features(features, waiting.popleft()), settings)
        for decoded in waiting:
            yield decoded.picture


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

    Args:
        pictures: a folder, searched recursively in natural order, or paths.
        scorer: that scores.
        dataset: see `Maclip.__call__`.
        settings: the fusion's constants.
        preset: see `Maclip.__call__`.
        progress: show a progress bar.

    Returns:
        One row a picture: ``path, score, q_cos, q_mag, w_cos, n_crops, width, height, status,
        flags, message``. Where ``status`` is not ``"ok"`` the numbers are NaN and the message
        says why. The backbone and settings stand in ``attrs``.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    if isinstance(pictures, str | os.PathLike):
        paths = find_pictures(pictures)
    else:
        paths = [Path(path) for path in pictures]
    protocol = _protocol(dataset)
    results = scorer.score_all(paths, dataset, settings, preset=preset)
    bar = tqdm(results, total=len(paths), unit="picture", disable=not progress)
    rows = [score_row(path, result) for path, result in zip(paths, bar, strict=True)]
    table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    table.attrs = {
        "backbone": scorer.backbone.name,
        "weights_sha256": scorer.backbone.sha256,
        "protocol": protocol.name,
        "preset": _preset(dataset, preset),
        "precision": scorer.encoder.precision,
        "pos_embedding": scorer.pos_embedding,
        "prompts": [list(pair) for pair in scorer.anchors.pairs],
        **vars(settings),
    }
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
        row["message"] = "a feature or what follows from it is not finite"
    return (
        row
        | {name: getattr(result, name) for name in ("score", "q_cos", "q_mag", "w_cos")}
        | {"n_crops": result.n_crops}
    )


def _protocol(dataset: str | Protocol | None) -> Protocol:
    if dataset is None:
        return NATIVE
    return dataset if isinstance(dataset, Protocol) else protocol_for(dataset)


def _preset(dataset: str | Protocol | None, preset: Preset | None) -> Preset:
    if preset is None:
        return "official" if isinstance(dataset, str) else "default"
    return preset


@dataclass(frozen=True)
class _Decoded:
    """A picture on its way: its name, prepared pixels and their grid, and what befell it."""

    source: str
    picture: Picture
    pixels: np.ndarray | None = None
    grid: CropGrid | None = None


def _picture_features(features: Tensor, decoded: _Decoded) -> PictureFeatures:
    assert decoded.grid is not None  # pixels were encoded, so there is a grid
    return PictureFeatures(
        features,
        decoded.grid,
        source=decoded.source,
        width=decoded.picture.width,
        height=decoded.picture.height,
        flags=decoded.picture.flags,
    )


def _cost(source: Source | Picture) -> int:
    """Pixels in memory while a picture is decoded and waits."""
    if isinstance(source, Picture):
        return source.width * source.height
    return announced_pixels(source)


def _read(source: Source | Picture, protocol: Protocol, preset: Preset) -> _Decoded:
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else type(source).__name__
    picture = source if isinstance(source, Picture) else load_picture(source, preset=preset)
    if picture.image is None:
        return _Decoded(name, picture)
    try:
        pixels, upscaled = prepare(picture.image, protocol)
    except ValueError as error:
        return _Decoded(name, replace(picture, image=None, status="too_small", message=str(error)))
    except MemoryError as error:
        return _Decoded(name, replace(picture, image=None, status="too_large", message=str(error)))
    picture = replace(picture, image=None)
    height, width = pixels.shape[:2]
    if height * width > _LARGE:
        release_freed_memory()
    if protocol.whole and height * width > WHOLE_PIXELS:
        message = (
            f"{width} x {height} = {height * width / 1e6:.0f} megapixels at once, more than the "
            f"{WHOLE_PIXELS / 1e6:.0f} that a whole-picture protocol sees; scale the picture down, "
            "or score it by its crops, which have no limit"
        )
        return _Decoded(name, replace(picture, status="too_large", message=message))
    flags = (*picture.flags, "upscaled") if upscaled else picture.flags
    return _Decoded(name, replace(picture, flags=flags), pixels, CropGrid(height, width, protocol))
