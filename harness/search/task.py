"""What a simulated search may query, what that costs, and what judges the answer: arrays over the same architectures.

These are the architectures for which the table has both accuracies and, where there are scores, a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from benchmarks.benchmark import Benchmark
from benchmarks.errors import suggest
from benchmarks.spaces.space import Space


class Neighbours:
    """Which of some architectures of a space are neighbours; computed at the first use."""

    def __init__(self, space: Space, indices: np.ndarray) -> None:
        """`indices` (archs,) are those in the space."""
        self._space, self._indices = space, indices

    @cached_property
    def table(self) -> np.ndarray:
        """(archs, most neighbours) int32: rows of neighbours, then -1."""
        place = np.full(len(self._space) + 1, -1, dtype=np.int32)  # the last stands for no neighbour
        place[self._indices] = np.arange(len(self._indices))
        table = np.sort(place[self._space.neighbour_table(self._indices)], axis=1)[:, ::-1]  # -1 to the end
        return np.ascontiguousarray(table[:, : max(1, (table >= 0).sum(1).max())])

    @cached_property
    def degree(self) -> np.ndarray:
        """(archs,) int: number of neighbours."""
        return (self.table >= 0).sum(1)

    def step(self, rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """Return a random neighbour of each row, by draws in [0, 1); a random architecture where it has none."""
        degree = self.degree[rows]
        near = self.table[rows, (draws * degree).astype(np.int64)]
        return np.where(degree > 0, near, (draws * len(self.table)).astype(np.int64))


@dataclass(frozen=True, eq=False)
class Task:
    """One search problem; `len` is the number of architectures."""

    benchmark: Benchmark
    archs: tuple[str, ...]
    value: np.ndarray
    """(archs,) percent: what a query returns; larger is better."""
    accuracy: np.ndarray
    """(archs,) percent: the target that judges the result. No method reads it."""
    seconds: np.ndarray
    """(archs,) of the training that answers a query; NaN where the table does not know."""
    near: Neighbours
    guides: tuple[str, ...]
    """Names of proxies that may guide a search."""
    scores: np.ndarray
    """(guides, archs); larger is better, NaN where a score is not finite: any other architecture is preferred."""
    score_seconds: np.ndarray
    """(guides,) mean seconds to score one architecture; NaN where not known."""
    others: dict[str, np.ndarray] = field(default_factory=dict)
    """dataset -> (archs,) percent: the same accuracy on other datasets of the benchmark; NaN is a gap."""

    def __len__(self) -> int:
        return len(self.archs)

    def guided_by(self, names: Sequence[str]) -> Task:
        """Return the task with these guides only, in this order; UserError for those without scores."""
        if missing := [name for name in names if name not in self.guides]:
            raise suggest(missing, self.guides, "scored proxy")
        at = [self.guides.index(name) for name in names]
        return replace(self, guides=tuple(names), scores=self.scores[at], score_seconds=self.score_seconds[at])


@dataclass(frozen=True, eq=False)
class Trace:
    """What the runs of a method queried, in order."""

    queried: np.ndarray
    """(runs, queries) int: rows of the task; -1 where a run had ended."""
    spent: np.ndarray
    """(runs, queries) seconds spent on anything but training before each query, in all; NaN where not known."""
    scored: np.ndarray
    """(runs,) int: different architectures that a proxy scored."""


def unguided(queried: np.ndarray) -> Trace:
    """Return the trace of runs that scored nothing."""
    return Trace(queried, np.zeros(queried.shape), np.zeros(len(queried), dtype=np.int64))


def guided(queried: np.ndarray, scored: int, seconds: float) -> Trace:
    """Return the trace of runs that scored so many architectures, in so many seconds, before the first query."""
    return Trace(queried, np.full(queried.shape, seconds), np.full(len(queried), scored))
