"""What picking by a score costs: regret, precision, rank and gain of the top k, exact over all orders of tied scores.

The picks are the k architectures with the largest scores. Where a block of tied scores straddles the cut, they are a
random subset of it, and each figure is the expectation over those subsets (not the luck of the index order). A score
that is not finite is never picked; with fewer than k finite scores the picks are all of those (`picked` says how
many). Architectures without an accuracy are not there at all. Accuracies in percent, so regret is in percentage
points, at least 0, smaller is better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.float64]


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

    Copies of an architecture take up places among the top k, as they do in a sample drawn with replacement. The middle
    95 % of such regrets is a rough interval: it held the expected regret of samples of that size in 86 to 95 % of 600
    simulated ones (worst: 60 classes and a score so good that most regrets are 0).
    """
    score, accuracy = np.asarray(score, float), np.asarray(accuracy, float)
    best_first = np.argsort(-accuracy)[: np.isfinite(accuracy).sum()]
    best = np.full(len(weights), np.nan)
    for arch in best_first:
        best[np.isnan(best) & (weights[:, arch] > 0)] = accuracy[arch]
        if not np.isnan(best).any():
            break
    regret = best - expected_best(score, accuracy, k, weights)
    return np.where(regret < 0, 0.0, regret) + 0.0  # neither -1e-14 by rounding nor -0.0


def expected_best(score: Array, value: Array, k: int, weights: NDArray) -> Array:
    """Expected largest `value` among the top k by `score`, over all orders of tied scores; -> (resamples,).

    score, value: (archs,); weights: (resamples, archs), how often each architecture is there. The block of ties that
    straddles the cut gives m of its W members: the chance that none of its G best is drawn is C(W-G, m) / C(W, m).
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    score, value = np.asarray(score, float), np.asarray(value, float)
    there = np.flatnonzero(np.isfinite(score) & np.isfinite(value))
    order = there[np.lexsort((-value[there], -score[there]))]
    order, weights = _enough(order, score, weights, k)
    if not len(order):
        return np.full(len(weights), np.nan)
    value = value[order]
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    filled = np.cumsum(weights, axis=1, dtype=np.int64)
    before = filled[:, starts] - weights[:, starts]
    picks = np.minimum(k, filled[:, -1])
    straddling = (before < picks[:, None]).sum(axis=1) - 1
    best_so_far = np.maximum.accumulate(np.where(weights > 0, value, -np.inf), axis=1)
    result = np.full(len(weights), np.nan)
    ends = np.r_[starts[1:], len(order)]
    for block in np.unique(straddling[picks > 0]):
        rows = np.flatnonzero((straddling == block) & (picks > 0))
        members = slice(starts[block], ends[block])
        above = best_so_far[rows, starts[block] - 1] if block else np.full(len(rows), -np.inf)
        drawn = picks[rows] - before[rows, block]
        result[rows] = _block_expectation(value[members], weights[rows, members], drawn, above)
    return result


def precision_at_k(score: Array, accuracy: Array, k: int) -> float:
    """Expected share of the k picks that belong to the true top k, in [0, 1]; larger is better, chance is k/n.

    Tie-aware on both sides: sum over architectures of P(picked) P(truly top k) / k, ties ordered at random and
    independently in score and accuracy. Divided by k even if fewer than k scores are finite.
    """
    known = np.isfinite(np.asarray(accuracy, float))
    score, accuracy = np.asarray(score, float)[known], np.asarray(accuracy, float)[known]
    k = min(k, len(accuracy))
    return float(_chance_on_top(score, k) @ _chance_on_top(accuracy, k) / k) if k else float("nan")


def best_rank_at_k(score: Array, accuracy: Array, k: int) -> float:
    """Expected rank of the best of the k picks; 1 is the best architecture, smaller is better.

    Rank = 1 + number of strictly better architectures (competition ranking: tied accuracies share the better rank),
    among all architectures with an accuracy, scored or not.
    """
    accuracy = np.asarray(accuracy, float)
    known = np.sort(accuracy[np.isfinite(accuracy)])
    rank = np.where(np.isfinite(accuracy), 1.0 + len(known) - np.searchsorted(known, accuracy, side="right"), np.nan)
    return -float(expected_best(score, -rank, k, np.ones((1, len(accuracy)), np.uint16))[0])


def ndcg_at_k(score: Array, accuracy: Array, k: int) -> float:
    """Normalised discounted cumulative gain of the top k, in [0, 1]; larger is better.

    sum_j gain(j-th pick) / log2(1 + j), over the same sum for the true order. gain = 2^accuracy - 1 with the accuracy
    in percent: one point less counts half. Tied scores share the mean gain of their block (McSherry and Najork 2008);
    places that no finite score fills gain nothing. Exponential gain: Burges et al. 2005.
    """
    known = np.isfinite(np.asarray(accuracy, float))
    score, accuracy = np.asarray(score, float)[known], np.asarray(accuracy, float)[known]
    if not len(accuracy) or not np.isfinite(score).any():
        return float("nan")
    top = accuracy.max()
    gain = 2.0 ** (accuracy - top) - 2.0**-top
    discount = np.zeros(len(accuracy))
    discount[:k] = 1 / np.log2(2 + np.arange(min(k, len(accuracy))))
    finite = np.isfinite(score)
    order = np.flatnonzero(finite)[np.argsort(-score[finite], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    sizes = np.diff(np.r_[starts, len(order)])
    block_gain = np.add.reduceat(gain[order], starts) / sizes
    ideal = np.sort(gain)[::-1] @ discount
    return float(block_gain @ np.add.reduceat(discount[: len(order)], starts) / ideal) if ideal > 0 else float("nan")


def curve_points(count: int) -> list[int]:
    """k = 1, 2, 5, 10, 20, 50, 100, ... below `count`, then `count` itself: where a regret curve is drawn."""
    steps = [step * 10**power for power in range(len(str(count))) for step in (1, 2, 5)]
    return [k for k in steps if k < count] + ([count] if count else [])


def _enough(order: NDArray, score: Array, weights: NDArray, k: int) -> tuple[NDArray, NDArray]:
    """The best-scored architectures that hold the top k of every resample, whole tie blocks, and their weights."""
    length = min(len(order), 2 * k + 64)
    while True:
        if length < len(order):
            length = int(np.searchsorted(-score[order], -score[order[length - 1]], side="right"))
        head = np.take(weights, order[:length], axis=1)
        if length == len(order) or head.sum(axis=1).min() >= k:
            return order[:length], head
        length = min(len(order), 2 * length)


def _block_expectation(value: Array, weights: NDArray, drawn: NDArray, above: Array) -> Array:
    """Expected max(above, best of `drawn` members of a tie block); value (members,) falls, weights (rows, members)."""
    best_ones = np.cumsum(weights, axis=1, dtype=float)
    everyone, drawn = best_ones[:, -1:], drawn[:, None].astype(float)
    rest = everyone - best_ones
    with np.errstate(invalid="ignore"):
        log_none = gammaln(rest + 1) - gammaln(rest - drawn + 1) - gammaln(everyone + 1) + gammaln(everyone - drawn + 1)
        none = np.where(rest >= drawn, np.exp(log_none), 0.0)
    chance = -np.diff(none, axis=1, prepend=1.0)
    return (chance * np.maximum(value, above[:, None])).sum(axis=1)


def _chance_on_top(values: Array, k: int) -> Array:
    """P(among the k largest) of each value when ties are ordered at random; not finite: 0; (archs,) -> (archs,)."""
    finite = np.isfinite(values)
    ascending = np.sort(values[finite])
    larger = finite.sum() - np.searchsorted(ascending, values, side="right")
    same = np.searchsorted(ascending, values, side="right") - np.searchsorted(ascending, values, side="left")
    return np.where(finite, np.clip((k - larger) / np.maximum(same, 1), 0, 1), 0.0)
