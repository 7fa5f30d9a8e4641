"""The data sets' own score files, found and read as data/datasets.toml says.

A layout that columns alone do not describe has a reader in `LAYOUTS`. Scores keep the publisher's
units; ``"paper"`` gives the list published with MA-CLIP.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maclip_lab.datasets.cards import Card, Choices
from maclip_lab.datasets.finding import Annotated, FileIndex
from maclip_lab.datasets.lists import TITLES
from maclip_lab.datasets.readers import pick_columns, read_table, to_numbers
from maclip_lab.errors import DatasetError

Layout = Mapping[str, Any]
Reader = Callable[[FileIndex, str, Layout, Choices], Annotated]
"""Reads a score file that was found, its path relative to the index's root."""


def find_scores(card: Card, index: FileIndex, choices: Choices) -> tuple[str, Layout] | None:
    """The first file under the index that holds the scores asked for, and how it is read."""
    wanted = choices.scores or next(iter(card.scores), None)
    for layout in card.file:
        if layout.get("scores", wanted) != wanted:
            continue
        files = _locate(index, layout["names"], layout.get("contains", ""))
        for part in layout.get("part", {}).values():
            files += _labels(index, part)
        if files:
            return files[0], layout
    return None


def _locate(index: FileIndex, names: list[str], contains: str = "") -> list[str]:
    """The file of one of these names that holds a text, the least deep of equal ones; or none."""
    held = {file: (index.root / file).read_bytes() for n in names for file in index.candidates(n)}
    fitting = [file for file in held if contains.lower().encode() in held[file].lower()]
    files = sorted(fitting, key=lambda file: (file.count("/"), file))
    if len({held[file] for file in files}) > 1:
        raise DatasetError(
            f"{len(files)} different files under {str(index.root)!r} could hold the scores: "
            f"{', '.join(files[:4])}; give the folder of one copy as root"
        )
    return files[:1]


def read_scores(card: Card, index: FileIndex, choices: Choices) -> Annotated:
    """The publisher's rows of a data set, before any picture is looked for."""
    match = find_scores(card, index, choices)
    if match is None:
        raise DatasetError(
            f"no annotations of {card.title} under {str(index.root)!r}: looked for "
            f"{card.annotations or ', '.join(n for each in card.file for n in each['names'])}. "
            f"The root is the set's own folder or one above it. Get the set from {card.url}, or "
            "open a list of your own with annotations= (--annotations)"
        )
    source, layout = match
    reader = LAYOUTS[layout["reader"]] if "reader" in layout else read_columns
    annotated = reader(index, source, layout, choices)
    return replace(
        annotated,
        folder=choices.resolution or next(iter(card.resolutions), None),
        note=annotated.note or layout.get("note", ""),
    )


def read_columns(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """A table whose columns the TOML names; those that have a file of their own lie beside it."""
    rows = _picked(index, source, layout)
    folder = PurePosixPath(source).parent
    for column, name in layout.get("beside", {}).items():
        files = [f for f in index.candidates(name) if PurePosixPath(f).parent == folder]
        if not files and column == "name":
            raise DatasetError(f"{name} is not beside {source!r}")
        for file in files[:1]:
            values = read_table(index.root / file).iloc[:, 0]
            if len(values) != len(rows):
                raise DatasetError(f"{file!r} has {len(values)} rows, {source!r} {len(rows)}")
            rows[column] = values.to_numpy()
    for column, words in layout.get("words", {}).items():
        unknown = set(rows[column].str.lower()) - set(words)
        if unknown:
            raise DatasetError(f"{source!r}: unknown {column} {min(unknown)!r}, not of {words}")
        rows[column] = rows[column].str.lower().map(words)
    if "named" in layout:
        rows["name"] = [layout["named"].format(**row) for row in rows.to_dict("records")]
    table = _scored(rows, source, layout)
    if choices.variant == "paper":
        return Annotated(table, source, note=layout.get("paper_note", ""))
    extra = table["name"].str.fullmatch(layout.get("paper_only", ""), case=False)
    return Annotated(table[~extra], source)


def _scored(rows: pd.DataFrame, source: str, layout: Layout) -> pd.DataFrame:
    """A manifest's columns of rows that have ours."""
    table = pd.DataFrame({"name": rows["name"].replace(layout.get("renamed", {}))})
    for column in ("mos", "mos_std"):
        if column in rows:
            title = layout["columns"].get(column, column)
            table[column] = to_numbers(rows[column], f"{source}, {title}")
    if "split" in rows:
        table["split"] = rows["split"].replace(TITLES["parts"])
    return table


def _picked(index: FileIndex, source: str, layout: Layout) -> pd.DataFrame:
    path = index.root / source
    rows = read_table(path, sheet=layout.get("sheet", 0), header=layout.get("header", 1))
    return pick_columns(rows, layout["columns"], path)


def _agiqa1k(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """The workbook repeats a name."""
    annotated = read_columns(index, source, layout, choices)
    names = annotated.table["name"]
    twice = names.duplicated(keep=False)
    if not twice.any():
        return annotated
    paper = choices.variant == "paper"
    fate = "all rows kept" if paper else "rows dropped, the true score is unknown"
    note = f"the workbook repeats {', '.join(sorted(set(names[twice])))}: {fate}"
    table = annotated.table if paper else annotated.table[~twice]
    return replace(annotated, table=table, keep_duplicates=paper, note=note)


def _koniq(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """The 5-point score is worked out from the votes; which part a picture is in, one file knows.

    The paper has it rounded to two decimals, halves upwards, in order of names.
    """
    rows = _picked(index, source, layout)
    for file in _locate(index, ["koniq10k_distributions_sets.csv"]):
        sets = _picked(index, file, {"columns": {"name": "image_name", "set": "set"}})
        rows["split"] = rows["name"].map(sets.drop_duplicates("name").set_index("name")["set"])
    if choices.scores == "zscore":
        table = _scored(rows.drop(columns="mos_std").assign(mos=rows["zscore"]), source, layout)
        return Annotated(table, source, (0.0, 100.0), note="MOS of z-scores, 0 to 100")
    table = _scored(rows, source, layout)
    table["mos"] = _five_point(rows, source, rounded=choices.variant == "paper")
    if choices.variant == "standard":
        return Annotated(table, source)
    note = "5-point MOS rounded to 2 decimals, halves upwards"
    return Annotated(table.sort_values("name", kind="stable"), source, note=note)


def _five_point(rows: pd.DataFrame, source: str, *, rounded: bool) -> NDArray[np.float64]:
    """Mean grade from the votes, which are counts in one file and fractions in the other."""
    grades = [f"c{grade}" for grade in range(1, 6)]
    votes = np.column_stack([to_numbers(rows[c], f"{source}, {c}") for c in grades])
    total = to_numbers(rows["c_total"], f"{source}, c_total")
    each = np.where(np.abs(votes.sum(axis=1) - 1) < 1e-6, total, 1)
    counts = np.rint(votes * each[:, None])
    wrong = (counts.sum(axis=1) != total) | (total < 1) | (counts < 0).any(axis=1)
    if wrong.any():
        line = rows.index[np.flatnonzero(wrong)[0]]
        raise DatasetError(f"{source!r}: the votes of line {line} do not add up to its c_total")
    points = counts @ np.arange(1, 6)
    if not rounded:
        return points / total
    # 48 means are exact halves of a hundredth, which binary rounding would send either way
    return (200 * points + total) // (2 * total) / 100


def _pipal(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """Elo ratings, the training part first; the paper scales each part by itself to 0..1."""
    parts = []
    for split, part in layout["part"].items():
        lowest, width = part["lowest_and_width"]
        for file in _labels(index, part):
            rows = read_columns(index, file, {"columns": {"name": 1, "mos": 2}}, choices).table
            if choices.variant == "paper":
                rows["mos"] = (rows["mos"] - lowest) / width
            parts.append(rows.assign(split=split))
    table = pd.concat(parts, ignore_index=True)
    if choices.variant == "standard":
        return Annotated(table, source)
    note = "Elo scaled to 0..1, train and validation separately"
    return Annotated(table, source, mos_range=(0.0, 1.0), note=note)


def _labels(index: FileIndex, part: Layout) -> list[str]:
    """One text file a reference in a label folder, however nested; else one list of them all."""
    texts = [PurePosixPath(file) for file in index.files if file.lower().endswith(".txt")]
    files = [file for file in texts if file.parent.name.lower() in part["folders"]]
    folders = sorted({str(file.parent) for file in files})
    if len(folders) > 1:
        raise DatasetError(
            f"labels lie in {len(folders)} folders: {', '.join(folders)}; give one copy as root"
        )
    return [str(file) for file in files] or _locate(index, part["lists"])


LAYOUTS: Mapping[str, Reader] = {"agiqa1k": _agiqa1k, "koniq": _koniq, "pipal": _pipal}
"""Readers of layouts that a table of columns does not describe, as ``reader`` names them."""
