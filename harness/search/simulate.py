"""From settings to simulated searches: opens benchmark and scores, runs the methods, gathers what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.errors import UserError, suggest
from harness.search.config import SearchConfig
from harness.search.draws import Draws
from harness.search.hnas import KAPPA, METRICS
from harness.search.methods import METHODS, Method
from harness.search.outcomes import curves, outcomes, summary
from harness.search.task import Task, Trace
from harness.search.task_from_table import lonely, pose

CHUNK = 500
"""Runs advanced together, at most."""
CELLS = 2**26
"""Runs times architectures advanced together, at most: what is known of each is kept for each run."""


@dataclass(frozen=True)
class Searches:
    """Simulated searches of several methods."""

    manifest: dict
    table: pd.DataFrame
    """`judge.summary`."""
    runs: pd.DataFrame
    """`judge.outcomes` of all methods, with columns method and guide (the proxies, "" for none) in front."""
    curves: pd.DataFrame
    """`judge.curves`, likewise."""


def search(config: SearchConfig, say: Callable[[str], None] = lambda line: None) -> Searches:
    """Simulate; `say` gets lines of progress. Raises UserError, in one line, for what cannot be used."""
    methods = chosen_methods(config.method, config.settings)
    metrics = chosen_metrics(config.metric, methods)
    task, facts = pose(config)
    notes = facts["notes"] + (lonely(task) if any(method.walks for method in methods) else [])
    for note in notes:
        say(note)
    used: dict[str, dict[str, int | float | str]] = {}
    frames: dict[str, list[pd.DataFrame]] = {"runs": [], "curves": []}
    plans = [(method, _sets_of_guides(method, facts["guides"], metrics, task)) for method in methods]
    for method, sets in plans:
        own = {name: config.settings.get(name, default) for name, default in method.settings.items()}
        used[method.name] = own
        for names in sets:
            shown = names[:1] if method.guides == "metric" else names
            label = {"method": method.name, "guide": ", ".join(shown)}
            began = time.perf_counter()
            trace = simulate(task.guided_by(names), method, config.queries, config.runs, config.seed, own)
            took = time.perf_counter() - began
            say(f"{' '.join(filter(None, label.values()))}: {config.runs:,} searches in {took:.2f} s")
            for kind, judged in (("runs", outcomes(task, trace)), ("curves", curves(task, trace))):
                frames[kind].append(pd.DataFrame(label, index=judged.index).join(judged))
    runs, lines = (pd.concat(each, ignore_index=True) for each in frames.values())
    manifest = facts | {"kind": "search", "settings": asdict(config), "methods": used, "notes": notes}
    return Searches(manifest, summary(runs), runs, lines)


def chosen_methods(names: str, settings: dict[str, int | float | str]) -> list[Method]:
    """Return the methods of a comma-separated list, or all but the slow ones of "all"; UserError for unknown ones and
    settings none takes."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    fast = [name for name, method in METHODS.items() if not method.slow]
    wanted = fast if wanted == ["all"] else list(dict.fromkeys(wanted))
    if unknown := [name for name in wanted if name not in METHODS]:
        raise suggest(unknown, [*METHODS, "all"], "search method")
    if not wanted:
        raise UserError(f"no search method in '{names}'; valid: {', '.join(METHODS)}, all")
    methods = [METHODS[name] for name in wanted]
    problems = []
    for setting, value in settings.items():
        takers = [method.name for method in METHODS.values() if setting in method.settings]
        if not set(takers) & set(wanted):
            problems.append(f"--{setting} is for {', '.join(takers)}, not for {names}")
        elif isinstance(value, int) and value < 1:
            problems.append(f"--{setting} {value}: expected 1 or more")
    if problems:
        raise UserError("; ".join(problems))
    return methods


def chosen_metrics(names: str | None, methods: Sequence[Method]) -> tuple[str, ...]:
    """Return the metrics of a comma-separated list (default: the first); UserError for unknown ones and none."""
    if names is None:
        return METRICS[:1]
    if not any(method.guides == "metric" for method in methods):
        raise UserError(f"--metric is for hnas, not for {', '.join(method.name for method in methods)}")
    wanted = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if unknown := [name for name in wanted if name not in METRICS]:
        raise suggest(unknown, METRICS, "metric of hnas")
    if not wanted:
        raise UserError(f"no metric in --metric '{names}'; expected some of {', '.join(METRICS)}")
    return wanted


def _sets_of_guides(method: Method, guides: Sequence[str], metrics: Sequence[str], task: Task) -> list[tuple[str, ...]]:
    if method.guides == "metric":
        if missing := [name for name in (*metrics, KAPPA) if name not in task.guides]:
            raise UserError(
                f"{method.name} needs scores of {', '.join(missing)}: score them (python -m harness.run --proxies"
                f" {','.join((*metrics, KAPPA))}) and name the run in --scores"
            )
        return [(name, KAPPA) for name in metrics]
    if method.guides == "one":
        return [(name,) for name in guides]
    return [tuple(guides) if method.guides == "all" else ()]


def simulate(task: Task, method: Method, queries: int, runs: int, seed: int, settings: dict[str, Any]) -> Trace:
    """Return the trace of so many runs of a method. Run r is the same however many there are."""
    from tqdm import tqdm

    size = max(1, min(CHUNK, CELLS // len(task)))
    chunks = [range(start, min(start + size, runs)) for start in range(0, runs, size)]
    traces = []
    with tqdm(total=runs, unit="search", desc=method.name, delay=3) as bar:
        for chunk in chunks:
            traces.append(method.run(task, Draws(seed, chunk), queries=queries, **settings))
            bar.update(len(chunk))
    return Trace(*(np.concatenate([getattr(t, name) for t in traces]) for name in ("queried", "spent", "scored")))
