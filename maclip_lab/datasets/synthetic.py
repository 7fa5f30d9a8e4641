"""A data set without downloads: the shipped photographs, harmed to known degrees.

Its **pseudo-MOS** is 5 for a pristine photograph and ``5 - level`` for one degraded to a level from
1 to 5. No person judged these pictures: the set shows that code runs and that a metric follows
severity within a type, and says nothing of agreement with people.
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
from typing import Any

import numpy as np
import pandas as pd
import PIL
from PIL import Image

from maclip_lab.datasets import degradations
from maclip_lab.datasets.degradations import DEGRADATIONS, LEVELS, Pixels, degrade
from maclip_lab.datasets.finding import FileIndex
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.errors import DatasetError
from maclip_lab.files.atomic import sweep, write_bytes
from maclip_lab.files.identity import content_sha256, data_path
from maclip_lab.images import load_picture

_RECORD = "synthetic.json"


@dataclass(frozen=True)
class Edition:
    """One size of the synthetic set.

    ``name`` is the manifest's ``dataset``; ``types`` and ``levels`` are out of the bank; ``size``
    is ``(width, height)`` of a centre crop, None for whole photographs.
    """

    name: str
    types: tuple[str, ...] = DEGRADATIONS
    levels: tuple[int, ...] = LEVELS
    size: tuple[int, int] | None = None


# The embedded backbones never saw motion blur in training; 384 x 300 is two windows a row.
_SMALL = ("gaussian_blur", "motion_blur", "jpeg", "white_noise", "pixelate", "darken")
_SHOWN = ("gaussian_blur", "jpeg", "white_noise", "darken", "pixelate")
EDITIONS: Mapping[str, Edition] = {
    "synthetic": Edition("synthetic", _SMALL, levels=(1, 3, 5), size=(384, 300)),
    "synthetic-full": Edition("synthetic-full"),
    "synthetic-demo": Edition("synthetic-demo", _SHOWN, levels=(1, 3, 5)),
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
    photos: Sequence[Path] | None = None,
) -> Manifest:
    """Photographs and their degraded copies as lossless PNG files, and the manifest of them.

    Equal arguments give equal pixels on any machine, as far as Pillow's codecs agree. Files that
    are already right are kept, so that a second call is quick and an interrupted one goes on.

    Args:
        folder: where the pictures go; None for `synthetic_folder`.
        edition: which degradations, and how large.
        photos: the photographs, of different names; None for those the project ships.

    Returns:
        Manifest of the edition's name: per photograph the pristine row (``mos`` 5, level 0)
        and then every type at every level (``mos`` 5 - level), ``ref_id`` its name.

    Raises:
        DatasetError: a photograph cannot be read, or is smaller than the edition's size.
    """
    target = Path(folder or synthetic_folder(edition.name)).expanduser().absolute()
    if photos is None:
        index = FileIndex.scan(data_path("photos"))
        photos = [index.root / image for image in index.images]
    for left in (target, target / "images"):
        sweep(left)
    record = _read_record(target)
    rows = []
    for source in photos:
        photo, ref = _open(source, edition.size), source.stem
        follows = (inspect.getsource(degradations), PIL.__version__, ref, photo.shape)
        origin = hashlib.sha256(repr(follows).encode() + photo.tobytes()).hexdigest()
        for kind, level in [("pristine", 0), *product(edition.types, edition.levels)]:
            name = f"{ref}.{kind}.{level}.png" if level else f"{ref}.png"
            path, key = f"images/{name}", f"{origin}/{kind}/{level}"
            if record.get(path) != [key, content_sha256(target / path)]:
                seed = zlib.crc32(f"0/{ref}".encode())
                harmed = degrade(photo, kind, level=level, seed=seed) if level else photo
                record[path] = [key, _save(target / path, harmed)]
            rows.append((path, 5.0 - level, ref, kind, level))
        write_bytes(target / _RECORD, json.dumps(record, indent=0, sort_keys=True).encode())
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


def _open(path: Path, size: tuple[int, int] | None) -> Pixels:
    picture = load_picture(path)
    if picture.image is None:
        raise DatasetError(f"the photograph {str(path)!r} cannot be read: {picture.message}")
    photo = picture.image
    width, height = size or photo.size
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    if left < 0 or top < 0:
        raise DatasetError(
            f"{path.name} is {photo.width} x {photo.height}, smaller than {width} x {height}"
        )
    return np.asarray(photo.crop((left, top, left + width, top + height)))


def _save(path: Path, pixels: Pixels) -> str:
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG", compress_level=1)
    write_bytes(path, buffer.getvalue())
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def _read_record(folder: Path) -> dict[str, Any]:
    """What was made before; a record that cannot be read only means making it again."""
    try:
        return dict(json.loads((folder / _RECORD).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
