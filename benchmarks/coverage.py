"""How often intervals hold the truth, and how often chance alone gets a verdict, by simulation.

Run as ``python -m benchmarks.coverage``; a number of simulations may follow.
"""

import sys
from collections.abc import Callable, Hashable

import numpy as np
import pandas as pd
from scipy import stats

import maclip_lab as ml
from maclip_lab.evaluation import Estimate, EvaluationSettings, correlate, resamples, verdicts
from maclip_lab.evaluation.correlations import Array
from maclip_lab.evaluation.intervals import Resamples

SIMULATIONS = 300
N_BOOT = 600
World = tuple[Array, Array, np.ndarray | None]


def photographs(n: int, rng: np.random.Generator) -> World:
    """Cues of two methods on photographs with slopes and offsets of their own, eight levels."""
    level, photo = np.tile(np.arange(8.0), n), np.repeat(np.arange(n), 8)
    shared, cues = rng.normal(size=n), []
    for slope, offset in ((1.0, 1.0), (0.8, 1.2)):
        own = 1.4 * offset * (shared + rng.normal(size=n))
        slopes = 0.5 * slope * (1 + 0.5 * rng.normal(size=n))
        cues.append(own[photo] - slopes[photo] * level + 0.7 * rng.normal(size=8 * n))
    return np.stack(cues, axis=1), -level, photo


def pictures(n: int, rng: np.random.Generator) -> World:
    """Independent pictures: opinions in nine steps, two methods' scores to one decimal."""
    quality, shared = rng.normal(size=n), rng.normal(size=n)
    opinions = np.round(2 * np.clip(3 + quality, 1, 5)) / 2
    first, second = (weight * quality + shared + 0.5 * rng.normal(size=n) for weight in (1.0, 0.6))
    return np.stack([first, second], axis=1).round(1), opinions, None


def votes(n: int, rng: np.random.Generator) -> World:
    """Independent pictures of three grades, and scores of five."""
    quality, shared = rng.normal(size=n), rng.normal(size=n)
    scores = [quality + shared + rng.normal(size=n) for _ in range(2)]
    return np.stack(scores, axis=1).clip(-2, 2).round(), np.sign(quality.round()), None


WORLDS: dict[str, tuple[Callable[[int, np.random.Generator], World], tuple[int, ...]]] = {
    "photographs": (photographs, (12, 30, 100, 250)),
    "pictures, nine steps": (pictures, (12, 30, 332, 10_000)),
    "pictures, three grades": (votes, (30, 332)),
}


def coverage(simulations: int = SIMULATIONS) -> pd.DataFrame:
    """Share of 95 % intervals that hold the truth, ours and plain percentiles."""
    rows = []
    for name, (world, sizes) in WORLDS.items():
        many = 200_000 if world is photographs else 3_000_000
        truth = correlate(*world(many, np.random.default_rng(0)), EvaluationSettings(0)).observed
        targets = np.array([truth[0], truth[0] - truth[1]])
        for n in sizes:
            ours, plain = np.zeros(2), np.zeros(2)
            for seed in range(simulations):
                x, y, labels = world(n, np.random.default_rng(seed + 1))
                settings = EvaluationSettings(N_BOOT, seed)
                found = correlate(x, y, labels, settings)
                pair = found.srcc(0), found.lead(0, 1)
                ours += [e.low <= t <= e.high for e, t in zip(pair, targets, strict=True)]
                drawn = found.drawn
                if pair[0].method != "bootstrap":
                    drawn = _bootstrap(x, y, labels, settings)
                for i, part in enumerate((drawn[:, 0], drawn[:, 0] - drawn[:, 1])):
                    low, high = np.nanquantile(part, [0.025, 0.975])
                    plain[i] += low <= targets[i] <= high
            shares = np.concatenate([ours, plain]) / simulations
            rows.append((name, n, pair[0].method, *shares.round(3)))
    columns = ["world", "n", "method", "SRCC", "lead", "SRCC, percentile", "lead, percentile"]
    return pd.DataFrame(rows, columns=columns)


def _bootstrap(
    x: Array, y: Array, labels: np.ndarray | None, settings: EvaluationSettings
) -> Array:
    """SRCC of each column in plain resamples, however few the witnesses: (B, M)."""
    drawn = Resamples(len(y), labels, settings).bootstrap()
    counts = np.concatenate(list(drawn), axis=1).astype(int)
    rows = np.stack([np.repeat(np.arange(len(y)), column) for column in counts.T])

    def ranks(values: Array) -> Array:
        centred = stats.rankdata(values[rows], axis=-1) - (rows.shape[1] + 1) / 2
        return centred / np.sqrt((centred**2).sum(axis=-1, keepdims=True))

    return np.stack([(ranks(column) * ranks(y)).sum(axis=-1) for column in x.T], axis=1)


def false_verdicts(permutations: int = SIMULATIONS) -> dict[str, float]:
    """How often a matrix of 36 claims about opinions that were shuffled has any verdict at all.

    Six claims on each of the six shipped cells; levels of harm are shuffled within a photograph.
    """
    rng, tests = np.random.default_rng(0), 36
    settings = EvaluationSettings(resamples(tests))
    cells = {cell: (rated.table, rated.clusters) for cell, rated in ml.Lesson("02").cells.items()}
    any_verdict, coloured = 0, 0
    for _ in range(permutations):
        family: dict[Hashable, Estimate] = {}
        for cell, (table, clusters) in cells.items():
            groups = np.zeros(len(table)) if clusters is None else pd.factorize(clusters)[0]
            order = np.lexsort((rng.random(len(table)), groups))
            quality = np.empty(len(table))
            quality[np.argsort(groups, kind="stable")] = table["quality"].to_numpy()[order]
            cues = table[["score", "q_cos", "q_mag", "clip_iqa"]].to_numpy()
            found = correlate(cues, quality, clusters, settings)
            family |= {(*cell, i): found.srcc(i) for i in range(3)}
            family |= {(*cell, pair): found.lead(*pair) for pair in ((0, 1), (0, 3), (2, 1))}
        told = int((verdicts(family)["verdict"] != "cannot tell").sum())
        any_verdict += told > 0
        coloured += sum(estimate.p <= 0.05 for estimate in family.values())
    return {
        "matrices with any verdict": any_verdict / permutations,
        "claims below 5 % before the correction": coloured / permutations / tests,
    }


def run(simulations: int = SIMULATIONS) -> dict[str, object]:
    """Coverage by world and size, and the shares of false verdicts."""
    table = coverage(simulations).set_index(["world", "n"])
    shares = {f"{world}, {n}": row.to_dict() for (world, n), row in table.iterrows()}
    return shares | dict(false_verdicts(simulations))


def main() -> None:
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else SIMULATIONS
    print(coverage(simulations).to_string(index=False))
    print(false_verdicts(simulations))


if __name__ == "__main__":
    main()
