"""How long intervals and fits take on a data set of KonIQ's size.

Run as ``python -m benchmarks.evaluation``.
"""

import json
import time
from collections.abc import Callable

import numpy as np

from maclip_lab.evaluation import (
    EvaluationSettings,
    compare,
    evaluate,
    fit_logistic,
    official_evaluation,
)
from maclip_lab.evaluation.intervals import bootstrap

N_PICTURES = 10_000
N_BOOT = 1000


def run(n_pictures: int = N_PICTURES, n_boot: int = N_BOOT) -> dict[str, float]:
    """Seconds each statistic takes on simulated scores of ``n_pictures`` pictures."""
    generator = np.random.default_rng(0)
    mos = generator.normal(3, 1, n_pictures)
    methods = {
        f"method {m}": np.tanh((mos - 3 + generator.normal(0, 1, n_pictures)) / 2) for m in range(3)
    }
    one = {"method 0": methods["method 0"]}
    scores = one["method 0"]
    clusters = (np.arange(n_pictures) // 100).tolist()
    settings = EvaluationSettings(n_boot=n_boot)
    column = scores[:, None]
    tasks: dict[str, Callable[[], object]] = {
        "bootstrap SRCC, PLCC": lambda: bootstrap(column, column, mos, settings=settings),
        "fit, 4 parameters": lambda: fit_logistic(scores, mos),
        "fit, 5 parameters": lambda: fit_logistic(scores, mos, n_parameters=5),
        "fit, the authors' variant": lambda: official_evaluation(scores, mos),
        "evaluate, 1 method": lambda: evaluate(one, mos, settings=settings),
        "evaluate, 3 methods": lambda: evaluate(methods, mos, settings=settings),
        "evaluate, 3 methods, clustered": lambda: evaluate(
            methods, mos, clusters=clusters, settings=settings
        ),
        "compare, 3 methods": lambda: compare(methods, mos, settings=settings),
    }
    return {name: _seconds(task) for name, task in tasks.items()}


def _seconds(task: Callable[[], object]) -> float:
    begin = time.perf_counter()
    task()
    return round(time.perf_counter() - begin, 3)


def main() -> None:
    result = run()
    print(f"{N_PICTURES} pictures, {N_BOOT} resamples")
    for name, seconds in result.items():
        print(f"{name:34}{seconds:8.2f} s")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
