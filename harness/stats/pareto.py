"""Picks at a price: what a score loses where only architectures within a budget of latency or energy may be taken."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.stats.correlation import both_finite
from harness.stats.ranks import top_k_regret

Array = NDArray[np.float64]


def front(value: Array, cost: Array) -> NDArray[np.bool_]:
    """Which architectures are Pareto optimal, bool (archs,): none is as good and as cheap, and better in one of both.

    Larger values and smaller costs are better. Equal ones are all in; what is not finite is never.

    >>> front([3, 5, 4, 5], [1, 2, 2, 4]).tolist()
    [True, True, False, False]
    """
    value, cost = np.asarray(value, float), np.asarray(cost, float)
    known = np.flatnonzero(both_finite(value, cost))
    found = np.zeros(len(value), bool)
    prices, of_arch = np.unique(cost[known], return_inverse=True)
    best = np.full(len(prices), -np.inf)
    np.maximum.at(best, of_arch, value[known])
    cheaper = np.r_[-np.inf, np.maximum.accumulate(best)[:-1]] if len(prices) else best
    found[known] = (value[known] == best[of_arch]) & (best > cheaper)[of_arch]
    return found


def budgets(cost: Array, steps: int = 10) -> Array:
    """Costs that 1 / steps, 2 / steps, ... of the architectures do not exceed, (steps,): each the cost of one."""
    known = np.asarray(cost, float)
    return np.quantile(known[np.isfinite(known)], np.arange(1, steps + 1) / steps, method="inverted_cdf")


def budget_regret(score: Array, accuracy: Array, cost: Array, limits: Sequence[float] | Array, k: int = 1) -> Array:
    """Return the regret of the k top scores among the architectures within each limit of cost, (limits,), points.

    The best accuracy within the limit minus the expected best of the k picks, as `top_k_regret`. The picks for all
    limits together are the Pareto front of score and cost. NaN where no score within the limit is finite.

    >>> budget_regret([3, 1, 2], [90, 94, 95], [1, 1, 2], [1, 2]).tolist()  # 90 of at most 94, then of 95
    [4.0, 5.0]
    """
    score, accuracy, cost = (np.asarray(column, float) for column in (score, accuracy, cost))
    inside = (cost <= limit for limit in limits)
    return np.array([top_k_regret(score[rows], accuracy[rows], k) for rows in inside])
