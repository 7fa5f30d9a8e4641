"""How well predictions follow people's choices between two pictures.

A table of pairs holds ``a, b`` and what people said: ``votes_a, votes_b`` and the ``verdict``,
1 where *a* is better beyond chance, -1 where it is worse, 0 where the two are similar. Krasula et
al. ask two things of a prediction: does its difference tell different from similar pairs, and of
different ones, which is better? Each is the area under an ROC curve, compared as by DeLong et al.

Pairs that share a picture depend on each other. The variances here count that (Aronow et al.);
where no picture is shared they are DeLong's. ``p_*_delong`` takes pairs as independent.

Sources: Bradley and Terry, Biometrika 39 (1952); DeLong et al., Biometrics 44 (1988); Aronow et
al., Polit. Anal. 23 (2015); Krasula et al., QoMEX 2016; Hanhart et al., QoMEX 2016.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from maclip_lab.evaluation.correlations import Array
from maclip_lab.evaluation.ratings import Predictions, align, aligned_numbers
from maclip_lab.evaluation.significance import holm

TIES = frozenset({"", "tie", "equal", "same", "none", "nan"})
"""What stands for a vote for neither, in any letter case."""

_MOST_PAIRS = 500_000
_ENDLESS = 30.0
_Estimate = tuple[float, Array, int]


def count_votes(table: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """The votes on every pair of pictures, in whatever order and in however many rows they came.

    Args:
        table: rows with ``a``, ``b`` and ``chosen``: the name of either, ``"a"``, ``"b"``, or one
            of `TIES`; and optionally ``count``, votes in a row.
        level: a pair is different where a sign test rejects chance at this level.

    Returns:
        One row a pair: ``a, b, votes_a, votes_b, ties, verdict``.

    Raises:
        ValueError: a column is missing, or a row makes no sense; the message has the first.
    """
    missing = [name for name in ("a", "b", "chosen") if name not in table]
    if missing or table.empty:
        raise ValueError(f"expected rows with a, b and chosen; missing {missing or 'any row'}")
    text = table[["a", "b", "chosen"]].fillna("").astype(str)
    a, b, chosen = (text[name].str.strip() for name in text)
    counts = pd.to_numeric(table["count"] if "count" in table else a.map(lambda _: 1), "coerce")
    tie = chosen.str.lower().isin(TIES)
    for_a, for_b = (chosen == a) | (chosen == "a"), (chosen == b) | (chosen == "b")
    wrong = {
        "a picture is not named": (a == "") | (b == ""),
        "a picture is paired with itself": a == b,
        "chosen is neither of the two, nor a tie": ~(tie | for_a | for_b),
        "count is no whole number of votes": ~((counts > 0) & (counts % 1 == 0)),
    }
    for reason, rows in wrong.items():
        if rows.any():
            first = table[rows].iloc[0].to_dict()
            raise ValueError(f"{int(rows.sum())} of {len(table)} rows: {reason}, such as {first}")
    flipped = a > b
    votes = pd.DataFrame(
        {
            "a": a.where(~flipped, b),
            "b": b.where(~flipped, a),
            "votes_a": counts * (np.where(flipped, for_b, for_a) & ~tie),
            "votes_b": counts * (np.where(flipped, for_a, for_b) & ~tie),
            "ties": counts * tie,
        }
    )
    votes = votes.groupby(["a", "b"], sort=False).sum().reset_index()
    n = votes["votes_a"] + votes["votes_b"]
    chance = 2 * stats.binom.cdf(votes[["votes_a", "votes_b"]].min(axis=1), n, 0.5)
    votes["verdict"] = np.sign(votes["votes_a"] - votes["votes_b"]) * (chance <= 1 - level)
    return votes.astype({name: int for name in votes.columns[2:]})


def pairs_from_mos(
    mos: ArrayLike,
    mos_std: ArrayLike,
    n_votes: ArrayLike,
    *,
    higher_is_better: bool = True,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Pairs of rated pictures, different where their MOS differ beyond their errors.

    Args:
        mos: mean opinion scores (N,).
        mos_std: standard deviation of each picture's opinions (N,).
        n_votes: how many opinions each picture has (N,), or one number for all.
        higher_is_better: direction of ``mos``; False for DMOS.
        level: of the z test of each pair.
        seed: of the pairs drawn where there are more than half a million.

    Returns:
        One row a pair: ``a, b``, from the index of ``mos`` or the positions, and ``verdict``.

    Raises:
        ValueError: lengths differ, or fewer than two pictures have all three numbers.
    """
    quality = align({"mos": mos}, mos, higher_is_better=higher_is_better).quality
    each = np.broadcast_to(np.asarray(n_votes, dtype=float), quality.shape)
    spread = aligned_numbers(mos_std, mos, "mos_std")
    assert spread is not None  # None alone would give None
    known = np.flatnonzero(np.isfinite(quality) & (spread >= 0) & (each > 0))
    if known.size < 2:
        raise ValueError(f"{known.size} pictures have a MOS, a deviation and votes; give n_votes")
    if known.size * (known.size - 1) // 2 <= _MOST_PAIRS:
        a, b = (known[place] for place in np.triu_indices(known.size, 1))
    else:
        drawn = np.random.default_rng(seed).integers(0, known.size, (2, 3 * _MOST_PAIRS))
        distinct = np.unique(drawn[:, drawn[0] < drawn[1]], axis=1)
        kept = np.random.default_rng(seed).permutation(distinct.shape[1])[:_MOST_PAIRS]
        a, b = known[distinct[:, np.sort(kept)]]
    error = spread**2 / each
    apart = quality[a] - quality[b]
    far = np.abs(apart) > stats.norm.ppf((1 + level) / 2) * np.sqrt(error[a] + error[b])
    names = getattr(mos, "index", pd.RangeIndex(quality.size))
    return pd.DataFrame({"a": names[a], "b": names[b], "verdict": (np.sign(apart) * far)})


def bradley_terry(votes: pd.DataFrame, *, prior: float = 0.5, level: float = 0.95) -> pd.DataFrame:
    """Where every picture stands on one scale, from choices between two.

    The odds that a picture is chosen over another are ``exp`` of their distance; a tie is half a
    vote for each.

    Args:
        votes: from `count_votes`.
        prior: votes that each picture is taken to have won, and as many lost, against one in the
            middle, so that one that never lost has a place too; 0 is maximum likelihood.
        level: coverage of the intervals.

    Returns:
        One row a picture, best first: ``picture, strength, strength_lo, strength_hi, n_votes,
        group``; strengths have mean 0. Pictures of different groups were never compared, not even
        through others: their distance means nothing.

    Raises:
        ValueError: without a prior there is no finite scale.
    """
    codes, names = pd.factorize(np.concatenate([votes["a"], votes["b"]]))
    a, b, size = codes[: len(votes)], codes[len(votes) :], len(names)
    won = (votes["votes_a"] + votes["ties"] / 2).to_numpy(float)
    n = votes[["votes_a", "votes_b", "ties"]].sum(axis=1).to_numpy(float)
    strength = np.zeros(size)
    for _ in range(100):
        chance, middle = expit(strength[a] - strength[b]), expit(strength)
        surplus = won - n * chance
        slope = np.bincount(a, surplus, size) - np.bincount(b, surplus, size)
        slope += prior * (1 - 2 * middle)
        weight = n * chance * (1 - chance)
        degree = np.bincount(a, weight, size) + np.bincount(b, weight, size)
        curvature = np.diag(degree + 2 * prior * middle * (1 - middle)) + 1 / size
        np.subtract.at(curvature, (a, b), weight)
        np.subtract.at(curvature, (b, a), weight)
        step = np.linalg.solve(curvature, slope)
        strength += step * min(1, 2 / max(np.abs(step).max(), 1e-300))
        if np.abs(strength).max() > _ENDLESS or np.abs(step).max() < 1e-10:
            break
    if np.abs(strength).max() > _ENDLESS:
        raise ValueError("a picture that never lost, or never won, has no place; give a prior")
    centre = np.eye(size) - 1 / size
    errors = np.sqrt(np.diag(centre @ np.linalg.inv(curvature) @ centre))
    strength -= strength.mean()
    margin = stats.norm.ppf((1 + level) / 2) * errors
    groups = connected_components(coo_array((np.ones(len(votes)), (a, b)), (size, size)))[1]
    table = {
        "picture": names,
        "strength": strength,
        "strength_lo": strength - margin,
        "strength_hi": strength + margin,
        "n_votes": (np.bincount(a, n, size) + np.bincount(b, n, size)).astype(int),
        "group": groups,
    }
    return pd.DataFrame(table).sort_values("strength", ascending=False, ignore_index=True)


def evaluate_pairs(
    predictions: Predictions, pairs: pd.DataFrame, *, level: float = 0.95
) -> pd.DataFrame:
    """How well each method chooses as people do, on the pairs that all methods have scores of.

    Args:
        predictions: one column per method, higher means better quality; the index has the names
            that ``pairs`` uses, positions where there is none.
        pairs: from `count_votes` or `pairs_from_mos`.
        level: coverage of the intervals.

    Returns:
        One row per method: ``n_pairs, n_dropped, n_equal`` (pairs it has one score for, right by
        half), ``accuracy`` (share of people's votes that went as it says) with ``_lo, _hi`` and
        ``ceiling``, the accuracy of whoever always sides with the majority; ``n_different,
        n_similar, auc_ds, auc_bw`` with intervals, and ``correct``, the share of different pairs
        whose better picture it names. NaN where there are too few pairs of a kind, or no votes.

    Raises:
        ValueError: pairs name pictures that have no row.
    """
    scores, used, dropped = _used(predictions, pairs)
    rows = []
    for method in scores:
        apart = scores[method].to_numpy()[used.a] - scores[method].to_numpy()[used.b]
        row: dict[str, object] = {"method": method, "n_pairs": apart.size, "n_dropped": dropped}
        row |= {"n_equal": int((apart == 0).sum()), "ceiling": used.ceiling}
        row |= {"n_different": int((used.verdict != 0).sum())}
        row |= {"n_similar": int((used.verdict == 0).sum())}
        for name, estimate in _STATISTICS.items():
            value, influence, units = estimate(used, apart)
            interval = _wilson(value, used.variance(influence), units, level)
            row |= dict(zip((name, f"{name}_lo", f"{name}_hi"), (value, *interval), strict=True))
        turned = (apart * used.verdict)[used.verdict != 0]
        row["correct"] = np.mean((1 + np.sign(turned)) / 2) if turned.size else np.nan
        rows.append(row)
    order = ["method", "n_pairs", "n_dropped", "n_equal", "accuracy", "accuracy_lo", "accuracy_hi"]
    order += ["ceiling", "n_different", "n_similar"]
    order += [f"{name}{end}" for name in ("auc_ds", "auc_bw") for end in ("", "_lo", "_hi")]
    return pd.DataFrame(rows)[[*order, "correct"]]


def compare_pairs(predictions: Predictions, pairs: pd.DataFrame, *, baseline: str) -> pd.DataFrame:
    """Each method against a baseline, on the pairs that all methods have scores of.

    Args:
        predictions: as in `evaluate_pairs`.
        pairs: as in `evaluate_pairs`.
        baseline: name of the method all others are compared with.

    Returns:
        One row per method: ``method, other, n``, and for each of ``accuracy, auc_ds, auc_bw`` the
        difference ``delta_*``, its ``p_*`` and ``p_*_holm``, and ``p_*_delong``.

    Raises:
        ValueError: there is no such baseline, or pairs name pictures that have no row.
    """
    scores, used, _ = _used(predictions, pairs)
    if baseline not in scores:
        raise ValueError(f"no method is called {baseline!r}; there are {', '.join(scores)}")
    apart = {name: scores[name].to_numpy()[used.a] - scores[name].to_numpy()[used.b]
             for name in scores}  # fmt: skip
    rows = []
    for method in (name for name in scores if name != baseline):
        row: dict[str, object] = {"method": method, "other": baseline, "n": used.a.size}
        for name, estimate in _STATISTICS.items():
            (mine, influence, _), (other, others, _) = (
                estimate(used, apart[one]) for one in (method, baseline)
            )
            change = influence - others
            row[f"delta_{name}"] = mine - other
            row[f"p_{name}"] = _p(mine - other, used.variance(change))
            row[f"p_{name}_delong"] = _p(mine - other, float(change @ change))
        rows.append(row)
    table = pd.DataFrame(rows)
    for name in _STATISTICS if rows else ():
        table[f"p_{name}_holm"] = holm(table[f"p_{name}"])
    return table


class _Pairs:
    """Pairs as positions among the pictures, and what follows from them."""

    def __init__(self, a: NDArray[np.intp], b: NDArray[np.intp], pairs: pd.DataFrame) -> None:
        self.a, self.b = a, b
        self.verdict = pairs["verdict"].to_numpy()
        votes = pairs.reindex(columns=["votes_a", "votes_b"], fill_value=0)
        self.votes = votes.to_numpy(float)
        self.n = self.votes.sum(axis=1)
        total = self.n.sum()
        self.ceiling = float(self.votes.max(axis=1).sum() / total) if total else np.nan

    def variance(self, influence: Array) -> float:
        """Of a statistic, pairs that share a picture being dependent; never below DeLong's."""
        alone = float(influence @ influence)
        if np.isnan(alone):
            return alone
        shared = np.bincount(
            np.concatenate([self.a, self.b]), np.concatenate([influence, influence])
        )
        return max(float(shared @ shared) - alone, alone)

    def accuracy(self, apart: Array) -> _Estimate:
        """Share of votes for the higher score, how far each pair moves it, and how many do."""
        total, size = self.n.sum(), int((self.n > 0).sum())
        if size < 2:
            return np.nan, np.full(apart.shape, np.nan), size
        right = np.where(apart > 0, self.votes[:, 0], self.votes[:, 1])
        right = np.where(apart == 0, self.n / 2, right)
        value = float(right.sum() / total)
        return value, (right - value * self.n) / total, size

    def auc_ds(self, apart: Array) -> _Estimate:
        """Area under the ROC of different against similar pairs."""
        different, size = self.verdict != 0, np.abs(apart)
        m, n = int(different.sum()), int((~different).sum())
        influence = np.full(apart.shape, np.nan)
        if min(m, n) < 2:
            return np.nan, influence, min(m, n)
        above = _share_below(size[different], size[~different])
        below = 1 - _share_below(size[~different], size[different])
        value = float(above.mean())
        influence[different] = (above - value) / np.sqrt(m * (m - 1))
        influence[~different] = (below - value) / np.sqrt(n * (n - 1))
        return value, influence, min(m, n)

    def auc_bw(self, apart: Array) -> _Estimate:
        """Area under the ROC of better against worse."""
        different = self.verdict != 0
        turned, n = (apart * self.verdict)[different], int(different.sum())
        if n < 2:
            return np.nan, np.full(apart.shape, np.nan), n
        above = _share_below(turned, -turned)
        influence = np.zeros(apart.shape)
        # Better and worse are the same pairs read both ways, hence twice a pair's share.
        influence[different] = 2 * (above - above.mean()) / np.sqrt(n * (n - 1))
        return float(above.mean()), influence, n


_STATISTICS: dict[str, Callable[[_Pairs, Array], _Estimate]] = {
    "accuracy": _Pairs.accuracy,
    "auc_ds": _Pairs.auc_ds,
    "auc_bw": _Pairs.auc_bw,
}


def _used(predictions: Predictions, pairs: pd.DataFrame) -> tuple[pd.DataFrame, _Pairs, int]:
    """Predictions, the pairs that all of them have scores of, and how many others there are."""
    scores = pd.DataFrame(predictions).astype(float)
    if not scores.index.is_unique:
        raise ValueError(f"{scores.index[scores.index.duplicated()][0]!r} has several rows")
    a, b = (scores.index.get_indexer(pairs[name]) for name in ("a", "b"))
    absent = [*pairs["a"][a < 0], *pairs["b"][b < 0]]
    if absent:
        raise ValueError(
            f"{len(set(absent))} of the pairs' pictures have no score, the first {absent[0]!r}"
        )
    finite = np.isfinite(scores.to_numpy()).all(axis=1)
    kept = finite[a] & finite[b]
    return scores, _Pairs(a[kept], b[kept], pairs[kept]), int((~kept).sum())


def _share_below(x: Array, others: Array) -> Array:
    """Share of ``others`` (n,) that lies below each of ``x`` (m,), equal ones by half."""
    ranks = stats.rankdata(np.concatenate([x, others]))[: x.size] - stats.rankdata(x)
    return np.asarray(ranks / others.size, dtype=float)


def _p(difference: float, variance: float) -> float:
    """Two-sided p value of a normal difference; 1 where two methods never differ."""
    if difference == 0 and variance == 0:
        return 1.0
    with np.errstate(divide="ignore"):
        return float(2 * stats.norm.sf(abs(difference) / np.sqrt(variance)))


def _wilson(share: float, variance: float, units: int, level: float) -> tuple[float, float]:
    """Wilson's interval of a share as sure as that of so many independent trials.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927); ``units`` stand in where nothing varies.
    """
    n = share * (1 - share) / variance if variance > 0 else max(units, 1)
    z = stats.norm.ppf((1 + level) / 2) ** 2 / n
    middle, half = (share + z / 2) / (1 + z), np.sqrt(z * share * (1 - share) + z**2 / 4) / (1 + z)
    return float(middle - half), float(middle + half)
