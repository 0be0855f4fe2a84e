"""How scores agree with one another: seeds of one score, two scores, all scores, and two trainings of one network."""

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from harness.stats.correlation import FEWEST, _centred, pearson, spearman, top_spearman, varies
from harness.stats.ranks import midranks

Array = NDArray[np.float64]
SAME_ORDER = 0.999
"""Above this rho between two scores too few architectures tell them apart for an interval of the difference."""


def different_seeds(scores: Array) -> Array:
    """One row where every seed gives the same scores (params, flops), else all; (seeds, archs) in and out."""
    return scores[:1] if all(np.array_equal(row, scores[0], equal_nan=True) for row in scores) else scores


def seed_mean(values: ArrayLike) -> Array:
    """Mean over the first axis (seeds) of the defined values; NaN where no seed has one. Any further axes stay."""
    values = np.asarray(values, float)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def seed_spread(values: ArrayLike, seeds: int) -> float:
    """Standard deviation (n - 1) of a statistic over `seeds` seeds; NaN for one seed.

    `values` may hold a single one for all seeds (see `different_seeds`): then there is no spread, 0.
    """
    values = np.asarray(values, float)
    known = values[np.isfinite(values)]
    if seeds < 2 or not len(known):
        return float("nan")
    if len(values) == 1:
        return 0.0
    return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")


def rho_difference(one: Array, other: Array, accuracy: Array, weights: Array | None = None) -> float:
    """rho of `one` minus rho of `other`, (seeds, archs) both, on the architectures both scored; mean over seeds."""
    gaps = [spearman(x, accuracy, weights) - spearman(y, accuracy, weights) for x, y in pairs_of_seeds(one, other)]
    return float(seed_mean(gaps))


def same_order(one: Array, other: Array) -> bool:
    """Whether two scores, (seeds, archs) both, rank alike: rho between them above `SAME_ORDER`."""
    return bool(seed_mean([spearman(x, y) for x, y in pairs_of_seeds(one, other)]) > SAME_ORDER)


def pairs_of_seeds(one: Array, other: Array) -> Iterator[Array]:
    """For each seed both scores, (2, archs), NaN where either failed; fewer seeds on one side are repeated."""
    for seed in range(max(len(one), len(other))):
        scores = np.stack([one[seed % len(one)], other[seed % len(other)]])
        yield np.where(np.isfinite(scores).all(axis=0), scores, np.nan)


def seed_agreement(seed_accuracy: Array) -> dict[str, float]:
    """Rank agreement between training seeds; seed_accuracy (archs, accuracy_seeds) percent, NaN for a missing seed.

    seeds: mean number of seeds of an architecture that has any; n: architectures with two or more.
    rho_single: Spearman's rho between two single seeds, mean over pairs of seeds, on the architectures that have both.
    rho_mean: reliability of the mean over `seeds` seeds by Spearman-Brown, m r / (1 + (m - 1) r): what the mean would
    correlate with another mean of as many seeds. An extrapolation from rho_single, not measured.
    rho_ceiling: sqrt(rho_mean), what a score that knew the expected accuracy could reach against the mean.
    rho_top10pct: one seed in the place of the score, within the top 10 % of the other; mean over ordered pairs.
    All NaN with fewer than two seeds. Larger is better. Source: Spearman 1910, Brown 1910.
    """
    accuracy = np.asarray(seed_accuracy, float)
    trained = np.isfinite(accuracy).sum(axis=1)
    single, top = [], []
    for one, other in permutations(range(accuracy.shape[1]), 2):
        both = np.isfinite(accuracy[:, one]) & np.isfinite(accuracy[:, other])
        single.append(spearman(accuracy[both, one], accuracy[both, other]))
        top.append(top_spearman(accuracy[both, one], accuracy[both, other]))
    seeds = float(trained[trained > 0].mean()) if trained.any() else 0.0
    rho = _mean(single)
    reliability = seeds * rho / (1 + (seeds - 1) * rho)
    return {
        "seeds": seeds,
        "n": int((trained > 1).sum()),
        "rho_single": rho,
        "rho_mean": reliability,
        "rho_ceiling": float(np.sqrt(reliability)) if reliability >= 0 else float("nan"),
        "rho_top10pct": _mean(top),
    }


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def spearman_matrix(scores: Array) -> Array:
    """Spearman's rho between every two rows; (proxies, archs) -> (proxies, proxies), symmetric.

    Each pair over the architectures finite in both. The diagonal is 1, or NaN for a constant row. A row is sorted
    once: the midranks of the part that another row has too follow from counting along that order.
    """
    scores = np.asarray(scores, float)
    whole = np.array([bool(np.isfinite(row).all()) and varies(row, row) for row in scores], bool)
    result = np.full((len(scores), len(scores)), np.nan)
    if whole.any():
        ranks = np.stack([_centred(midranks(row)) for row in scores[whole]])
        ranks /= np.sqrt((ranks**2).sum(axis=1, keepdims=True))
        result[np.ix_(whole, whole)] = np.clip(ranks @ ranks.T, -1, 1)
    if whole.all():
        return result
    finite = np.isfinite(scores)
    plans = [rank_plan(row[known]) for row, known in zip(scores, finite, strict=True)]
    for i in np.flatnonzero(~whole):
        for j in range(len(scores)):
            if whole[j] or j <= i:
                both = finite[i] & finite[j]
                one, other = (_ranks_within(plans[row], both[finite[row]]) for row in (i, j))
                if len(one) >= FEWEST:
                    result[i, j] = result[j, i] = pearson(one, other)
    return result


class RankPlan(NamedTuple):
    """One sort, good for the midranks of every part and every resample."""

    order: NDArray[np.intp]  # (archs,) ascending
    last: NDArray[np.intp]  # (blocks,) where in `order` each block of ties ends
    block: NDArray[np.intp]  # (archs,) the block of each architecture


def rank_plan(values: Array) -> RankPlan:
    """The plan of finite `values` (archs,)."""
    order = np.argsort(values, kind="stable")
    new = np.r_[True, np.diff(values[order]) != 0] if len(values) else np.zeros(0, bool)
    block = np.empty(len(values), np.intp)
    block[order] = np.cumsum(new) - 1
    return RankPlan(order, np.r_[np.flatnonzero(new)[1:] - 1, len(values) - 1] if len(values) else block, block)


def _ranks_within(plan: RankPlan, part: NDArray[np.bool_]) -> Array:
    """`midranks` of the architectures in `part` (archs of the plan,), in their order."""
    up_to = np.cumsum(part[plan.order])[plan.last]
    below = np.r_[0, up_to[:-1]]
    return ((below + up_to + 1) / 2)[plan.block[part]]


FEWEST_MEANS = 3
"""Independent values from which their mean has an interval."""


def mean_interval(values: Array) -> tuple[float, float, float]:
    """Return the mean of independent values (n,) and its 95 % interval by Student's t, NaN for fewer than three."""
    mean, count = float(np.mean(values)), len(values)
    if count < FEWEST_MEANS:
        return mean, float("nan"), float("nan")
    reach = float(stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return mean, mean - reach, mean + reach
