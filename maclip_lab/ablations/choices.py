"""People's choices between two pictures, and how the methods choose."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from maclip_lab.crops import SETS
from maclip_lab.datasets.cards import Card, Choices
from maclip_lab.datasets.finding import Annotated, FileIndex, build_manifest
from maclip_lab.datasets.lists import TITLES, named_column, titles_of, usual
from maclip_lab.datasets.manifest import PACK_SUFFIX, Manifest
from maclip_lab.datasets.readers import is_blank, read_table
from maclip_lab.errors import DatasetError, DatasetWarning
from maclip_lab.evaluation.correlations import spearman
from maclip_lab.evaluation.preferences import bradley_terry, count_votes, evaluate_pairs

_NAN = float("nan")
_SIDES = {word: side for side, words in TITLES["sides"].items() for word in words}


def read_choices(
    file: Path,
    dataset: str,
    root: Path | None,
    columns: Sequence[str] = (),
    choices: Choices = Choices(),  # noqa: B008
) -> tuple[pd.DataFrame, Manifest]:
    """The votes of a table, as `count_votes` gives them, and a manifest without scores.

    The crop protocol is that of ``dataset``, where it is a known set; ``root`` is the folder that
    the pictures lie below, None for the file's; ``columns`` are titles of the two pictures and of
    the choice, none for the usual ones.

    Raises:
        DatasetError: the data set is a pack, which holds no pictures, or the table is none.
    """
    if Path(dataset).suffix.lower() == PACK_SUFFIX:
        raise DatasetError(
            f"{dataset} is a pack: choices are judged by the pictures themselves; name their data "
            "set, or one of your own, and the folder with root= (--root)"
        )
    rows = read_table(file)
    titles = _titles(rows, columns, file)
    table = pd.DataFrame({name: rows[title] for name, title in titles.items()})
    sides = table["chosen"].str.strip().str.lower().map(_SIDES)
    is_name = table["chosen"].isin([*table["a"], *table["b"]])
    blank = table["chosen"].map(is_blank) & ~is_name
    table["chosen"] = table["chosen"].where(is_name | sides.isna(), sides)
    votes = count_votes(table[~blank])
    named = ", ".join(f"{name} by {title!r}" for name, title in titles.items())
    count, ties = votes[["votes_a", "votes_b", "ties"]].to_numpy().sum(), votes["ties"].sum()
    note = f"from {file.name}: {named}; {count} choices, {ties} of them ties"
    note += f"; {blank.sum()} rows without an answer are left out" if blank.any() else ""
    names = pd.unique(votes[["a", "b"]].to_numpy().ravel())
    protocol = dataset if dataset in SETS else "native"
    manifest = build_manifest(
        Annotated(pd.DataFrame({"name": names, "mos": _NAN}), note=note),
        FileIndex.scan(file.parent if root is None else root),
        choices,
        Card(name=dataset, title=dataset, rows=len(names), mos_range=(_NAN, _NAN)),
        "pairs",
        protocol=protocol,
    )
    if manifest.missing:
        lost = f"{len(manifest.missing)} of {len(names)} pictures, such as {manifest.missing[0]!r},"
        warnings.warn(f"{lost} are not under {manifest.root}", DatasetWarning, stacklevel=2)
    return votes, manifest


def _titles(rows: pd.DataFrame, columns: Sequence[str], path: Path) -> dict[str, str]:
    """The column of each part of a vote."""
    given, titles = dict(zip(TITLES["choices"], columns, strict=False)), {}
    for name, words in TITLES["choices"].items():
        if name in given:
            titles[name] = named_column(rows, given[name], path)
        elif likely := usual(rows, words):
            titles[name] = likely[0]
        elif name != "count":
            raise DatasetError(
                f"{str(path)!r}: which column is {name!r}? It has {titles_of(rows)}; a table of "
                "choices has a, b and chosen; others are named by --pairs-columns A,B,CHOSEN"
            )
    return titles


def judge_choices(
    predictions: pd.DataFrame, methods: pd.DataFrame, votes: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`evaluate_pairs` with ``srcc_scale``, the SRCC with people's scale; and the pictures on it.

    Predictions have a row a picture, with its ``name``, and methods their scores in the same rows.
    Where parts of the pictures never met there is no common scale: ``srcc_scale`` is NaN.
    """
    scale = bradley_terry(votes).set_index("picture")
    named = methods.set_axis(predictions["name"])
    table = evaluate_pairs(named.reindex(scale.index), votes, "MA-CLIP")
    scores = named.join(scale["strength"]).dropna().astype(float)
    strength = scores.pop("strength").to_numpy()
    table["srcc_scale"] = [spearman(scores[name].to_numpy(), strength) for name in named]
    sizes = scale["part"].value_counts().tolist()
    if len(sizes) > 1:
        message = f"{len(sizes)} parts of {', '.join(map(str, sizes))} pictures were never compared"
        warnings.warn(f"{message}: each has a scale of its own", DatasetWarning, stacklevel=2)
        table["srcc_scale"] = _NAN
    return table, predictions.join(scale, on="name")
