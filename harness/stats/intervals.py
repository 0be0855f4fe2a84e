"""Sampling error: what a correlation or a regret could have been with other architectures drawn from the same space.

The unit that is drawn is the class of equivalent architectures: its members are one network with one (shared) score,
so they are not independent evidence. rho, regret and their differences: bootstrap over classes, every architecture
weighted by how often its class was drawn. tau-b: analytic variance (`kendall.py`). For large tables rho and its
differences have one too (`influence.py`): resamples cost a pass over the table each. Weighted tau has none. The
intervals know nothing of seed noise, and for a large share of a finite space they are too wide (no finite-population
correction). Directions as in the statistics themselves. SciPy is used for quantiles only.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.correlation import FEWEST

Array = NDArray[np.float64]
LEVEL = 0.95
CHUNK = 65_536
"""Values per working array: the bootstrap is fastest while its arrays stay in the processor's cache."""


def resample_weights(class_id: NDArray, resamples: int, seed: int) -> NDArray[np.uint16]:
    """How often each architecture is in each bootstrap sample; class_id (archs,) -> (resamples, archs).

    Each resample draws as many classes as there are, with replacement; all members of a class get its count.
    """
    _, of_arch = np.unique(np.asarray(class_id), return_inverse=True)
    classes = int(of_arch.max()) + 1 if len(of_arch) else 0
    weights = np.zeros((resamples, len(of_arch)), np.uint16)
    for row, drawn in zip(weights, class_draws(classes, resamples, seed), strict=False):
        row[:] = drawn[of_arch]
    return weights


def class_draws(classes: int, resamples: int, seed: int) -> Iterator[NDArray[np.uint16]]:
    """How often each class is in each bootstrap sample of as many classes; (classes,) for each resample."""
    generator = np.random.default_rng(seed)
    for _ in range(resamples if classes else 0):
        yield np.bincount(generator.integers(0, classes, classes), minlength=classes).astype(np.uint16)


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


def bootstrap_spearman(scores: Array, accuracy: Array, weights: NDArray) -> Array:
    """Spearman's rho of every row in every resample.

    scores (rows, archs), accuracy (archs,), weights (resamples, archs) -> (rows, resamples).
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
            result[rows] = _bootstrap_finite(scores[np.ix_(rows, keep)], accuracy[keep], kept)
    return result


def _bootstrap_finite(scores: Array, accuracy: Array, weights: NDArray) -> Array:
    plans, truth = [rank_plan(row) for row in scores], rank_plan(accuracy)
    result = np.full((len(scores), len(weights)), np.nan)
    step = max(1, CHUNK // len(accuracy))
    for start in range(0, len(weights), step):
        chunk = slice(start, start + step)
        copies = weights[chunk].astype(float)
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
    """(low, high): the middle `level` of the bootstrap samples (resamples,); NaN ones leave. NaN if none is left.

    For rho this held the true value in 94.0 to 96.6 % of the simulated samples that `tau_b_interval` describes; the
    reflected ("basic") interval in 78 to 94 %.
    """
    samples = np.asarray(samples, float)
    samples = samples[np.isfinite(samples)]
    if not len(samples):
        return float("nan"), float("nan")
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def clustered_deviation(terms: Sequence[Array], class_id: NDArray, known: NDArray[np.bool_]) -> tuple[float, int]:
    """Standard deviation of a statistic from its error terms, and how many classes there are.

    terms: one (archs,) for each seed, averaged, then summed within classes; the variance is the sum of their squares
    times C/(C-1). known: the architectures that have an accuracy, whose C classes count.
    """
    _, of_arch = np.unique(np.asarray(class_id), return_inverse=True)
    classes = len(np.unique(of_arch[known]))
    mean = np.mean(terms, axis=0)
    return float(np.sqrt((np.bincount(of_arch, mean) ** 2).sum() * classes / max(classes - 1, 1))), classes


def correlation_interval(
    values: Array, terms: Sequence[Array], class_id: NDArray, known: NDArray[np.bool_], level: float = LEVEL
) -> tuple[float, float]:
    """(low, high) of the mean of a correlation over seeds, `values` (seeds,), on the scale of atanh with Student's t.

    terms, class_id, known: as in `clustered_deviation`.
    """
    if not len(values):
        return float("nan"), float("nan")
    deviation, classes = clustered_deviation(terms, class_id, known)
    mean = values.mean()
    if classes < FEWEST:
        return float("nan"), float("nan")
    if abs(mean) >= 1 or deviation == 0:
        return (float(mean), float(mean)) if deviation == 0 else (float("nan"), float("nan"))
    reach = stats.t.ppf((1 + level) / 2, classes - 1) * deviation / (1 - mean**2)
    return float(np.tanh(np.arctanh(mean) - reach)), float(np.tanh(np.arctanh(mean) + reach))


def holm(p_values: Array) -> Array:
    """Holm's step-down correction for the number of comparisons, (comparisons,); NaN stay NaN and are not counted."""
    p_values = np.asarray(p_values, float)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known])]
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * (len(order) - np.arange(len(order)))))
    return adjusted


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
