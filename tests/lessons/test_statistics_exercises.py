"""What almost solves notebook 02's exercises does not pass; what solves them otherwise does."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

import maclip_lab as ml


def srcc(x, y):
    x, y = (stats.rankdata(v, axis=-1) for v in (x, y))
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


def percentiles(x, q, rng, inside=0.95, paired=True, statistic=srcc):
    rows = rng.integers(0, len(x), (2, 600, len(x)))
    drawn = statistic(x[rows[0]], q[rows[0 if paired else 1]])
    return np.quantile(drawn, [(1 - inside) / 2, (1 + inside) / 2])


def shuffles(x, q, rng, tails=2, counted=1):
    null, value = srcc(x[None], rng.permuted(np.tile(q, (1000, 1)), axis=1)), srcc(x, q)
    as_good = abs(null) >= abs(value) if tails == 2 else null >= value
    return (counted + as_good.sum()) / (counted + 1000)


def steps(p, falls=False, ordered=True):
    order = np.argsort(p)
    adjusted = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.minimum(1, adjusted if falls else np.maximum.accumulate(adjusted))
    return adjusted[np.argsort(order)] if ordered else adjusted


def apart(a, b, q, rng):
    return percentiles(a, q, rng)[0] > percentiles(b, q, rng)[1]


def sure(a, b, q, rng, inside=0.95):
    rows = rng.integers(0, len(q), (600, len(q)))
    lead = srcc(a[rows], q[rows]) - srcc(b[rows], q[rows])
    return np.quantile(lead, (1 - inside) / 2) > 0


def swapped(a, b, q, rng):
    a, b, swap = stats.rankdata(a), stats.rankdata(b), rng.random((600, len(q))) < 0.5
    null = srcc(np.where(swap, b, a), q[None]) - srcc(np.where(swap, a, b), q[None])
    return bool(srcc(a, q) - srcc(b, q) > np.quantile(null, 0.975))


RIGHT = {
    "02.1": [percentiles],
    "02.2": [shuffles, lambda x, q, rng: max(stats.spearmanr(x, q).pvalue, 0.001)],
    "02.3": [steps],
    "02.4": [sure, swapped],
}
WRONG = {
    "02.1": [
        partial(percentiles, inside=0.8),
        partial(percentiles, paired=False),
        lambda x, q, rng: (srcc(x, q), srcc(x, q)),
    ],
    "02.2": [partial(shuffles, tails=1), partial(shuffles, counted=0)],
    "02.3": [
        lambda p: np.minimum(1, p * len(p)),
        partial(steps, falls=True),
        partial(steps, ordered=False),
    ],
    "02.4": [
        apart,
        lambda a, b, q, rng: srcc(a, q) > srcc(b, q),
        partial(sure, inside=0.5),
        lambda a, b, q, rng: sure(b, a, q, rng),
        *(lambda a, b, q, rng, s=s: rng.random() < s for s in (0.1, 0.3, 0.5, 0.8)),
    ],
}


@pytest.mark.parametrize("number", RIGHT)
def test_an_answer_is_judged_by_what_it_does_on_other_data(number):
    lab = ml.Lesson("02")
    for answer in RIGHT[number]:
        assert lab.exercise(number, answer), answer
    for place, answer in enumerate(WRONG[number]):
        assert not lab.exercise(number, answer), place
