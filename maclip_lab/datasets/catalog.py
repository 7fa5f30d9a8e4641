"""The nine data sets by name: reading one, and finding which of them lie under a folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType

from maclip_lab.crops import canonical_name
from maclip_lab.datasets.annotated import Annotated, Request
from maclip_lab.datasets.build import (
    Missing,
    OnCollision,
    OnDuplicate,
    build_manifest,
    check_choice,
    find_home,
    warn_of_gaps,
)
from maclip_lab.datasets.cards import Variant, card_for
from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.publishers import (
    agiqa1k,
    agiqa3k,
    csiq,
    kadid,
    koniq,
    livec,
    pipal,
    spaq,
    tid2013,
)

ADAPTERS: Mapping[str, ModuleType] = MappingProxyType(
    {
        "livec": livec,
        "AGIQA-3k": agiqa3k,
        "AGIQA-1k": agiqa1k,
        "SPAQ": spaq,
        "CSIQ": csiq,
        "TID2013": tid2013,
        "kadid": kadid,
        "koniq": koniq,
        "PIPAL": pipal,
    }
)
"""Canonical name to the module that reads the set."""

_SCORES = {"koniq": ("mos", "zscore"), "AGIQA-1k": ("zscore", "raw")}


def load_dataset(
    name: str,
    root: str | os.PathLike[str],
    *,
    variant: Variant = "standard",
    missing: Missing = "drop",
    on_collision: OnCollision = "error",
    on_duplicate: OnDuplicate = "error",
    resolution: str | None = None,
    scores: str | None = None,
) -> Manifest:
    """One of the nine data sets, from the files its publisher ships.

    Args:
        name: in any case and by its usual aliases, such as ``"CLIVE"`` or ``"KonIQ-10k"``.
        root: the set's folder, or one above it.
        variant: ``"standard"``, the rows and scores the field uses, or ``"paper"``, exactly those
            of the list published with MA-CLIP, mistakes included (the card's note names them).
        missing: what becomes of rows whose picture is absent: ``"drop"`` warns and leaves them
            out (their names stay in ``manifest.missing``), ``"keep"`` keeps them, or ``"error"``.
        on_collision: a name borne by several files is an ``"error"`` or means the ``"first"``.
        on_duplicate: a picture in several rows is an ``"error"``, or they are kept (``"keep"``);
            the repeated rows of AGIQA-1K are dealt with by ``variant``.
        resolution: KonIQ-10k only, ``"1024x768"`` (default) or ``"512x384"``.
        scores: KonIQ-10k ``"mos"`` (default, 1 to 5) or ``"zscore"`` (0 to 100); AGIQA-1K
            ``"zscore"`` (default) or ``"raw"``.

    Raises:
        DatasetError: the set is not there, or its files are not as published.
        ValueError: an unknown name or option.
    """
    dataset = canonical_name(name)
    request = checked_request(dataset, variant, resolution, scores)
    manifest = assemble(
        dataset,
        FileIndex.scan(root),
        request,
        missing=missing,
        on_collision=on_collision,
        on_duplicate=on_duplicate,
    )
    warn_of_gaps(manifest, missing, complete_rows(dataset, request))
    return manifest


def checked_request(
    dataset: str, variant: str, resolution: str | None = None, scores: str | None = None
) -> Request:
    """What is asked of a data set, if the set has such choices.

    Raises:
        ValueError: it has not.
    """
    check_choice("variant", variant, "standard", "paper")
    if resolution is not None and dataset != "koniq":
        raise ValueError(f"resolution is a choice of KonIQ-10k; {dataset} has one")
    if scores is not None:
        if dataset not in _SCORES:
            raise ValueError(f"{dataset} has one kind of score, got scores={scores!r}")
        check_choice("scores", scores, *_SCORES[dataset])
    return Request(variant, resolution, scores)


def complete_rows(dataset: str, request: Request) -> tuple[int, ...]:
    """How many rows a whole copy may have; the first is the usual number."""
    card = card_for(dataset)
    if request.variant == "paper" or request.scores == "raw":
        return (card.paper_rows,)
    return (card.rows, *card.partial_rows)


def read_annotations(dataset: str, index: FileIndex, request: Request) -> Annotated:
    """The publisher's rows of a data set, before any picture is looked for.

    Raises:
        DatasetError: no annotation file of the set lies under the index.
    """
    adapter, card = ADAPTERS[dataset], card_for(dataset)
    source = adapter.find(index)
    if source is None:
        raise DatasetError(
            f"no annotations of {card.title} under {str(index.root)!r}: looked for "
            f"{card.annotations}. The root is the set's own folder or one above it. Get the set "
            f"from {card.url}, or read a list of your own with load_annotations"
        )
    annotated: Annotated = adapter.read(index, source, request)
    return annotated


def assemble(
    dataset: str,
    index: FileIndex,
    request: Request,
    *,
    missing: Missing = "drop",
    on_collision: OnCollision = "error",
    on_duplicate: OnDuplicate = "error",
) -> Manifest:
    """``load_dataset`` on files that are indexed already, without its warnings."""
    card = card_for(dataset)
    return build_manifest(
        read_annotations(dataset, index, request),
        index,
        ADAPTERS[dataset].describe,
        dataset=dataset,
        higher_is_better=card.higher_is_better,
        mos_range=card.mos_range,
        protocol=dataset,
        variant=request.variant,
        missing=missing,
        on_collision=on_collision,
        on_duplicate=on_duplicate,
        aliases=getattr(ADAPTERS[dataset], "ALIASES", None),
    )


def find_datasets(data_root: str | os.PathLike[str]) -> dict[str, Path]:
    """The data sets that lie anywhere under a folder, with a root for ``load_dataset``.

    A set counts as present where its annotations and at least one of its pictures are, or where
    its annotations cannot be read, so that ``load_dataset`` may say why.

    Raises:
        DatasetError: ``data_root`` is no folder.
    """
    index = FileIndex.scan(data_root)
    found: dict[str, Path] = {}
    for name, adapter in ADAPTERS.items():
        try:
            if adapter.find(index) is None:
                continue
            annotated = read_annotations(name, index, Request())
            home = find_home(annotated, index, getattr(adapter, "ALIASES", None))
        except DatasetError:
            home = index.root
        if home is not None:
            found[name] = home
    return found
