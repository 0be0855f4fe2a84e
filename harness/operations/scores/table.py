"""best-acc and avg-acc: what the table alone says an operation on an edge is worth. Larger is better, percent.

Over all architectures that have operation o on edge e:

    best-acc          the maximum of their accuracies, each the mean over its seeds
    avg-acc           the mean of the same
    best-acc@trials   the maximum over every single training
    avg-acc@trials    the mean over every single training

With `decided`, only architectures that agree with the edges decided so far ("conditional"). Source: Xiang et al.,
"Zero-Cost Operation Scoring in Differentiable Architecture Search" (AAAI 2023, arXiv 2106.06799), whose notebooks use
single trainings for best-acc and do not condition. An architecture with more trials has more chances in
best-acc@trials: NAS-Bench-201 has three trials of 7,961 architectures, two of 5,439 and one of 2,225.
"""

import numpy as np

from benchmarks.spaces.space import Choices


def best_acc(choices: Choices, accuracy: np.ndarray, decided: np.ndarray | None = None) -> np.ndarray:
    """Return the best accuracy with each operation on each edge, (edges, operations); NaN where nothing has it.
    `accuracy` is (archs,) or (archs, trials), NaN for gaps. `decided` (edges,) int, -1 where not decided."""
    best = np.fmax.reduce(accuracy, axis=1) if accuracy.ndim == 2 else accuracy
    return _reduce(choices, decided, lambda rows: np.fmax.reduce(best[rows], initial=np.nan))


def avg_acc(choices: Choices, accuracy: np.ndarray, decided: np.ndarray | None = None) -> np.ndarray:
    """Return the mean accuracy with each operation on each edge, (edges, operations); arguments as for `best_acc`. With
    trials, every training counts alike, so that an architecture with three weighs three times."""

    def mean(rows: np.ndarray) -> float:
        there = accuracy[rows][np.isfinite(accuracy[rows])]
        return there.mean() if there.size else np.nan

    return _reduce(choices, decided, mean)


def _reduce(choices: Choices, decided: np.ndarray | None, reduction) -> np.ndarray:
    """Return `reduction` of the architectures (bool) with each operation on each edge."""
    decided = np.full(len(choices.edges), -1) if decided is None else np.asarray(decided)
    agrees = (decided < 0) | (choices.chosen == decided)  # (archs, edges)
    return np.array([
        [reduction(np.delete(agrees, edge, 1).all(1) & (choices.chosen[:, edge] == operation))
         for operation in range(len(choices.operations))]
        for edge in range(len(choices.edges))
    ])  # fmt: skip
