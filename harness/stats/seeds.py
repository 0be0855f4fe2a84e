"""Several seeds of one score: means over seeds, their spread, and differences between two scores seed by seed."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.correlation import spearman
from harness.stats.intervals import bootstrap_spearman

Array = NDArray[np.float64]
SAME_ORDER = 0.999
"""Above this rho between two scores too few architectures tell them apart for an interval of the difference."""


class Paired(NamedTuple):
    """Two scores to compare, (seeds, archs), and their bootstrapped rho from the same resamples, (seeds, resamples).

    Fewer seeds on one side (one row for what no seed changes) are repeated.
    """

    one: Array
    other: Array
    one_bootstrap: Array
    other_bootstrap: Array


def different_seeds(scores: Array) -> Array:
    """One row where every seed gives the same scores (params, flops), else all; (seeds, archs) in and out."""
    return scores[:1] if all(np.array_equal(row, scores[0], equal_nan=True) for row in scores) else scores


def seed_mean(values: ArrayLike) -> Array:
    """Mean over the first axis (seeds) of the defined values; NaN where no seed has one. Any further axes stay."""
    values = np.asarray(values, float)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def seed_spread(values: ArrayLike, seeds: int) -> float:
    """Standard deviation (n - 1) of a statistic over `seeds` seeds; NaN for one seed.

    `values` may hold a single one for all seeds (see `different_seeds`): then there is no spread, 0.
    """
    values = np.asarray(values, float)
    known = values[np.isfinite(values)]
    if seeds < 2 or not len(known):
        return float("nan")
    if len(values) == 1:
        return 0.0
    return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")


def paired_difference(
    pair: Paired, accuracy: Array, weights: NDArray, base: Array | None = None
) -> tuple[float, Array]:
    """(rho of `one` minus rho of `other`, its bootstrap samples (resamples,)); means over seeds.

    On the architectures both scored in that seed; weights (resamples, archs) and base as in `bootstrap_spearman`.
    """
    samples = []
    for seed, common in enumerate(pairs_of_seeds(pair.one, pair.other)):
        i, j = seed % len(pair.one), seed % len(pair.other)
        if np.array_equal(np.isfinite(pair.one[i]), np.isfinite(pair.other[j])):
            samples.append(pair.one_bootstrap[i] - pair.other_bootstrap[j])
        else:
            first, second = bootstrap_spearman(common, accuracy, weights, base)
            samples.append(first - second)
    return rho_difference(pair.one, pair.other, accuracy, base), seed_mean(samples)


def rho_difference(one: Array, other: Array, accuracy: Array, weights: Array | None = None) -> float:
    """rho of `one` minus rho of `other`, (seeds, archs) both, on the architectures both scored; mean over seeds."""
    gaps = [spearman(x, accuracy, weights) - spearman(y, accuracy, weights) for x, y in pairs_of_seeds(one, other)]
    return float(seed_mean(gaps))


def same_order(one: Array, other: Array) -> bool:
    """Whether two scores, (seeds, archs) both, rank alike: rho between them above `SAME_ORDER`."""
    return bool(seed_mean([spearman(x, y) for x, y in pairs_of_seeds(one, other)]) > SAME_ORDER)


def pairs_of_seeds(one: Array, other: Array) -> Iterator[Array]:
    """For each seed both scores, (2, archs), NaN where either failed; fewer seeds on one side are repeated."""
    for seed in range(max(len(one), len(other))):
        scores = np.stack([one[seed % len(one)], other[seed % len(other)]])
        yield np.where(np.isfinite(scores).all(axis=0), scores, np.nan)
