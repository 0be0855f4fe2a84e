"""Sampling error of Spearman's rho, analytically: one term per architecture, no resampling. For large tables.

rho is a smooth function of averages over pairs and triples of architectures, so for many of them its error is a sum of
one term each (the delta method; Hoeffding 1948, "A class of statistics with asymptotically normal distribution").
Terms are summed within classes of equivalent architectures, as for tau-b in `kendall.py`; a difference of two rho has
the difference of their terms. Above some thousand architectures this and the bootstrap of `intervals.py` give the same
intervals up to the error of the resampling (tests/analysis/test_large_tables.py). Larger rho is better.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.correlation import both_finite, midranks, spearman
from harness.stats.intervals import LEVEL, clustered_deviation
from harness.stats.kendall import interval_of
from harness.stats.seeds import pairs_of_seeds, seed_mean

Array = NDArray[np.float64]


def rho_interval(scores: Array, accuracy: Array, class_id: NDArray, level: float = LEVEL) -> tuple[float, float]:
    """(low, high) for Spearman's rho, or for its mean over the rows of `scores` (seeds, archs).

    Formed as `tau_b_interval` is: terms averaged over seeds, summed within classes, on the scale of atanh(rho).
    """
    return interval_of(spearman, rho_influence, scores, accuracy, class_id, level)


def rho_influence(score: Array, accuracy: Array) -> Array:
    """Each architecture's term in the error of rho, (archs,); the terms sum to 0 and are 0 where not finite.

    With u, v the centred midranks over n (u_i is half the mean sign of x_i - x_j over all j), A = mean(u v),
    B = mean(u^2), C = mean(v^2) and rho = A / sqrt(B C): an architecture moves A by its own product and by what it does
    to the ranks of all others, u_i v_i + a_i + b_i - 3 A, where a_i = mean over j of sign(x_j - x_i)/2 v_j and b_i the
    same with the sides exchanged; B and C likewise.
    """
    keep = both_finite(score, accuracy)
    x, y = np.asarray(score, float)[keep], np.asarray(accuracy, float)[keep]
    u, v = (midranks(side) / len(x) - (len(x) + 1) / (2 * len(x)) for side in (x, y))
    by_x, by_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    covariance, spread_x, spread_y = u @ v / len(x), u @ u / len(x), v @ v / len(x)
    rho = covariance / np.sqrt(spread_x * spread_y)
    moved = u * v + _mean_above_minus_below(x, by_x, v) + _mean_above_minus_below(y, by_y, u) - 3 * covariance
    moved_x = u * u + 2 * _mean_above_minus_below(x, by_x, u) - 3 * spread_x
    moved_y = v * v + 2 * _mean_above_minus_below(y, by_y, v) - 3 * spread_y
    terms = np.zeros(len(keep))
    terms[keep] = moved / np.sqrt(spread_x * spread_y) - rho / 2 * (moved_x / spread_x + moved_y / spread_y)
    return terms / len(x)


def _mean_above_minus_below(values: Array, order: NDArray, weights: Array) -> Array:
    """For each i, the mean over all j of sign(values_j - values_i) / 2 weights_j; `order` sorts `values`; (n,)."""
    ends = np.flatnonzero(np.diff(values[order], append=np.nan) != 0)
    sums = np.cumsum(weights[order])
    below = np.r_[0.0, sums[ends[:-1]]]
    halves = (sums[-1] - sums[ends] - below) / (2 * len(values))
    result = np.empty(len(values))
    result[order] = np.repeat(halves, np.diff(ends, prepend=-1))
    return result


def rho_difference_interval(
    one: Array, other: Array, accuracy: Array, class_id: NDArray, level: float = LEVEL
) -> tuple[float, float, float]:
    """(low, high, p) of rho of `one` minus rho of `other`, (seeds, archs) both, means over seeds.

    On the architectures both scored in that seed; p: two-sided, of "no difference", by normal tails.
    """
    differences, terms = [], []
    for x, y in pairs_of_seeds(one, other):
        gap = spearman(x, accuracy) - spearman(y, accuracy)
        if np.isfinite(gap):
            differences.append(gap)
            terms.append(rho_influence(x, accuracy) - rho_influence(y, accuracy))
    if not differences:
        return float("nan"), float("nan"), float("nan")
    difference = float(seed_mean(differences))
    deviation, classes = clustered_deviation(terms, class_id, both_finite(accuracy))
    if deviation < 1e-12:  # one and the same order
        return difference, difference, 1.0
    reach = float(stats.t.ppf((1 + level) / 2, classes - 1)) * deviation
    return difference - reach, difference + reach, float(2 * stats.norm.sf(abs(difference) / deviation))
