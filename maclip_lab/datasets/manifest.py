"""The manifest: which pictures a data set holds and what people thought of them.

Scores stay in the publisher's units and direction, and ``higher_is_better`` says which it is.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from maclip_lab.crops import is_published
from maclip_lab.errors import DatasetError
from maclip_lab.files.atomic import SealError, read_seal
from maclip_lab.files.identity import joint_sha256
from maclip_lab.images import Preset

COLUMNS = {
    "path": "string",
    "name": "string",
    "mos": "float64",
    "mos_std": "float64",
    "ref_id": "string",
    "dist_type": "string",
    "dist_level": "Int64",
    "split": "string",
    "subset": "string",
}
"""Columns of a manifest's table and their pandas types."""

_OUTSIDE = re.compile(r"/|[A-Za-z]:[\\/]|(.*[\\/])?\.\.([\\/]|$)", re.DOTALL)
PACK_SUFFIX = ".safetensors"
_VERSION_KEY, _VERSION = "maclip_pack", "1"
_HEADER = ("dataset", "higher_is_better", "mos_range", "protocol", "variant", "on_duplicate")


@dataclass(frozen=True, eq=False)
class Manifest:
    """Pictures and their scores, checked.

    Attributes:
        table: one row a picture. ``path`` is POSIX and relative to ``root``; ``name`` is the
            publisher's spelling; ``mos`` is in native units; other columns of ``COLUMNS`` are
            missing where the set has none.
        mos_range: lowest and highest possible score; NaN where there are no scores.
        protocol: name of the crop protocol.
        variant: ``"standard"``, ``"paper"``, or where else the rows come from.
        on_duplicate: ``"error"``, or ``"keep"`` where a picture may appear in several rows.
        note: what a reader has to know about these rows.
        missing: names of annotated pictures that the copy does not hold.
        pack_sha256: of the pack the rows come from, whose path ``root`` then is; empty where the
            pictures themselves are there.
        opened: the arguments with which `open_dataset` gives these rows; None if nobody knows.

    Raises:
        DatasetError: a column is missing or of the wrong type, a score is not finite (unless all
            are NaN, as in a folder without scores), or a path appears twice.
    """

    table: pd.DataFrame
    dataset: str
    higher_is_better: bool
    mos_range: tuple[float, float]
    protocol: str
    variant: str
    root: Path
    on_duplicate: str = "error"
    note: str = ""
    missing: tuple[str, ...] = ()
    pack_sha256: str = ""
    opened: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        low, high = self.mos_range
        object.__setattr__(self, "table", _typed(self.table))
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "mos_range", (float(low), float(high)))
        object.__setattr__(self, "missing", tuple(self.missing))
        _check_paths(self.table["path"], keep=self.on_duplicate == "keep")
        _check_scores(self.table, self.mos_range)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        better = "higher" if self.higher_is_better else "lower"
        rows = f"{len(self)} pictures, {len(self.missing)} missing"
        reach = "MOS {:g} to {:g}".format(*self.mos_range)
        return f"Manifest({self.dataset}, {self.variant}: {rows}, {reach}, {better} is better)"

    @property
    def labelled(self) -> bool:
        """Whether the pictures have scores."""
        return bool(self.table["mos"].notna().all())

    @property
    def preset(self) -> Preset:
        """How files are read: as the authors do where the rows are those of a set of the paper."""
        published = is_published(self.protocol) and self.variant in ("standard", "paper")
        return "official" if published else "default"

    @property
    def has_pictures(self) -> bool:
        """Whether there are picture files, and not a pack of features alone."""
        return not self.pack_sha256

    @property
    def paths(self) -> list[Path]:
        """Absolute paths of the pictures, in the table's order; a pack's is a `DatasetError`."""
        if not self.has_pictures:
            raise DatasetError(
                f"{self.root.name} is a pack: it holds features of {self.dataset}, not its "
                "pictures; open the data set itself to look at those"
            )
        return [self.root / path for path in self.table["path"]]

    @property
    def facts(self) -> dict[str, object]:
        """Which rows these are, as results record it."""
        facts = {"dataset": self.dataset, "manifest_sha256": self.sha256, "variant": self.variant}
        pack = {"pack_sha256": self.pack_sha256} if self.pack_sha256 else {}
        return {**facts, "note": self.note, **pack}

    def data(self, pictures: pd.DataFrame | None = None) -> dict[str, object]:
        """What a record holds so that the rows, and files by ``path`` and ``sha256``, are found."""
        facts: dict[str, object] = {} if self.opened is None else {"opened": dict(self.opened)}
        if pictures is not None:
            files = zip(pictures["path"], pictures["sha256"], strict=True)
            facts["pictures_sha256"] = joint_sha256(files)
        return facts

    @property
    def content(self) -> dict[str, object]:
        """The rows and everything that gives them meaning, as JSON holds it; no root."""
        rows = {
            column: [None if pd.isna(value) else value for value in self.table[column].tolist()]
            for column in COLUMNS
        }
        return {key: getattr(self, key) for key in _HEADER} | {"rows": rows}

    @property
    def sha256(self) -> str:
        """Hash of `content`."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()

    def subset(self, mask: Iterable[bool]) -> "Manifest":
        """The rows whose boolean is true, in order; a `DatasetError` where nothing is left."""
        chosen = pd.array(list(mask), dtype="boolean").fillna(False).to_numpy(dtype=bool)
        if len(chosen) != len(self):
            raise ValueError(f"expected {len(self)} booleans, got {len(chosen)}")
        if not chosen.any():
            raise DatasetError(f"no row of {self.dataset} is left")
        return replace(self, table=self.table[chosen], opened=None)

    def sample(self, n: int, seed: int = 0) -> "Manifest":
        """``n`` rows drawn without replacement, in the table's order."""
        if not 1 <= n <= len(self):
            raise ValueError(f"expected 1 to {len(self)} rows of {self.dataset}, got {n}")
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), size=n, replace=False))
        return replace(self, table=self.table.iloc[chosen], opened=None)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    titles = set(map(str, table))
    if not {"path", "mos"} <= titles <= set(COLUMNS) or table.empty:
        raise DatasetError(
            f"a manifest has at least one row, columns path and mos, and others of "
            f"{', '.join(COLUMNS)}; got {len(table)} rows of {', '.join(map(str, table))}"
        )
    result = table.reindex(columns=list(COLUMNS)).reset_index(drop=True)
    for column, kind in COLUMNS.items():
        try:
            result[column] = result[column].astype(kind)
        except (ValueError, TypeError) as error:
            raise DatasetError(f"column {column} must hold {kind}: {error}") from error
    result["name"] = result["name"].fillna(result["path"].str.rpartition("/")[2])
    return result


def _check_paths(paths: "pd.Series[str]", *, keep: bool) -> None:
    if paths.isna().any():
        raise DatasetError(f"{int(paths.isna().sum())} rows have no path")
    outside = paths[paths.map(lambda path: _OUTSIDE.match(path) is not None)]
    if len(outside):
        raise DatasetError(
            f"paths are relative to the root and stay below it, got {outside.iloc[0]!r}"
        )
    twice = paths[paths.duplicated()]
    if len(twice) and not keep:
        raise DatasetError(
            f"{len(twice)} rows repeat a picture, the first {twice.iloc[0]!r}; "
            'pass on_duplicate="keep" (--on-duplicate keep) if that is meant, or, in a list of '
            'your own with a row a rating, on_duplicate="mean" (--on-duplicate mean)'
        )


def _check_scores(table: pd.DataFrame, mos_range: tuple[float, float]) -> None:
    wrong = table[~np.isfinite(table["mos"])]
    if len(wrong) and not table["mos"].isna().all():
        raise DatasetError(
            f"{len(wrong)} of {len(table)} scores are not finite, "
            f"the first that of {wrong['name'].iloc[0]!r}: {wrong['mos'].iloc[0]}"
        )
    low, high = mos_range
    if wrong.empty and not -math.inf < low < high < math.inf:
        raise DatasetError(f"mos_range is (lowest, highest), got {mos_range}")
    if not table["mos_std"].dropna().between(0, math.inf, inclusive="left").all():
        raise DatasetError("mos_std holds negative or infinite deviations")


def pack_header(manifest: Manifest) -> dict[str, str]:
    """What the header of a pack says of its rows."""
    content = manifest.content | {"note": manifest.note, "missing": manifest.missing}
    return {_VERSION_KEY: _VERSION, "manifest": json.dumps(content)}


def read_pack_header(path: Path, *, verify: bool = False) -> tuple[Manifest, dict[str, str]]:
    """The rows of a pack and its head, or a `DatasetError`; on demand every byte is checked."""
    try:
        header = read_seal(path, "a pack of features", verify=verify)
    except FileNotFoundError as error:
        raise DatasetError(f"there is no {str(path)!r}; maclip-lab pack makes one") from error
    except (SealError, OSError) as error:
        raise DatasetError(str(error)) from error
    version = header.get(_VERSION_KEY, "unknown")
    if version != _VERSION:
        raise DatasetError(
            f"{path.name} is a pack of version {version}, and this package reads version "
            f"{_VERSION}; make it anew, or use the package that wrote it"
        )
    try:
        content = json.loads(header["manifest"])
        rows, digest = pd.DataFrame(content.pop("rows"), dtype=object), header["file_sha256"]
        return Manifest(rows, root=path, pack_sha256=digest, **content), header
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path.name} holds no manifest: {error!r}") from error
