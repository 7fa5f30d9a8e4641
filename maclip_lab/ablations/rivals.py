"""What others say of the same pictures: other metrics' scores, and people's choices between two.

Metrics' tables are read as lists of opinions are (`maclip_lab.datasets.lists`), and their columns
are told by the same rules: what counts, numbers or repeats the opinions is no metric.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from maclip_lab.crops import SETS
from maclip_lab.datasets import lists
from maclip_lab.datasets.cards import Card, Choices
from maclip_lab.datasets.finding import Annotated, FileIndex, build_manifest
from maclip_lab.datasets.manifest import COLUMNS, PACK_SUFFIX, Manifest
from maclip_lab.datasets.readers import is_blank, read_table
from maclip_lab.errors import DatasetError, DatasetWarning
from maclip_lab.evaluation.correlations import METHODS, spearman
from maclip_lab.evaluation.preferences import bradley_terry, count_votes, evaluate_pairs
from maclip_lab.files.identity import sha256_of

_WORDS = lists.TITLES["no_metric"]
_TAKEN = {*METHODS, *METHODS.values(), *COLUMNS, *_WORDS["ours"]}
_NO_METRICS = {*map(lists.fold_title, (*lists.TITLES["deviation"], *COLUMNS, *_WORDS["titles"]))}
_FEWEST_TO_TELL = 10


@dataclass(frozen=True)
class Rivals:
    """Scores of other metrics, joined to a manifest: a column a metric, a row a picture.

    Higher is better, NaN where there is none; ``notes`` say which columns were taken, what did not
    match and what was turned round; ``facts`` are the files' sha256 by their names.
    """

    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def read_rivals(files: Sequence[str], manifest: Manifest, path_column: str | None = None) -> Rivals:
    """Other metrics' scores of a manifest's pictures, joined by path.

    Of a table all metrics are taken; with ``table.csv:niqe,-mine`` those named, ``-`` where lower
    is better; ``table.csv:-`` is all, and lower is better. Of a name's folders at least the last
    has to agree, unless all rows name the same one and the manifest's paths have none.

    Raises:
        DatasetError: a file cannot be read, names none of the pictures, or one of them twice.
    """
    rivals = Rivals(pd.DataFrame(index=manifest.table.index))
    for text in files:
        table, colon, chosen = text.rpartition(":")
        if not colon or Path(text).exists():
            table, chosen = text, ""
        asked = [name.strip() for name in chosen.split(",") if name.strip()]
        _read(Path(table), asked, manifest, path_column, rivals)
    return rivals


def _read(
    path: Path, asked: list[str], manifest: Manifest, path_column: str | None, rivals: Rivals
) -> None:
    """Adds the metrics of one table; those asked for have a ``-`` where lower is better."""
    rows = read_table(path).reset_index(drop=True)
    likely = lists.picture_columns(rows) or [str(rows.columns[0])]
    names, by_names = lists.chosen_column(rows, path_column, likely, "path", path)
    place, unknown = _places(rows[names].tolist(), manifest, path)
    missed = f"; {len(unknown)} rows match none, such as {unknown[0]!r}" if unknown else ""
    rivals.notes.append(
        f"{path.name}: {len(place)} of {manifest.table['path'].nunique()} pictures found by column "
        f"{by_names}{missed}"
    )
    wanted = [name.removeprefix("-") for name in asked if name != "-"]
    metrics = _metrics(rows.drop(columns=names), path, wanted, rivals.notes)
    for column, numbers in metrics.items():
        untitled = column.startswith("column ") or lists.fold_title(column) in _WORDS["generic"]
        label = path.stem if untitled or column in _TAKEN else column
        if label in {*rivals.scores, *_TAKEN}:
            raise DatasetError(f"two tables hold {label!r}; rename a file or a column")
        by_path = numbers[list(place.values())].set_axis(list(place))
        scores = manifest.table["path"].map(by_path)
        if column not in wanted and equals_opinions(manifest.table["mos"], scores):
            rivals.notes.append(f"{column!r} of {path.name} repeats the opinions: left out")
            continue
        turned = not {"-", f"-{column}"}.isdisjoint(asked)
        by_word = not turned and (lists.lower_is_better(label) or lists.lower_is_better(column))
        if by_word:
            rivals.notes.append(f"{label}: lower is better, so it is turned round")
        taken = f" from column {column!r}" if label != column else ""
        rivals.notes.append(f"{path.name}: metric {label!r}{taken}")
        rivals.scores[label] = -scores if turned or by_word else scores
    rivals.facts[path.name] = sha256_of(path)


def equals_opinions(opinions: "pd.Series[float]", scores: "pd.Series[float]") -> bool:
    """Whether scores are the opinions themselves, or order more than ten pictures just as they do.

    >>> ratings = pd.Series(range(12), dtype=float)
    >>> equals_opinions(ratings, -2 * ratings), equals_opinions(ratings, ratings % 5)
    (True, False)
    """
    both = pd.DataFrame({"mos": opinions, "score": scores}).dropna()
    if len(both) < 2:
        return False
    if np.allclose(both["mos"], both["score"], rtol=1e-6, atol=1e-9):
        return True
    ranks, others = rankdata(both["mos"]), rankdata(both["score"])
    same = np.array_equal(ranks, others) or np.array_equal(ranks, len(both) + 1 - others)
    return bool(same and len(both) > _FEWEST_TO_TELL and np.ptp(ranks) > 0)


def _places(names: list[str], manifest: Manifest, path: Path) -> tuple[dict[str, int], list[str]]:
    """Row of every picture that a table names, and the names that mean none."""
    index = FileIndex(manifest.root, tuple(dict.fromkeys(manifest.table["path"])))
    bare = [PurePosixPath(name.replace("\\", "/")) for name in names]
    one_folder = len({name.parent for name in bare}) == 1
    place: dict[str, int] = {}
    unknown = []
    for row, name in enumerate(names):
        files = index.candidates(name)
        if not files and one_folder:
            files = tuple(file for file in index.candidates(bare[row].name) if "/" not in file)
        if len(files) > 1 or (files and place.setdefault(files[0], row) != row):
            before = names[place[files[0]]] if files[0] in place else ", ".join(files[1:3])
            raise DatasetError(
                f"{str(path)!r}: {name!r} is not one picture's alone: {files[0]}, {before}; "
                "keep one row a picture, and as much of its path as tells it apart"
            )
        if not files:
            unknown.append(name)
    if not place:
        raise DatasetError(
            f"{str(path)!r} scores none of the pictures of {manifest.dataset}: it names "
            f"{', '.join(map(repr, names[:2]))}, the set {', '.join(map(repr, index.files[:2]))}"
        )
    return place, unknown


def _metrics(rows: pd.DataFrame, path: Path, wanted: list[str], notes: list[str]) -> pd.DataFrame:
    """The columns of a table that are metrics; what is none of them is noted."""
    numbers = rows.apply(pd.to_numeric, errors="coerce").astype(float)
    numbers = numbers.where(np.isfinite(numbers))
    if not wanted:
        filled = [name for name in numbers if numbers[name].notna().mean() > 0.5]
        titled = any(not name.startswith("column ") for name in rows)
        wanted = [name for name in filled if _is_metric(name, numbers[name], titled)]
        left = [name for name in filled if name not in wanted and not name.startswith("column ")]
        if left:
            notes.append(f"{path.name}: no metrics are {', '.join(map(repr, left))}")
    lacking = [name for name in wanted if name not in numbers or numbers[name].isna().all()]
    if lacking or not wanted:
        column = lacking[0] if lacking else rows.columns[0]
        why = f": {column!r} holds {rows[column].iloc[0]!r}" if column in rows else ""
        raise DatasetError(
            f"{str(path)!r} lacks the scores asked for; it has {lists.titles_of(rows)}{why}"
        )
    return numbers[wanted]


def _is_metric(title: str, numbers: "pd.Series[float]", titled: bool) -> bool:
    """Whether a column may be a metric's; without a title among titled ones, it may be an index."""
    words, values = set(lists.words_of(title)), np.sort(numbers.dropna())
    if not words.isdisjoint(_WORDS["opinions"]) or lists.fold_title(title) in _NO_METRICS:
        return False
    if (values % 1 != 0).any():
        return True
    untitled = titled and title.startswith("column ")
    runs = np.array_equal(values - values[0], np.arange(len(values)))
    return words.isdisjoint(_WORDS["counts"]) and not (untitled and runs)


_SIDES = {word: side for side, words in lists.TITLES["sides"].items() for word in words}


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
        Annotated(pd.DataFrame({"name": names, "mos": np.nan}), note=note),
        FileIndex.scan(file.parent if root is None else root),
        choices,
        Card(name=dataset, title=dataset, rows=len(names), mos_range=(np.nan, np.nan)),
        "pairs",
        protocol=protocol,
    )
    if manifest.missing:
        lost = f"{len(manifest.missing)} of {len(names)} pictures, such as {manifest.missing[0]!r},"
        warnings.warn(f"{lost} are not under {manifest.root}", DatasetWarning, stacklevel=2)
    return votes, manifest


def _titles(rows: pd.DataFrame, columns: Sequence[str], path: Path) -> dict[str, str]:
    """The column of each part of a vote."""
    given, titles = dict(zip(lists.TITLES["choices"], columns, strict=False)), {}
    for name, words in lists.TITLES["choices"].items():
        if name in given:
            titles[name] = lists.named_column(rows, given[name], path)
        elif likely := lists.usual(rows, words):
            titles[name] = likely[0]
        elif name != "count":
            raise DatasetError(
                f"{str(path)!r}: which column is {name!r}? It has {lists.titles_of(rows)}; a table "
                "of choices has a, b and chosen; others are named by --pairs-columns A,B,CHOSEN"
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
        table["srcc_scale"] = np.nan
    return table, predictions.join(scale, on="name")
