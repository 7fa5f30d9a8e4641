"""What a trained backbone shows: its cues on degraded and on rated pictures, and retrieval.

Every figure of every run stands in one tidy table, ``runs.csv``. A row is one number: a ``run``, a
``set`` of pictures, the ``types`` of harm in it, the ``cue`` looked at, the ``metric``, its
``value``, a 95 % bootstrap interval from ``lo`` to ``hi`` (blank where there is none), and ``n``,
the number of pictures or photographs resampled.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image

from backbones.bank import Photograph, open_picture
from backbones.captions import UNSEEN_TYPES
from maclip_lab.ablations.controls import random_rotations
from maclip_lab.clip.model import CLIP
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import PreparedPicture, crop_batches
from maclip_lab.cues import magnitude_cue
from maclip_lab.datasets.degradations import LEVELS, degrade
from maclip_lab.evaluation import EvaluationSettings, correlate
from maclip_lab.evaluation.correlations import spearman
from maclip_lab.evaluation.intervals import Resamples
from maclip_lab.scorer import Maclip

CUES = {"q_cos": "Q_cos", "q_mag": "Q_mag", "mean": "plain mean", "score": "MA-CLIP"}
"""The cosine and the magnitude cue, their plain mean and the method, and what they are called."""
CHOOSING, CHOOSING_CAPTIONS = "choosing", "choosing captions"
"""The validation sets, which choose between seeds and show nothing else."""
SETS = {
    CHOOSING: "validation photographs",
    CHOOSING_CAPTIONS: "validation captions",
    "retrieval": "held-out captions",
    "photos": "data/photos",
    "further": "ten further BSDS500",
}
"""What the sets are called; others go by their names."""
COLUMNS = ("run", "set", "types", "cue", "metric", "value", "lo", "hi", "n")
SETTINGS = EvaluationSettings(n_boot=1000)
Row = tuple[str, str, str, float, float, float, int]


def cue_values(scorer: Maclip, picture: PreparedPicture) -> dict[str, float]:
    """``CUES`` of a picture, means over its crops."""
    score = scorer.score(picture)
    mean = (score.q_cos + score.q_mag) / 2
    return {"q_cos": score.q_cos, "q_mag": score.q_mag, "mean": mean, "score": score.score}


def degraded_scores(
    scorer: Maclip,
    photographs: Sequence[Path],
    types: Sequence[str],
    levels: Sequence[int] = LEVELS,
) -> pd.DataFrame:
    """Every photograph pristine and under every type and level.

    Columns photograph, type ("" where pristine), severity, and ``CUES``; a type that leaves a
    photograph unchanged (faded colours of a grey one) is left out.
    """
    rows: list[dict[str, object]] = []
    for path in photographs:
        pixels = np.asarray(open_picture(path))
        for name, level in [("", 0), *product(types, levels)]:
            view = degrade(pixels, name, level=level) if name else pixels
            if not (name and np.array_equal(view, pixels)):
                known = {"photograph": path.stem, "type": name, "severity": level / len(LEVELS)}
                rows.append({**known, **cue_values(scorer, scorer.extract(view))})
    return pd.DataFrame(rows)


def rated_scores(scorer: Maclip, pictures: Iterable[tuple[Path, float]]) -> pd.DataFrame:
    """Cues of rated pictures, and the magnitude cue after random rotations of the feature axes.

    A rotation changes no angle between features; what the magnitude cue knows beyond it is in the
    axes themselves. Columns mos, ``CUES``, and ``rotated_0`` to ``rotated_199``.
    """
    dimensions = scorer.anchors.features.shape[1]
    rotations = torch.stack(list(random_rotations(dimensions, 200)))
    rows = []
    for path, mos in pictures:
        picture = scorer.extract(path)
        assert picture.features is not None
        null = magnitude_cue(picture.features @ rotations).mean(-1)
        turned = {f"rotated_{i}": value for i, value in enumerate(null.tolist())}
        rows.append({"mos": mos, **cue_values(scorer, picture), **turned})
    return pd.DataFrame(rows)


@torch.inference_mode()
def caption_ranks(scorer: Maclip, photographs: Sequence[Photograph]) -> pd.DataFrame:
    """How many sentences of others every photograph prefers to its own, column ``rank``.

    A value below k counts for recall at k. Each photograph is shown whole, squeezed to a square,
    and each gives its first two sentences.
    """
    clip = cast(CLIP, scorer.backbone.clip)
    size, features, texts = (clip.image_size, clip.image_size), [], []
    for photograph in photographs:
        picture = open_picture(photograph.path).resize(size, Image.Resampling.BICUBIC)
        features.append(clip.encode_image(next(crop_batches(np.array(picture)))[:1]))
    sentences = [s for p in photographs for s in p.sentences[:2]]
    owner = torch.tensor([i for i, p in enumerate(photographs) for _ in p.sentences[:2]])
    for start in range(0, len(sentences), 64):
        texts.append(clip.encode_text(tokenize(sentences[start : start + 64], truncate=True)))
    pictures = F.normalize(torch.cat(features), dim=-1)
    likeness = pictures @ F.normalize(torch.cat(texts), dim=-1).T
    own = owner[None] == torch.arange(len(photographs))[:, None]
    best = likeness.masked_fill(~own, -torch.inf).amax(1, keepdim=True)
    return pd.DataFrame({"rank": ((likeness > best) & ~own).sum(1).numpy()})


def rows_of(table: pd.DataFrame) -> list[Row]:
    """The figures of a table of ranks (column ``rank``), of opinions or of severities."""
    if "rank" in table:
        hits = {f"recall@{k}": (table["rank"] < k).astype(float) for k in (1, 5)}
        return [("", "", *row) for row in _means(pd.DataFrame(hits))]
    return _opinion_rows(table) if "mos" in table else _severity_rows(table)


def within_srcc(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of every cue with ``-severity`` inside every photograph.

    The table is that of `degraded_scores`.
    """
    rows = {
        photograph: [
            -spearman(group[cue].to_numpy(float), group["severity"].to_numpy(float)) for cue in CUES
        ]
        for photograph, group in table.groupby("photograph")
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(CUES))


def _severity_rows(table: pd.DataFrame) -> list[Row]:
    """Mean within-photograph agreement with severity, on seen and unseen types and on each."""
    pristine, hidden = table["type"] == "", table["type"].isin(UNSEEN_TYPES)
    parts = {"seen": ~hidden, "unseen": hidden | pristine}
    parts |= {name: (table["type"] == name) | pristine for name in table["type"].unique() if name}
    rows: list[Row] = []
    for types, chosen in parts.items():
        part = table[chosen]
        part = part[part.groupby("photograph")["severity"].transform("max") > 0]
        if part.empty:
            continue
        within = within_srcc(part)
        gain = (within["score"] - within["q_cos"]).to_frame("within minus cosine")
        rows += [(types, cue, "within", x, low, high, n) for cue, x, low, high, n in _means(within)]
        rows += [(types, "score", *row) for row in _means(gain)]
    return rows


def _opinion_rows(table: pd.DataFrame) -> list[Row]:
    """Agreement with people, MA-CLIP less its cosine, and the magnitude cue in rotated axes."""
    cues, mos = table[list(CUES)].to_numpy(float), table["mos"].to_numpy(float)
    found = correlate(cues, mos, settings=SETTINGS)
    rows: list[Row] = [("", cue, "srcc", *found.srcc(i), len(mos)) for i, cue in enumerate(CUES)]
    order = list(CUES)
    lead = found.lead(order.index("score"), order.index("q_cos"))
    rows.append(("", "score", "srcc minus cosine", *lead, len(mos)))
    turned = [c for c in table if str(c).startswith("rotated_")]
    if turned:
        null = np.array([spearman(table[name].to_numpy(float), mos) for name in turned])
        low, high = np.quantile(null, [0.025, 0.975])
        rows.append(("", "q_mag", "srcc, axes rotated", float(null.mean()), low, high, len(mos)))
        as_good = (null >= found.observed[order.index("q_mag")]).sum()
        p = (1 + as_good) / (1 + len(null))
        rows.append(("", "q_mag", "rotation p", p, np.nan, np.nan, len(null)))
    return rows


def _means(table: pd.DataFrame) -> list[tuple[str, float, float, float, int]]:
    """Name, mean, interval and number of rows of every column; rows are resampled together."""
    counts = np.concatenate(list(Resamples(len(table), None, SETTINGS).bootstrap()), axis=1)
    drawn = (table.to_numpy(float).T @ counts).T / len(table)
    lows, highs = np.quantile(drawn, [0.025, 0.975], axis=0)
    return [
        (str(name), float(table[name].mean()), low, high, len(table))
        for name, low, high in zip(table, lows, highs, strict=True)
    ]


def run_rows(run: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of ``runs.csv`` about one run, from its tables by set."""
    rows = [(run, name, *row) for name, table in tables.items() for row in rows_of(table)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read_runs(path: Path) -> pd.DataFrame:
    """``runs.csv``; only a missing bound is not a number."""
    return pd.read_csv(path, keep_default_na=False, na_values={c: [""] for c in ("lo", "hi")})


def validation_scores(runs: pd.DataFrame) -> pd.Series:
    """What chooses between seeds, by run: recall at 5 plus the cosine cue's within-SRCC.

    Both on validation photographs: the first on their sentences, the second on seen types.
    """
    recall = runs[(runs["set"] == CHOOSING_CAPTIONS) & (runs["metric"] == "recall@5")]
    seen = (runs["set"] == CHOOSING) & (runs["types"] == "seen") & (runs["metric"] == "within")
    both = pd.concat([recall, runs[seen & (runs["cue"] == "q_cos")]]).groupby("run")["value"]
    return both.sum().rename("validation")


def choose(runs: pd.DataFrame) -> dict[str, str]:
    """The run with the best `validation_scores` of each architecture: ``tiny-rn`` to ``rn1``."""
    scores = validation_scores(runs)
    best = scores.groupby(scores.index.str.rstrip("0123456789")).idxmax()
    return {f"tiny-{name}": str(run) for name, run in best.items()}


HEADING = "## Every run"


def page(runs: pd.DataFrame, chosen: Mapping[str, str]) -> str:
    """The figures as Markdown, all runs side by side, then each shipped run's by type of harm.

    ``chosen`` tells of each shipped backbone which run it is.
    """
    names = list(dict.fromkeys(runs["run"]))
    shipped = {run: name for name, run in chosen.items()}
    heads = [f"**{run}** ({shipped[run]})" if run in shipped else run for run in names]
    scores = validation_scores(runs).reindex(names)
    lines = [("figure", *heads), ("---",) * (1 + len(names))]
    lines.append(("score of the rule", *(f"{score:.3f}" for score in scores)))
    common = runs[runs["types"].isin(["", "seen", "unseen"])]
    for key, rows in common.groupby(["set", "types", "cue", "metric"], sort=False):
        place, types, cue, metric = key
        parts = (SETS.get(place, place), types and f"{types} types", CUES.get(cue, ""), metric)
        cells = {row.run: _number(row) for row in rows.itertuples()}
        figure = ", ".join(part for part in parts if part)
        lines.append((figure, *(cells.get(run, "not measured") for run in names)))
    text = f"{HEADING}\n\n{_markdown(lines)}"
    single = (
        (runs["set"] == "photos") & (runs["metric"] == "within") & ~runs.index.isin(common.index)
    )
    for run, part in runs[single & runs["run"].isin(shipped)].groupby("run"):
        wide = part.pivot(index="types", columns="cue", values="value")[list(CUES)]
        rows = [(name, *(f"{value:.2f}" for value in row)) for name, *row in wide.itertuples()]
        lines = [("type", *CUES.values()), ("---",) * (1 + len(CUES)), *rows]
        text += f"\n## {run} by type, {SETS['photos']}, within a photograph\n\n{_markdown(lines)}"
    return text


def _number(row: object) -> str:
    value, low, high = (getattr(row, name) for name in ("value", "lo", "hi"))
    return f"{value:.3f}" if pd.isna(low) else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _markdown(lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
