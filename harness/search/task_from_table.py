"""Settings -> the task of a search on a benchmark's table, and the facts of it for manifest and terminal."""

import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

import benchmarks
from benchmarks.benchmark import Benchmark
from benchmarks.benchmark import tables as tables_of
from benchmarks.errors import UserError
from benchmarks.options import problems
from benchmarks.table import Table
from harness.runs.assemble import Target, embedded_note, provenance, target_of
from harness.search.config import SearchConfig
from harness.search.guides import Scores, counts, read_scores
from harness.search.task import Neighbours, Task

SHORT_BUDGET = 12
"""Default epochs of a query's training, where the table has them."""


def pose(config: SearchConfig) -> tuple[Task, dict[str, Any]]:
    """Return the task, and the facts for a manifest with `guides` (chosen proxies) and `notes`; UserError for no such
    task."""
    if wrong := problems(config):
        raise UserError("; ".join(wrong))
    benchmark = benchmarks.load(config.bench, config.dataset, config.data)
    target = target_of(benchmark, config.split, config.epochs, config.reduction)
    scores = read_scores(config.scores, benchmark) if config.scores else counts(benchmark)
    guides = scores.choose(config.proxies)
    queried = benchmark.table
    if config.query_dataset:
        queried = benchmarks.load(config.bench, config.query_dataset, config.data).table
    query = query_of(queried, config.query_split, config.query_epochs, config.query_reduction)
    task = make_task(benchmark, target, queried, query, scores, accuracy_elsewhere(benchmark, config.data, target))
    notes = [*([embedded_note(benchmark)] if benchmark.embedded else []), *about(task, target, query, scores.source)]
    if config.query_seconds is not None:
        task = with_seconds(task, config.query_seconds, notes.append)
    elif not np.isfinite(task.seconds).all():
        notes.append("the table does not know how long trainings took: cost is in queries")
    if config.queries > len(task):
        raise UserError(f"--queries {config.queries:,}: there are only {len(task):,} architectures; give fewer")
    return task, provenance(benchmark, target, []) | {
        "query": asdict(query), "query_source": queried.source, "query_checksum": queried.checksum,
        "guides": list(guides), "scores_source": scores.source, "archs": len(task),
        "best": float(task.accuracy.max()), "notes": notes,
    }  # fmt: skip


def query_of(table: Table, split: str | None, epochs: int | None, reduction: str) -> Target:
    """Return which accuracy of a table a query returns; UserError where the table does not have it.

    The default is validation accuracy where there is any, otherwise test; after 12 epochs where there is such a budget,
    otherwise after the largest.
    """
    pairs = sorted(itertools.product(table.splits, table.epochs))
    known = [(each, budget) for each, budget in pairs if np.isfinite(table.target(each, budget)).any()]
    split = split or ("valid" if "valid" in dict(known) else "test")
    budgets = [budget for each, budget in known if each == split]
    if epochs is None and budgets:
        epochs = SHORT_BUDGET if SHORT_BUDGET in budgets else budgets[-1]
    table.target(split, epochs, reduction)
    if epochs not in budgets:
        there = ", ".join(f"{each} {budget}" for each, budget in known)
        wanted = f"no {split} accuracies of '{table.dataset}' to answer queries with; the table has (split, epochs)"
        raise UserError(f"{wanted}: {there}; give --query-split and --query-epochs")
    return Target(table.dataset, split, int(epochs), reduction)


def accuracy_elsewhere(benchmark: Benchmark, data: str | None, target: Target) -> dict[str, pd.Series]:
    """Return {dataset: percent by arch} of other datasets with the target's accuracy; none of an embedded table."""
    found = {}
    for name, table in ({} if benchmark.embedded else tables_of(benchmark.space.name, data)).items():
        with suppress(UserError):  # without this split, budget or reduction
            accuracy = table.target(target.split, target.epochs, target.reduction)
            if name != target.dataset and np.isfinite(accuracy).any():
                found[name] = pd.Series(accuracy, list(table.archs))
    return found


def make_task(
    benchmark: Benchmark, target: Target, queried: Table, query: Target, scores: Scores, others: Mapping[str, pd.Series]
) -> Task:
    """Return the task over the architectures with a target accuracy, a query value in the table `queried`, and a row of
    scores, finite or not; UserError where there are none. `others` is what `accuracy_elsewhere` returns."""
    table = benchmark.table
    answers = pd.Index(queried.archs).get_indexer([table.archs[row] for row in scores.rows])
    value = np.where(answers >= 0, queried.target(query.split, query.epochs, query.reduction)[answers], np.nan)
    accuracy = table.target(target.split, target.epochs, target.reduction)[scores.rows]
    kept = np.flatnonzero(np.isfinite(value) & np.isfinite(accuracy))
    if not len(kept):
        raise UserError("no architecture has scores, an accuracy to answer queries and a target accuracy: no search")
    rows = scores.rows[kept]
    archs = tuple(table.archs[row] for row in rows)
    elsewhere = {name: known.reindex(archs).to_numpy() for name, known in others.items()}
    return Task(
        benchmark=benchmark, archs=archs, others=elsewhere, value=value[kept], accuracy=accuracy[kept],
        seconds=seconds_per_training(queried, query.epochs)[answers[kept]],
        near=Neighbours(benchmark.space, benchmark.indices[rows]),
        guides=tuple(scores.values), scores=np.stack(list(scores.values.values()))[:, kept],
        score_seconds=np.array([scores.seconds[name] for name in scores.values]),
    )  # fmt: skip


def seconds_per_training(table: Table, epochs: int) -> np.ndarray:
    """Return the mean seconds of a training over the trials whose time is known, (archs,); NaN where none is."""
    if table.seconds_per_run is None:
        return np.full(len(table), np.nan)
    runs = table.seconds_per_run[:, table.epochs.index(epochs)]
    known = np.isfinite(runs)
    return np.where(known, runs, 0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)


def about(task: Task, target: Target, query: Target, source: str) -> list[str]:
    """Return the lines that describe a task to a reader."""

    def said(accuracy: Target) -> str:
        return f"{accuracy.dataset} {accuracy.split} accuracy after {accuracy.epochs} epochs"

    whole = len(task.benchmark.space)
    lines = [
        f"{task.benchmark.space.title}: queries return {said(query)}, results are judged by {said(target)};"
        f" {len(task):,} of {whole:,} architectures, the best has {task.accuracy.max():.2f} %"
    ]
    if source and len(task) < whole:
        lines.append(f"the search is among the architectures scored in {source} alone, and so are regret and rank")
    if query == target:
        lines.append("queries return the accuracy that also judges: regret is lower than a real search could reach")
    return lines


def with_seconds(task: Task, seconds: float, note: Callable[[str], None]) -> Task:
    """Return the task with `seconds` for each training of unknown time; `note` gets the line that says so."""
    if not (np.isfinite(seconds) and seconds > 0):
        raise UserError(f"--query-seconds {seconds:g}: expected a number above 0")
    if gaps := int(np.isnan(task.seconds).sum()):
        unknown = f"the table does not know how long the trainings of {gaps:,} architectures took"
        note(f"{unknown}: taken as {seconds:g} s each")
    return replace(task, seconds=np.where(np.isnan(task.seconds), seconds, task.seconds))


def lonely(task: Task) -> list[str]:
    """Return the line on architectures without neighbours, if there are any."""
    if not (alone := int((task.near.degree == 0).sum())):
        return []
    said = "have no neighbour among the others: mutation leads from them to a random one, local search restarts"
    return [f"{alone:,} of {len(task):,} architectures {said}"]
