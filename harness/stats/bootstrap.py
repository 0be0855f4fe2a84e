"""Sampling error by resampling: how far a correlation of a sample can be from that of the space it was drawn from.

rho and its differences: every architecture is weighted by how often its unit was drawn. Units, `shrink` and intervals
as in `influence.py`. SciPy is used for normal tails only.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.agreement import pairs_of_seeds, rho_difference, seed_mean
from harness.stats.correlation import FEWEST
from harness.stats.influence import LEVEL

Array = NDArray[np.float64]
CHUNK = 65_536
"""Values per working array: the bootstrap is fastest while its arrays stay in the processor's cache."""


def resample_weights(units: NDArray, resamples: int, seed: int) -> NDArray[np.uint16]:
    """How often each architecture is in each bootstrap sample; units (archs,) -> (resamples, archs).

    Each resample draws as many units as there are, with replacement; all members of a unit get its count.
    """
    _, of_arch = np.unique(np.asarray(units), return_inverse=True)
    count = int(of_arch.max()) + 1 if len(of_arch) else 0
    weights = np.zeros((resamples, len(of_arch)), np.uint16)
    generator = np.random.default_rng(seed)
    for row in weights if count else ():
        row[:] = np.bincount(generator.integers(0, count, count), minlength=count)[of_arch]
    return weights


class RankPlan(NamedTuple):
    """One sort, good for the weighted midranks of every resample."""

    order: NDArray[np.intp]  # (archs,) ascending
    last: NDArray[np.intp]  # (blocks,) where in `order` each block of ties ends
    block: NDArray[np.intp]  # (archs,) the block of each architecture


def rank_plan(values: Array) -> RankPlan:
    """The plan of finite `values` (archs,)."""
    order = np.argsort(values, kind="stable")
    new = np.r_[True, np.diff(values[order]) != 0] if len(values) else np.zeros(0, bool)
    block = np.empty(len(values), np.intp)
    block[order] = np.cumsum(new) - 1
    return RankPlan(order, np.r_[np.flatnonzero(new)[1:] - 1, len(values) - 1] if len(values) else block, block)


def centred_midranks(plan: RankPlan, weights: Array) -> Array:
    """Midranks minus their mean in samples that hold each architecture `weights` times; (resamples, archs) both.

    With B copies below and W copies in the block of ties, of N in all: B + (W + 1)/2 - (N + 1)/2.
    """
    filled = np.cumsum(np.take(weights, plan.order, axis=1), axis=1)
    everyone = filled[:, -1:].copy()
    if len(plan.last) < len(plan.order):
        filled = np.take(filled, plan.last, axis=1)
    middle = filled - everyone
    middle[:, 1:] += filled[:, :-1]
    middle /= 2
    return np.take(middle, plan.block, axis=1)


def bootstrap_spearman(scores: Array, accuracy: Array, weights: NDArray, base: Array | None = None) -> Array:
    """Spearman's rho of every row in every resample.

    scores (rows, archs), accuracy (archs,), weights (resamples, archs) -> (rows, resamples); each copy of an
    architecture counts `base` (archs,) times.
    The Pearson correlation of midranks in the sample written out with its copies, at the cost of a cumulative sum:
    scores are sorted once. Architectures that are not finite in a row leave that row. NaN where a side is constant.
    """
    scores, accuracy = np.atleast_2d(np.asarray(scores, float)), np.asarray(accuracy, float)
    finite = np.isfinite(scores) & np.isfinite(accuracy)
    result = np.full((len(scores), len(weights)), np.nan)
    masks, mask_of = np.unique(finite, axis=0, return_inverse=True)
    for number, keep in enumerate(masks):
        rows = np.flatnonzero(np.ravel(mask_of) == number)
        if keep.sum() >= FEWEST:
            kept = weights if keep.all() else weights[:, keep]
            ones = np.ones(1) if base is None else base[keep]
            result[rows] = _bootstrap_finite(scores[np.ix_(rows, keep)], accuracy[keep], kept, ones)
    return result


def _bootstrap_finite(scores: Array, accuracy: Array, weights: NDArray, base: Array) -> Array:
    plans, truth = [rank_plan(row) for row in scores], rank_plan(accuracy)
    result = np.full((len(scores), len(weights)), np.nan)
    step = max(1, CHUNK // len(accuracy))
    for start in range(0, len(weights), step):
        chunk = slice(start, start + step)
        copies = weights[chunk].astype(float) * base
        weighted_truth = centred_midranks(truth, copies)
        truth_square = np.einsum("rn,rn->r", copies, weighted_truth**2)
        weighted_truth *= copies
        for row, plan in enumerate(plans):
            ranks = centred_midranks(plan, copies)
            product = np.einsum("rn,rn->r", ranks, weighted_truth)
            np.multiply(ranks, ranks, out=ranks)
            square = np.einsum("rn,rn->r", copies, ranks) * truth_square
            np.divide(product, np.sqrt(square), out=result[row, chunk], where=square > 0)
    return result


def percentile_interval(samples: Array, level: float = LEVEL) -> tuple[float, float]:
    """(low, high): the middle `level` of the bootstrap samples (resamples,); NaN ones leave. NaN if none is left, or if
    all are the same."""
    samples = np.asarray(samples, float)
    samples = samples[np.isfinite(samples)]
    if not len(samples) or np.ptp(samples) < 1e-12:
        return float("nan"), float("nan")
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def difference_p(difference: float, samples: Array) -> float:
    """Two-sided p of "no difference": the difference over the spread of its paired bootstrap samples, normal tails.

    Counting samples beyond 0 cannot give less than 2/resamples, too coarse once many comparisons are corrected for.
    Of 600 simulated comparisons of equally good scores 0.5 to 5 % had p < 0.05.
    """
    samples = np.asarray(samples, float)
    spread = np.std(samples[np.isfinite(samples)], ddof=1) if np.isfinite(samples).sum() > 1 else np.nan
    if not np.isfinite(difference) or not np.isfinite(spread):
        return float("nan")
    if spread == 0:
        return 1.0 if difference == 0 else float("nan")
    return float(2 * stats.norm.sf(abs(difference) / spread))


class Paired(NamedTuple):
    """Two scores to compare, (seeds, archs), and their bootstrapped rho from the same resamples, (seeds, resamples).

    Fewer seeds on one side (one row for what no seed changes) are repeated.
    """

    one: Array
    other: Array
    one_bootstrap: Array
    other_bootstrap: Array


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
