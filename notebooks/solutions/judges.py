"""What the exercises are judged by, out of a reader's sight and on data that no notebook shows.

A judge takes an answer and the `Lesson`, and says whether it is right. What is to be found in data
is asked of pictures kept aside, with a margin that noise does not reach.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from scipy.stats import nct, skew, spearmanr, t
from torch.nn.functional import binary_cross_entropy, normalize

from maclip_lab import cues, fusion
from maclip_lab.ablations import controls
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.datasets.degradations import degrade
from maclip_lab.evaluation import Estimate, EvaluationSettings, correlate, holm
from maclip_lab.files.identity import data_path
from maclip_lab.images import find_pictures, load_picture
from maclip_lab.scorer import Maclip

if TYPE_CHECKING:
    from maclip_lab.ablations.rated import Rated
    from maclip_lab.lessons.lesson import Lesson

Judge = Callable[[Any, "Lesson"], object]


@cache
def _photographs(count: int = 3) -> list[np.ndarray]:
    paths = find_pictures(data_path("photos"))[3 : 3 + count]
    return [np.asarray(load_picture(path).image) for path in paths]


@cache
def _tiny(name: str = "tiny-rn") -> Maclip:
    return Maclip(name)


@cache
def _scored_otherwise() -> list[Any]:
    """Other pictures by other constants."""
    return [_tiny()(pixels, alpha=2.0, base_cos=0.2) for pixels in _photographs()]


def _rebuilds(rebuild: Any, lab: "Lesson") -> bool:
    """Whether a function of the table of crops gives the score of other pictures."""
    kept = ["q_cos", "q_mag", "w_cos", "w_mag"]
    return all(abs(rebuild(one.crops[kept]) - one.score) < 1e-6 for one in _scored_otherwise())


def _is_unseen(harm: Any, lab: "Lesson") -> bool:
    """Whether a change of 30 grey levels moves the score of two of three pictures by under 0.02."""
    unseen = 0
    for pixels in _photographs():
        other = np.asarray(harm(pixels.copy()))
        if other.shape != pixels.shape or other.dtype != np.uint8:
            return False
        is_large = np.abs(other.astype(int) - pixels).mean() > 30
        unseen += is_large and abs(_tiny()(other).score - _tiny()(pixels).score) < 0.02
    return unseen >= 2


def _sees_darkness(darkness: Any, lab: "Lesson") -> bool:
    falls = [
        darkness(pixels).q_cos - darkness(degrade(pixels, "darken", level=4)).q_cos
        for pixels in _photographs()
    ]
    return len(darkness.anchors.pairs) == 1 and min(falls) > 0.05


def _windows(size: tuple[int, int]) -> torch.Tensor:
    return torch.rand(3, *size, generator=torch.Generator().manual_seed(len(size) + size[0]))


def _cuts(cut: Any, lab: "Lesson") -> bool:
    """Whether windows are cut row by row from the top left, colours kept apart."""
    for height, width in ((480, 620), (224, 352), (608, 224)):
        colours = _windows((height, width))
        tops, lefts = range(0, height - 223, 128), range(0, width - 223, 128)
        wanted = [colours[:, y : y + 224, x : x + 224] for y in tops for x in lefts]
        if not torch.equal(cut(colours), torch.stack(wanted)):
            return False
    return True


def _inverts(inverse: Any, lab: "Lesson") -> bool:
    values = torch.linspace(0, 6, 25, dtype=torch.float64)
    return all(
        torch.allclose(inverse(cues.box_cox(values, lam), lam), values, atol=1e-6)
        for lam in (-0.5, 0.0, 0.3, 1.0, 2.0)
    )


def _is_magnitude_cue(cue: Any, lab: "Lesson") -> bool:
    features = torch.randn(7, 96, generator=torch.Generator().manual_seed(11)) * 3 + 1
    return all(
        torch.allclose(cue(features, lam), cues.magnitude_cue(features, lam), atol=1e-4)
        for lam in (0.3, 1.0, 1.7)
    )


def _is_maclip(score: Any, lab: "Lesson") -> bool:
    """Whether a function of features, texts and scale is the whole method after the encoder."""
    seeded = torch.Generator().manual_seed(5)
    for crops in (1, 9):
        features, texts = (torch.randn(n, 64, generator=seeded) for n in (crops, 6))
        q_cos = cues.cosine_cue(features, texts, 20.0).mean(-1)
        wanted = fusion.fuse(q_cos, cues.magnitude_cue(features))[0].mean()
        if not abs(float(score(features, texts, 20.0)) - float(wanted)) < 1e-4:
            return False
    return True


def _studies(
    count: int, n: int, lead: float, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Two metrics that are much alike, and the quality that the first knows better by a lead."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        shared = rng.normal(size=n)
        quality = np.round(4 * (shared + rng.normal(size=n)))
        a, b = (shared + noise * rng.normal(size=n) for noise in (0.3, 0.3 + lead))
        yield a, b, quality


def _is_interval(interval: Any, lab: "Lesson") -> bool:
    """Whether the ends are those of percentiles, with ties, for strong, weak and turned scores."""
    rng = np.random.default_rng(12)
    for (a, _, quality), n in zip(_studies(4, 400, 0.0, 3), (90, 150, 399, 400), strict=True):
        x, q = a[:n] + (n == 400) * rng.normal(size=n) * 3, quality[:n]
        x = -x if n == 399 else x
        ends = np.asarray(interval(x, q, rng), dtype=float)
        known = correlate(x, q, settings=EvaluationSettings(1000)).srcc()
        slack = 0.15 * (known.high - known.low)
        if ends.shape != (2,) or not np.allclose(ends, (known.low, known.high), rtol=0, atol=slack):
            return False
    return True


def _is_permutation(permutation: Any, lab: "Lesson") -> bool:
    """Whether p is that of the correlation: small, middling or large, of either sign."""
    rng = np.random.default_rng(13)
    for strength in (0.0, 0.15, -0.25, 0.4, -1.0, 0.1):
        x, q = rng.normal(size=(2, 80))
        q = q + strength * x
        p, known = float(permutation(x, q, rng)), spearmanr(x, q).pvalue
        if not abs(p - known) < 0.02 + 0.08 * known or not 1 / 1100 < p <= 1:
            return False
    return True


def _adjusts(adjust: Any, lab: "Lesson") -> bool:
    rng = np.random.default_rng(14)
    several = [rng.random(size) ** 3 for size in (1, 4, 12, 40)]
    given = [np.asarray(adjust(p.copy()), dtype=float) for p in several]
    return all(
        np.allclose(one, holm(p), rtol=0, atol=1e-12) for one, p in zip(given, several, strict=True)
    )


def _finds_leads(is_better: Any, lab: "Lesson") -> bool:
    """Whether real leads are found, and hardly any where both are equal or the other leads."""
    rng, found = np.random.default_rng(15), {}
    for lead, count in ((0.6, 10), (0.0, 20)):
        studies = _studies(count, 150, lead, 16)
        found[lead] = [is_better(a, b, quality, rng) for a, b, quality in studies]
    worse = [is_better(b, a, quality, rng) for a, b, quality in _studies(5, 150, 0.6, 17)]
    if not all(np.ndim(one) == 0 and one in (True, False) for one in (*worse, *found[0.0])):
        return False
    return sum(found[0.6]) >= 8 and sum(found[0.0]) <= 2 and not any(worse)


def _is_centred(cue: Any, lab: Any) -> bool:
    """Whether a cue is measured from the mean of the other photographs, all versions left out."""
    rated = lab.cells["tiny-vit", "severity"]
    centred = rated.crops - controls.mean_features(rated)[rated.picture]
    wanted = rated.means(cues.magnitude_cue(centred))
    return np.allclose(np.asarray(cue(rated), dtype=float), wanted, atol=1e-4)


def _turns_the_rest(turn_the_rest: Any, lab: Any) -> bool:
    """Whether the mean stays and the rest is turned about it."""
    features = torch.randn(40, 24, generator=torch.Generator().manual_seed(3)) + 2
    mean, turn = features[:10].mean(0), next(controls.random_rotations(24, 1, 4))
    turned = turn_the_rest(features, mean, turn)
    wanted = mean + (features - mean) @ turn
    return turned.shape == wanted.shape and torch.allclose(turned, wanted, atol=1e-4)


def _beats_the_cue(cue: Any, lab: Any) -> bool:
    """Whether a cue is ahead on opinion with one backbone, and not behind with the other.

    Crops come in another order and on exchanged axes of either sign, where neither opinions that
    are known by their place nor weights that were fitted to some are of use.
    """
    draw, leads = torch.Generator().manual_seed(33), []
    for backbone in ("tiny-vit", "tiny-rn"):
        rated = lab.cells[backbone, "BIQ2021"]
        rows, axes = (torch.randperm(size, generator=draw) for size in rated.crops.shape)
        signs = torch.randint(2, (len(axes),), generator=draw) * 2.0 - 1
        values = torch.empty(len(rows), dtype=torch.float64)
        values[rows] = torch.as_tensor(cue(rated.crops[rows][:, axes] * signs)).double()
        leads.append(rated.lead(rated.means(values), rated.table["q_mag"]))
    return leads[0].low > 0.1 and leads[1].high > 0


def _aside(lab: "Lesson") -> "Rated":
    """What most exercises are judged on: no figure of a notebook is of this cell alone."""
    return lab.cells["tiny-vit", "BIQ2021"]


def _symmetric_exponent(find: Any, lab: "Lesson") -> bool:
    rng = np.random.default_rng(41)
    samples = rng.exponential(size=900), abs(rng.normal(size=900)), rng.gamma(3, size=900)
    bent = [cues.box_cox(torch.from_numpy(sample), float(find(sample))) for sample in samples]
    return all(abs(skew(values.numpy())) <= 0.011 for values in bent)


def _all_alike(transform: Any, lab: "Lesson") -> bool:
    a = cues.scaled_magnitude(_aside(lab).crops[:300])
    given = torch.as_tensor(transform(a.clone()))
    rows = given.sort(1)[0]
    alike = torch.allclose(rows, rows[:1].expand_as(rows), atol=1e-3)
    ordered = given.gather(1, a.argsort(1)).diff(dim=1) >= -1e-6
    return alike and bool(ordered.all()) and float(rows[0].std()) > 1e-2


def _broken_behind_right_weights(settings: Any, lab: "Lesson") -> bool:
    for rated in (lab.cells["tiny-vit", name] for name in ("CLIVE", "BIQ2021", "severity")):
        table = score_store(rated.stored(settings.box_lam), settings=settings)
        shift = abs(table["w_cos"].mean() - rated.table["w_cos"].mean())
        if not (shift < 0.03 and rated.lead(rated.table["score"], table["score"]).low > 0.1):
            return False
    return True


def _best_weight_of_the_weaker(weight: Any, lab: "Lesson") -> bool:
    tried = np.linspace(0, 1, 2001)
    for s, w, r in ((0.6, 0.4, 0.1), (0.5, 0.45, 0.7), (0.7, 0.2, 0.5), (0.3, 0.3, 0.2)):
        srcc = ((1 - tried) * s + tried * w) / np.sqrt(1 - 2 * tried * (1 - tried) * (1 - r))
        if not abs(float(weight(s, w, r)) - tried[srcc.argmax()]) < 2e-3:
            return False
    return True


def _never_falls(rule: Any, lab: "Lesson") -> bool:
    q_cos, q_mag = torch.meshgrid(
        *[torch.linspace(0, 1, 41, dtype=torch.float64)] * 2, indexing="ij"
    )
    score = torch.as_tensor(rule(q_cos, q_mag))
    rising = all(bool((score.diff(dim=axis) >= -1e-9).all()) for axis in (0, 1))
    apart = (lead := q_cos - q_mag).abs() > 0.1
    weight = ((score - q_mag) / lead)[apart]
    between = bool(((weight >= 0) & (weight <= 1)).all())
    follows = np.corrcoef(weight.numpy(), lead[apart].numpy())[0, 1] > 0.9
    return rising and between and bool(follows) and float(weight.std()) > 0.01


def _same_level(control: Any, lab: "Lesson") -> bool:
    """Whether every crop of a set has the mean of its adaptive weights, over crops or pictures."""
    for rated in (_aside(lab), lab.cells["tiny-rn", "severity"]):
        q_cos, q_mag = rated.cues()
        crops = 1 / (1 + np.exp(-0.4 - 2 * (q_cos - q_mag)))
        levels = crops.mean(), rated.table["w_cos"].mean()
        given = np.asarray(control(rated), dtype=float)
        if not any(abs(given - rated.score(rule=float(level))).max() < 1e-3 for level in levels):
            return False
    return True


def _is_the_direction(find: Any, lab: "Lesson") -> bool:
    """Whether a direction orders as all pairs do: in CLIP, and where the pairs disagree."""
    draw = torch.Generator().manual_seed(61)
    texts = torch.randn(10, 64, generator=draw) * torch.linspace(0.5, 3, 10)[:, None]
    crops = normalize(torch.randn(400, 64, generator=draw), dim=1)
    cosines = crops @ normalize(texts, dim=1).T
    wanted = torch.sigmoid(5 * (cosines[:, ::2] - cosines[:, 1::2])).mean(1)
    alike = [spearmanr(crops @ torch.as_tensor(find(texts.clone())), wanted).statistic]
    for rated in (lab.cells[backbone, "BIQ2021"] for backbone in ("tiny-vit", "tiny-rn")):
        direction = torch.as_tensor(find(rated.anchors.features.clone()))
        order = rated.means((normalize(rated.crops, dim=1) @ direction).numpy())
        alike.append(spearmanr(order, rated.table["q_cos"]).statistic)
    return min(alike) > 0.97


def _is_the_share(share: Any, lab: "Lesson") -> bool:
    rng = np.random.default_rng(62)
    for size in (19, 99, 200):
        drawn, observed = rng.normal(0, 0.2, size), rng.uniform(-0.5, 0.5)
        wanted = (1 + (abs(drawn) >= abs(observed)).sum()) / (1 + size)
        if not abs(float(share(observed, drawn)) - wanted) < 1e-9:
            return False
    return float(share(0.9, np.zeros(99))) > 0


_OF_QUALITY = [
    "good",
    "bad",
    "photo",
    "image",
    "picture",
    "photograph",
    "shot",
    "sharp",
    "blurry",
    "blurred",
    "soft",
    "crisp",
    "focus",
    "edges",
    "high",
    "low",
    "resolution",
    "detail",
    "detailed",
    "noise",
    "noisy",
    "free",
    "clean",
    "clear",
    "grainy",
    "quality",
    "excellent",
    "poor",
    "awful",
    "ugly",
    "beautiful",
    "nice",
    "dark",
    "bright",
    "light",
    "exposed",
    "exposure",
    "contrast",
    "colour",
    "colours",
    "color",
    "flat",
    "hazy",
    "faded",
    "banded",
    "blocky",
    "distorted",
    "undistorted",
    "natural",
    "compressed",
    "damaged",
    "pixelated",
    "dog",
    "cat",
]


def _fools_itself(pair: Any, lab: "Lesson") -> bool:
    good, bad = pair
    if not set(f"{good} {bad}".lower().replace(".", "").split()).isdisjoint(_OF_QUALITY):
        return False
    rated, texts = lab.cells["tiny-vit", "CLIVE"], _tiny("tiny-vit").text_anchors([(good, bad)])
    order = normalize(rated.crops, dim=1) @ normalize(texts.features, dim=1).T
    return rated.srcc(rated.means((order[:, 0] - order[:, 1]).numpy())).low > 0.05


def _is_exact_p(seeds_p: Any, lab: Any) -> bool:
    """Whether p is the share of all deals whose means are as far apart, either way."""
    rng = np.random.default_rng(71)
    for few, many, lead in ((3, 3, 9.0), (3, 3, 0.5), (2, 4, 1.0), (4, 4, 1.0), (4, 3, 0.0)):
        first, second = rng.normal(size=few) + lead, rng.normal(size=many)
        pooled = np.concatenate([first, second])
        deals = np.array(list(combinations(range(few + many), few)))
        chosen = pooled[deals].sum(1)
        apart = abs(chosen / few - (pooled.sum() - chosen) / many)
        wanted = np.mean(apart >= abs(first.mean() - second.mean()) - 1e-12)
        if not abs(float(seeds_p(first, second)) - wanted) < 1e-6:
            return False
    return True


def _counts_seeds(seeds_needed: Any, lab: Any) -> bool:
    """Whether so many seeds find a lead, and one less does not, to one seed."""

    def power(n: int, lead: float) -> float:
        limit, centre = t.ppf(0.975, 2 * n - 2), lead * np.sqrt(n / 2)
        return nct.sf(limit, 2 * n - 2, centre) + nct.cdf(-limit, 2 * n - 2, centre)

    for lead, spread in ((0.03, 0.02), (0.05, 0.06), (0.1, 0.06), (0.02, 0.05)):
        n = int(seeds_needed(lead, spread))
        if not power(n + 1, lead / spread) >= 0.8 or (n > 3 and power(n - 2, lead / spread) >= 0.8):
            return False
    return True


def _is_committee(committee: Any, lab: Any) -> bool:
    """Whether bent columns change no order, and the mean of opinions beats each of them."""
    rng = np.random.default_rng(73)
    quality = rng.normal(size=500)
    scores = pd.DataFrame(quality[:, None] + rng.normal(size=(500, 3)), columns=["a", "b", "c"])
    bent = scores.assign(a=np.exp(3 * scores["a"]), b=scores["b"] ** 3, c=scores["c"] / 100 + 7)
    joint, again = (np.asarray(committee(one.copy()), dtype=float) for one in (scores, bent))
    best = max(spearmanr(column, quality).statistic for column in scores.to_numpy().T)
    return (
        spearmanr(joint, again).statistic > 1 - 1e-9
        and spearmanr(joint, quality).statistic > best + 0.03
    )


def _is_margin(margin: Any, lab: Any) -> bool:
    rng = np.random.default_rng(81)
    for n, level, place in ((18, 0.95, None), (60, 0.95, 58), (333, 0.9, 301), (8, 0.9, None)):
        residuals = rng.normal(size=n) ** 3
        wanted = np.inf if place is None else np.sort(abs(residuals))[place - 1]
        if not np.isclose(float(margin(residuals.copy(), level)), wanted, rtol=1e-9):
            return False
    return True


def _is_home_advantage(strengths: Any, lab: Any) -> bool:
    """Whether wins, losses and the left side's wins are what the strengths expect."""
    rng = np.random.default_rng(82)
    for home in (0.0, 0.8):
        true = rng.normal(size=6)
        asked = rng.integers(8, 20, (6, 6)) * (1 - np.eye(6, dtype=int))
        left = rng.binomial(asked, expit(home + true[:, None] - true)).astype(float)
        s, h = strengths(left.copy(), asked - left)
        s = np.asarray(s, dtype=float)
        missed = left - asked * expit(float(h) + s[:, None] - s)
        if (
            abs(s.mean()) > 1e-3
            or max(abs(missed.sum(1) - missed.sum(0)).max(), abs(missed.sum())) > 0.1
        ):
            return False
    return True


def _is_better_rival(rival: Any, lab: Any) -> bool:
    """Whether a metric is ahead on one set and not behind on the other, rows in another order."""
    leads, rng = [], np.random.default_rng(83)
    for name, file in (("CLIVE", "livec.csv"), ("BIQ2021", "BIQ2021.csv")):
        rated, blur = lab.cells["tiny-vit", name], pd.read_csv(data_path("blur", file))
        sharp = -blur.set_index(blur["path"].str.rsplit("/").str[-1])["blur_effect"]
        table = rated.table[["score", "q_cos", "q_mag"]].reset_index(drop=True)
        table["blur"] = sharp.reindex(rated.table["name"].astype(str)).to_numpy()
        values, rows = np.empty(rated.n), rng.permutation(rated.n)
        values[rows] = np.asarray(rival(table.iloc[rows].reset_index(drop=True)), dtype=float)
        leads.append(rated.lead(values, rated.table["score"]))
    return leads[0].low > 0.01 and leads[1].high > 0


def _loss_of_the_blind(loss: Any, lab: "Lesson") -> bool:
    generator = torch.Generator().manual_seed(91)
    for columns in (1, 2, 5):
        accepted = 0.01 + 0.98 * torch.rand(60, columns, generator=generator)
        answer = accepted.mean(0).expand_as(accepted)
        if not abs(float(loss(accepted)) - float(binary_cross_entropy(answer, accepted))) < 1e-4:
            return False
    return True


def _changes_unseen(change: Any, lab: "Lesson") -> bool:
    generator = torch.Generator().manual_seed(92)
    pairs = [torch.randn(rows, 48, generator=generator) for rows in (40, 6)]
    changed = [torch.as_tensor(part) for part in change(*(part.clone() for part in pairs))]
    kept = torch.allclose(changed[0] @ changed[1].T, pairs[0] @ pairs[1].T, atol=1e-3)
    for old, new in zip(pairs, changed, strict=True):
        kept &= torch.allclose(old.norm(dim=1), new.norm(dim=1), atol=1e-3)
        kept &= torch.allclose(cues.magnitude_cue(old), cues.magnitude_cue(new), atol=1e-4)
        kept &= bool(((old - new).abs() > 1e-3).float().mean() > 0.8)
    return kept


def _teaches_magnitude(loss: Any, lab: "Lesson") -> bool:
    """Whether features follow a quality by the loss, and the same quality turned round."""
    generator = torch.Generator().manual_seed(93)
    rising, start = (torch.rand(50, generator=generator), torch.randn(50, 32, generator=generator))
    for quality in (rising, 1 - rising):
        features = start.clone().requires_grad_()
        steps = torch.optim.Adam([features], lr=0.03)
        for _ in range(200):
            steps.zero_grad()
            loss(features, quality).backward()
            steps.step()
        if not spearmanr(cues.magnitude_cue(features.detach()), quality).statistic > 0.9:
            return False
    return True


def _is_steady(steady: Any, lab: Any) -> bool:
    cases = {
        (-0.01, 0.012): True, (0.02, 0.05): False, (-0.3, -0.1): False, (0.01, 0.03): None,
        (-0.04, 0.001): None, (-0.3, 0.3): None,
    }  # fmt: skip
    intervals = [
        (Estimate((low + high) / 2, low, high), want) for (low, high), want in cases.items()
    ]
    return all(steady(interval, 0.015) is want for interval, want in intervals)


def _tells_parts_apart(agrees: Any, lab: Any) -> bool:
    """Whether parts of the right set are mostly accepted, and of wrong ones mostly refused."""
    rng, right, wrong = np.random.default_rng(23), [], []
    for true in (0.3, 0.6, 0.75) * 60:
        ours = np.tanh(np.arctanh(true) + 1.03 / np.sqrt(297) * rng.normal())
        right.append(bool(agrees(ours, true, 300)))
        wrong.append(bool(agrees(ours, true - 0.25, 300)))
    return bool(0.88 < np.mean(right) < 0.995 and np.mean(wrong) < 0.1)


def _is_surely_above(claim: Any, lab: Any) -> bool:
    return all(bool(claim(lab.cells["tiny-vit", name]).low > 0) for name in ("CLIVE", "BIQ2021"))


JUDGES: Mapping[str, Judge] = {
    "00.1": _rebuilds,
    "00.2": _is_unseen,
    "00.3": _sees_darkness,
    "01.1": _cuts,
    "01.2": _inverts,
    "01.3": _is_magnitude_cue,
    "01.4": _is_maclip,
    "02.1": _is_interval,
    "02.2": _is_permutation,
    "02.3": _adjusts,
    "02.4": _finds_leads,
    "03.1": _is_centred,
    "03.2": _turns_the_rest,
    "03.3": _beats_the_cue,
    "04.1": _symmetric_exponent,
    "04.2": _all_alike,
    "04.3": _broken_behind_right_weights,
    "05.1": _best_weight_of_the_weaker,
    "05.2": _never_falls,
    "05.3": _same_level,
    "06.1": _is_the_direction,
    "06.2": _is_the_share,
    "06.3": _fools_itself,
    "07.1": _is_exact_p,
    "07.2": _counts_seeds,
    "07.3": _is_committee,
    "08.1": _is_margin,
    "08.2": _is_home_advantage,
    "08.3": _is_better_rival,
    "09.1": _loss_of_the_blind,
    "09.2": _changes_unseen,
    "09.3": _teaches_magnitude,
    "10.1": _is_steady,
    "10.2": _tells_parts_apart,
    "10.3": _is_surely_above,
}
