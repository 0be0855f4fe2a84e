"""How well a score ranks architectures: rank correlations with their tie rules.

Every function takes arrays of one value per architecture, larger is better for scores and accuracies alike, and keeps
the sign. An architecture whose score or accuracy is not finite leaves the statistic. A statistic is NaN where it is
undefined (fewer than 3 architectures, or a constant side), never 0. SciPy computes the Kendall coefficients and is
the referee of the rest.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.pairs import pair_sums

Array = NDArray[np.float64]
FEWEST = 3
"""With fewer architectures no correlation is defined."""


def both_finite(*columns: Array) -> NDArray[np.bool_]:
    """Which architectures are finite in all columns, each (archs,); -> bool (archs,)."""
    return np.logical_and.reduce([np.isfinite(np.asarray(column, float)) for column in columns])


def midranks(values: Array) -> Array:
    """Ranks 1..n in ascending order, ties share the mean of their ranks; (archs,) -> (archs,), read-only. No NaN."""
    return _midranks(np.asarray(values, float).tobytes())


@lru_cache(maxsize=8)
def _midranks(values: bytes) -> Array:
    """The last ones are remembered: the statistics of one score rank the same few columns again and again."""
    ranks = stats.rankdata(np.frombuffer(values), method="average")
    ranks.flags.writeable = False
    return ranks


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
        return pearson(midranks(x), midranks(y))
    w = weights[both_finite(score, accuracy)]
    u, v = weighted_ranks(x, w), weighted_ranks(y, w)
    return float(np.clip((w * u) @ v / np.sqrt((w * u) @ u * ((w * v) @ v)), -1, 1))


def weighted_ranks(values: Array, weights: Array) -> Array:
    """The weight below each value plus half of that of its ties, minus half of all, over all: in (-1/2, 1/2)."""
    _, of_value = np.unique(values, return_inverse=True)
    same = np.bincount(of_value, weights)
    return ((np.cumsum(same) - same / 2) / same.sum() - 0.5)[of_value]


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
    rows = [_sorted_row(row) for row in scores]
    for i in np.flatnonzero(~whole):
        for j in range(len(scores)):
            if whole[j] or j <= i:
                both = rows[i].finite & rows[j].finite
                one, other = (_ranks_within(row, both) for row in (rows[i], rows[j]))
                if len(one) >= FEWEST:
                    result[i, j] = result[j, i] = pearson(one, other)
    return result


class SortedRow(NamedTuple):
    """A row of scores sorted once; infinite and missing ones are left out."""

    finite: NDArray[np.bool_]  # (archs,)
    order: NDArray[np.intp]  # (finite,) ascending
    last: NDArray[np.intp]  # (blocks,) where in `order` each block of ties ends
    block: NDArray[np.intp]  # (archs,) the block of each finite architecture


def _sorted_row(row: Array) -> SortedRow:
    finite = np.isfinite(row)
    places = np.flatnonzero(finite)
    order = places[np.argsort(row[places], kind="stable")]
    new = np.diff(row[order], prepend=np.nan) != 0
    block = np.zeros(len(row), np.intp)
    block[order] = np.cumsum(new) - 1
    return SortedRow(finite, order, np.r_[np.flatnonzero(new)[1:] - 1, len(order) - 1][: new.sum()], block)


def _ranks_within(row: SortedRow, part: NDArray[np.bool_]) -> Array:
    """`midranks` of the architectures in `part` (archs,), all of them finite, in their order."""
    up_to = np.cumsum(part[row.order])[row.last]
    below = np.r_[0, up_to[:-1]]
    return ((below + up_to + 1) / 2)[row.block[part]]


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
