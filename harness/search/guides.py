"""Scores that guide a search: from a stored run, from a CSV file, or counts that need neither."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.benchmark import Benchmark
from benchmarks.errors import UserError
from benchmarks.options import listed
from harness.proxies.choose import choose
from harness.proxies.ensembles import ENSEMBLES
from harness.runs.assemble import counts_of
from harness.runs.evaluate_scores import OWN
from harness.runs.score_table import arrange
from harness.store.stored_run import load_run

COUNTS = ("params", "flops", "layers")


@dataclass(frozen=True)
class Scores:
    """Scores of some rows of a table by several proxies."""

    rows: np.ndarray
    """(archs,) int: rows of the table."""
    values: dict[str, np.ndarray]
    """proxy -> (archs,) float64, larger is better: the mean over seeds, NaN where one is not finite."""
    seconds: dict[str, float]
    """proxy -> mean seconds to score one architecture under all seeds; NaN where unknown, 0 for counts."""
    source: str
    """Path of the scores; empty for counts of the whole table."""

    def choose(self, names: str | None) -> tuple[str, ...]:
        """Return the proxies of a comma-separated list; UserError for those without scores. None: those of the
        published vote where they were all scored, otherwise three counts."""
        if names is None:
            published = ENSEMBLES["vote"].members
            return published if set(published) <= self.values.keys() else COUNTS
        where = self.source or "the counts, all there is without --scores"
        return tuple(listed(names, self.values, f"proxy in {where}"))


def read_scores(path: str | Path, benchmark: Benchmark) -> Scores:
    """Return the scores of a run folder or CSV of this benchmark, else UserError; and its architectures' counts."""
    return (_of_csv if Path(path).is_file() else _of_run)(Path(path), benchmark)


def counts(benchmark: Benchmark, rows: np.ndarray | None = None) -> Scores:
    """Return the baselines (all counts and random), which need no run, of rows of the table (all of them)."""
    rows = np.arange(len(benchmark.table)) if rows is None else rows
    found = counts_of(choose(""), benchmark, benchmark.indices[rows])
    return Scores(rows, found, dict.fromkeys(found, 0.0), "")


def _of_run(folder: Path, benchmark: Benchmark) -> Scores:
    run = load_run(folder)
    bench = run.manifest["settings"]["bench"]
    if bench != benchmark.space.name:
        raise UserError(f"{folder} holds scores of benchmark {bench}, not {benchmark.space.name}")
    rows = pd.Index(benchmark.table.archs).get_indexer(list(run.archs))
    there = rows >= 0
    if not there.any():
        raise UserError(f"{folder}: none of its architectures is in {benchmark.table.source}")
    rows = rows[there]
    static = counts(benchmark, rows)
    values = {name: _mean(scores)[there] for name, scores in run.scores.items()}
    seconds = {name: _seconds(run.seconds[name]) for name in values}
    return Scores(rows, values | static.values, seconds | static.seconds, str(folder))


def _of_csv(path: Path, benchmark: Benchmark) -> Scores:
    rows, read = arrange(path, benchmark, str(path))
    static = counts(benchmark, rows)
    values = {name + OWN * (name in static.values): _mean(scores) for name, (scores, _) in read.items()}
    unknown = dict.fromkeys(values, float("nan"))
    return Scores(rows, values | static.values, unknown | static.seconds, str(path))


def _mean(scores: np.ndarray) -> np.ndarray:
    """Return the mean of scores (seeds, archs) over seeds, (archs,); NaN where a seed's score is not finite."""
    return np.where(np.isfinite(scores), scores, np.nan).mean(0)


def _seconds(seconds: np.ndarray) -> float:
    """Return the mean seconds over networks, summed over seeds, of (seeds, archs); NaN where a seed has none known."""
    known = np.isfinite(seconds).any(1).all()
    return float(np.nanmean(seconds, axis=1).sum()) if known else float("nan")
