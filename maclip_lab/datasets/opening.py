"""A data set by name, whichever kind it is: published, one's own list, a pack, or made here."""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from maclip_lab.datasets.cards import CARDS, Card, Choices, card_for, complete_rows
from maclip_lab.datasets.finding import FileIndex, build_manifest, warn_of_gaps
from maclip_lab.datasets.lists import open_list
from maclip_lab.datasets.manifest import PACK_SUFFIX, Manifest, read_pack_header
from maclip_lab.datasets.publishers import find_scores, read_scores
from maclip_lab.datasets.readers import READERS
from maclip_lab.datasets.synthetic import EDITIONS, make_synthetic
from maclip_lab.errors import DatasetError

_OF_SETS = ("variant", "resolution", "scores")
_OF_LISTS = ("path_column", "score_column", "reference_column", "higher_is_better", "mos_range")


def open_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    choices: Choices | None = None,
    **more: Any,
) -> Manifest:
    """The manifest of a data set by name.

    Args:
        name: one of the known sets, such as ``"koniq"`` or ``"CLIVE"``; an edition of the synthetic
            set, ``"synthetic"``, ``"synthetic-full"`` or ``"synthetic-demo"``; the path of your
            own list of pictures and scores (.csv, .json, .parquet ...); the path of a pack
            (.safetensors), whose manifest has no pictures; or, with ``annotations``, what your
            list is called: the name of a known set settles direction, range and crop protocol,
            and reads references and distortions from the pictures' names.
        root: the folder that holds the set, or one above it. For a synthetic set the folder to
            make it in, None for one of its name under ``build``; for your own list the folder its
            paths start from, None for the list's.
        choices: how it is opened.
        more: fields of `Choices` that differ from ``choices``, such as ``variant="paper"``.

    Returns:
        The manifest; its ``note`` says which columns of a list were taken, and what was sought.

    Raises:
        DatasetError: files that are not as they should be.
    """
    choices = replace(choices or Choices(), **more)
    manifest = _opened(name, root, choices)
    if choices.split is not None:
        parts = sorted(manifest.table["split"].dropna().unique())
        if choices.split not in parts:
            raise DatasetError(
                f"{manifest.dataset} has no part {choices.split!r}; "
                + (f"there are {', '.join(parts)}" if parts else "nothing says which part is which")
            )
        manifest = manifest.subset(manifest.table["split"] == choices.split)
    if choices.n_pictures is not None:
        manifest = manifest.sample(choices.n_pictures)
    opened: dict[str, object] = {"name": name} | choices.given
    if root is not None:
        opened["root"] = root
    for key in opened.keys() & {"root", "annotations", *(["name"] if Path(name).is_file() else [])}:
        opened[key] = str(Path(str(opened[key])).expanduser().absolute())
    return replace(manifest, opened=opened)


def _opened(name: str, root: str | os.PathLike[str] | None, choices: Choices) -> Manifest:
    suffix, listed = Path(name).suffix.lower(), choices.annotations
    edition, is_list = EDITIONS.get(name.lower()), listed is not None or suffix in READERS
    if not is_list:
        _refuse(choices, _OF_LISTS, "a list of your own")
    if is_list or edition is not None or suffix == PACK_SUFFIX:
        _refuse(choices, _OF_SETS, "the known data sets as published")
    if is_list:
        called, card = Path(name).stem, None  # a file's name says nothing of what is in it
        if listed is not None:
            called = name
            with suppress(ValueError):  # a name of its own
                card = card_for(name)
        manifest = open_list(Path(listed or name).expanduser(), root, choices, called, card)
        warn_of_gaps(manifest, choices)
        return manifest
    if edition is not None:
        return make_synthetic(root, edition)
    if suffix == PACK_SUFFIX:
        if root is not None:
            raise ValueError(f"{name} is a pack and has no pictures: leave out the root, {root}")
        return read_pack_header(Path(name).expanduser())[0]
    card = card_for(name)
    if root is None:
        raise ValueError(f"say where {card.name} lies: ROOT (--root) is its folder, or one above")
    manifest = published_manifest(card, FileIndex.scan(root), choices)
    warn_of_gaps(manifest, choices, complete_rows(card, choices))
    return manifest


def _refuse(choices: Choices, options: tuple[str, ...], what: str) -> None:
    if not choices.given.keys().isdisjoint(options):
        listed = ", ".join(f"{option}=" for option in options[:-1])
        raise ValueError(f"{listed} and {options[-1]}= are for {what}")


def published_manifest(card: Card, index: FileIndex, choices: Choices) -> Manifest:
    """The rows of a known set whose files are indexed already, without warnings."""
    choices.check(card)
    rows = read_scores(card, index, choices)
    return build_manifest(rows, index, choices, card, choices.variant)


def find_datasets(data_root: str | os.PathLike[str]) -> dict[str, Path]:
    """The data sets that lie anywhere under a folder, with a root for ``open_dataset``.

    A set counts as present where its annotations and at least one of its pictures are, or where
    its annotations cannot be read, so that ``open_dataset`` may say why.

    Raises:
        DatasetError: ``data_root`` is no folder.
    """
    index = FileIndex.scan(data_root)
    choices = Choices(missing="keep", on_collision="first", on_duplicate="keep")
    homes: dict[str, Path] = {}
    for name, card in CARDS.items():
        try:
            if find_scores(card, index, choices) is not None:
                manifest = published_manifest(card, index, choices)
                if len(manifest.missing) < len(manifest):
                    homes[name] = manifest.root
        except DatasetError:
            homes[name] = index.root
    return homes
