"""A data set by name, whichever kind it is: published, one's own list, or made here."""

import os
from pathlib import Path

from maclip_lab.crops import canonical_name
from maclip_lab.datasets.annotations import READERS, load_annotations
from maclip_lab.datasets.build import OnDuplicate
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
        on_duplicate: a picture in several rows is an ``"error"``, or they are kept (``"keep"``).
        n_pictures: so many rows, drawn at random and always the same; None for all.

    Raises:
        DatasetError: files that are not as they should be.
        ValueError: no data set has that name or that choice, or one of the nine has no root.
    """
    edition = EDITIONS.get(name.lower())
    if annotations is None and Path(name).suffix.lower() in READERS:
        annotations, name = name, Path(name).stem
    packed = annotations is None and Path(name).suffix.lower() == PACK_SUFFIX
    published = annotations is None and edition is None and not packed
    if not published and (variant, resolution, scores) != ("standard", None, None):
        raise ValueError("variant, resolution and scores are for the nine data sets as published")
    if annotations is not None:
        manifest = load_annotations(annotations, dataset=name, root=root, on_duplicate=on_duplicate)
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
        )
    return manifest if n_pictures is None else manifest.sample(n_pictures)
