"""Rank correlation among architectures of equal size: what a score knows apart from the size of the network."""

import numpy as np
from numpy.typing import NDArray

from harness.stats.correlation import both_finite, spearman

Array = NDArray[np.float64]


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
