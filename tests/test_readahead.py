import threading
import time

import pytest

from maclip_lab.readahead import map_ahead


def test_results_come_in_the_order_of_the_items():
    def work(item):
        time.sleep(0.002 * (item % 3))
        return item

    assert list(map_ahead(work, range(30), workers=4)) == list(range(30))


@pytest.mark.parametrize("prices", [[10] * 12, [3, 50, 3, 50, 3], [0] * 9, [50]])
def test_what_is_under_way_costs_no_more_than_the_budget_unless_it_goes_alone(prices):
    lock, under_way, peaks = threading.Lock(), set(), []

    def work(item):
        with lock:
            under_way.add(item)
            peaks.append((sum(prices[i] for i in under_way), len(under_way)))
        return item

    for item in map_ahead(work, range(len(prices)), prices.__getitem__, budget=30, workers=3):
        with lock:
            under_way.discard(item)
    assert all(cost <= 30 or count == 1 for cost, count in peaks)


def test_the_next_item_is_worked_on_while_the_consumer_is_busy():
    started = threading.Event()

    def work(item):
        if item == 1:
            started.set()
        return item

    results = map_ahead(work, range(2), workers=1)
    assert next(results) == 0
    assert started.wait(10)
    assert list(results) == [1]


def test_items_are_drawn_only_as_far_ahead_as_needed():
    drawn = []

    def items():
        for item in range(100):
            drawn.append(item)
            yield item

    results = map_ahead(lambda item: item, items(), workers=2)
    next(results)
    assert len(drawn) <= 5
    results.close()


def test_a_failure_reaches_the_consumer():
    def work(item):
        return 1 // item

    results = map_ahead(work, [1, 0], workers=1)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
