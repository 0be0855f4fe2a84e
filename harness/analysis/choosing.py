"""Which score, or sum of ranks of a few, is expected to lose least accuracy for a budget of seconds.

With a score of c seconds for an architecture a budget of T buys m = T / c architectures, drawn uniformly from those at
hand; the one with the highest score is taken. Its expected regret over all draws is exact: with the n architectures in
rising order of score, the i-th is the highest of m drawn with the probability C(i-1, m-1) / C(n, m); equal scores share
their mean accuracy. At most half of them are drawn, so that it is an expectation and not the luck of one pick. Relative
regret is that over the regret of one random architecture: 0 is the best, 1 is no better than chance; so tasks can be
averaged.

A choice made on the tasks it is judged on looks better than it is. So candidates are chosen by their mean relative
regret over the tasks of all other families (benchmarks whose architectures are others; in each family all tasks alike)
and judged on the family left out. Candidates are what all tasks have (`comparable`): single scores, counts, and sums of
ranks (`ensembles.rank_sum`, ranks over the architectures at hand) of two or three of them, whose costs add. What is
best here is among all scores of the task too, and is chosen with hindsight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import gammaln

import harness.stats as stats
from benchmarks.errors import UserError
from harness.analysis.ensembles import rank_sum
from harness.analysis.populations import COUNTS, facts_of
from harness.analysis.scorecard import seconds_of

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

BUDGETS = (10.0, 60.0, 600.0, 3600.0, 36000.0)
"""Seconds, by default."""
FREE = 1e-5
"""Seconds of a count, which is not measured."""
LARGEST = 3
"""Most members of a sum of ranks."""

CHOICES = ("single", "ensemble", "count", "random")
COLUMNS = ("family", "task", "n", "budget", "choice", "score", "scored", "regret", "relative", "best_here",
           "best_here_regret")  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What candidates are judged by on one task."""

    name: str
    family: str
    accuracy: np.ndarray
    """(archs,) percent, finite"""
    scores: dict[str, np.ndarray]
    """(archs,) of each single score"""
    seconds: dict[str, float]
    """of each, for an architecture"""


def most_scores(runs: Sequence[StoredRun]) -> StoredRun:
    """Return the run of a task that has most scores."""
    return max(runs, key=lambda run: len(run.scores))


def task_of(name: str, run: StoredRun) -> Task:
    """Return the task of a run of kept scores, of its scores whose cost is known; failed scores are the lowest."""
    known = np.isfinite(run.accuracy)
    seconds = {score: max(seconds_of(run, [score]), FREE) for score in run.scores if score != "random"}
    shown = {score: each for score, each in seconds.items() if np.isfinite(each) and not _hidden(run, score)}
    scores = {score: run.scores[score][0, known] for score in shown}
    lowest = {score: np.where(np.isfinite(values), values, -np.inf) for score, values in scores.items()}
    return Task(name, run.manifest["family"], run.accuracy[known], lowest, shown)


def _hidden(run: StoredRun, score: str) -> bool:
    return bool(facts_of(run, score).get("static")) and score not in COUNTS


def expected_accuracy(score: np.ndarray, accuracy: np.ndarray, drawn: Sequence[int]) -> np.ndarray:
    """Return the expected accuracy of the highest score among so many architectures drawn without replacement.

    score and accuracy (archs,), drawn (budgets,), 1 to archs -> (budgets,). Equal scores share their mean accuracy.
    """
    order = np.argsort(score, kind="stable")
    ranked, values = score[order], accuracy[order]
    block = np.cumsum(np.r_[True, ranked[1:] != ranked[:-1]]) - 1
    shared = (np.bincount(block, values) / np.bincount(block))[block]
    n, place = len(score), np.arange(1, len(score) + 1)
    found = np.empty(len(drawn))
    for at, m in enumerate(drawn):
        with np.errstate(invalid="ignore", divide="ignore"):
            chance = np.exp(_log_choose(place - 1, m - 1) - _log_choose(n, m))
        found[at] = np.where(place >= m, chance, 0.0) @ shared
    return found


def _log_choose(n: np.ndarray | int, k: int) -> np.ndarray:
    n = np.asarray(n, float)
    inside = np.maximum(n - k, 0)
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(inside + 1)


def comparable(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks that have every score that each family has on one of its tasks at least; all of them where a
    family would have none left."""
    names: dict[str, set[str]] = {}
    for task in tasks:
        names.setdefault(task.family, set()).update(task.scores)
    panel = set.intersection(*names.values())
    whole = [task for task in tasks if panel <= task.scores.keys()]
    return whole if {task.family for task in whole} == names.keys() else list(tasks)


def candidates(tasks: Sequence[Task]) -> list[tuple[str, ...]]:
    """Return the members of each candidate: scores that every task has, and sums of two or three of those that are no
    counts, with at most one count among them."""
    common = [name for name in tasks[0].scores if all(name in task.scores for task in tasks)]
    sums = (each for size in range(2, LARGEST + 1) for each in combinations(common, size))
    return [*((name,) for name in common), *(each for each in sums if sum(name in COUNTS for name in each) < 2)]


def regrets(task: Task, members: Iterable[tuple[str, ...]], budgets: Sequence[float]) -> dict[tuple[str, ...], tuple]:
    """Return {members: (regret in points (budgets,), architectures scored (budgets,))}."""
    best, n = float(task.accuracy.max()), len(task.accuracy)
    found = {}
    for each in members:
        score = task.scores[each[0]] if len(each) == 1 else rank_sum(np.stack([task.scores[name] for name in each]))
        cost = sum(task.seconds[name] for name in each)
        drawn = [int(min(n // 2, max(1, budget // cost))) for budget in budgets]
        found[each] = (best - expected_accuracy(score, task.accuracy, drawn), drawn)
    return found


def choose(runs: Mapping[str, StoredRun], budgets: Sequence[float] = BUDGETS) -> pd.DataFrame:
    """Return `COLUMNS`, rows for each task, budget and choice: what the other families choose, and its regret here.

    choice: single (one score or count), ensemble (a single one or a sum, whatever is best), count (the best count),
    random (one architecture at random). best_here: the candidate that would have been best on this task, which nobody
    knows before. runs: one run for each task; those without scores that all families have (`comparable`) are left out.
    """
    tasks = comparable([task_of(name, run) for name, run in runs.items()])
    if len({task.family for task in tasks}) < 2:
        raise UserError(f"{', '.join(runs)}: architectures of one family, so nothing is left to judge a choice on")
    members = candidates(tasks)
    chance = {task.name: stats.random_regret(task.accuracy, 1) for task in tasks}
    made = {task.name: regrets(task, members, budgets) for task in tasks}
    relative = {
        task.name: np.array([made[task.name][each][0] for each in members]) / chance[task.name] for task in tasks
    }
    pools = {
        "single": [at for at, each in enumerate(members) if len(each) == 1], "ensemble": list(range(len(members))),
        "count": [at for at, each in enumerate(members) if len(each) == 1 and each[0] in COUNTS],
    }  # fmt: skip
    rows = []
    for task in tasks:
        elsewhere, found = mean_of_others(task.family, tasks, relative), made[task.name]
        everything = found | regrets(task, [(name,) for name in task.scores if (name,) not in found], budgets)
        for place, budget in enumerate(budgets):
            best = min(everything, key=lambda each: everything[each][0][place])
            known = (" + ".join(best), everything[best][0][place])
            start = (task.family, task.name, len(task.accuracy), budget)
            for choice, pool in pools.items():
                each = members[min(pool, key=lambda at: elsewhere[at, place])]
                regret, drawn = (values[place] for values in found[each])
                rows.append((*start, choice, " + ".join(each), drawn, regret, regret / chance[task.name], *known))
            rows.append((*start, "random", "random", 1, chance[task.name], 1.0, *known))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def means(chosen: pd.DataFrame) -> pd.DataFrame:
    """Return budget, choice, mean relative regret on families left out, its 95 % interval by Student, families; for
    single and ensemble also "- count", the paired difference to the best count."""
    rows = []
    for budget, of in chosen.groupby("budget", sort=False):
        each = of.groupby(["family", "choice"])["relative"].mean().unstack()
        for choice in CHOICES:
            rows.append((budget, choice, *np.maximum(stats.mean_interval(each[choice].to_numpy(float)), 0), len(each)))
        for choice in ("single", "ensemble"):
            gap = (each[choice] - each["count"]).to_numpy(float)
            rows.append((budget, f"{choice} - count", *stats.mean_interval(gap), len(each)))
    return pd.DataFrame(rows, columns=["budget", "choice", "relative", "low", "high", "families"])


def mean_of_others(family: str, tasks: Sequence[Task], relative: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the mean relative regret over the other families, (candidates, budgets)."""
    by_family: dict[str, list[np.ndarray]] = {}
    for task in tasks:
        if task.family != family:
            by_family.setdefault(task.family, []).append(relative[task.name])
    return np.mean([np.mean(each, axis=0) for each in by_family.values()], axis=0)
