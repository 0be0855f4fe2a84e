"""How well a score ranks architectures: rank correlations with their tie rules.

Every function takes arrays of one value per architecture, larger is better for scores and accuracies alike, and keeps
the sign. An architecture whose score or accuracy is not finite leaves the statistic. A statistic is NaN where it is
undefined (fewer than 3 architectures, or a constant side), never 0. SciPy computes the Kendall coefficients and is
the referee of the rest. Sums over pairs take O(n log n).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.ranks import midranks, remembered, weighted_ranks

Array = NDArray[np.float64]
FEWEST = 3
"""With fewer architectures no correlation is defined."""
COUNTED_ABOVE = 20_000


def both_finite(*columns: Array) -> NDArray[np.bool_]:
    """Which architectures are finite in all columns, each (archs,); -> bool (archs,)."""
    return np.logical_and.reduce([np.isfinite(np.asarray(column, float)) for column in columns])


def tied(values: Array) -> int:
    """Number of finite values that share their value with another one."""
    values = np.asarray(values, float)
    _, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return int(counts[counts > 1].sum())


def pearson(score: Array, accuracy: Array) -> float:
    """Pearson's linear correlation, in [-1, 1]; depends on the scale of the score, unlike a rank correlation."""
    x, y = pair(score, accuracy)
    if not varies(x, y):
        return float("nan")
    x, y = _centred(x), _centred(y)
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))


def spearman(score: Array, accuracy: Array, weights: Array | None = None) -> float:
    """Spearman's rho as the Pearson correlation of midranks, in [-1, 1].

    Not 1 - 6 sum(d^2) / (n^3 - n), which is wrong with ties. Source: Spearman 1904; ties as in Kendall 1948.
    With `weights` (archs,) above 0, each architecture counts that many times.

    >>> round(spearman([1, 2, 2, 4], [10, 30, 20, 40]), 4)
    0.9487
    """
    x, y = pair(score, accuracy)
    if not varies(x, y):
        return float("nan")
    if weights is None:
        return _rho(x.tobytes(), y.tobytes())
    w = weights[both_finite(score, accuracy)]
    u, v = weighted_ranks(x, w), weighted_ranks(y, w)
    return float(np.clip((w * u) @ v / np.sqrt((w * u) @ u * ((w * v) @ v)), -1, 1))


@remembered(128)
def _rho(x: bytes, y: bytes) -> float:
    return pearson(midranks(np.frombuffer(x)), midranks(np.frombuffer(y)))


def kendall_tau_b(score: Array, accuracy: Array, weights: Array | None = None) -> float:
    """Kendall's tau-b: (C - D) / sqrt((n0 - n1)(n0 - n2)), in [-1, 1].

    C, D: concordant and discordant pairs; n0 = n(n-1)/2; n1, n2: pairs tied in the score, in the accuracy. A pair
    tied on either side counts in neither C nor D. Source: Kendall 1945; computed by SciPy.
    With `weights` (archs,) above 0, a pair counts the product of theirs.
    """
    x, y = pair(score, accuracy)
    if not varies(x, y):
        return float("nan")
    if weights is None:
        return _tau_b(x.tobytes(), y.tobytes())
    w = weights[both_finite(score, accuracy)]
    signs, untied_x, untied_y = pair_sums(x, y, w)
    return float(w @ signs / np.sqrt((w @ untied_x) * (w @ untied_y)))


@lru_cache(maxsize=2)
def _tau_b(x: bytes, y: bytes) -> float:
    """The last ones are remembered: tau-a and the interval of tau-b start from the same tau-b."""
    return float(stats.kendalltau(np.frombuffer(x), np.frombuffer(y), variant="b", method="asymptotic").statistic)


def kendall_tau_a(score: Array, accuracy: Array) -> float:
    """Kendall's tau-a: (C - D) / n0, in [-1, 1]; tied pairs stay in n0 = n(n-1)/2, so ties pull it towards 0.

    (tau_a + 1) / 2 is the pairwise concordance with ties counted as one half. NaN for a constant side, as for tau-b.
    """
    x, y = pair(score, accuracy)
    pairs = len(x) * (len(x) - 1) / 2
    untied = [pairs - _tied_pairs(side) for side in (x, y)]
    return kendall_tau_b(x, y) * float(np.sqrt(untied[0] * untied[1])) / pairs if pairs else float("nan")


def _tied_pairs(values: Array) -> float:
    """Pairs of equal values; exact below 2^53."""
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1) / 2).sum())


def weighted_tau(score: Array, accuracy: Array) -> float:
    """Vigna's weighted tau with additive hyperbolic weights 1/(rank+1), as `scipy.stats.weightedtau` with `rank=True`.

    `rank=True` is SciPy's default: the mean of two values, one with the ranks that weigh the pairs taken from the score
    (ties broken by the accuracy), one with them from the accuracy (ties broken by the score). Other choices give other
    values: never compare two weighted taus of different `rank`. Top architectures weigh most. Source: Vigna 2015.
    Above `COUNTED_ABOVE` architectures by counting, which is several times quicker than SciPy and differs by rounding.
    """
    x, y = pair(score, accuracy)
    if not varies(x, y):
        return float("nan")
    if len(x) > COUNTED_ABOVE:
        return weighted_tau_by_counts(x, y)
    return float(stats.weightedtau(x, y, rank=True).statistic)


def weighted_tau_by_counts(x: Array, y: Array) -> float:
    """The same from `pair_sums`: a pair weighs w_i + w_j, so every sum over pairs is one over architectures."""
    signs, untied_x, untied_y = pair_sums(x, y)
    taus = []
    for ascending in (np.lexsort((y, x)), np.lexsort((x, y))):
        weights = np.empty(len(x))
        weights[ascending[::-1]] = 1 / (1 + np.arange(len(x)))
        taus.append(float(weights @ signs / np.sqrt((weights @ untied_x) * (weights @ untied_y))))
    return sum(taus) / 2


def worst_case_spearman(score: Array, accuracy: Array) -> tuple[float, float]:
    """(low, high): rho with all failed scores ranked last, and with all ranked first, the smaller one first.

    Failures are tied among themselves. Without failures both are rho. An accuracy that is not finite still leaves.
    """
    known = both_finite(accuracy)
    score, accuracy = np.asarray(score, float)[known], np.asarray(accuracy, float)[known]
    failed = ~np.isfinite(score)
    if not failed.any():
        return (rho := spearman(score, accuracy)), rho
    ranks = np.empty(len(score))
    ranks[~failed] = midranks(score[~failed])
    ends = [spearman(np.where(failed, place, ranks), accuracy) for place in (0, len(score) + 1)]
    return min(ends), max(ends)


def partial_spearman(score: Array, accuracy: Array, control: Array, weights: Array | None = None) -> float:
    """Rank correlation of score and accuracy with a third column, `control`, partialled out, in [-1, 1].

    (r_sa - r_sc r_ac) / sqrt((1 - r_sc^2)(1 - r_ac^2)) with Spearman's r; s score, a accuracy, c control (params).
    NaN where the control has the same order as the score or the accuracy: nothing is left to correlate.
    """
    keep = both_finite(score, accuracy, control)
    s, a, c = (np.asarray(column, float)[keep] for column in (score, accuracy, control))
    w = None if weights is None else weights[keep]
    r_sa, r_sc, r_ac = spearman(s, a, w), spearman(s, c, w), spearman(a, c, w)
    left = (1 - r_sc**2) * (1 - r_ac**2)
    return float("nan") if not left > 1e-10 else float(np.clip((r_sa - r_sc * r_ac) / np.sqrt(left), -1, 1))


def share(count: int, percent: int) -> int:
    """`percent` % of `count`, rounded up, at least 1: the k of "top 10 %"."""
    return max(1, -(-count * percent // 100))


def top_spearman(score: Array, accuracy: Array, percent: int = 10) -> float:
    """rho within the true top: the best `percent` % by accuracy (rounded up), with everything tied at the cut.

    The cut is taken over all architectures with an accuracy, scored or not; the failed ones leave after it.
    """
    keep = both_finite(accuracy)
    score, accuracy = np.asarray(score, float)[keep], np.asarray(accuracy, float)[keep]
    if not len(accuracy):
        return float("nan")
    cut = np.sort(accuracy)[-share(len(accuracy), percent)]
    return spearman(score[accuracy >= cut], accuracy[accuracy >= cut])


def size_strata(params: Array, conv_count: NDArray, most: int = 40, fewest: int = 10) -> Array:
    """The strata of equal size, one label per architecture (archs,): params, or the number of convolutions.

    Params where they take at most `most` values and at least nine in ten architectures share theirs with
    `fewest` - 1 others; else the number of reachable convolutions. NaN, in no stratum, where that number is the same
    for architectures of different params: it says nothing of their size.
    """
    params, conv_count = np.asarray(params, float), np.asarray(conv_count, float)
    values, of_arch, counts = np.unique(params, return_inverse=True, return_counts=True)
    crowded = (counts[of_arch] >= fewest).mean() if len(params) else 0.0
    if len(values) <= most and crowded >= 0.9:
        return params
    differ = len(values) < 2 or len(np.unique(conv_count)) > 1
    return conv_count if differ else np.full(len(params), np.nan)


def stratum_spearman(
    score: Array, accuracy: Array, strata: NDArray, weights: Array | None = None
) -> dict[float, tuple[int, float]]:
    """{stratum: (n, rho)}: rho among the architectures of each stratum; n counts finite pairs, rho may be NaN.

    An architecture without a stratum (NaN) is left out. With `weights` n is the sum of them.
    """
    keep = both_finite(score, accuracy)
    score, accuracy, strata = np.asarray(score, float), np.asarray(accuracy, float), np.asarray(strata, float)
    found = {}
    for label in np.unique(strata[np.isfinite(strata)]):
        row = keep & (strata == label)
        w = None if weights is None else weights[row]
        n = int(row.sum()) if w is None else round(w.sum())
        found[float(label)] = n, spearman(score[row], accuracy[row], w)
    return found


def used_strata(by_stratum: dict[float, tuple[int, float]], fewest: int = 10) -> dict[float, tuple[int, float]]:
    """The strata of at least `fewest` architectures that have a rho."""
    return {label: (n, rho) for label, (n, rho) in by_stratum.items() if n >= fewest and np.isfinite(rho)}


def strata_mean(by_stratum: dict[float, tuple[int, float]], fewest: int = 10) -> float:
    """Mean rho over `used_strata`, weighted by their size."""
    used = used_strata(by_stratum, fewest).values()
    return float(np.average([rho for _, rho in used], weights=[n for n, _ in used])) if used else float("nan")


def pair(score: Array, accuracy: Array) -> tuple[Array, Array]:
    """Both columns, (archs,), where both are finite; ValueError for other shapes."""
    score, accuracy = np.asarray(score, float), np.asarray(accuracy, float)
    if score.shape != accuracy.shape or score.ndim != 1:
        raise ValueError(f"expected one score and accuracy per architecture, got {score.shape} and {accuracy.shape}")
    keep = both_finite(score, accuracy)
    return score[keep], accuracy[keep]


def varies(x: Array, y: Array) -> bool:
    """Whether a correlation is defined: at least `FEWEST` architectures, and neither side constant."""
    return len(x) >= FEWEST and x.min() < x.max() and y.min() < y.max()


def _centred(values: Array) -> Array:
    """Scaled to at most 1 first, so that scores near 1e300 do not overflow when squared; (archs,)."""
    values = values / np.abs(values).max()
    return values - values.mean()


def pair_sums(x: Array, y: Array, weights: Array | None = None) -> tuple[Array, Array, Array]:
    """For each i, the sums over j of sign(x_i - x_j) sign(y_i - y_j), [x_i != x_j] and [y_i != y_j]; (n,) each.

    Each j counts `weights[j]` times, once where none are given. Everything follows from how much lies strictly below i
    on both sides. The last ones are remembered, as tau-b, its interval and weighted tau ask for the same.
    """
    weights = np.ones(len(x)) if weights is None else np.asarray(weights, float)
    return _pair_sums(np.asarray(x, float).tobytes(), np.asarray(y, float).tobytes(), weights.tobytes())


@lru_cache(maxsize=1)
def _pair_sums(x_values: bytes, y_values: bytes, weights: bytes) -> tuple[Array, Array, Array]:
    x, y = (np.unique(np.frombuffer(side), return_inverse=True)[1] for side in (x_values, y_values))
    w = np.frombuffer(weights)
    below_x, same_x = _below_and_same(x, w)
    below_y, same_y = _below_and_same(y, w)
    _, same_both = _below_and_same(np.unique(x * (int(y.max()) + 1) + y, return_inverse=True)[1], w)
    order = np.lexsort((-y, x))  # within equal x larger y first, so that none of them counts as earlier and below
    both = np.empty(len(x))
    both[order] = _earlier_and_below(y[order], w[order])
    # j below i in y and tied with it in x, and the other way round
    x_tied_y_below = _below_within(x, y, w)
    y_tied_x_below = _below_within(y, x, w)
    y_tied_x_above = same_y - same_both - y_tied_x_below
    below_above = below_x - both - y_tied_x_below
    above_below = below_y - both - x_tied_y_below
    above_above = w.sum() - same_x - below_x - above_below - y_tied_x_above
    return both + above_above - below_above - above_below, w.sum() - same_x, w.sum() - same_y


def _below_and_same(ranks: NDArray, weights: Array) -> tuple[Array, Array]:
    """How much has a smaller rank, and how much the same (itself included); ranks 0, 1, ... without a gap."""
    same = np.bincount(ranks, weights)
    return (np.cumsum(same) - same)[ranks], same[ranks]


def _below_within(group: NDArray, ranks: NDArray, weights: Array) -> Array:
    """How much of one's own group has a smaller rank; (n,) integers each."""
    key = group * (int(ranks.max()) + 1) + ranks
    order = np.argsort(key, kind="stable")
    filled = np.r_[0.0, np.cumsum(weights[order])]
    return filled[np.searchsorted(key[order], key)] - filled[np.searchsorted(group[order], group)]


def _earlier_and_below(ranks: NDArray, weights: Array) -> Array:
    """For each position, how much of what is earlier has a smaller rank; (n,) integers from 0.

    Bit by bit from the highest: a smaller rank shares the higher bits and has a 0 where this one has a 1. Positions
    stay grouped by the bits seen so far, in their order within a group; each bit splits every group in two.
    """
    found = np.zeros(len(ranks))
    order, place = np.arange(len(ranks)), np.arange(len(ranks))
    for bit in reversed(range(int(ranks.max()).bit_length())):
        sorted_ranks, sorted_weights = ranks[order], weights[order]
        zero = (sorted_ranks >> bit & 1) == 0
        starts = np.flatnonzero(np.diff(sorted_ranks >> (bit + 1), prepend=-1))
        first = np.repeat(starts, np.diff(np.r_[starts, len(ranks)]))
        weight_before = np.cumsum(sorted_weights * zero) - sorted_weights * zero
        found[order] += np.where(zero, 0, weight_before - weight_before[first])
        zeros_before = np.cumsum(zero) - zero
        zeros_before -= zeros_before[first]
        zeros = np.repeat(np.add.reduceat(zero, starts, dtype=np.int64), np.diff(np.r_[starts, len(ranks)]))
        split = np.empty_like(order)
        split[np.where(zero, first + zeros_before, place + zeros - zeros_before)] = order
        order = split
    return found
