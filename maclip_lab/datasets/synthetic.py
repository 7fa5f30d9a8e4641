"""A data set without downloads: the shipped photographs, harmed to known degrees.

Its score is a **pseudo-MOS**: 5 for a pristine photograph and ``5 - level`` for one degraded to a
level from 1 to 5. No person judged these pictures. The set shows that code runs and that a metric
follows severity within a type; it says nothing of agreement with people. It comes in several
editions, each under a name of its own.
"""

import hashlib
import inspect
import io
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import PIL
from numpy.typing import NDArray
from PIL import Image

from maclip_lab.datasets import degradations
from maclip_lab.datasets.degradations import DEGRADATIONS, LEVELS, degrade
from maclip_lab.datasets.finding import FileIndex
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import DatasetError
from maclip_lab.files.atomic import sweep, write_bytes
from maclip_lab.files.identity import content_sha256, data_path
from maclip_lab.images import load_picture

PRISTINE = "pristine"
"""``dist_type`` of the photographs themselves; their level is 0."""

_RECORD = "synthetic.json"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Edition:
    """One size of the synthetic set.

    ``name`` is the manifest's ``dataset``; ``types`` and ``levels`` are out of the bank; ``size``
    is ``(width, height)`` of a centre crop, None for whole photographs.
    """

    name: str
    types: tuple[str, ...] = tuple(DEGRADATIONS)
    levels: tuple[int, ...] = LEVELS
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.types if kind not in DEGRADATIONS]
        if unknown:
            raise ValueError(f"unknown types {unknown}; the bank has {', '.join(DEGRADATIONS)}")
        if not self.levels or any(level not in LEVELS for level in self.levels):
            raise ValueError(f"levels are out of {LEVELS}, got {self.levels}")
        given = (*self.types, *self.levels)
        if len(set(given)) < len(given):
            raise ValueError("types and levels may each be given once")


# The embedded backbones never saw motion blur in training; 384 x 300 is two windows a row.
_SMALL = ("gaussian_blur", "motion_blur", "jpeg", "white_noise", "pixelate", "darken")
_SHOWN = ("gaussian_blur", "jpeg", "white_noise", "darken", "pixelate")
EDITIONS: Mapping[str, Edition] = {
    edition.name: edition
    for edition in (
        Edition("synthetic", _SMALL, levels=(1, 3, 5), size=(384, 300)),
        Edition("synthetic-full"),
        Edition("synthetic-demo", _SHOWN, levels=(1, 3, 5)),
    )
}
"""The small edition that notebooks work on, the whole bank, and that of the demonstration."""


def synthetic_folder(name: str) -> Path:
    """Where an edition is made unless said otherwise: under ``build``, a checkout's or here."""
    checkout = data_path().parent
    inside = (checkout / "pyproject.toml").is_file()
    return (checkout if inside else Path()).absolute() / "build" / name


def make_synthetic(
    folder: str | os.PathLike[str] | None = None,
    edition: Edition = EDITIONS["synthetic"],
    *,
    photos: str | os.PathLike[str] | Sequence[Path] | None = None,
    seed: int = 0,
) -> Manifest:
    """Photographs and their degraded copies as lossless PNG files, and the manifest of them.

    Equal arguments give equal pixels on any machine, as far as Pillow's codecs agree. Files that
    are already right are kept, so that a second call is quick and an interrupted one goes on.

    Args:
        folder: where the pictures go; None for `synthetic_folder`.
        edition: which degradations, and how large.
        photos: a folder or a list of photographs; None for those the project ships.
        seed: of the random degradations.

    Returns:
        Manifest of the edition's name: per photograph the pristine row (``mos`` 5, level 0)
        and then every type at every level (``mos`` 5 - level), ``ref_id`` its name.

    Raises:
        DatasetError: no photographs, two of one name, or one smaller than the edition's size.
    """
    target = Path(folder or synthetic_folder(edition.name)).expanduser().absolute()
    sources = _sources(photos)
    for left in (target, target / "images"):
        sweep(left)
    recorded = _read_record(target)
    record: dict[str, dict[str, str]] = {}
    rows = []
    for ref, source in sources.items():
        photo = _open(source, edition.size)
        own_seed = zlib.crc32(f"{seed}/{ref}".encode())
        follows = (inspect.getsource(degradations), PIL.__version__, seed, ref, photo.shape)
        origin = hashlib.sha256(repr(follows).encode() + photo.tobytes()).hexdigest()
        for kind, level in [(PRISTINE, 0), *product(edition.types, edition.levels)]:
            name = f"{ref}.png" if kind == PRISTINE else f"{ref}.{kind}.{level}.png"
            path, key = f"images/{name}", f"{origin}/{kind}/{level}"
            entry = recorded.get(path, {})
            if entry.get("key") != key or entry.get("sha256") != content_sha256(target / path):
                harmed = degrade(photo, kind, level=level, seed=own_seed) if level else photo
                entry = {"key": key, "sha256": _save(target / path, harmed)}
            record[path] = entry
            rows.append((path, 5.0 - level, ref, kind, level))
        text = json.dumps({**recorded, **record}, indent=0, sort_keys=True)
        write_bytes(target / _RECORD, text.encode())
    columns = ["path", "mos", "ref_id", "dist_type", "dist_level"]
    return Manifest(
        table=pd.DataFrame(rows, columns=columns),
        dataset=edition.name,
        higher_is_better=True,
        mos_range=(0.0, 5.0),
        protocol="synthetic",
        variant="standard",
        root=target,
        note="pseudo-MOS: 5 minus the level of degradation; no person judged these pictures",
    )


def _sources(photos: str | os.PathLike[str] | Sequence[Path] | None) -> dict[str, Path]:
    if photos is None or isinstance(photos, (str, os.PathLike)):
        index = FileIndex.scan(data_path("photos") if photos is None else photos)
        files = [index.root / image for image in index.images]
        where = str(index.root)
    else:
        files, where = [Path(photo) for photo in photos], "the list"
    if not files:
        raise DatasetError(f"no photographs in {where}")
    named = {path.stem: path for path in files}
    if len(named) < len(files):
        raise DatasetError(f"two photographs in {where} bear one name; their names must differ")
    return named


def _open(path: Path, size: tuple[int, int] | None) -> Pixels:
    picture = load_picture(path)
    if picture.image is None:
        raise DatasetError(f"the photograph {str(path)!r} cannot be read: {picture.message}")
    photo = picture.image
    if size is not None:
        left, top = (photo.width - size[0]) // 2, (photo.height - size[1]) // 2
        if left < 0 or top < 0:
            raise DatasetError(
                f"{path.name} is {photo.width} x {photo.height}, smaller than {size[0]} x {size[1]}"
            )
        photo = photo.crop((left, top, left + size[0], top + size[1]))
    return np.asarray(photo)


def _save(path: Path, pixels: Pixels) -> str:
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG", compress_level=1)
    write_bytes(path, buffer.getvalue())
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def _read_record(folder: Path) -> Mapping[str, dict[str, str]]:
    """What was made before; a record that cannot be read only means making it again."""
    try:
        content = json.loads((folder / _RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or not all(isinstance(e, dict) for e in content.values()):
        return {}
    return content
