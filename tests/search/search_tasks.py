"""Small search tasks by arithmetic: architectures are numbers in base 3, neighbours differ in one digit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from harness.search.task import Neighbours, Task

DIGITS = 4


class DigitSpace:
    """All numbers of `DIGITS` digits in base 3; each has 2 * DIGITS neighbours."""

    title = "digits"

    def __len__(self) -> int:
        return 3**DIGITS

    def neighbour_table(self, indices):
        return np.array([[i + (d - i // 3**p % 3) * 3**p for p in range(DIGITS) for d in range(3) if d != i // 3**p % 3]
                         for i in indices])  # fmt: skip


class LineSpace:
    """0 .. n-1 in a row, next to each other; the last one is alone."""

    title = "line"

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def neighbour_table(self, indices):
        near = [[j if 0 <= j < self.n - 1 and i < self.n - 1 else -1 for j in (i - 1, i + 1)] for i in indices]
        return np.array(near)


def make(space=None, value=None, accuracy=None, rows=None, scores=None, score_seconds=None, seconds=None) -> Task:
    """Return a task over `rows` (all) of a space; scores {name: (archs,)}."""
    space = space or DigitSpace()
    rows = np.arange(len(space)) if rows is None else np.asarray(rows)
    value = np.random.default_rng(5).permutation(len(space)) * 1.0 if value is None else np.asarray(value, float)
    scores = scores or {}
    return Task(
        benchmark=SimpleNamespace(space=space), archs=tuple(f"a{row}" for row in rows), value=value[rows],
        accuracy=(value if accuracy is None else np.asarray(accuracy, float))[rows],
        seconds=np.full(len(rows), np.nan) if seconds is None else np.asarray(seconds, float),
        near=Neighbours(space, rows), guides=tuple(scores),
        scores=np.array(list(scores.values()), float).reshape(len(scores), len(rows)),
        score_seconds=np.array(score_seconds if score_seconds is not None else [1.0] * len(scores)),
    )  # fmt: skip
