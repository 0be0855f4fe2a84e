"""What simulated searches found, and what they paid: one row for each run, and curves of regret against cost.

The answer of a run is the architecture with the best query value, the first one queried if several share it. Regret is
the best target accuracy among the architectures of the task minus that of the answer, in points; rank is 1 + the number
of architectures with a better one. A query costs the seconds of its training, every time.
"""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from harness.search.task import Task, Trace

POINTS = 200
"""Costs at which a curve is given, at most; evenly spaced in the logarithm."""
ELSEWHERE = "accuracy_"
"""Prefix of the columns of accuracies on other datasets."""
QUANTILES = {"low": 0.25, "median": 0.5, "high": 0.75}


def incumbents(task: Task, queried: np.ndarray) -> np.ndarray:
    """Return the answer after each query, (runs, queries) int: rows of the task."""
    values = np.where(queried >= 0, task.value[queried], -np.inf)
    best = np.maximum.accumulate(values, axis=1)
    better = np.column_stack([np.ones(len(best), dtype=bool), best[:, 1:] > best[:, :-1]])
    position = np.maximum.accumulate(np.where(better, np.arange(best.shape[1]), 0), axis=1)
    return np.take_along_axis(queried, position, axis=1)


def costs(task: Task, trace: Trace) -> np.ndarray:
    """Return the seconds paid by the end of each query, (runs, queries): training and all else; NaN if unknown."""
    training = np.where(trace.queried >= 0, task.seconds[trace.queried], 0.0)
    return training.cumsum(1) + trace.spent


def regrets(task: Task, rows: np.ndarray) -> np.ndarray:
    """Return the regret of architectures in points, of the shape of `rows`; at least 0."""
    return task.accuracy.max() - task.accuracy[rows]


def outcomes(task: Task, trace: Trace) -> pd.DataFrame:
    """Return one row for each run. Columns: run, arch, accuracy, regret, rank, queries, distinct (architectures among
    them), scored, proxy_seconds, seconds, and accuracy_<dataset> for other datasets of the benchmark."""
    answer = incumbents(task, trace.queried)[:, -1]
    ranks = rankdata(-task.accuracy, "min").astype(int)
    rows = np.sort(trace.queried, axis=1)
    first = np.column_stack([np.ones(len(rows), dtype=bool), rows[:, 1:] != rows[:, :-1]])
    return pd.DataFrame({
        "run": np.arange(len(answer)), "arch": [task.archs[row] for row in answer],
        "accuracy": task.accuracy[answer], "regret": regrets(task, answer), "rank": ranks[answer],
        "queries": (rows >= 0).sum(1), "distinct": (first & (rows >= 0)).sum(1), "scored": trace.scored,
        "proxy_seconds": trace.spent[:, -1], "seconds": costs(task, trace)[:, -1],
        **{f"{ELSEWHERE}{name}": accuracy[answer] for name, accuracy in task.others.items()},
    })  # fmt: skip


def curves(task: Task, trace: Trace) -> pd.DataFrame:
    """Return regret against cost over the runs: cost ("queries", "seconds"), at, mean, sd, low, median, high.

    low and high are quartiles. A curve against seconds begins when every run has an answer, and is left out where
    seconds are unknown.
    """
    regret = regrets(task, incumbents(task, trace.queried))
    counts = _spaced(1, regret.shape[1], whole=True)
    frames = [_describe("queries", counts, regret[:, counts.astype(int) - 1])]
    seconds = costs(task, trace)
    if np.isfinite(seconds).all() and seconds[:, -1].min() > 0:
        times = _spaced(seconds[:, 0].max(), seconds[:, -1].max())
        done = np.stack([np.searchsorted(run, times, side="right") - 1 for run in seconds])
        frames.append(_describe("seconds", times, np.take_along_axis(regret, done, axis=1)))
    return pd.concat(frames, ignore_index=True)


def _spaced(first: float, last: float, whole: bool = False) -> np.ndarray:
    points = np.geomspace(first, last, POINTS)
    points[[0, -1]] = first, last  # geomspace may miss the ends by a rounding error
    return np.unique(np.rint(points)) if whole else np.unique(points)


def _describe(cost: str, at: np.ndarray, regret: np.ndarray) -> pd.DataFrame:
    quantiles = np.quantile(regret, list(QUANTILES.values()), axis=0)
    spread = regret.std(0, ddof=1) if len(regret) > 1 else np.full(len(at), np.nan)
    columns = {"cost": cost, "at": at, "mean": regret.mean(0), "sd": spread}
    return pd.DataFrame(columns | dict(zip(QUANTILES, quantiles, strict=True)))


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each method and guide of `runs`: mean and sd (n - 1) over the runs of what `outcomes` gives.
    Columns: method, guide, runs, and <name>, <name>_sd. With one run the sd is NaN."""
    names = ["accuracy", "regret", "rank", "queries", "distinct", "scored", "proxy_seconds", "seconds"]
    names += [name for name in runs if name.startswith(ELSEWHERE)]
    groups = runs.groupby(["method", "guide"], sort=False)
    means, sds = groups[names].mean(), groups[names].std().add_suffix("_sd")
    order = [column for name in names for column in (name, f"{name}_sd")]
    return pd.concat([groups.size().rename("runs"), pd.concat([means, sds], axis=1)[order]], axis=1).reset_index()
