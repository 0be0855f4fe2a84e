"""Published cells of searches over a supernet, and how well the operations of other cells fit theirs.

`published.csv` has a row for each cell, as its authors released it; cells of the same settings are a group.

Fit: a permutation test over whole cells, as the operations of one cell are not independent draws. The statistic is
chi-squared of the table (our cells, theirs) x operations. p is the share of the ways to divide all cells into groups of
these sizes that have a statistic at least as large; of 9,999 random ways where there are more.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import permutation_test

from benchmarks.spaces.space import Space

WAYS = 9_999


@dataclass(frozen=True)
class Group:
    """Published cells of one search under the same settings."""

    settings: str
    names: tuple[str, ...]
    archs: tuple[str, ...]
    source: str


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def published(bench: str, method: str, score: str) -> list[Group]:
    """Return the groups of a benchmark, search and score, in the order of the file; none where nothing is published."""
    wanted = (bench, method, score)
    rows = [row for row in _rows() if (row["bench"], row["method"], row["score"]) == wanted]
    by_settings: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        by_settings.setdefault((row["settings"], row["source"]), []).append(row)
    return [
        Group(settings, tuple(row["name"] for row in group), tuple(row["arch"] for row in group), source)
        for (settings, source), group in by_settings.items()
    ]


def operation_counts(space: Space, archs: Sequence[str]) -> np.ndarray:
    """Return on how many edges each architecture has each operation, (archs, operations) int."""
    choices = space.over(archs).choices
    return (choices.chosen[:, :, None] == np.arange(len(choices.operations))).sum(1)


def fit(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the p of the permutation test that two groups of cells, (cells, operations) counts, draw alike; NaN where
    a group has fewer than two."""
    if min(len(ours), len(theirs)) < 2:
        return float("nan")
    counts = np.concatenate([ours, theirs])
    places = np.split(np.arange(len(counts)), [len(ours)])

    def statistic(one: np.ndarray, other: np.ndarray, axis: int = -1) -> np.ndarray:
        return chi_squared(counts[one].sum(-2), counts[other].sum(-2))

    found = permutation_test(
        places, statistic, permutation_type="independent", vectorized=True, n_resamples=WAYS, alternative="greater",
        random_state=0,
    )  # fmt: skip
    return float(found.pvalue)


def chi_squared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the statistic of homogeneity of two rows of counts, (..., operations) -> (...)."""
    both = one + other
    total = both.sum(-1, keepdims=True)
    value = np.zeros(both.shape[:-1])
    for row in (one, other):
        expected = both * row.sum(-1, keepdims=True) / total
        value += ((row - expected) ** 2 / np.where(expected > 0, expected, 1)).sum(-1)
    return value
