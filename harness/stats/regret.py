"""What picking by a score costs: regret, precision, rank and gain of the top k, exact over all orders of tied scores.

The picks are the k architectures with the largest scores. Where a block of tied scores straddles the cut, they are a
random subset of it, and each value is the expectation over those subsets (not the luck of the index order). A score
that is not finite is never picked; with fewer than k finite scores the picks are all of those (`picked` says how
many). Architectures without an accuracy are not there at all. Accuracies in percent, so regret is in percentage
points, at least 0, smaller is better.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.float64]
AT_ONCE = 2_000_000
"""Values per working array."""
HUGE_BLOCK = 20_000
"""Tie blocks of more members have their chances by multiplication, which is quicker than by logarithms."""


def picked(score: Array, accuracy: Array, k: int) -> int:
    """How many architectures the top k really holds: k, or the number of finite scores if that is smaller."""
    return min(k, int((np.isfinite(np.asarray(score, float)) & np.isfinite(np.asarray(accuracy, float))).sum()))


def top_k_regret(score: Array, accuracy: Array, k: int) -> float:
    """Best accuracy of all architectures minus the expected best accuracy among the top k by score, in points.

    `accuracy` (archs,) is both what the best is and what the picks are judged by. NaN if nothing has a finite score.

    >>> top_k_regret([3, 1, 1, 0], [90, 94, 92, 95], 2)  # 90 for sure, then 94 or 92
    2.0
    """
    return float(weighted_regret(score, accuracy, k, np.ones((1, np.size(accuracy)), np.uint16))[0])


def random_regret(accuracy: Array, k: int) -> float:
    """Expected regret of k architectures drawn without replacement, in points: every score tied."""
    return top_k_regret(np.zeros(np.size(accuracy)), accuracy, k)


def weighted_regret(score: Array, accuracy: Array, k: int, weights: NDArray) -> Array:
    """`top_k_regret` in samples that hold each architecture `weights` (resamples, archs) times; -> (resamples,).

    Copies of an architecture take up places among the top k, as they do in a sample drawn with replacement.
    """
    score, accuracy = np.asarray(score, float), np.asarray(accuracy, float)
    return _lost(_best_there(accuracy, weights), expected_best(score, accuracy, k, weights))


def regret_curve(score: Array, accuracy: Array, ks: Sequence[int]) -> list[float]:
    """`top_k_regret` at several k, with one sort."""
    score, accuracy = np.asarray(score, float), np.asarray(accuracy, float)
    there = np.flatnonzero(np.isfinite(score) & np.isfinite(accuracy))
    order = there[np.lexsort((-accuracy[there], -score[there]))]
    once = np.ones((1, len(accuracy)), np.uint16)
    ends = np.flatnonzero(np.diff(score[order], append=np.nan) != 0) + 1
    best, regrets = _best_there(accuracy, once), []
    for k in ks:
        head = order[: int(ends[min(int(np.searchsorted(ends, k)), len(ends) - 1)])] if len(ends) else order
        regrets.append(float(_lost(best, _expectation(score[head], accuracy[head], k, once[:, head]))[0]))
    return regrets


def _best_there(accuracy: Array, weights: NDArray) -> Array:
    """The best accuracy in every sample, (resamples,); NaN where there is none."""
    there = np.flatnonzero(np.isfinite(accuracy))
    head = _enough(accuracy, there, weights, 1)
    if not len(head):
        return np.full(len(weights), np.nan)
    best = np.where(np.take(weights, head, axis=1) > 0, accuracy[head], -np.inf).max(axis=1)
    return np.where(best > -np.inf, best, np.nan)


def _lost(best: Array, picked_best: Array) -> Array:
    regret = best - picked_best
    return np.where(regret < 0, 0.0, regret) + 0.0  # neither -1e-14 by rounding nor -0.0


def expected_best(score: Array, value: Array, k: int, weights: NDArray) -> Array:
    """Expected largest `value` among the top k by `score`, over all orders of tied scores; -> (resamples,).

    score, value: (archs,); weights: (resamples, archs), how often each architecture is there. The block of ties that
    straddles the cut gives m of its W members: the chance that none of its G best is drawn is C(W-G, m) / C(W, m).
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    score, value = np.asarray(score, float), np.asarray(value, float)
    head = _enough(score, np.flatnonzero(np.isfinite(score) & np.isfinite(value)), weights, k)
    order = head[np.lexsort((-value[head], -score[head]))]
    return _expectation(score[order], value[order], k, np.take(weights, order, axis=1))


def _expectation(score: Array, value: Array, k: int, weights: NDArray) -> Array:
    """`expected_best` of architectures in falling order of score, then of value."""
    result, step = np.full(len(weights), np.nan), max(1, AT_ONCE // max(len(score), 1))
    for start in range(0, len(weights) if len(score) else 0, step):
        rows = slice(start, start + step)
        result[rows] = _expectation_at_once(score, value, k, weights[rows])
    return result


def _expectation_at_once(score: Array, value: Array, k: int, weights: NDArray) -> Array:
    starts = np.flatnonzero(np.r_[True, np.diff(score) != 0])
    filled = np.cumsum(weights, axis=1, dtype=np.int64)
    before = filled[:, starts] - weights[:, starts]
    picks = np.minimum(k, filled[:, -1])
    straddling = (before < picks[:, None]).sum(axis=1) - 1
    best_so_far = np.maximum.accumulate(np.where(weights > 0, value, -np.inf), axis=1)
    result = np.full(len(weights), np.nan)
    ends = np.r_[starts[1:], len(score)]
    for block in np.unique(straddling[picks > 0]):
        rows = np.flatnonzero((straddling == block) & (picks > 0))
        members = slice(starts[block], ends[block])
        above = best_so_far[rows, starts[block] - 1] if block else np.full(len(rows), -np.inf)
        drawn = picks[rows] - before[rows, block]
        result[rows] = _block_expectation(value[members], weights[rows, members], drawn, above)
    return result


def curve_points(count: int) -> list[int]:
    """k = 1, 2, 5, 10, 20, 50, 100, ... below `count`, then `count` itself: where a regret curve is drawn."""
    steps = [step * 10**power for power in range(len(str(count))) for step in (1, 2, 5)]
    return [k for k in steps if k < count] + ([count] if count else [])


def _head(values: Array, there: NDArray, length: int) -> NDArray:
    """The places, among `there`, of the `length` largest values and of all that are tied with the last of them."""
    if length >= len(there):
        return there
    known = values[there]
    return there[known >= np.partition(known, len(known) - length)[len(known) - length]]


def _enough(score: Array, there: NDArray, weights: NDArray, k: int) -> NDArray:
    """The best-scored architectures that hold the top k of every resample, whole tie blocks, in the run's order."""
    length = 2 * k + 64
    while True:
        head = _head(score, there, length)
        if len(head) == len(there) or np.take(weights, head, axis=1).sum(axis=1).min() >= k:
            return head
        length = 2 * len(head)


def _block_expectation(value: Array, weights: NDArray, drawn: NDArray, above: Array) -> Array:
    """Expected max(above, best of `drawn` members of a tie block); value (members,) falls, weights (rows, members)."""
    best_ones = np.cumsum(weights, axis=1, dtype=float)
    everyone, drawn = best_ones[:, -1:], drawn[:, None].astype(float)
    rest = everyone - best_ones
    if len(value) > HUGE_BLOCK and drawn.max() <= 16:
        return _mean_of_best(value, _none_by_products(rest, everyone, drawn), above)
    with np.errstate(invalid="ignore"):
        log_none = gammaln(rest + 1) - gammaln(rest - drawn + 1) - gammaln(everyone + 1) + gammaln(everyone - drawn + 1)
        none = np.where(rest >= drawn, np.exp(log_none), 0.0)
    return _mean_of_best(value, none, above)


def _none_by_products(rest: Array, everyone: Array, drawn: Array) -> Array:
    """The same chance as a product over the draws, (W-G) (W-G-1) ... / W (W-1) ...; (rows, members)."""
    none = np.ones_like(rest)
    for draw in range(int(drawn.max())):
        still = np.flatnonzero(drawn[:, 0] > draw)
        none[still] *= (rest[still] - draw) / (everyone[still] - draw)
    return np.where(rest >= drawn, none, 0.0)


def _mean_of_best(value: Array, none: Array, above: Array) -> Array:
    chance = -np.diff(none, axis=1, prepend=1.0)
    return (chance * np.maximum(value, above[:, None])).sum(axis=1)
