"""Times of tasks that take turns, so that whatever else the machine does falls on all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """What a task took over several rounds.

    Attributes:
        seconds: of the clock, one number a round.
        cpu_seconds: of all cores of this process; on a shared machine the steadier figure.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the clock's seconds."""
        return statistics.median(self.seconds)

    @property
    def cpu(self) -> float:
        """Median of the cores' seconds."""
        return statistics.median(self.cpu_seconds)

    def facts(self) -> dict[str, float]:
        """Medians and extremes, in seconds."""
        return {
            "median": self.median,
            "least": min(self.seconds),
            "most": max(self.seconds),
            "cpu median": self.cpu,
            "rounds": len(self.seconds),
        }


def alternate(tasks: Mapping[str, Callable[[], object]], rounds: int = 3) -> dict[str, Timing]:
    """Times of tasks run in turn: A B C, A B C, after one round that does not count.

    Args:
        tasks: by name.
        rounds: that count.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            begin, cpu = time.perf_counter(), time.process_time()
            task()
            if number:
                found[name].append((time.perf_counter() - begin, time.process_time() - cpu))
    return {
        name: Timing(*map(tuple, zip(*pairs, strict=True)))  # type: ignore[arg-type]
        for name, pairs in found.items()
    }


def ratio(slow: Timing, fast: Timing) -> float:
    """How many times faster: the median of the rounds' own ratios."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))
