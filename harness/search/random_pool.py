"""Searches that put a random pool of architectures in an order and query them in that order: (runs, queries).

    random         the order drawn
    guided-random  best score first                              Mellor et al. (ICML 2021, arXiv 2006.04647): the one
                                                                 with the best score is the answer
    successive     proxies one after another, each on the best share of the one before
    vote           by pairs that most proxies decide for it,     Abdelfattah et al. (ICLR 2021, arXiv 2101.08134)
                   minus those that they decide against it

Scores that are not finite come last. Ties keep the pool's order, which is random. `pool` is at most all architectures.
"""

import math
from typing import Annotated

import numpy as np

from benchmarks.errors import UserError
from harness.search.draws import Draws
from harness.search.task import Task, Trace, guided, unguided

Pool = Annotated[int, "candidates that a proxy scores before the first query"]
Keep = Annotated[float, "share that goes on to the next proxy in successive"]


def draw_pool(task: Task, draws: Draws, pool: int, first: int) -> np.ndarray:
    """Return (runs, pool) different architectures; UserError where fewer than the `first` that are needed."""
    if pool < first:
        raise UserError(f"a pool of {pool} cannot give {first} architectures: give a larger --pool, or fewer --queries")
    return draws.choose(len(task), min(pool, len(task)))


def best_first(score: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Return the pool (runs, pool) in falling order of the scores (archs,)."""
    return _sorted(score[pool], pool)


def _sorted(score: np.ndarray, pool: np.ndarray) -> np.ndarray:
    order = np.argsort(-np.where(np.isnan(score), -np.inf, score), axis=1, kind="stable")
    return np.take_along_axis(pool, order, axis=1)


def random(task: Task, draws: Draws, *, queries: int) -> Trace:
    """Query architectures drawn without replacement."""
    return unguided(draws.choose(len(task), queries))


def guided_random(task: Task, draws: Draws, *, queries: int, pool: Pool = 1000) -> Trace:
    """Score a random pool with one proxy; query its best."""
    drawn = draw_pool(task, draws, pool, queries)
    order = best_first(task.scores[0], drawn)[:, :queries]
    return guided(order, drawn.shape[1], drawn.shape[1] * task.score_seconds[0])


def successive(task: Task, draws: Draws, *, queries: int, pool: Pool = 1000, keep: Keep = 0.5) -> Trace:
    """Score a random pool with the first proxy, its best share `keep` with the next, and so on; query the best.

    Those that were dropped follow, the last dropped first, each in the order in which they were dropped.
    """
    if not 0 < keep <= 1:
        raise UserError(f"--keep {keep}: expected a share of the candidates, above 0 and at most 1")
    order = draw_pool(task, draws, pool, queries)
    scored, left, seconds = order.shape[1], order.shape[1], 0.0
    for place, (score, each) in enumerate(zip(task.scores, task.score_seconds, strict=True)):
        if place:
            left = math.ceil(keep * left)
        order = np.concatenate([best_first(score, order[:, :left]), order[:, left:]], axis=1)
        seconds += left * each
    return guided(order[:, :queries], scored, seconds)


def vote(task: Task, draws: Draws, *, queries: int, pool: Pool = 1000) -> Trace:
    """Score a random pool with all proxies; query those that win most votes on pairs, less those they lose.

    The votes are among the pool of each run; an architecture that one proxy failed on is in none.
    """
    drawn = draw_pool(task, draws, pool, queries)
    levels = _levels(task.scores)
    wins = np.stack([net_votes(levels[:, row]) for row in drawn])
    seconds = drawn.shape[1] * float(task.score_seconds.sum())
    return guided(_sorted(wins, drawn)[:, :queries], drawn.shape[1], seconds)


def _levels(scores: np.ndarray) -> np.ndarray:
    """Return scores as whole numbers that compare alike and faster, of their shape, int32; 0 where there is none."""
    from scipy.stats import rankdata  # here, as --help must not wait for it

    return np.nan_to_num(rankdata(scores, "dense", axis=-1, nan_policy="omit")).astype(np.int32)


def net_votes(levels: np.ndarray) -> np.ndarray:
    """Return votes on pairs won minus lost, (archs,) float64; NaN where a proxy failed, and such a one is in no pair.

    `levels` are (proxies, archs), 0 for a failure. On a pair the vote is the sign that most proxies give, as in
    `harness.analysis.ensembles.vote`; their sum (Copeland's rule) is an order although votes may run in circles.
    """
    there = (levels > 0).all(0)
    votes = np.zeros((there.sum(), there.sum()), dtype=np.int8)
    for row in levels[:, there]:
        above = (row[:, None] > row).view(np.int8)
        votes += above - above.T
    net = np.full(levels.shape[1], np.nan)
    net[there] = np.sign(votes).sum(1, dtype=np.int64)
    return net
