"""How long a table and its differences take on a data set of KonIQ's size, and in what memory.

Run as ``python -m benchmarks.evaluation``. The plain path stands beside: a bootstrap for each
method, and another one for the differences, as it was before all came from one pass.
"""

import json
import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks.timing import alternate, ratio
from maclip_lab.evaluation import EvaluationSettings, correlate, evaluate, fit_logistic
from maclip_lab.evaluation.correlations import Array
from maclip_lab.evaluation.fits import official_evaluation
from maclip_lab.evaluation.intervals import Resamples

N_PICTURES = 10_000
N_BOOT = 2000
N_METHODS = 5


def run(n_pictures: int = N_PICTURES, n_boot: int = N_BOOT, rounds: int = 3) -> dict[str, object]:
    """Times of simulated scores of ``n_pictures`` pictures, and the ratio of the two paths."""
    generator = np.random.default_rng(0)
    mos = generator.normal(3, 1, n_pictures).round(2)
    methods = {
        f"method {m}": np.tanh((mos - 3 + generator.normal(0, 1, n_pictures)) / 2)
        for m in range(N_METHODS)
    }
    x, settings = np.column_stack(list(methods.values())), EvaluationSettings(n_boot)

    def plain() -> None:
        for column in x.T:
            fit_logistic(column, mos), fit_logistic(column, mos, line=True)
            official_evaluation(column, mos)
            _plain_bootstrap(column[:, None], mos, settings)
        _plain_bootstrap(x, mos, settings)

    tasks: dict[str, Callable[[], object]] = {
        "table and differences": lambda: evaluate(
            methods, mos, baseline="method 0", settings=settings
        ),
        "the plain path": plain,
        "correlations alone": lambda: correlate(x, mos, settings=settings),
    }
    times = alternate(tasks, rounds)
    result: dict[str, object] = {name: timing.facts() for name, timing in times.items()}
    result["plain / table and differences"] = ratio(
        times["the plain path"], times["table and differences"]
    )
    for size in (n_boot // 4, n_boot):
        tracemalloc.start()
        correlate(x, mos, settings=EvaluationSettings(size))
        result[f"peak MiB, {size} resamples"] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    return result


def _plain_bootstrap(x: Array, y: Array, settings: EvaluationSettings) -> Array:
    """SRCC of every column in every resample, ranks of each anew: exact, as ours is."""
    sides = [np.unique(column, return_inverse=True)[1] for column in (y, *x.T)]
    orders = [np.argsort(side, kind="stable") for side in sides]
    starts = [
        np.flatnonzero(np.diff(side[order], prepend=-1))
        for side, order in zip(sides, orders, strict=True)
    ]
    found = []
    for counts in Resamples(y.size, None, settings).bootstrap():
        ranks = []
        for side, order, start in zip(sides, orders, starts, strict=True):
            group = np.add.reduceat(counts[order], start, axis=0)
            up_to = np.cumsum(group, axis=0)
            ranks.append((up_to - 0.5 * group - 0.5 * up_to[-1])[side])
        spread = [np.einsum("nb,nb,nb->b", counts, one, one) for one in ranks]
        for own, own_spread in zip(ranks[1:], spread[1:], strict=True):
            product = np.einsum("nb,nb,nb->b", counts, own, ranks[0])
            found.append(product / np.sqrt(own_spread * spread[0]))
    return np.concatenate(found)


def main() -> None:
    result = run()
    print(f"{N_PICTURES} pictures, {N_METHODS} methods, {N_BOOT} resamples")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
