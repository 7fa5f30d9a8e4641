"""The data sets' own score files, found and read as data/datasets.toml says.

Most need no code: names, columns and patterns stand there. A layout that needs some has a reader in
`LAYOUTS`. Scores keep the publisher's units; ``"paper"`` gives the list published with MA-CLIP.
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
from maclip_lab.datasets.readers import pick_columns, read_mat, read_table, to_numbers
from maclip_lab.errors import DatasetError

Layout = Mapping[str, Any]
Reader = Callable[[FileIndex, str, Layout, Choices], Annotated]
"""Reads a score file that was found, its path relative to the index's root."""


def find_scores(card: Card, index: FileIndex) -> tuple[str, Layout] | None:
    """The first of a set's score files that lies under the index, and how it is read."""
    for layout in card.file:
        files = [
            *locate(index, *layout["names"], contains=layout.get("contains", "")),
            *(file for part in _PARTS if part in layout for file in _labels(index, layout[part])),
        ]
        if files:
            return files[0], layout
    return None


def locate(index: FileIndex, *names: str, contains: str = "") -> tuple[str, ...]:
    """The score file of one of these names, the least deep where copies are equal; or nothing.

    ``contains`` tells a file of the set from another of its name.
    """
    wanted = contains.lower().encode()
    files = [
        file
        for file in index.named(*names)
        if not wanted or wanted in (index.root / file).read_bytes().lower()
    ]
    if len(files) > 1 and len({(index.root / file).read_bytes() for file in files}) > 1:
        raise DatasetError(
            f"{len(files)} different files under {str(index.root)!r} could hold the scores: "
            f"{', '.join(files[:4])}; give the folder of one copy as root"
        )
    return tuple(files[:1])


def read_scores(card: Card, index: FileIndex, choices: Choices) -> Annotated:
    """The publisher's rows of a data set, before any picture is looked for.

    Raises:
        DatasetError: no score file of the set lies under the index.
    """
    match = find_scores(card, index)
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
    return annotated if annotated.note else replace(annotated, note=layout.get("note", ""))


def read_columns(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """A table whose columns the TOML names."""
    rows = _picked(index, source, layout)
    table = pd.DataFrame({"name": rows["name"].astype(str).str.strip()})
    for column in ("mos", "mos_std"):
        if column in rows:
            table[column] = to_numbers(rows[column], f"{source}, {layout['columns'][column]}")
    for column, file in layout.get("beside", {}).items():
        beside = index.beside(source, file)
        if beside is not None:
            values = to_numbers(read_table(index.root / beside).iloc[:, 0], beside)
            if len(values) != len(table):
                raise DatasetError(f"{beside!r} has {len(values)} rows, {source!r} {len(table)}")
            table[column] = values
    if "split" in rows:
        table["split"] = rows["split"]
    return Annotated(table, source)


def _picked(index: FileIndex, source: str, layout: Layout) -> pd.DataFrame:
    columns, path = layout["columns"], index.root / source
    rows = read_table(path, sheet=layout.get("sheet"), header=layout.get("header", 1))
    return pick_columns(rows, list(columns.values()), path).set_axis(list(columns), axis=1)


def _livec(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """Three MATLAB files in one order; t1 to t7, which trained the subjects, are the paper's."""
    columns = {}
    for name in ("AllImages_release", "AllMOS_release", "AllStdDev_release"):
        file = index.beside(source, f"{name}.mat")
        if file is None:
            raise DatasetError(f"{name}.mat is not beside {source!r}")
        columns[name] = pd.Series(read_mat(index.root / file, name), dtype=object)
    names, mos, mos_std = columns.values()
    if not len(names) == len(mos) == len(mos_std):
        raise DatasetError(f"the .mat files beside {source!r} differ in length")
    table = pd.DataFrame({"name": names.astype(str), "mos": to_numbers(mos, "AllMOS_release")})
    table["mos_std"] = to_numbers(mos_std, "AllStdDev_release")
    if choices.variant == "paper":
        note = "includes t1 to t7, the pictures that trained the subjects"
        return Annotated(table, source, note=note)
    training = table["name"].str.fullmatch(r"t[1-7]\.bmp", case=False)
    return Annotated(table[~training], source)


def _agiqa1k(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """The workbook repeats a name; the raw means, in a file of their own, cut one off."""
    raw = "AIGC_all.csv"
    if choices.scores == "raw":
        if choices.variant == "paper":
            raise DatasetError(
                'the paper uses the z-scores; scores="raw" (--scores raw) is for the standard rows'
            )
        files = locate(index, raw)
        if not files:
            raise DatasetError(f"{raw}, the raw scores, is not under {str(index.root)!r}")
        columns = {"name": "Image", "mos": "Score"}
        annotated = read_columns(index, files[0], {"columns": columns}, choices)
        whole = {"dreamStudio_8_9_1_.jpg": "dreamStudio_8_9_1_1.jpg"}
        table = annotated.table.replace({"name": whole})
        return replace(annotated, table=table, note="raw means of eleven raters")
    if source.lower().endswith(raw.lower()):
        raise DatasetError(
            f"AIGC_MOS_Zscore.xlsx is absent; {source!r} holds other scores, "
            'which scores="raw" (--scores raw) reads'
        )
    annotated = read_columns(index, source, layout, choices)
    names = annotated.table["name"]
    twice = names.duplicated(keep=False)
    if not twice.any():
        return annotated
    note = f"the workbook repeats {', '.join(sorted(set(names[twice])))}: "
    if choices.variant == "paper":
        return replace(annotated, keep_duplicates=True, note=f"{note}all rows kept")
    note = f"{note}rows dropped, the true score is unknown"
    return replace(annotated, table=annotated.table[~twice], note=note)


def _csiq(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """The workbook has the parts of a name in columns."""
    rows = _picked(index, source, layout)
    token = rows["kind"].str.lower().map(layout["tokens"])
    if token.isna().any():
        unknown = rows["kind"][token.isna()].iloc[0]
        words = ", ".join(layout["tokens"])
        raise DatasetError(f"{source!r}: unknown distortion {unknown!r}, expected {words}")
    table = pd.DataFrame({"name": rows["image"] + "." + token + "." + rows["level"] + ".png"})
    for column in ("mos", "mos_std"):
        table[column] = to_numbers(rows[column], f"{source}, {layout['columns'][column]}")
    return Annotated(table, source)


_GRADES = [f"c{grade}" for grade in range(1, 6)]
_KONIQ_SETS = "koniq10k_distributions_sets.csv"
_KONIQ_SPLITS = {"training": "train", "validation": "val", "test": "test"}


def _koniq(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """``MOS`` means the 5-point score in one file and the z-score in the other; votes are in both.

    The paper has the 5-point score rounded to two decimals, halves upwards, in order of names.
    """
    resolution, paper = choices.resolution or "1024x768", choices.variant == "paper"
    if paper and (choices.scores == "zscore" or resolution != "1024x768"):
        raise DatasetError(
            "the paper uses the 5-point MOS at 1024x768; use variant='standard' "
            "(--variant standard)"
        )
    rows = read_table(index.root / source)
    pick_columns(rows, ["image_name", *_GRADES, "c_total", "MOS", "SD"], index.root / source)
    table = pd.DataFrame({"name": rows["image_name"]})
    note, mos_range = "", (1.0, 5.0)
    if choices.scores == "zscore":
        note, mos_range = "MOS of z-scores, 0 to 100", (0.0, 100.0)
        column = "MOS_zscore" if "MOS_zscore" in rows else "MOS"
        table["mos"] = to_numbers(rows[column], f"{source}, {column}")
        if column == "MOS" and table["mos"].max() <= 5:
            raise DatasetError(f"{source!r} has no z-scores: its MOS is 5 at most")
    else:
        table["mos"] = _five_point(rows, source, rounded=paper)
        table["mos_std"] = to_numbers(rows["SD"], f"{source}, SD")
    sets = rows if "set" in rows else None
    if sets is None and (files := locate(index, _KONIQ_SETS)):
        sets = pick_columns(read_table(index.root / files[0]), ["image_name", "set"], index.root)
    if sets is not None:
        part = sets.drop_duplicates("image_name").set_index("image_name")["set"]
        table["split"] = table["name"].map(part).map(_KONIQ_SPLITS)
    if paper:
        table = table.sort_values("name", kind="stable")
        note = "5-point MOS rounded to 2 decimals, halves upwards"
    return Annotated(table, source, mos_range, resolution, note=note)


def _five_point(rows: pd.DataFrame, source: str, *, rounded: bool) -> NDArray[np.float64]:
    """Mean grade from the votes, which are counts in one file and fractions in the other."""
    votes = np.column_stack([to_numbers(rows[c], f"{source}, {c}") for c in _GRADES])
    total = to_numbers(rows["c_total"], f"{source}, c_total")
    fractions = (np.abs(votes.sum(axis=1) - 1) < 1e-6) & (total > 1)
    counts = np.rint(np.where(fractions[:, None], votes * total[:, None], votes))
    wrong = (counts.sum(axis=1) != total) | (total < 1) | (counts < 0).any(axis=1)
    if wrong.any():
        line = rows.index[np.flatnonzero(wrong)[0]]
        raise DatasetError(f"{source!r}: the votes of line {line} do not add up to its c_total")
    points = counts @ np.arange(1, 6)
    if not rounded:
        return points / total
    # 48 means are exact halves of a hundredth, which binary rounding would send either way
    return (200 * points + total) // (2 * total) / 100


_PARTS = ("train", "val")


def _pipal(index: FileIndex, source: str, layout: Layout, choices: Choices) -> Annotated:
    """Elo ratings, the training part first; the paper scales each part by itself to 0..1."""
    parts = []
    for split in _PARTS:
        lowest, width = layout[split]["lowest_and_width"]
        for file in _labels(index, layout[split]):
            part = read_columns(index, file, {"columns": {"name": 1, "mos": 2}}, choices).table
            if choices.variant == "paper":
                part["mos"] = (part["mos"] - lowest) / width
            parts.append(part.assign(split=split))
    table = pd.concat(parts, ignore_index=True)
    if choices.variant == "standard":
        return Annotated(table, source)
    note = "Elo scaled to 0..1, train and validation separately"
    return Annotated(table, source, mos_range=(0.0, 1.0), note=note)


def _labels(index: FileIndex, part: Layout) -> tuple[str, ...]:
    """One text file a reference in a label folder, however nested; else one list of them all."""
    texts = [file for file in index.files if file.lower().endswith(".txt")]
    files = [file for file in texts if PurePosixPath(file.lower()).parent.name in part["folders"]]
    folders = sorted({file.rpartition("/")[0] for file in files})
    if len(folders) > 1:
        raise DatasetError(
            f"labels lie in {len(folders)} folders: {', '.join(folders)}; give one copy as root"
        )
    return tuple(files) or locate(index, *part["lists"])


LAYOUTS: Mapping[str, Reader] = {
    "livec": _livec,
    "agiqa1k": _agiqa1k,
    "csiq": _csiq,
    "koniq": _koniq,
    "pipal": _pipal,
}
"""Readers of layouts that a table of columns does not describe, as ``reader`` names them."""
