"""Settings -> simulated searches: opens benchmark and scores, runs the methods, collects the outcomes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.errors import UserError, quiet
from benchmarks.options import listed
from harness.search.config import SearchConfig
from harness.search.draws import Draws
from harness.search.methods import FAST, METHODS, Method
from harness.search.outcomes import curves, outcomes, summary
from harness.search.task import Task, Trace
from harness.search.task_from_table import lonely, pose

CHUNK = 500
"""Runs advanced together, at most."""
CELLS = 2**26
"""Runs times architectures advanced together, at most: each run remembers what it knows of every architecture."""


@dataclass(frozen=True)
class Searches:
    """Simulated searches of several methods."""

    manifest: dict
    table: pd.DataFrame
    """`outcomes.summary`."""
    runs: pd.DataFrame
    """`outcomes.outcomes` of all methods, after columns method and guide (the proxies, "" for none)."""
    curves: pd.DataFrame
    """`outcomes.curves`, likewise."""


def search(config: SearchConfig, say: Callable[[str], None] = lambda line: None) -> Searches:
    """Simulate; `say` gets lines of progress. Raises UserError, in one line, for what cannot be used."""
    methods = chosen_methods(config.method, config.settings)
    metrics = chosen_metrics(config.metric, methods)
    task, facts = pose(config)
    notes = facts["notes"] + (lonely(task) if any(method.walks for method in methods) else [])
    for note in notes:
        say(note)
    used = {
        method.name: {name: config.settings.get(name, default) for name, default in method.defaults.items()}
        for method in methods
    }
    plans = [(method, guides_of(method, facts["guides"], metrics, task)) for method in methods]
    traces: dict[tuple[str, str], Trace] = {}
    for method, sets in plans:
        for shown, guides in sets.items():
            began, own = time.perf_counter(), task.guided_by(guides)
            trace = simulate(own, method, config.queries, config.runs, config.seed, used[method.name])
            traces[method.name, shown] = trace
            said = f"{config.runs:,} searches in {time.perf_counter() - began:.2f} s"
            say(f"{' '.join(filter(None, (method.name, shown)))}: {said}")
    runs, lines = (
        pd.concat({key: make(task, trace) for key, trace in traces.items()}, names=["method", "guide"])
        .reset_index(["method", "guide"]).reset_index(drop=True)
        for make in (outcomes, curves)
    )  # fmt: skip
    manifest = facts | {"kind": "search", "settings": asdict(config), "methods": used, "notes": notes}
    return Searches(manifest, summary(runs), runs, lines)


def chosen_methods(names: str, settings: dict[str, int | float | str]) -> list[Method]:
    """Return the methods of a comma-separated list; UserError for unknown ones, and settings that do not fit them."""
    words = listed(names, [*METHODS, "all"], "search method")
    wanted = list(dict.fromkeys(name for word in words for name in (FAST if word == "all" else [word])))
    problems = []
    for setting, value in settings.items():
        takers = [name for name, method in METHODS.items() if setting in method.settings]
        if not set(takers) & set(wanted):
            problems.append(f"--{setting} is for {', '.join(takers)}, not for {names}")
        elif isinstance(value, int) and value < 1:
            problems.append(f"--{setting} {value}: expected 1 or more")
    if problems:
        raise UserError("; ".join(problems))
    return [METHODS[name] for name in wanted]


def chosen_metrics(names: str | None, methods: Sequence[Method]) -> tuple[str, ...]:
    """Return the metrics of a comma-separated list (default: the first); UserError for unknown ones and none."""
    takers = {name: method.metrics for name, method in METHODS.items() if method.metrics}
    valid = tuple(dict.fromkeys(metric for metrics in takers.values() for metric in metrics))
    if names is None:
        return valid[:1]
    if not any(method.metrics for method in methods):
        raise UserError(f"--metric is for {', '.join(takers)}, not for {', '.join(method.name for method in methods)}")
    return tuple(listed(names, valid, f"metric of {', '.join(takers)}"))


def guides_of(method: Method, guides: Sequence[str], metrics: Sequence[str], task: Task) -> dict[str, tuple[str, ...]]:
    """Return {label: the proxies of one search} of a method; UserError for metrics that were not scored."""
    if method.guides == "metric":
        needed = (*metrics, *method.companions)
        if missing := [name for name in needed if name not in task.guides]:
            how = f"score them (python -m harness.run --proxies {','.join(needed)}) and name the run in --scores"
            raise UserError(f"{method.name} needs scores of {', '.join(missing)}: {how}")
        return {name: (name, *method.companions) for name in metrics}
    if method.guides == "one":
        return {name: (name,) for name in guides}
    chosen = tuple(guides) if method.guides == "all" else ()
    return {", ".join(chosen): chosen}


def simulate(task: Task, method: Method, queries: int, runs: int, seed: int, settings: dict[str, Any]) -> Trace:
    """Return the trace of `runs` runs of a method. Run r is the same for any number of them."""
    size = max(1, min(CHUNK, CELLS // len(task)))
    traces = []
    with tqdm(total=runs, unit="search", desc=method.name, delay=3, disable=quiet()) as bar:
        for start in range(0, runs, size):
            draws = Draws(seed, range(start, min(start + size, runs)))
            traces.append(method.run(task, draws, queries=queries, **settings))
            bar.update(len(draws))
    return Trace(*(np.concatenate([getattr(t, name) for t in traces]) for name in ("queried", "spent", "scored")))
