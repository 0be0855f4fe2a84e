"""What the tables of a reproduction share while they are made: opened benchmarks, scores, and what is to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import benchmarks
from benchmarks.benchmark import Benchmark
from benchmarks.errors import UserError
from harness.reproduce.correlations import Judge
from harness.reproduce.recipes import Recipe
from harness.reproduce.score_pools import Pool, Scoring, pool_for


@dataclass
class Reproduction:
    """Tables as they came out."""

    rows: pd.DataFrame
    """`COLUMNS`, one row for each figure; for an unanswered table one row alone."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Benchmark and dataset -> source, sha256 and number of architectures of the table file."""
    origins: list[dict[str, Any]] = field(default_factory=list)
    """Where scores, searches and operation scores are from."""


@dataclass
class Workshop:
    """What tables share while they are made: opened benchmarks, pools of scores, folders."""

    data: str | None
    out: Path
    scoring: Scoring | None
    say: Callable[[str], None]
    made: Reproduction
    _benchmarks: dict[tuple[str, str], Benchmark | str] = field(default_factory=dict)
    _pools: dict[tuple, Pool | None] = field(default_factory=dict)
    _judges: dict[tuple, Judge] = field(default_factory=dict)

    def benchmark(self, bench: str, dataset: str) -> Benchmark:
        """Return a benchmark; the same UserError again where it is not there."""
        key = bench, dataset
        if key not in self._benchmarks:
            try:
                self._benchmarks[key] = opened = benchmarks.load(bench, dataset, self.data)
                table = opened.table
                self.made.files[f"{bench} {dataset}"] = {
                    "source": table.source, "sha256": table.checksum, "architectures": len(table)
                }  # fmt: skip
            except UserError as error:
                self._benchmarks[key] = str(error)
        found = self._benchmarks[key]
        if isinstance(found, str):
            raise UserError(found)
        return found

    def judge(self, table: Recipe, bench: str, dataset: str) -> Judge:
        """Return the judge of a table's figures on one dataset, with the scores it takes."""
        benchmark = self.benchmark(bench, dataset)
        key = (bench, *((table.name, dataset) if self.scoring else ()))
        if key not in self._pools:
            self._pools[key] = pool = pool_for(table, bench, dataset, self.scoring, self.data, self.out, self.say)
            self.made.origins += pool.origins if pool else []
        if (*key, dataset) not in self._judges:
            self._judges[(*key, dataset)] = Judge(benchmark, self._pools[key])
        return self._judges[(*key, dataset)]
