"""Local search: hill climbing over all neighbours, again and again from random starts.

White et al., "Local Search is State of the Art for Neural Architecture Search Benchmarks" (arXiv 2005.02960): query all
neighbours of the current architecture, move to the best of them if it is better, otherwise restart at random. Nothing
is queried twice. An architecture without neighbours in the set is left at once.
"""

import numpy as np

from harness.search.draws import Draws
from harness.search.task import Task, Trace, unguided


def local(task: Task, draws: Draws, *, queries: int) -> Trace:
    """Climb to a local optimum, restart at random, until all queries are spent.

    All runs take one step of a climb at a time. Neighbours are queried in random order, which matters where the queries
    end among them; starts are drawn without replacement, and those already queried are skipped.
    """
    runs, table, every = len(draws), task.near.table, np.arange(len(draws))
    starts = draws.choose(len(task), queries)
    known = np.zeros((runs, len(task) + 1), dtype=bool)  # the last column stands for no neighbour
    known[:, -1] = True
    queried = np.full((runs, queries), -1, dtype=np.int64)
    used = np.zeros(runs, dtype=np.int64)
    place = np.full(runs, -1)  # -1: to restart
    while (active := used < queries).any():
        begin = active & (place < 0)
        place[begin] = starts[begin, (~known[every[begin, None], starts[begin]]).argmax(1)]
        _query(begin[:, None], place[:, None], known, queried, used)
        near = table[place]
        near = np.take_along_axis(near, draws.uniform(near.shape[1]).argsort(1), axis=1)
        _query(active[:, None] & ~np.take_along_axis(known, near, axis=1), near, known, queried, used)
        value = np.where(near >= 0, task.value[near], -np.inf)
        best = value.argmax(1)
        place = np.where(value[every, best] > task.value[place], near[every, best], -1)
    return unguided(queried)


def _query(wanted: np.ndarray, rows: np.ndarray, known: np.ndarray, queried: np.ndarray, used: np.ndarray) -> None:
    """Append the wanted ones of `rows` (runs, some) to what was queried, up to its end; remember them."""
    position = used[:, None] + wanted.cumsum(1) - 1
    run, column = np.nonzero(wanted & (position < queried.shape[1]))
    queried[run, position[run, column]] = rows[run, column]
    known[run, rows[run, column]] = True
    used += np.bincount(run, minlength=len(used))
