"""Is a copy of a data set whole, readable, and scored the right way round?

Each doubt is a finding with a severity. Errors are what would change a number; warnings are worth
a look; notes say what was seen or could not be checked.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from scipy.stats import spearmanr

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
    """One doubt about a copy, and the first twenty of the ``count`` files or rows it concerns."""

    severity: Severity
    kind: str
    message: str
    count: int = 0
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
    choices.check(card)
    folder = Path(root)
    try:
        index = FileIndex.scan(root)
        folder = index.root
        collisions: list[Finding] = []
        try:
            manifest = published_manifest(card, index, choices)
        except DatasetError as error:
            lenient = replace(choices, on_collision="first", on_duplicate="keep")
            manifest = published_manifest(card, index, lenient)
            collisions = [Finding("error", "duplicate", str(error), 1)]
    except DatasetError as error:
        return Report(card.name, folder, 0, (Finding("error", "annotations", str(error)),))
    complete, rows = complete_rows(card, choices), []
    if len(manifest) not in complete:
        expected = " or ".join(map(str, complete))
        message = f"{len(manifest)} annotated rows, expected {expected}"
        rows = [Finding("error", "rows", message, abs(len(manifest) - complete[0]))]
    if choices.resolution is not None:
        width, _, height = choices.resolution.partition("x")
        card = replace(card, size=(int(width), int(height)))
    findings = [
        *collisions,
        *rows,
        *_extra(manifest, index),
        *_some("unreadable", "folders cannot be listed", index.unreadable),
        *check_manifest(manifest, card, decode=decode, workers=workers, progress=progress).findings,
    ]
    return Report(card.name, manifest.root, len(manifest), _ordered(findings))


def check_manifest(
    manifest: Manifest,
    card: Card | None = None,
    *,
    decode: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check the rows and pictures of any manifest.

    Absent pictures must have been kept, or they go unmentioned beyond ``manifest.missing``.
    ``card`` says of which size the pictures are, and of which distortion types the level is a
    severity; the rest as in `check_dataset`.
    """
    absent = f"annotated pictures are absent ({len(manifest)} rows are held)"
    repeated = f"rows repeat a picture ({manifest.note or 'kept on request'})"
    twice = manifest.table["name"][manifest.table["path"].duplicated()]
    findings = [
        *_some("missing", absent, manifest.missing),
        *_some("duplicate", repeated, twice, "warning"),
        *_out_of_range(manifest),
        *_direction(manifest, card),
    ]
    if decode:
        findings += _pictures(manifest, card, workers, progress)
    return Report(manifest.dataset, manifest.root, len(manifest), _ordered(findings))


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
    """Why results on these rows do not stand beside the published ones, as `check_dataset` sees it.

    Args:
        manifest: of any data set; none is given for a list of your own.
        sizes: ``(width, height)`` of its pictures as read, in its order; zeros where unread.
    """
    if manifest.protocol not in CARDS:
        return ()
    card = CARDS[manifest.protocol]
    doubts = [*_out_of_range(manifest), *_direction(manifest, card)]
    expected = [_expected(card, name) for name in manifest.table["name"]]
    pairs = zip(sizes, expected, strict=True)
    wrong = [size for size, right in pairs if right and any(size) and size != right]
    reasons = [doubt.message for doubt in doubts if doubt.severity == "error"]
    if wrong and card.size:
        reasons.append(
            f"{len(wrong)} of {len(sizes)} pictures are not {_times(card.size)}, the first is "
            f"{_times(wrong[0])}"
        )
    return tuple(reasons)


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    rank = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: rank[finding.severity]))


def _some(
    kind: str, message: str, files: Iterable[str], severity: Severity = "error"
) -> list[Finding]:
    """A finding that begins with its count, where there are any such files."""
    names = tuple(files)
    counted = f"{len(names)} {message}"
    return [Finding(severity, kind, counted, len(names), names[:20])] if names else []


def _expected(card: Card, name: str) -> tuple[int, int] | None:
    """The size of a picture, where it is known."""
    others = {fold_name(other): tuple(size) for other, size in card.other_sizes.items()}
    return others.get(fold_name(name), card.size)  # type: ignore[return-value]


def _extra(manifest: Manifest, index: FileIndex) -> list[Finding]:
    """Pictures without a score in the folders of those with one."""
    held = {(manifest.root / path).as_posix() for path in manifest.table["path"]}
    folders = {path.rpartition("/")[0] for path in held}
    under = [(index.root / image).as_posix() for image in index.images]
    extra = [path for path in under if path not in held and path.rpartition("/")[0] in folders]
    references = {fold_name(ref) for ref in manifest.table["ref_id"].dropna().unique()}
    is_known = [fold_name(PurePosixPath(path).stem) in references for path in extra]
    known, other = (
        tuple(path for path, yes in zip(extra, is_known, strict=True) if yes is wanted)
        for wanted in (True, False)
    )
    message = "references beside the rated pictures"
    beside = [Finding("note", "extra", message, len(known), known[:20])] if known else []
    unused = "pictures are in none of these rows and are not used"
    return [*beside, *_some("extra", unused, other, "warning")]


def _out_of_range(manifest: Manifest) -> list[Finding]:
    if not manifest.labelled:
        return [Finding("note", "scores", "the pictures have no scores")]
    low, high = manifest.mos_range
    outside = manifest.table[~manifest.table["mos"].between(low, high)]
    message = (
        f"scores are not within {low:g} to {high:g}; they go from "
        f"{manifest.table['mos'].min():g} to {manifest.table['mos'].max():g}"
    )
    return _some("range", message, outside["name"])


def _direction(manifest: Manifest, card: Card | None) -> list[Finding]:
    """More distortion must mean a worse score, within each distortion type and on average."""
    if card is None or not card.level_is_severity or not manifest.labelled:
        return []
    table = manifest.table.dropna(subset=["dist_type", "dist_level"])
    table = table[~table["dist_type"].isin(list(card.unordered))]
    correlations = []
    for _, rows in table.groupby("dist_type"):
        if len(set(rows["dist_level"])) > 1 and len(set(rows["mos"])) > 1:
            level = rows["dist_level"].to_numpy(dtype=float)
            correlations.append((float(spearmanr(level, rows["mos"]).statistic), len(rows)))
    weight = sum(count for _, count in correlations)
    if weight < _FEWEST_FOR_DIRECTION:
        return [Finding("note", "direction", f"not checked: {weight} rows have a usable level")]
    mean = sum(value * count for value, count in correlations) / weight
    better = "higher" if manifest.higher_is_better else "lower"
    message = f"SRCC of score and distortion level is {mean:+.3f}, where {better} scores are better"
    wrong = mean > 0 if manifest.higher_is_better else mean < 0
    if wrong or abs(mean) < 0.1:
        return [Finding("error", "direction", f"{message}: the scores look flipped or shuffled")]
    return [Finding("note", "direction", message)]


def _pictures(
    manifest: Manifest, card: Card | None, workers: int | None, progress: Progress | None
) -> list[Finding]:
    absent = set(manifest.missing)
    rows = manifest.table[~manifest.table["name"].isin(absent)].drop_duplicates("path")
    paths = [manifest.root / path for path in rows["path"]]
    broken, wrong = [], []
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        waiting = progress(paths) if progress else paths
        for path, name, result in zip(waiting, rows["name"], pool.map(_decode, paths), strict=True):
            expected = _expected(card, name) if card else None
            if isinstance(result, str):
                broken.append(f"{path.relative_to(manifest.root).as_posix()}: {result}")
            elif expected is not None and result != expected:
                wrong.append(f"{path.relative_to(manifest.root).as_posix()}: {_times(result)}")
    return [
        *_some("undecodable", "pictures cannot be decoded", broken),
        *_some("size", f"pictures are not {_times((card and card.size) or (0, 0))}", wrong),
    ]


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _decode(path: Path) -> tuple[int, int] | str:
    """Stored size of a picture, or why it cannot be read."""
    picture = load_picture(path, preset="official")
    if picture.image is None:
        return f"{picture.status}: {picture.message}"
    return picture.width, picture.height
