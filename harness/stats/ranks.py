"""Ranks of a column, each sorted once: the statistics of a table rank the same columns again and again."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Made = TypeVar("Made")


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
