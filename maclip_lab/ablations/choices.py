"""People's choices between two pictures, and how the methods choose."""

import warnings
from pathlib import Path

import pandas as pd

from maclip_lab.crops import DATASETS
from maclip_lab.datasets.annotated import Annotated, Facets
from maclip_lab.datasets.build import build_manifest
from maclip_lab.datasets.errors import DatasetError, DatasetWarning
from maclip_lab.datasets.index import FileIndex
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.datasets.packed import PACK_SUFFIX
from maclip_lab.datasets.readers import read_csv, read_parquet
from maclip_lab.evaluation import bradley_terry, count_votes, evaluate_pairs
from maclip_lab.evaluation.correlations import spearman

_NAN = float("nan")


def read_choices(file: Path, dataset: str, root: Path | None) -> tuple[pd.DataFrame, Manifest]:
    """The votes of a table for `count_votes`, and a manifest of the pictures, without scores.

    Args:
        file: the table, Parquet or CSV.
        dataset: one of the nine, whose crop protocol applies, or a name of one's own.
        root: folder that the pictures lie below; None for the file's.

    Raises:
        DatasetError: the data set is a pack, which holds no pictures.
    """
    if Path(dataset).suffix.lower() == PACK_SUFFIX:
        raise DatasetError(
            f"{dataset} is a pack: choices are judged by the pictures themselves; name their data "
            "set, or one of your own, and the folder with root="
        )
    votes = count_votes(read_parquet(file) if file.suffix == ".parquet" else read_csv(file))
    names = pd.unique(votes[["a", "b"]].to_numpy().ravel())
    manifest = build_manifest(
        Annotated(pd.DataFrame({"name": names, "mos": _NAN}), source=""),
        FileIndex.scan(file.parent if root is None else root),
        lambda _: Facets(),
        dataset=dataset,
        higher_is_better=True,
        mos_range=(_NAN, _NAN),
        protocol=dataset if dataset in DATASETS else "native",
        variant="pairs",
    )
    if manifest.missing:
        lost = f"{len(manifest.missing)} of {len(names)} pictures, such as {manifest.missing[0]!r},"
        warnings.warn(f"{lost} are not under {manifest.root}", DatasetWarning, stacklevel=2)
    return votes, manifest


def judge_choices(
    predictions: pd.DataFrame, methods: pd.DataFrame, votes: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`evaluate_pairs` with ``srcc_scale``, the SRCC with people's scale; and the pictures on it.

    Predictions have a row a picture, with its ``name``, and methods their scores in the same rows.
    """
    scale = bradley_terry(votes).set_index("picture")
    named = methods.set_axis(predictions["name"])
    table = evaluate_pairs(named.reindex(scale.index), votes, "MA-CLIP")
    known = named.join(scale["strength"]).dropna()
    ranked = known["strength"].to_numpy(float)
    table["srcc_scale"] = [spearman(known[name].to_numpy(float), ranked) for name in named]
    return table, predictions.join(scale, on="name")
