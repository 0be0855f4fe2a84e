"""Regularised (ageing) evolution, alone and with a proxy.

Real et al., "Regularized Evolution for Image Classifier Architecture Search" (AAAI 2019, arXiv 1802.01548): the
population begins random; in each cycle the best of `tournament` members, drawn with replacement, has a child by one
random mutation, the child is trained, and the oldest member dies. So the population is the last `population` queries,
and a child that was trained before is trained, and paid for, again. A mutation goes to a random neighbour of the space;
where the set has none, to a random architecture. 50 members and a tournament of 10 are usual on tabular benchmarks; the
paper, with 20,000 trainings, has 100 and 25.

With a proxy, after Abdelfattah et al. (ICLR 2021, arXiv 2101.08134): `warmup-evolution` begins with the best by score
of a random pool; in `guided-evolution` the child is the best by score of several mutations of the parent. Equal
accuracies and equal scores go to the one drawn first.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from harness.search.draws import Draws
from harness.search.random_pool import Pool, best_first, draw_pool
from harness.search.task import Task, Trace, guided, unguided

Population = Annotated[int, "architectures alive at a time in evolution"]
Tournament = Annotated[int, "of them compared to find a parent (the paper's sample size)"]
Proposals = Annotated[int, "mutations among which a proxy chooses in guided-evolution"]


def evolution(
    task: Task, draws: Draws, *, queries: int, population: Population = 50, tournament: Tournament = 10
) -> Trace:
    """Evolve from a random population."""
    first = draws.choose(len(task), min(population, queries))
    return unguided(_evolve(task, draws, first, queries, tournament, _mutation(task, draws)))


def warmup_evolution(
    task: Task, draws: Draws, *, queries: int, population: Population = 50, tournament: Tournament = 10,
    pool: Pool = 1000,
) -> Trace:  # fmt: skip
    """Evolve from the best of a random pool by one proxy."""
    drawn = draw_pool(task, draws, pool, min(population, queries))
    first = best_first(task.scores[0], drawn)[:, : min(population, queries)]
    queried = _evolve(task, draws, first, queries, tournament, _mutation(task, draws))
    return guided(queried, drawn.shape[1], drawn.shape[1] * task.score_seconds[0])


def guided_evolution(
    task: Task, draws: Draws, *, queries: int, population: Population = 50, tournament: Tournament = 10,
    proposals: Proposals = 10,
) -> Trace:  # fmt: skip
    """Evolve from a random population; the child is the best by one proxy of `proposals` mutations, which may repeat.

    An architecture is scored once in a run.
    """
    first = draws.choose(len(task), min(population, queries))
    score = np.where(np.isnan(task.scores[0]), -np.inf, task.scores[0])
    every = np.arange(len(draws))
    known = np.zeros((len(draws), len(task)), dtype=bool)
    counts = [np.zeros(len(draws), dtype=np.int64)] * first.shape[1]

    def child_of(parent: np.ndarray) -> np.ndarray:
        near = task.near.step(np.repeat(parent[:, None], proposals, axis=1), draws.uniform(proposals))
        scored = counts[-1].copy()
        for column in near.T:
            scored += ~known[every, column]
            known[every, column] = True
        counts.append(scored)
        return near[every, score[near].argmax(1)]

    queried = _evolve(task, draws, first, queries, tournament, child_of)
    return Trace(queried, np.stack(counts, axis=1) * task.score_seconds[0], counts[-1])


def _mutation(task: Task, draws: Draws) -> Callable[[np.ndarray], np.ndarray]:
    return lambda parent: task.near.step(parent, draws.uniform(1)[:, 0])


def _evolve(
    task: Task, draws: Draws, first: np.ndarray, queries: int, tournament: int,
    child_of: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:  # fmt: skip
    """Return (runs, queries): the first population (runs, population), then a child in each cycle."""
    runs, population = first.shape
    every = np.arange(runs)
    queried = np.empty((runs, queries), dtype=np.int64)
    values = np.empty((runs, queries))
    queried[:, :population], values[:, :population] = first, task.value[first]
    for now in range(population, queries):
        members = now - population + draws.below(population, tournament)
        best = members[every, values[every[:, None], members].argmax(1)]
        queried[:, now] = child_of(queried[every, best])
        values[:, now] = task.value[queried[:, now]]
    return queried
