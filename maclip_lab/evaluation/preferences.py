"""How well predictions follow people's choices between two pictures.

A pair is a row of ``a, b``, what people chose (``votes_a, votes_b, ties``) and the ``verdict``: 1
where *a* is better beyond chance, -1 where it is worse, 0 where both are similar.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from maclip_lab.evaluation.correlations import Array, Predictions, align, holm, numbers

TIES = ("tie", "equal", "same", "draw")
"""What stands for a vote for neither, in any letter case."""
_MOST_PICTURES = 1000  # half a million pairs
_Z = 1.959964


def count_votes(table: pd.DataFrame) -> pd.DataFrame:
    """The votes on every pair; a sign test at 95 % finds it different.

    A row of the table has ``a``, ``b`` and ``chosen``: the name of either, ``"a"``, ``"b"``, or one
    of `TIES`; and optionally ``count``.
    """
    missing = [name for name in ("a", "b", "chosen") if name not in table]
    if missing or table.empty:
        raise ValueError(f"expected answers with a, b and chosen; missing {missing or 'any row'}")
    a, b, chosen = (table[n].fillna("").astype(str).str.strip() for n in ("a", "b", "chosen"))
    counts = pd.to_numeric(table.get("count", pd.Series(1, table.index)), "coerce")
    tie = chosen.str.lower().isin(TIES)
    for_a, for_b = (chosen == a) | (chosen == "a"), (chosen == b) | (chosen == "b")
    sense = (counts > 0) & (counts % 1 == 0) & (a != b) & (a != "") & (b != "")
    wrong = table[~(sense & (tie | for_a | for_b))]
    if len(wrong):
        raise ValueError(
            f"{len(wrong)} of {len(table)} rows make no sense, such as {wrong.iloc[0].to_dict()}; "
            "a row names two pictures, which of them was chosen (or tie), and a whole count"
        )
    first = a < b
    votes = pd.DataFrame({"a": a.where(first, b), "b": b.where(first, a)})
    votes["votes_a"] = counts * (~tie & for_a.where(first, for_b))
    votes["votes_b"] = counts * (~tie & for_b.where(first, for_a))
    votes["ties"] = counts * tie
    votes = votes.groupby(["a", "b"], sort=False).sum().astype(int).reset_index()
    less, n = votes[["votes_a", "votes_b"]].min(axis=1), votes["votes_a"] + votes["votes_b"]
    different = 2 * stats.binom.cdf(less, n, 0.5) <= 0.05
    return votes.assign(verdict=np.sign(votes["votes_a"] - votes["votes_b"]) * different)


def pairs_from_mos(
    mos: ArrayLike, mos_std: ArrayLike, n_votes: ArrayLike, higher_is_better: bool = True
) -> pd.DataFrame:
    """All pairs of rated pictures; a z test at 95 % finds them different, which counts as a vote.

    Arguments are as in `evaluate`, with ``mos_std``, the opinions' standard deviation, and how many
    there are, (N,) or one number. Of more than a thousand pictures a thousand are drawn.
    """
    _, quality = align({"mos": mos}, mos, higher_is_better)
    error = numbers(mos_std, mos, "mos_std") ** 2 / np.asarray(n_votes, dtype=float)
    rated = np.flatnonzero(np.isfinite(quality) & np.isfinite(error))
    if rated.size < 2:
        raise ValueError(f"{rated.size} pictures have a MOS, a deviation and a number of votes")
    if rated.size > _MOST_PICTURES:
        rated = np.sort(np.random.default_rng(0).choice(rated, _MOST_PICTURES, replace=False))
    a, b = (rated[place] for place in np.triu_indices(rated.size, 1))
    lead, limit = quality[a] - quality[b], stats.norm.ppf(0.975) * np.sqrt(error[a] + error[b])
    verdict = np.sign(lead).astype(int) * (abs(lead) > limit)
    names = mos.index if isinstance(mos, pd.Series) else pd.RangeIndex(quality.size)
    votes = {"votes_a": 1 * (verdict > 0), "votes_b": 1 * (verdict < 0), "ties": 0}
    return pd.DataFrame({"a": names[a], "b": names[b], **votes, "verdict": verdict})


def bradley_terry(votes: pd.DataFrame, prior: float = 0.5) -> pd.DataFrame:
    """Pictures on one scale, best first (Bradley and Terry, Biometrika 39, 1952).

    Odds are ``exp`` of the distance, a tie is half for each. Each picture also won, and lost,
    ``prior`` votes against one in the middle, so that one that never lost has a place. Gives
    ``picture, strength, strength_lo, strength_hi`` at 95 %, ``n_votes``, and ``part``: pictures
    that no chain of comparisons joins have no common scale, and each part one of its own.
    """
    places, names = pd.factorize(np.concatenate([votes["a"], votes["b"]]))
    a, b = places.reshape(2, -1)
    shape = (len(names), len(names))
    won, strength = np.zeros(shape), np.zeros(len(names))
    np.add.at(won, (a, b), votes["votes_a"] + votes["ties"] / 2)
    np.add.at(won, (b, a), votes["votes_b"] + votes["ties"] / 2)
    n = won + won.T
    for _ in range(200):
        chance, middle = expit(strength[:, None] - strength), expit(strength)
        weight = n * chance * (1 - chance)
        curvature = np.diag(weight.sum(1) + 2 * prior * middle * (1 - middle)) - weight
        slope = (won - n * chance).sum(1) + prior * (1 - 2 * middle)
        step = np.linalg.solve(curvature, slope)
        strength += step * min(1, 2 / max(abs(step).max(), 2))
        if abs(step).max() < 1e-9:
            break
    _, part = connected_components(coo_array((np.ones(a.size), (a, b)), shape), directed=False)
    together = part[:, None] == part
    centre = np.eye(len(names)) - together / together.sum(1)
    strength = centre @ strength
    margin = _Z * np.sqrt(np.diag(centre @ np.linalg.inv(curvature) @ centre))
    table = pd.DataFrame({"picture": names, "strength": strength})
    table["strength_lo"], table["strength_hi"] = strength - margin, strength + margin
    table["n_votes"], table["part"] = n.sum(1).round().astype(int), part
    return table.sort_values("strength", ascending=False, ignore_index=True)


def evaluate_pairs(
    predictions: Predictions, pairs: pd.DataFrame, baseline: str | None = None
) -> pd.DataFrame:
    """How well each method chooses as people do, on the pairs that all methods have scores of.

    Predictions have a column per method, and as index the names that ``pairs`` uses. One row per
    method: ``accuracy``, the share of votes that went as it says, by half where scores are equal;
    after Krasula et al. (QoMEX 2016) two areas under ROC curves, ``auc_ds`` of different against
    similar pairs and ``auc_bw`` of better against worse, NaN where there are none; 95 % intervals
    ``_lo, _hi``; and with a baseline ``delta_*``, ``p_*`` and ``p_*_holm``. Variances are DeLong's
    (Biometrics 44, 1988), with the dependence of pairs that share a picture (Aronow et al., Polit.
    Anal. 23, 2015).
    """
    scores = pd.DataFrame(predictions).astype(float)
    if not scores.index.is_unique or baseline not in {None, *scores}:
        raise ValueError(f"a picture has several rows, or {baseline!r} is none of {[*scores]}")
    a, b = (scores.index.get_indexer(pairs[name]) for name in ("a", "b"))
    absent = [*pairs["a"][a < 0], *pairs["b"][b < 0]]
    if absent:
        raise ValueError(f"{len(set(absent))} pictures have no score, the first {absent[0]!r}")
    finite = np.isfinite(scores.to_numpy()).all(axis=1)
    kept = finite[a] & finite[b]
    a, b, used = a[kept], b[kept], pairs[kept]
    table = pd.DataFrame({"method": [*scores], "n_pairs": a.size, "n_dropped": (~kept).sum()})
    table["n_different"] = (used["verdict"] != 0).sum()
    leads = scores.to_numpy()[a] - scores.to_numpy()[b]
    statistics = [_estimates(column, used) for column in leads.T]
    for name in ("accuracy", "auc_ds", "auc_bw"):
        values, influences = zip(*(each[name] for each in statistics), strict=True)
        table[name] = values
        table[[f"{name}_lo", f"{name}_hi"]] = [
            _wilson(value, _variance(influence, a, b), max(a.size, 1))
            for value, influence in zip(values, influences, strict=True)
        ]
        if baseline is None:
            continue
        at = scores.columns.get_loc(baseline)
        delta = np.array(values) - values[at]
        variance = np.array([_variance(moved - influences[at], a, b) for moved in influences])
        with np.errstate(invalid="ignore", divide="ignore"):
            p = 2 * stats.norm.sf(abs(delta) / np.sqrt(variance))
        table[f"delta_{name}"], table[f"p_{name}"], table[f"p_{name}_holm"] = delta, p, holm(p)
    return table


def _estimates(leads: Array, pairs: pd.DataFrame) -> dict[str, tuple[float, Array]]:
    """The statistics, each with its influence (P,): how far every pair moves it."""
    for_a, for_b, verdict = (pairs[n].to_numpy(float) for n in ("votes_a", "votes_b", "verdict"))
    right = np.where(leads > 0, for_a, np.where(leads < 0, for_b, (for_a + for_b) / 2))
    total = (for_a + for_b).sum()
    accuracy = right.sum() / total if total else np.nan
    moved = (right - accuracy * (for_a + for_b)) / max(total, 1)
    different = verdict != 0
    far, near, turned = abs(leads[different]), abs(leads[~different]), (leads * verdict)[different]
    ds, bw = np.zeros(leads.shape), np.zeros(leads.shape)
    area_ds, ds[different] = _area(far, near)
    ds[~different] = -_area(near, far)[1]
    area_bw, bw[different] = _area(turned, -turned)
    # Better and worse are the same pairs, read both ways: each moves the area twice.
    return {"accuracy": (accuracy, moved), "auc_ds": (area_ds, ds), "auc_bw": (area_bw, 2 * bw)}


def _area(x: Array, others: Array) -> tuple[float, Array]:
    """How often ``x`` is above ``others``, ties by half, and the influence of each of ``x``."""
    if min(x.size, others.size) < 2:
        return np.nan, np.full(x.shape, np.nan)
    ranks = stats.rankdata(np.concatenate([x, others]))[: x.size] - stats.rankdata(x)
    above = ranks / others.size
    return float(above.mean()), (above - above.mean()) / np.sqrt(x.size * (x.size - 1))


def _variance(influence: Array, a: Array, b: Array) -> float:
    """Of a statistic; never below that of independent pairs, which is DeLong's."""
    shared, alone = np.bincount(np.r_[a, b], np.r_[influence, influence]), influence @ influence
    return float(max(shared @ shared - alone, alone))


def _wilson(share: float, variance: float, units: int) -> tuple[float, float]:
    """Wilson's interval of a share as sure as one of so many independent trials, or of units."""
    z = _Z**2 / (share * (1 - share) / variance if variance > 0 else units)
    middle, half = (share + z / 2) / (1 + z), np.sqrt(z * share * (1 - share) + z**2 / 4) / (1 + z)
    return float(middle - half), float(middle + half)
