"""Sums over the pairs of architectures, one for each architecture, in O(n log n)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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
