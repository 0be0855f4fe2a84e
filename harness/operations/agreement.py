"""How well operation scores agree with one another, and what each alone selects.

A score is an array (edges, operations), larger is better. A rank is 1 for the best and 1 + the number of strictly
better ones otherwise, everywhere. With five operations on an edge a rank correlation has few values and no useful
p-value: what is reported is its mean over edges, and how many edges it is defined for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.benchmark import Benchmark
from harness.stats import kendall_tau_b, spearman

STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"rho": spearman, "tau_b": kendall_tau_b}


def by_edge(score: np.ndarray, reference: np.ndarray, statistic: str = "rho") -> np.ndarray:
    """Return the rank correlation over each edge's operations with finite scores, (edges,); NaN where undefined."""
    correlate = STATISTICS[statistic]
    return np.array([correlate(own, other) for own, other in zip(score, reference, strict=True)])


def mean_by_edge(score: np.ndarray, reference: np.ndarray, statistic: str = "rho") -> float:
    """Return the mean of `by_edge` over the edges where it is defined; NaN where it is nowhere."""
    return _mean(by_edge(score, reference, statistic))


def agreement(scores: Mapping[str, Sequence[np.ndarray]], statistic: str = "rho") -> pd.DataFrame:
    """Return the square of mean correlations between every two scores, by name: seed by seed, mean over seeds."""
    square = pd.DataFrame(index=list(scores), columns=list(scores), dtype=float)
    for name, own in scores.items():
        for other, theirs in scores.items():
            seeds = max(len(own), len(theirs))
            pairs = [(own[seed % len(own)], theirs[seed % len(theirs)]) for seed in range(seeds)]
            square.loc[name, other] = _mean([mean_by_edge(a, b, statistic) for a, b in pairs])
    return square


def argmax(score: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the best operation of each edge, (edges,) int, the first of ties; and the number of edges with ties.

    NaN is never selected; -1 for an edge of NaN alone. Infinite scores count: a removal that leaves naswot -inf is
    the greatest loss there is.
    """
    known = np.where(np.isnan(score), -np.inf, score)
    scored = ~np.isnan(score).all(1)
    tied = scored & ((score == known.max(1, keepdims=True)).sum(1) > 1)
    return np.where(scored, known.argmax(1), -1), int(tied.sum())


@dataclass(frozen=True)
class Chosen:
    """The architecture that operations on all edges name, with its accuracy."""

    arch: str
    """Canonical string; empty where the operations name none or several."""
    accuracy: float
    """Percent; the mean where they name several architectures. NaN where the table has none of them."""
    rank: float
    """Among the accuracies of the table, 1 for the best: 1 + how many are strictly better."""
    regret: float
    """Points below the best of the table."""


def judge_choice(benchmark: Benchmark, accuracy: np.ndarray, operations: np.ndarray) -> Chosen:
    """Return the architecture that operations name, or the same network in the table, judged by accuracy (rows,)."""
    space = benchmark.space
    named = space.choices.find(operations)
    classes = space.class_id[benchmark.indices]
    rows = np.flatnonzero(np.isin(benchmark.indices, named))
    if not len(rows):
        rows = np.flatnonzero(np.isin(classes, space.class_id[named]))
    arch = space.archs[named[0]] if len(named) == 1 else ""
    return ranked(arch, _mean(accuracy[rows]), accuracy)


def ranked(arch: str, value: float, accuracy: np.ndarray) -> Chosen:
    """Return an architecture of accuracy `value` with its rank and regret among all, `accuracy` (table rows,)."""
    known = accuracy[np.isfinite(accuracy)]
    better = float((known > value + 1e-9).sum()) if np.isfinite(value) else float("nan")
    return Chosen(arch, value, 1 + better, float(known.max()) - value)


def _mean(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean of the finite values; NaN where there are none."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
