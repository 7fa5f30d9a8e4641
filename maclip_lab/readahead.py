"""Work done in threads a few items ahead of whoever consumes it, within a bound on memory."""

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PIXELS_AHEAD = 48_000_000
"""Pixels that may be decoded and not yet scored: some sixty pictures of a data set, or one large
photograph, about half a gigabyte either way while Pillow decodes."""


def map_ahead(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    cost: Callable[[Item], int] | None = None,
    *,
    budget: int = PIXELS_AHEAD,
    workers: int | None = None,
) -> Iterator[Result]:
    """Results in the order of the items, computed in threads ahead of the consumer.

    Items are read from the calling thread, as late as may be. Those under way, the consumer's
    included, ``cost`` no more than ``budget`` together, unless one does alone, and are at most
    twice as many as ``workers``: by default one a core, at most 16.
    """
    workers = workers or min(16, os.cpu_count() or 1)
    priced = ((item, cost(item) if cost else 0) for item in items)
    waiting: deque[tuple[Future[Result], int]] = deque()
    following = next(priced, None)
    spent = 0
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        while waiting or following is not None:
            while following is not None and len(waiting) < 2 * workers:
                item, price = following
                if spent and spent + price > budget:
                    break
                waiting.append((pool.submit(work, item), price))
                spent += price
                following = next(priced, None)
            future, price = waiting.popleft()
            yield future.result()
            del future
            spent -= price
    finally:
        pool.shutdown(cancel_futures=True)


def release_freed_memory() -> None:
    """Hand what was freed back to the operating system, where the C library (glibc) keeps it."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # another C library, which has its own ways
        return
