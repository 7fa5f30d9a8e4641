"""PIPAL: restored pictures, rated as in a tournament. The score is an Elo, higher is better.

``standard`` has the true Elo of the training part and, where its labels are at hand, of the
validation part, which ``split`` tells apart. ``paper`` scales each part by itself to 0..1, as the
authors' list does: the two parts then lie on different scales (SRCC with the true Elo over all
24,200 rows is 0.99991).

Source: Gu et al., "PIPAL: a Large-Scale Image Quality Assessment Dataset", ECCV 2020,
arXiv:2007.12142.
"""

import re

import pandas as pd

from maclip_lab.datasets.annotated import Annotated, Facets, Request, locate
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.readers import read_words, to_numbers

GROUPS = {
    "00": "traditional",
    "01": "traditional super-resolution",
    "02": "PSNR-oriented super-resolution",
    "03": "super-resolution, kernel mismatch",
    "04": "GAN super-resolution",
    "05": "denoising",
    "06": "super-resolution and denoising",
    "10": "validation",
}
"""Distortion groups of the file names; the order of the first seven is the paper's, unconfirmed."""

_SCALES = {"train": (916.7136, 919.272), "val": (868.2988, 988.7012)}
_LISTS = {
    "train": ("pipal22_train.txt", "pipal21_train.txt", "pipal_train.txt"),
    "val": ("pipal21_val.txt", "pipal22_val.txt", "pipal_val.txt"),
}
_FOLDERS = {
    "train": ("train_label",),
    "val": ("val_label", "valid_label", "validation_label", "label_valid", "label_val"),
}
_NAME = re.compile(r"(?P<ref>a\d{4})_(?P<group>\d\d)_\d\d\.bmp", re.IGNORECASE)
_LABEL = re.compile(r"a\d{4}\.txt", re.IGNORECASE)


def find(index: FileIndex) -> str | None:
    """A file that marks the set."""
    for split in ("train", "val"):
        files = _label_files(index, split)
        if files:
            return files[0]
    return None


def read(index: FileIndex, source: str, request: Request) -> Annotated:
    """Names and Elo ratings, training part first."""
    parts = []
    for split in ("train", "val"):
        for file in _label_files(index, split):
            rows = read_words(index.root / file, ["name", "elo"])
            part = pd.DataFrame({"name": rows["name"], "mos": to_numbers(rows["elo"], file)})
            parts.append(part.assign(split=split))
    table = pd.concat(parts, ignore_index=True)
    if request.variant == "standard":
        return Annotated(table, source)
    lowest = table["split"].map({split: low for split, (low, _) in _SCALES.items()})
    width = table["split"].map({split: width for split, (_, width) in _SCALES.items()})
    table["mos"] = (table["mos"] - lowest) / width
    note = "Elo scaled to 0..1, train and validation separately"
    return Annotated(table, source, mos_range=(0.0, 1.0), note=note)


def _label_files(index: FileIndex, split: str) -> list[str]:
    """One text file a reference in a label folder, however nested; else one list of them all."""
    files = [file for file in index.files if _label_folder(file) in _FOLDERS[split]]
    folders = sorted({file.rpartition("/")[0] for file in files})
    if len(folders) > 1:
        raise DatasetError(
            f"labels lie in {len(folders)} folders: {', '.join(folders)}; give one copy as root"
        )
    if files:
        return files
    whole = locate(index, _LISTS[split])
    return [whole] if whole else []


def _label_folder(file: str) -> str | None:
    """Last folder of a file that is named as the labels of one reference are."""
    folder, _, name = file.rpartition("/")
    return folder.rpartition("/")[2].lower() if _LABEL.fullmatch(name) else None


def describe(name: str) -> Facets:
    """Reference and group of distortions.

    >>> describe("A0001_04_12.bmp")
    Facets(ref_id='A0001', dist_type='GAN super-resolution', dist_level=None, subset=None)
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return Facets()
    return Facets(match["ref"].upper(), GROUPS.get(match["group"]))
