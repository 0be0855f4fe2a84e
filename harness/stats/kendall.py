"""Weighted tau, and the sampling error of tau-b, analytically: one sort-based pass, no resampling.

tau-b is a smooth function of three averages over pairs, so its error is a sum of one term per architecture. A bootstrap
would tie every architecture with its own copies; this does not. Larger tau is better. Source: delta method for
U-statistics (Hoeffding 1948; Noether 1967).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.correlation import both_finite, kendall_tau_b, pair, varies
from harness.stats.intervals import interval_of_terms
from harness.stats.pairs import pair_sums

Array = NDArray[np.float64]
COUNTED_ABOVE = 20_000


def tau_b_interval(
    scores: Array, accuracy: Array, units: NDArray, weights: Array | None = None, shrink: float = 1.0
) -> tuple[float, float]:
    """(low, high) for Kendall's tau-b, or for its mean over the rows of `scores` (seeds, archs).

    tau-b is a smooth function of three pair averages (concordance, untied in the score, untied in the accuracy), so
    its error is a sum of one term per architecture (`tau_b_influence`); `interval_of_terms` says the rest.
    """
    return interval_of(kendall_tau_b, tau_b_influence, scores, accuracy, units, weights, shrink)


def interval_of(
    correlation: Callable[..., float], influence: Callable[..., Array], scores: Array, accuracy: Array, units: NDArray,
    weights: Array | None, shrink: float,
) -> tuple[float, float]:  # fmt: skip
    """(low, high) of a correlation, or of its mean over the rows of `scores` (seeds, archs) where it is defined."""
    scores = np.atleast_2d(np.asarray(scores, float))
    values = np.array([correlation(row, accuracy, weights) for row in scores])
    known = np.isfinite(values)
    terms = [influence(row, accuracy, weights) for row in scores[known]]
    return interval_of_terms(values[known], terms, units, np.isfinite(scores).any(0) & both_finite(accuracy), shrink)


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


def tau_b_influence(score: Array, accuracy: Array, weights: Array | None = None) -> Array:
    """Each architecture's term in the error of tau-b, (archs,); the terms sum to 0 and are 0 where not finite.

    With S, X, Y the weighted totals of `pair_sums` and S_i, X_i, Y_i those of one architecture of weight w_i:
    w_i [2 S_i / sqrt(X Y) - tau_b (X_i / X + Y_i / Y)].
    """
    keep = both_finite(score, accuracy)
    x, y = np.asarray(score, float)[keep], np.asarray(accuracy, float)[keep]
    w = np.ones(len(x)) if weights is None else weights[keep]
    signs, untied_x, untied_y = pair_sums(x, y, w)
    total_x, total_y = w @ untied_x, w @ untied_y
    norm = np.sqrt(total_x * total_y)
    terms = np.zeros(len(keep))
    terms[keep] = w * (2 * signs / norm - w @ signs / norm * (untied_x / total_x + untied_y / total_y))
    return terms
