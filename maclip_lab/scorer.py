"""The metric as one object: pictures in, scores out."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from maclip_lab.clip.weights import load_backbone
from maclip_lab.crops import NATIVE, WHOLE, CropGrid, Protocol, prepare, protocol_for
from maclip_lab.encoder import ImageEncoder, choose_device
from maclip_lab.errors import PictureError
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Picture, find_pictures, load_picture
from maclip_lab.prompts import encode_prompts, prompt_pairs
from maclip_lab.score import PictureFeatures, Score, TextAnchors, score_features

Source = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Tensor
TABLE_COLUMNS = (
    "path score q_cos q_mag w_cos n_crops width height status flags message".split()
)


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
        preset: str | None = None,
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
        """The score of a picture whose features are at hand, in microseconds."""
        return score_features(features, self.anchors, settings, self.backbone.name)

    def extract(
        self,
        picture: Source | Picture,
        dataset: str | Protocol | None = None,
        *,
        preset: str | None = None,
    ) -> PictureFeatures:
        """The raw features of a picture's crops; arguments and errors as in the call."""
        protocol = _protocol(dataset)
        pixels, loaded = _read(picture, protocol, _preset(dataset, preset))
        if pixels is None:
            raise PictureError(loaded.message)
        return self._encode(pixels, loaded, protocol)

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
        preset: str | None = None,
    ) -> Iterator[Score | Picture]:
        """Scores of many pictures of any sizes, in order, decoding ahead of the encoder.

        Yields:
            A `Score`, or for a picture that cannot be read its `Picture`, whose ``status`` and
            ``message`` say why.
        """
        protocol = _protocol(dataset)
        read = partial(_read, protocol=protocol, preset=_preset(dataset, preset))
        for pixels, loaded in _ahead(read, pictures):
            if pixels is None:
                yield loaded
            else:
                yield self.score(self._encode(pixels, loaded, protocol), settings)

    def _encode(self, pixels: np.ndarray, loaded: Picture, protocol: Protocol) -> PictureFeatures:
        return PictureFeatures(
            self.encoder.encode_picture(pixels, protocol, self.pos_embedding),
            CropGrid(*pixels.shape[:2], protocol),
            source=loaded.source,
            width=loaded.width,
            height=loaded.height,
            flags=loaded.flags,
        )


def score_folder(
    pictures: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    scorer: Maclip,
    dataset: str | Protocol | None = None,
    settings: FusionSettings = FusionSettings(),
    *,
    preset: str | None = None,
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
    results = scorer.score_all(paths, dataset, settings, preset=preset)
    bar = tqdm(results, total=len(paths), unit="picture", disable=not progress)
    rows = [score_row(path, result) for path, result in zip(paths, bar, strict=True)]
    table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    table.attrs = {
        "backbone": scorer.backbone.name,
        "weights_sha256": scorer.backbone.sha256,
        "protocol": _protocol(dataset).name,
        **vars(settings),
    }
    return table


def score_row(path: Path, result: Score | Picture) -> dict[str, object]:
    """One row of `score_folder`'s table."""
    row: dict[str, object] = {name: float("nan") for name in TABLE_COLUMNS}
    row |= {
        "path": path.as_posix(),
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
        row["message"] = "a feature is not finite, so the picture has no score"
    return row | {name: getattr(result, name) for name in ("score", "q_cos", "q_mag", "w_cos")} | {
        "n_crops": result.n_crops
    }


def _protocol(dataset: str | Protocol | None) -> Protocol:
    if dataset is None:
        return NATIVE
    return dataset if isinstance(dataset, Protocol) else protocol_for(dataset)


def _preset(dataset: str | Protocol | None, preset: str | None) -> str:
    if preset is None:
        return "official" if isinstance(dataset, str) else "default"
    return preset


def _read(
    source: Source | Picture, protocol: Protocol, preset: str
) -> tuple[np.ndarray | None, Picture]:
    """A picture's prepared pixels, or None, and the picture with what happened to it."""
    loaded = source if isinstance(source, Picture) else load_picture(source, preset=preset)
    if loaded.image is None:
        return None, loaded
    try:
        pixels, upscaled = prepare(loaded.image, protocol)
    except ValueError as error:
        return None, replace(loaded, image=None, status="too_small", message=str(error))
    flags = (*loaded.flags, "upscaled") if upscaled else loaded.flags
    return pixels, replace(loaded, image=None, flags=flags)


def _ahead(
    read: "partial[tuple[np.ndarray | None, Picture]]", sources: Iterable[Source]
) -> Iterator[tuple[np.ndarray | None, Picture]]:
    """Reads in order, a few pictures ahead of the consumer."""
    workers = min(4, os.cpu_count() or 1)
    remaining = iter(sources)
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        waiting: deque[Future[tuple[np.ndarray | None, Picture]]] = deque(
            pool.submit(read, source) for source in islice(remaining, workers)
        )
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(read, source) for source in islice(remaining, 1))
            yield done
