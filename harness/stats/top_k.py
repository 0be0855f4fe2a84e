"""The top k of a score: how many of its picks belong there, the rank of the best of them, and their gain.

Picks, ties and missing values as in `harness.stats.regret`: each value is the expectation over all orders of tied
scores.
"""

import numpy as np
from numpy.typing import NDArray

from harness.stats.correlation import midranks
from harness.stats.regret import expected_best

Array = NDArray[np.float64]


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
    return -expected_best(score, -rank, k)


def ndcg_at_k(score: Array, accuracy: Array, k: int) -> float:
    """Normalised discounted cumulative gain of the top k, in [0, 1]; larger is better; computed by scikit-learn.

    sum_j gain(j-th pick) / log2(1 + j), over the same sum for the true order. gain = 2^accuracy - 1 with the accuracy
    in percent: one point less counts half. Tied scores share the mean gain of their block (McSherry and Najork 2008);
    places that no finite score fills gain nothing. Exponential gain: Burges et al. 2005.
    """
    known = np.isfinite(np.asarray(accuracy, float))
    score, accuracy = np.asarray(score, float)[known], np.asarray(accuracy, float)[known]
    finite = np.isfinite(score)
    if not finite.any():
        return float("nan")
    top = accuracy.max()
    gain = 2.0 ** (accuracy - top) - 2.0**-top
    ideal = _discounted(gain, gain, k)
    return _discounted(midranks(score[finite]), gain[finite], k) / ideal if ideal > 0 else float("nan")


def _discounted(score: Array, gain: Array, k: int) -> float:
    """Discounted gain of the top k. One more, worst, without gain: scikit-learn refuses a single architecture."""
    from sklearn.metrics import dcg_score

    return dcg_score([np.r_[gain, 0.0]], [np.r_[score, -1.0]], k=k)


def _chance_on_top(values: Array, k: int) -> Array:
    """P(among the k largest) of each value when ties are ordered at random; not finite: 0; (archs,) -> (archs,)."""
    finite = np.isfinite(values)
    count = int(finite.sum())
    if k >= count:
        return finite.astype(float)
    values = np.where(finite, values, -np.inf)
    cut = np.partition(values, len(values) - k)[len(values) - k]
    chance = (values > cut).astype(float)
    chance[values == cut] = (k - chance.sum()) / (values == cut).sum()
    return chance
