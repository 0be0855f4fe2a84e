"""What the tables of a reproduction share while they are made: benchmarks, scores, folders and their origins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import benchmarks
from benchmarks.benchmark import Benchmark
from benchmarks.errors import UserError
from benchmarks.files.sources import data_folder
from harness.reproduce.correlations import Judge
from harness.reproduce.recipes import Recipe
from harness.reproduce.result_folders import carry_out, locate, origin
from harness.reproduce.score_sets import ScoreSet, Scoring, kept, kept_protocols, run

Made = TypeVar("Made")
Command = Callable[[list[str]], int]
"""Carries out a command line; returns its exit code."""


@dataclass
class Session:
    """Benchmarks, sets of scores and folders; each is opened or made once, and its error is the same every time."""

    data: str | None
    out: Path
    scoring: Scoring | None
    say: Callable[[str], None]
    commands: Mapping[str, Command]
    """Module -> what carries out its command lines."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: list[dict[str, Any]] = field(default_factory=list)
    """These two as in `compare.Reproduction`."""
    _made: dict[tuple, Any] = field(default_factory=dict)

    def benchmark(self, bench: str, dataset: str) -> Benchmark:
        """Return a benchmark. UserError where its files are missing."""
        return self._once(("benchmark", bench, dataset), lambda: self._open(bench, dataset))

    def judge(self, table: Recipe, bench: str, dataset: str) -> Judge:
        """Return the judge of a table's values on one dataset. UserError for missing files."""
        benchmark = self._once(("drawn", bench, dataset), lambda: self._sampled(bench, dataset))
        own = table.protocol if table.protocol in kept_protocols(bench).values() else "default"
        key = (bench, own, *((table.name, dataset) if self.scoring else ()))
        scores = self._once(("scores", *key), lambda: self._scores(table, bench, dataset))
        return self._once(("judge", *key, dataset), lambda: Judge(benchmark, scores))

    def folder(self, table: Recipe) -> Path:
        """Return the folder of a search or of operation scores. UserError where it is missing and not to be made."""
        return self._once(("folder", table.name), lambda: self._folder(table))

    def _once(self, key: tuple, make: Callable[[], Made]) -> Made:
        if key not in self._made:
            try:
                self._made[key] = make()
            except UserError as error:
                self._made[key] = error
        found = self._made[key]
        if isinstance(found, UserError):
            raise found
        return found

    def _sampled(self, bench: str, dataset: str) -> Benchmark:
        """Return the benchmark of the folder BENCH-uniform in the data folder, whose table is a uniform sample of a
        benchmark that is not there as a whole; the benchmark itself where there is no such folder."""
        uniform = (data_folder(self.data) or Path()) / f"{bench}-uniform"
        return self._open(bench, dataset, uniform) if uniform.is_dir() else self.benchmark(bench, dataset)

    def _open(self, bench: str, dataset: str, folder: Path | None = None) -> Benchmark:
        opened = benchmarks.load(bench, dataset, folder or self.data)
        about = {"source": opened.table.source, "sha256": opened.table.checksum, "architectures": len(opened.table)}
        self.files[f"{bench} {dataset}" + ", uniform sample" * bool(folder)] = about
        return opened

    def _scores(self, table: Recipe, bench: str, dataset: str) -> ScoreSet | None:
        if self.scoring is None:
            scores = kept(bench, table.protocol)
        else:
            scores = run(table, bench, dataset, self.scoring, self.data, self.out, self.say)
        self.origins += [each for each in (scores.origins if scores else []) if each not in self.origins]
        return scores

    def _folder(self, table: Recipe) -> Path:
        """Return the folder: found, made if --full says so, or made again where that is cheap."""
        folder = locate(table, self.out) if table.network else None
        if folder is None:
            benchmark = self.benchmark(table.values[0].bench, table.values[0].dataset)
            if table.network and not (self.scoring and self.scoring.commands):
                place = self.out / table.folder
                raise UserError(f"needs the folder {table.folder}: {table.command} --data DIR --out {place}")
            scores = self._csv_of_scores(table, benchmark.space.name) if table.needs_scores else None
            folder = carry_out(table, self.out, self.data, scores, self.commands, self.say)
        self.origins.append(origin(folder))
        return folder

    def _csv_of_scores(self, table: Recipe, bench: str) -> Path:
        scores = kept(bench)
        if scores is None or (missing := [name for name in table.needs_scores if name not in scores.frame]):
            raise UserError(f"no scores of {', '.join(missing if scores else table.needs_scores)} are kept")
        path = self.out / "runs" / f"{table.name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        scores.frame[list(table.needs_scores)].dropna().to_csv(path, index_label="arch")
        return path
