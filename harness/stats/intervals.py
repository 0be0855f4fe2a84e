"""Sampling error: how far a correlation of a sample can be from that of the space it was drawn from.

A 95 % interval holds the whole space's value in 95 % of samples. The unit is what was drawn: each string for itself in
a uniform sample of strings, a network with all its strings in a sample of networks. A sample of n of N units without
replacement varies less than one with replacement, by sqrt(1 - n/N): `shrink`. Intervals know nothing of seed noise.
There are none with fewer than `FEWEST_UNITS` units, nor where there is no deviation.

Analytic: rho and tau-b are smooth functions of averages over pairs and triples of architectures, so for many of them
the error is a sum of one term each (the delta method; Hoeffding 1948; Noether 1967). A difference of two rho, the
partial rho and the mean over strata have sums of their terms. Bootstrap, for rho and its differences: every
architecture is weighted by how often its unit was drawn. Above some hundred architectures both give the same intervals
up to the error of the resampling. For tau-b a bootstrap would tie every architecture with its own copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.stats.agreement import RankPlan, pairs_of_seeds, rank_plan, rho_difference, same_order, seed_mean
from harness.stats.correlation import (
    FEWEST,
    both_finite,
    kendall_tau_b,
    pair_sums,
    partial_spearman,
    spearman,
    strata_mean,
    stratum_spearman,
    used_strata,
)
from harness.stats.ranks import above_minus_below, remembered, ties, weighted_ranks

Array = NDArray[np.float64]
LEVEL = 0.95
FEWEST_UNITS = 10
"""With fewer units no interval is given: five in perfect order would have [1, 1]."""
CHUNK = 65_536
"""Values per working array: the bootstrap is fastest while its arrays stay in the processor's cache."""


def rho_interval(
    scores: Array, accuracy: Array, units: NDArray, weights: Array | None = None, shrink: float = 1.0
) -> tuple[float, float]:
    """(low, high) for Spearman's rho, or for its mean over the rows of `scores` (seeds, archs)."""
    return interval_of(spearman, rho_influence, scores, accuracy, units, weights, shrink)


def tau_b_interval(
    scores: Array, accuracy: Array, units: NDArray, weights: Array | None = None, shrink: float = 1.0
) -> tuple[float, float]:
    """The same for Kendall's tau-b, a smooth function of three averages over pairs."""
    return interval_of(kendall_tau_b, tau_b_influence, scores, accuracy, units, weights, shrink)


def partial_interval(
    scores: Array, accuracy: Array, control: Array, units: NDArray, weights: Array | None = None, shrink: float = 1.0
) -> tuple[float, float]:
    """The same for `partial_spearman`."""

    def value(score: Array, accuracy: Array, weights: Array | None) -> float:
        return partial_spearman(score, accuracy, control, weights)

    def influence(score: Array, accuracy: Array, weights: Array | None) -> Array:
        keep = both_finite(score, accuracy, control)
        s, a, c = (np.where(keep, column, np.nan) for column in (score, accuracy, control))
        r_sc, r_ac, partial = spearman(s, c, weights), spearman(a, c, weights), value(s, a, weights)
        left = np.sqrt((1 - r_sc**2) * (1 - r_ac**2))
        return (
            rho_influence(s, a, weights) / left
            + rho_influence(s, c, weights) * (partial * r_sc / (1 - r_sc**2) - r_ac / left)
            + rho_influence(a, c, weights) * (partial * r_ac / (1 - r_ac**2) - r_sc / left)
        )

    return interval_of(value, influence, scores, accuracy, units, weights, shrink)


def strata_interval(
    scores: Array, accuracy: Array, strata: Array, units: NDArray, weights: Array | None = None, shrink: float = 1.0
) -> tuple[float, float]:
    """The same for `strata_mean`."""

    def value(score: Array, accuracy: Array, weights: Array | None) -> float:
        return strata_mean(stratum_spearman(score, accuracy, strata, weights))

    def influence(score: Array, accuracy: Array, weights: Array | None) -> Array:
        used = used_strata(stratum_spearman(score, accuracy, strata, weights))
        mean, total = strata_mean(used), sum(n for n, _ in used.values())
        w, terms = np.ones(len(score)) if weights is None else weights, np.zeros(len(score))
        keep = both_finite(score, accuracy)
        for label, (n, rho) in used.items():
            rows = keep & (strata == label)
            inside = rho_influence(score[rows], accuracy[rows], w[rows])
            terms[rows] = (n * inside + w[rows] * (rho - mean)) / total
        return terms

    return interval_of(value, influence, scores, accuracy, units, weights, shrink)


def difference_interval(
    correlation: Callable[..., float], influence: Callable[..., Array], one: Array, other: Array, accuracy: Array,
    units: NDArray, weights: Array | None = None, shrink: float = 1.0,
) -> tuple[float, float, float]:  # fmt: skip
    """(low, high, p) of a correlation of `one` minus that of `other`, (seeds, archs) both, means over seeds.
    On the architectures both scored in that seed; p: two-sided, of "no difference", by normal tails. No interval of
    scores in the `same_order`, where p is 1 if they never differ.
    """
    differences, terms, known = [], [], both_finite(accuracy)
    for x, y in pairs_of_seeds(one, other):
        gap = correlation(x, accuracy, weights) - correlation(y, accuracy, weights)
        if np.isfinite(gap):
            differences.append(gap)
            terms.append(influence(x, accuracy, weights) - influence(y, accuracy, weights))
    deviation, drawn = deviation_of(terms, units, known & np.isfinite(one).any(0) & np.isfinite(other).any(0))
    if not differences or not np.isfinite(deviation):
        return float("nan"), float("nan"), float("nan")
    difference = float(seed_mean(differences))
    if same_order(one, other):
        return float("nan"), float("nan"), 1.0 if deviation < 1e-12 else float("nan")
    reach = float(special.stdtrit(drawn - 1, (1 + LEVEL) / 2)) * deviation * shrink
    return difference - reach, difference + reach, float(2 * special.ndtr(-abs(difference) / deviation / shrink))


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


def interval_of_terms(
    values: Array, terms: Sequence[Array], units: NDArray, known: NDArray[np.bool_], shrink: float = 1.0
) -> tuple[float, float]:
    """(low, high) of the mean of a correlation over seeds, `values` (seeds,), on the scale of atanh with Student's t.

    terms, units, known: as in `deviation_of`; `shrink` multiplies the deviation. NaN for too few units or no deviation.
    """
    deviation, count = deviation_of(terms, units, known)
    mean = values.mean() if len(values) else np.nan
    if not deviation > 1e-12 or not abs(mean) < 1:
        return float("nan"), float("nan")
    reach = special.stdtrit(count - 1, (1 + LEVEL) / 2) * shrink * deviation / (1 - mean**2)
    return float(np.tanh(np.arctanh(mean) - reach)), float(np.tanh(np.arctanh(mean) + reach))


def deviation_of(terms: Sequence[Array], units: NDArray, known: NDArray[np.bool_]) -> tuple[float, int]:
    """Standard deviation of a statistic from its error terms, and how many units there are; NaN for too few.

    terms: one (archs,) for each seed, averaged, then summed within units; the variance is the sum of their squares
    times U/(U-1). known: the architectures that the statistic is of, whose U units count.
    """
    of_arch = ties(np.asarray(units))
    count = int(np.count_nonzero(np.bincount(of_arch[known])))
    if count < FEWEST_UNITS or not len(terms):
        return float("nan"), count
    sums = np.bincount(of_arch, np.mean(terms, axis=0))
    return float(np.sqrt((sums**2).sum() * count / (count - 1))), count


def rho_influence(score: Array, accuracy: Array, weights: Array | None = None) -> Array:
    """Each architecture's term in the error of rho, (archs,); the terms sum to 0 and are 0 where not finite.

    With u, v the `weighted_ranks` (u_i is half the mean sign of x_i - x_j over all j), A = mean(u v),
    B = mean(u^2), C = mean(v^2) and rho = A / sqrt(B C): an architecture moves A by its own product and by what it does
    to the ranks of all others, u_i v_i + a_i + b_i - 3 A, where a_i = mean over j of sign(x_j - x_i)/2 v_j and b_i the
    same with the sides exchanged; B and C likewise. All means are weighted.
    """
    keep = both_finite(score, accuracy)
    x, y = np.asarray(score, float)[keep], np.asarray(accuracy, float)[keep]
    terms = np.zeros(len(keep))
    if weights is None:
        terms[keep] = _rho_terms(x.tobytes(), y.tobytes())
    else:
        terms[keep] = _weighted_rho_terms(x, y, weights[keep] / weights[keep].sum())
    return terms


@remembered(128)
def _rho_terms(x_values: bytes, y_values: bytes) -> Array:
    x, y = np.frombuffer(x_values), np.frombuffer(y_values)
    return _weighted_rho_terms(x, y, np.full(len(x), 1 / len(x)))


def _weighted_rho_terms(x: Array, y: Array, w: Array) -> Array:
    u, v = weighted_ranks(x, w), weighted_ranks(y, w)
    above_x, above_y = above_minus_below(x), above_minus_below(y)
    covariance, spread_x, spread_y = (w * u) @ v, (w * u) @ u, (w * v) @ v
    rho = covariance / np.sqrt(spread_x * spread_y)
    moved = u * v + above_x(w * v) + above_y(w * u) - 3 * covariance
    moved_x = u * u + 2 * above_x(w * u) - 3 * spread_x
    moved_y = v * v + 2 * above_y(w * v) - 3 * spread_y
    return w * (moved / np.sqrt(spread_x * spread_y) - rho / 2 * (moved_x / spread_x + moved_y / spread_y))


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


def holm(p_values: Array) -> Array:
    """Holm's step-down correction for the number of comparisons, (comparisons,); NaN stay NaN and are not counted."""
    p_values = np.asarray(p_values, float)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known])]
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * (len(order) - np.arange(len(order)))))
    return adjusted


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

    scores (rows, archs), accuracy (archs,), weights (resamples, archs) -> (rows, resamples); copies count `base`.
    The Pearson correlation of midranks in the sample written out with its copies; scores are sorted once. Architectures
    that are not finite in a row leave that row. NaN where a side is constant.
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
    """(low, high): the middle `level` of the bootstrap samples that are not NaN; NaN for none, or all the same."""
    samples = np.asarray(samples, float)
    samples = samples[np.isfinite(samples)]
    if not len(samples) or np.ptp(samples) < 1e-12:
        return float("nan"), float("nan")
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def difference_p(difference: float, samples: Array) -> float:
    """Two-sided p of "no difference": the difference over the spread of its paired bootstrap samples, normal tails.

    Counting samples beyond 0 cannot give less than 2/resamples, too coarse once many comparisons are corrected for.
    """
    samples = np.asarray(samples, float)
    spread = np.std(samples[np.isfinite(samples)], ddof=1) if np.isfinite(samples).sum() > 1 else np.nan
    if not np.isfinite(difference) or not np.isfinite(spread):
        return float("nan")
    if spread == 0:
        return 1.0 if difference == 0 else float("nan")
    return float(2 * special.ndtr(-abs(difference) / spread))


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
