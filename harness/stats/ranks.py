"""Ranks of a column, each sorted once, as a table ranks the same columns again and again; and what picking costs:
regret, precision, rank and gain of the top k, exact over all orders of tied scores.

The picks are the k architectures with the largest scores. Where a block of tied scores straddles the cut, they are a
random subset of it, and each value is the expectation over those subsets (not the luck of the index order). A score
that is not finite is never picked; with fewer than k finite scores the picks are all of those (`picked` says how
many). Architectures without an accuracy are not there at all. Accuracies in percent, so regret is in percentage
points, at least 0, smaller is better.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.float64]
Made = TypeVar("Made")
HUGE_BLOCK = 20_000
"""Tie blocks of more members have their chances by multiplication, which is quicker than by logarithms."""


def midranks(values: Array) -> Array:
    """Ranks 1..n in ascending order, ties share the mean of their ranks; (archs,) -> (archs,), read-only. No NaN."""
    return _ranked(values)[0]


def ties(values: Array) -> NDArray[np.intp]:
    """The place of each value among the different ones in ascending order; (archs,) -> (archs,), read-only. No NaN."""
    return _ranked(values)[1]


def remembered(many: int, few: int = 0) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Let a function of bytes remember its last results: `many` of them where its columns are small, else `few`.

    Statistics rank and correlate the same few columns again and again, and a table of targets all scores for each.
    """

    def decorate(function: Callable[..., Made]) -> Callable[..., Made]:
        small, large = lru_cache(maxsize=many)(function), lru_cache(maxsize=few)(function)
        return lambda *columns: (small if len(columns[0]) <= MANY_BYTES else large)(*columns)

    return decorate


MANY_BYTES = 1 << 17
"""Bytes of a column that is small: 128 results of it take 50 MB at most."""


def _ranked(values: Array) -> tuple[Array, NDArray[np.intp]]:
    """`midranks` and `ties`."""
    return _rank(np.asarray(values, float).tobytes())


@remembered(128, 8)
def _rank(values: bytes) -> tuple[Array, NDArray[np.intp]]:
    _, of_value, counts = np.unique(np.frombuffer(values), return_inverse=True, return_counts=True)
    ranks = ((2 * np.cumsum(counts) - counts + 1) / 2)[of_value]
    for each in (ranks, of_value):
        each.flags.writeable = False
    return ranks, of_value


def weighted_ranks(values: Array, weights: Array) -> Array:
    """The weight below each value plus half of that of its ties, minus half of all, over all: in (-1/2, 1/2)."""
    of_value = ties(values)
    same = np.bincount(of_value, weights)
    return ((np.cumsum(same) - same / 2) / same.sum() - 0.5)[of_value]


def above_minus_below(values: Array) -> Callable[[Array], Array]:
    """Return a function of terms (n,): for each i, the sum over j of sign(values_j - values_i) / 2 terms_j."""
    of_value = ties(values)

    def sums(terms: Array) -> Array:
        same = np.bincount(of_value, terms)
        up_to = np.cumsum(same)
        return (up_to[-1] / 2 - up_to + same / 2)[of_value]

    return sums


def picked(score: Array, accuracy: Array, k: int) -> int:
    """How many architectures the top k really holds: k, or the number of finite scores if that is smaller."""
    return min(k, int((np.isfinite(np.asarray(score, float)) & np.isfinite(np.asarray(accuracy, float))).sum()))


def top_k_regret(score: Array, accuracy: Array, k: int) -> float:
    """Best accuracy of all architectures minus the expected best accuracy among the top k by score, in points.

    `accuracy` (archs,) is both what the best is and what the picks are judged by. NaN if nothing has a finite score.

    >>> top_k_regret([3, 1, 1, 0], [90, 94, 92, 95], 2)  # 90 for sure, then 94 or 92
    2.0
    """
    return _lost(accuracy, expected_best(score, accuracy, k))


def random_regret(accuracy: Array, k: int) -> float:
    """Expected regret of k architectures drawn without replacement, in points: every score tied."""
    return top_k_regret(np.zeros(np.size(accuracy)), accuracy, k)


def regret_curve(score: Array, accuracy: Array, ks: Sequence[int]) -> list[float]:
    """`top_k_regret` at several k, with one sort."""
    score, accuracy = np.asarray(score, float), np.asarray(accuracy, float)
    order = _falling(score, accuracy, np.flatnonzero(np.isfinite(score) & np.isfinite(accuracy)))
    return [_lost(accuracy, _expectation(score[order], accuracy[order], k)) for k in ks]


def _lost(accuracy: Array, picked_best: float) -> float:
    accuracy = np.asarray(accuracy, float)
    known = accuracy[np.isfinite(accuracy)]
    regret = known.max() - picked_best if len(known) else np.nan
    return 0.0 if regret <= 0 else float(regret)  # neither -1e-14 by rounding nor -0.0


def expected_best(score: Array, value: Array, k: int) -> float:
    """Expected largest `value` among the top k by `score`, over all orders of tied scores; (archs,) both.

    The block of ties that straddles the cut gives m of its W members: the chance that none of its G best is drawn is
    C(W-G, m) / C(W, m).
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    score, value = np.asarray(score, float), np.asarray(value, float)
    there = np.flatnonzero(np.isfinite(score) & np.isfinite(value))
    if k < len(there):  # the k largest and all that are tied with the last of them
        known = score[there]
        there = there[known >= np.partition(known, len(known) - k)[len(known) - k]]
    order = _falling(score, value, there)
    return _expectation(score[order], value[order], k)


def _falling(score: Array, value: Array, there: NDArray) -> NDArray:
    return there[np.lexsort((-value[there], -score[there]))]


def _expectation(score: Array, value: Array, k: int) -> float:
    """`expected_best` of architectures in falling order of score, then of value."""
    if not len(score):
        return float("nan")
    starts = np.flatnonzero(np.r_[True, np.diff(score) != 0])
    picks = min(k, len(score))
    block = int(np.searchsorted(starts, picks)) - 1
    members = value[starts[block] : starts[block + 1] if block + 1 < len(starts) else None]
    above, drawn = value[: starts[block]].max(initial=-np.inf), picks - int(starts[block])
    everyone = len(members)
    rest = everyone - np.arange(1.0, everyone + 1)
    none = _none_of_best(rest, everyone, drawn)
    return float((-np.diff(none, prepend=1.0) * np.maximum(members, above)).sum())


def _none_of_best(rest: Array, everyone: int, drawn: int) -> Array:
    """The chance that all `drawn` of a block of `everyone` are among the `rest` (members,)."""
    if everyone > HUGE_BLOCK and drawn <= 16:
        none = np.prod([(rest - draw) / (everyone - draw) for draw in range(drawn)], axis=0)
        return np.where(rest >= drawn, none, 0.0)
    with np.errstate(invalid="ignore"):
        log_none = gammaln(rest + 1) - gammaln(rest - drawn + 1) - gammaln(everyone + 1) + gammaln(everyone - drawn + 1)
        return np.where(rest >= drawn, np.exp(log_none), 0.0)


def curve_points(count: int) -> list[int]:
    """k = 1, 2, 5, 10, 20, 50, 100, ... below `count`, then `count` itself: where a regret curve is drawn."""
    steps = [step * 10**power for power in range(len(str(count))) for step in (1, 2, 5)]
    return [k for k in steps if k < count] + ([count] if count else [])


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
