"""Copies of the nine data sets as their publishers ship them, with one tiny picture in every place.

The pictures are hard links to one; scores are invented (seeded, following the distortion level)
where the publishers' own are not asked for. ``rows_of`` is what a faithful reader should find.
"""

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from maclip_lab.datasets import Manifest, open_dataset
from tests.datasets.publishers import PUBLISHERS, Publisher

NATIVE = next(Path(__file__).parents[3].glob("shared/native_annotations"), None)
"""The folder of the publishers' score files, where it lies beside the checkout."""
LAYOUTS = {name: publisher.layouts for name, publisher in PUBLISHERS.items()}
"""Layouts of each set; the first is the publisher's."""


def build(
    name: str,
    root: Path,
    *,
    layout: str = "native",
    rows: int | None = None,
    native: Path | None = None,
    size: tuple[int, int] = (8, 6),
    skip: Callable[[str], bool] = lambda name: False,
) -> Path:
    """Lay out a data set under ``root`` and return the set's folder.

    ``rows`` are how many, the first, the last two and others by chance, None for all; ``native`` is
    the folder of the publishers' score files; ``skip`` says which pictures are left out.
    """
    assert layout in LAYOUTS[name], (name, layout)
    table, publisher = rows_of(name, rows=rows, native=native), PUBLISHERS[name]
    folder = root / name.lower()
    (folder / publisher.inside(layout)).mkdir(parents=True, exist_ok=True)
    publisher.write(folder, layout, table)
    for file in folder.rglob("*.*") if native and rows is None else ():
        for source in native.rglob(f"*{file.name}"):
            shutil.copyfile(source, file)
    wanted = [picture for picture in dict.fromkeys(table["name"]) if not skip(picture)]
    places = [place for picture in wanted for place in publisher.places(layout, picture)]
    for place in [*places, *publisher.extras(layout, table["name"])]:
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        os.link(_stamp(root / ".stamps", size, file.suffix.lower()), file)
    return folder


def rows_of(name: str, *, rows: int | None = None, native: Path | None = None) -> pd.DataFrame:
    """``name``, ``mos`` and ``std`` of a set, in the publisher's order and units."""
    publisher = PUBLISHERS[name]
    table = publisher.real(native) if native is not None else None
    table = _invented(publisher) if table is None else table
    if rows is not None and rows < len(table):
        middle = 1 + np.random.default_rng(rows).permutation(len(table) - 3)[: rows - 3]
        table = table.iloc[[0, *sorted(middle), len(table) - 2, len(table) - 1]]
    return table.reset_index(drop=True)


@cache
def _stamp(folder: Path, size: tuple[int, int], suffix: str) -> Path:
    """The one picture of a kind that all are links to."""
    folder.mkdir(exist_ok=True)
    x, y = np.meshgrid(*map(np.arange, size))
    pixels = np.stack([x % 256, y % 256, (x + y) // 4 % 256], axis=-1)
    file = folder / f"{size[0]}x{size[1]}{suffix}"
    Image.fromarray(pixels.astype(np.uint8)).save(file)
    return file


def _invented(publisher: Publisher) -> pd.DataFrame:
    names = publisher.names()
    noise = np.random.default_rng(len(names)).random(len(names))
    low, high = publisher.scores
    quality = noise
    if publisher.levels:
        level = np.array([int(n.rpartition(".")[0][-1]) for n in names])
        quality = (5 - level) / 5 + 0.2 * noise
        quality = 1 - quality if publisher.levels > 0 else quality
    mos = np.round(low + (high - low) * quality, 4)
    return pd.DataFrame({"name": names, "mos": mos, "std": np.round(0.1 + noise, 4)})


def open_list(file: Path, *, dataset: str | None = None, root: object = None, **more) -> Manifest:
    """A list of one's own, under its own name or as a list of ``dataset``."""
    if dataset is None:
        return open_dataset(str(file), root, **more)
    return open_dataset(dataset, root, annotations=file, **more)
