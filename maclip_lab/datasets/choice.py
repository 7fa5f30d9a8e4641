"""A data set by name, whichever kind it is: published, one's own list, or made here."""

import os
from dataclasses import replace
from pathlib import Path

from maclip_lab.crops import canonical_name
from maclip_lab.datasets.annotations import READERS, load_annotations
from maclip_lab.datasets.build import OnCollision, OnDuplicate
from maclip_lab.datasets.cards import Variant
from maclip_lab.datasets.catalog import load_dataset
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.packed import PACK_SUFFIX, packed_manifest, read_pack_header
from maclip_lab.datasets.synthetic import EDITIONS, make_synthetic


def open_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    *,
    annotations: str | os.PathLike[str] | None = None,
    variant: Variant = "standard",
    resolution: str | None = None,
    scores: str | None = None,
    on_duplicate: OnDuplicate = "error",
    on_collision: OnCollision = "error",
    path_column: str | None = None,
    score_column: str | None = None,
    higher_is_better: bool | None = None,
    n_pictures: int | None = None,
) -> Manifest:
    """The manifest of a data set by name.

    Args:
        name: one of the nine sets such as ``"koniq"`` or ``"CLIVE"``; an edition of the synthetic
            set, ``"synthetic"``, ``"synthetic-full"`` or ``"synthetic-demo"``; the path of your
            own list of pictures and scores (.csv, .json, .parquet ...); the path of a pack
            (.safetensors), whose manifest has no pictures; or, with ``annotations``, what your
            list is called.
        root: the folder that holds the set. For a synthetic set the folder to make it in, None
            for one of its name under ``build``; for your own list the folder its paths start
            from, None for the list's.
        annotations: your own list.
        variant: of the nine sets, see `load_dataset`.
        resolution: KonIQ-10k's, see `load_dataset`.
        scores: which of a set's scores, see `load_dataset`.
        on_duplicate: a picture in several rows is an ``"error"``, or they are kept (``"keep"``), or
            of your own list's the ``"mean"`` is taken.
        on_collision: a name borne by several files is an ``"error"`` or means the ``"first"``.
        path_column: of your own list, see `load_annotations`, as the next two.
        score_column: its scores.
        higher_is_better: their direction.
        n_pictures: so many rows, drawn at random and always the same; None for all.

    Raises:
        DatasetError: files that are not as they should be.
        ValueError: no data set has that name or that choice, or one of the nine has no root.
    """
    given = {key: value for key, value in locals().items() if value is not None}
    edition = EDITIONS.get(name.lower())
    called: str | None = name
    if annotations is None and Path(name).suffix.lower() in READERS:
        annotations, called = name, None  # a file's name says nothing of what is in it
    packed = annotations is None and Path(name).suffix.lower() == PACK_SUFFIX
    published = annotations is None and edition is None and not packed
    if not published and (variant, resolution, scores) != ("standard", None, None):
        raise ValueError("variant, resolution and scores are for the nine data sets as published")
    if annotations is None and (path_column, score_column, higher_is_better) != (None,) * 3:
        raise ValueError(
            "path_column=, score_column= and higher_is_better= are for a list of your own"
        )
    if annotations is not None:
        manifest = load_annotations(
            annotations,
            dataset=called,
            root=root,
            path_column=path_column,
            score_column=score_column,
            higher_is_better=higher_is_better,
            on_duplicate=on_duplicate,
            on_collision=on_collision,
        )
    elif packed:
        if root is not None:
            raise ValueError(f"{name} is a pack and has no pictures: leave out the root, {root}")
        path = Path(name).expanduser()
        manifest = packed_manifest(path, read_pack_header(path))
    elif edition is not None:
        manifest = make_synthetic(root or Path("build", edition.name), edition)
    else:
        dataset = canonical_name(name)
        if root is None:
            raise ValueError(
                f"say where {dataset} lies: ROOT (--root) is its folder, or any folder above it"
            )
        manifest = load_dataset(
            dataset,
            root,
            variant=variant,
            resolution=resolution,
            scores=scores,
            on_duplicate=on_duplicate,
            on_collision=on_collision,
        )
    manifest = manifest if n_pictures is None else manifest.sample(n_pictures)
    for key in ("name", "root", "annotations"):
        if key in given and (key != "name" or Path(name).is_file()):
            given[key] = str(Path(given[key]).expanduser().absolute())
    return replace(manifest, opened=given)
