"""Is a copy of a data set whole, readable, and scored the right way round?

Each doubt is a finding with a severity. Errors are what would change a number; warnings are worth
a look; notes say what was seen or could not be checked.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from maclip_lab.datasets.cards import CARDS, Card, Choices, card_for, complete_rows
from maclip_lab.datasets.finding import FileIndex, fold_name
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.opening import published_manifest
from maclip_lab.errors import DatasetError
from maclip_lab.images import load_picture

Severity = Literal["error", "warning", "note"]
Progress = Callable[[Iterable[Path]], Iterable[Path]]
_FEWEST_FOR_DIRECTION = 10


@dataclass(frozen=True)
class Finding:
    """One doubt about a copy, and the first twenty of the files or rows it concerns."""

    severity: Severity
    kind: str
    message: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What the check of one copy found, in order of severity."""

    dataset: str
    root: Path
    rows: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that would change a number."""
        return not any(finding.severity == "error" for finding in self.findings)

    def __str__(self) -> str:
        verdict = "fit for use" if self.ok else "not fit for use as it is"
        lines = [f"{self.dataset} in {self.root}: {self.rows} annotated pictures, {verdict}"]
        for finding in self.findings:
            lines.append(f"  {finding.severity:8}{finding.kind}: {finding.message}")
            lines += [f"            {file}" for file in finding.files[:5]]
        return "\n".join(lines)


def check_dataset(
    name: str,
    root: str | os.PathLike[str],
    choices: Choices | None = None,
    *,
    decode: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check a copy of a known data set against its card.

    Args:
        name: as in `open_dataset`, like ``root`` and ``choices``.
        root: likewise.
        choices: likewise.
        decode: open every picture in full; without it sizes are not checked either.
        workers: threads that decode; None for as many as there are processors, at most eight.
        progress: wraps the pictures as they are decoded, such as ``tqdm.tqdm``.
    """
    card, choices = card_for(name), replace(choices or Choices(), missing="keep")
    folder, findings = Path(root), []
    try:
        index = FileIndex.scan(root)
        folder = index.root
        try:
            manifest = published_manifest(card, index, choices)
        except DatasetError as error:
            lenient = replace(choices, on_collision="first", on_duplicate="keep")
            manifest = published_manifest(card, index, lenient)
            findings.append(Finding("error", "duplicate", str(error)))
    except DatasetError as error:
        return Report(card.name, folder, 0, (Finding("error", "annotations", str(error)),))
    complete = complete_rows(card, choices)
    if len(manifest) not in complete:
        expected = f"annotated rows, expected {' or '.join(map(str, complete))}"
        findings.append(Finding("error", "rows", f"{len(manifest)} {expected}"))
    if choices.resolution is not None:
        width, _, height = choices.resolution.partition("x")
        card = replace(card, size=(int(width), int(height)))
    absent = f"annotated pictures are absent ({len(manifest)} rows are held)"
    repeated = f"rows repeat a picture ({manifest.note or 'kept on request'})"
    twice = manifest.table["name"][manifest.table["path"].duplicated()]
    unused = "pictures are in none of these rows and are not used"
    findings += [
        *_some("missing", absent, manifest.missing),
        *_some("unreadable", "folders cannot be listed", index.unreadable),
        *_doubts(manifest, card),
        *(_pictures(manifest, card, workers, progress) if decode else []),
        *_some("duplicate", repeated, twice, "warning"),
        *_some("extra", unused, map(str, _extra(manifest, index)), "warning"),
    ]
    findings.sort(key=lambda finding: get_args(Severity).index(finding.severity))
    return Report(card.name, manifest.root, len(manifest), tuple(findings))


def part_of_set(manifest: Manifest) -> str:
    """Which part of a data set the rows of a manifest are; empty where they are all."""
    whole: tuple[int, ...] = (len(manifest) + len(manifest.missing),)
    if manifest.protocol in CARDS:
        variant: Any = manifest.variant if manifest.variant == "paper" else "standard"
        whole = complete_rows(CARDS[manifest.protocol], Choices(variant=variant))
    if not manifest.missing and len(manifest) in whole:
        return ""
    return f"a part of the set, {len(manifest)} of {whole[0]} pictures"


def unlike_published(manifest: Manifest, sizes: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Why results on these rows do not stand beside the published ones; none for your own list.

    ``sizes`` are ``(width, height)`` of its pictures as read, in its order; zeros where unread.
    """
    if manifest.protocol not in CARDS:
        return ()
    card = CARDS[manifest.protocol]
    doubts = [*_doubts(manifest, card), *_sizes(manifest.table, card, sizes)]
    return tuple(doubt.message for doubt in doubts if doubt.severity == "error")


def _some(
    kind: str, message: str, files: Iterable[str], severity: Severity = "error"
) -> list[Finding]:
    """A finding that begins with its count, where there are any such files."""
    names = tuple(files)
    return [Finding(severity, kind, f"{len(names)} {message}", names[:20])] if names else []


def _sizes(table: pd.DataFrame, card: Card, sizes: Sequence[tuple[int, int]]) -> list[Finding]:
    """Pictures that were read, and are not of the size they are known to have."""
    others = {fold_name(other): tuple(size) for other, size in card.other_sizes.items()}
    expected = [others.get(fold_name(name), card.size) for name in table["name"]]
    wrong = [
        f"{path}: {size[0]} x {size[1]}"
        for path, size, right in zip(table["path"], sizes, expected, strict=True)
        if right and any(size) and size != right
    ]
    if not wrong or card.size is None:
        return []
    usual = f"{card.size[0]} x {card.size[1]}"
    message = f"of {len(sizes)} pictures are not {usual}, the first is {wrong[0]}"
    return _some("size", message, wrong)


def _extra(manifest: Manifest, index: FileIndex) -> list[Path]:
    """Pictures without a score in the folders of those with one, but for their references."""
    held = {manifest.root / path for path in manifest.table["path"]}
    folders = {path.parent for path in held}
    references = {fold_name(ref) for ref in manifest.table["ref_id"].dropna().unique()}
    extra = [path for image in index.images if (path := index.root / image) not in held]
    beside = [path for path in extra if path.parent in folders]
    return [path for path in beside if fold_name(path.stem) not in references]


def _doubts(manifest: Manifest, card: Card) -> list[Finding]:
    """Scores out of range; and more distortion must mean a worse score, within types on average."""
    if not manifest.labelled:
        return []
    table, (low, high) = manifest.table, manifest.mos_range
    reach = f"{table['mos'].min():g} to {table['mos'].max():g}"
    message = f"scores are not within {low:g} to {high:g}; they go from {reach}"
    doubts = _some("range", message, table["name"][~table["mos"].between(low, high)])
    if not card.level_is_severity:
        return doubts
    table = table.dropna(subset=["dist_type", "dist_level"])
    kinds = table[~table["dist_type"].isin(list(card.unordered))].groupby("dist_type")
    both = ["dist_level", "mos"]
    srcc = [rows[both].astype(float).rank().corr().iloc[0, 1] for _, rows in kinds]
    by_kind = pd.DataFrame({"srcc": srcc, "rows": list(kinds.size())}).dropna()
    usable = by_kind["rows"].sum()
    if usable < _FEWEST_FOR_DIRECTION:
        return [*doubts, Finding("note", "direction", f"not checked: {usable} rows have a level")]
    mean = (by_kind["srcc"] * by_kind["rows"]).sum() / usable
    better = "higher" if manifest.higher_is_better else "lower"
    message = f"SRCC of score and distortion level is {mean:+.3f}, where {better} scores are better"
    flipped = abs(mean) < 0.1 or (mean > 0) == manifest.higher_is_better
    message += ": the scores look flipped or shuffled" if flipped else ""
    return [*doubts, Finding("error" if flipped else "note", "direction", message)]


def _pictures(
    manifest: Manifest, card: Card, workers: int | None, progress: Progress | None
) -> list[Finding]:
    here = manifest.table[~manifest.table["name"].isin(manifest.missing)].drop_duplicates("path")
    paths = [manifest.root / path for path in here["path"]]
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        waiting = zip(progress(paths) if progress else paths, pool.map(_decode, paths), strict=True)
        results = [result for _, result in waiting]
    pairs = zip(here["path"], results, strict=True)
    broken = [f"{file}: {why}" for file, (_, why) in pairs if why]
    sizes = _sizes(here, card, [size for size, _ in results])
    return [*_some("undecodable", "pictures cannot be decoded", broken), *sizes]


def _decode(path: Path) -> tuple[tuple[int, int], str]:
    """Stored size of a picture; or zeros, and why it cannot be read."""
    picture = load_picture(path, preset="official")
    if picture.image is None:
        return (0, 0), f"{picture.status}: {picture.message}"
    return (picture.width, picture.height), ""
