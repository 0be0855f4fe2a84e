"""Rank correlations of scores with accuracies, for published figures of one benchmark and dataset.

Scores are those of a pool, with 95 % intervals over other samples of as many architectures (`harness.stats`), each
proxy over the architectures that it was run on. Counts (params, flops, ...) are made for every architecture of the
table: no sampling error then. Where the published figure is of fewer, the interval is that of random parts
of that size; where it is of more (a table that holds a part of its benchmark), counts are of the pool too.

Populations: `all` strings; `connected`; `distinct`, one string for each different network, the one that names its
class. In a uniform sample of strings those that name their class are a uniform sample of the different networks. One
string of every class that was drawn, as `harness.analysis.summary` has it, would hold the large classes more often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.benchmark import Benchmark
from harness import stats
from harness.analysis.ensembles import combined, concordance
from harness.analysis.populations import POPULATIONS
from harness.proxies.registry import registry
from harness.reproduce.recipes import Figure
from harness.reproduce.score_pools import COMBINED, Pool
from harness.runs.counts import static_scores

RESAMPLES = 1000
PARTS = 200
PAIR_RESAMPLES = 100
"""For the share of pairs in the right order, which costs the square of the architectures."""
SPLITS = {"test": "test accuracy", "valid": "validation accuracy"}


@dataclass(frozen=True)
class Estimate:
    """Ours for a figure."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    whole: bool = False
    """Over the whole population, as the published figure: no interval."""


@dataclass(frozen=True)
class Sample:
    """What a statistic is computed from; (archs,) each, scores of an ensemble's vote (members, archs)."""

    scores: np.ndarray
    accuracy: np.ndarray
    class_id: np.ndarray


class Judge:
    """Computes estimates for one benchmark, dataset and pool; what repeats is computed once."""

    def __init__(self, benchmark: Benchmark, pool: Pool | None, seed: int = 0) -> None:
        self.benchmark, self.pool, self.seed = benchmark, pool, seed
        place = {arch: row for row, arch in enumerate(benchmark.table.archs)}
        archs = [] if pool is None else pool.frame.index
        self.rows = np.array([place.get(arch, -1) for arch in archs], dtype=np.intp)
        """Table row of each architecture of the pool; -1 where it has no accuracy."""
        self._weights: dict[bytes, np.ndarray] = {}
        self._estimates: dict[tuple, Estimate] = {}

    @cached_property
    def counts(self) -> dict[str, np.ndarray]:
        """{count: (table rows,)}: what needs no network, but for `random`."""
        static = [proxy for proxy in registry().values() if proxy.static and proxy.name != "random"]
        sizes = {**self.benchmark.network, "classes": self.benchmark.network["classes"] or 10}
        network = {name: int(size) for name, size in sizes.items() if size is not None}
        side = self.benchmark.resolution or 32
        found = static_scores(static, self.benchmark, self.benchmark.indices, 1, network, side)
        return {name: values[0] for name, values in found.items()}

    def lacks(self, method: str) -> list[str]:
        """Return the proxies whose scores are missing for a method, or [] if it can be judged."""
        if method in self.counts:
            return []
        parts = COMBINED[method].members if method in COMBINED else (method,)
        there = () if self.pool is None else self.pool.frame.columns
        return [name for name in parts if name not in there and name not in self.counts]

    def estimate(self, figure: Figure, split: str) -> Estimate:
        """Return ours for a figure. UserError where the table has no such accuracy."""
        key = figure.method, figure.population, figure.measure, figure.n, split
        if key not in self._estimates:
            self._estimates[key] = self._estimate(figure, split)
        return self._estimates[key]

    def _estimate(self, figure: Figure, split: str) -> Estimate:
        counted = figure.method in self.counts
        sample = self.sample(figure.method, figure.population, split)
        if counted and figure.n is not None and figure.n > len(sample.accuracy):
            sample = self.sample(figure.method, figure.population, split, of_pool=True)
        elif counted:
            value, n = _statistic(figure.measure, sample), len(sample.accuracy)
            if figure.n is None or figure.n == n:
                return Estimate(value, n=n, whole=True)
            return Estimate(value, *self._parts(figure.measure, sample, figure.n), n)
        value, n = _statistic(figure.measure, sample), int(np.isfinite(np.atleast_2d(sample.scores)).all(0).sum())
        if figure.measure == "tau_b":
            low, high = stats.tau_b_interval(sample.scores[None], sample.accuracy, sample.class_id)
        elif figure.measure == "rho":
            drawn = stats.bootstrap_spearman(sample.scores, sample.accuracy, self._resampled(sample.class_id))
            low, high = stats.percentile_interval(drawn[0])
        else:
            low, high = self._pairs(sample)
        return Estimate(value, low, high, n)

    def sample(self, method: str, population: str, split: str, *, of_pool: bool = False) -> Sample:
        """Return scores and accuracies of the architectures of a population that the method was run on.

        Counts are of all architectures of the table, or of those of the pool.
        """
        space, accuracy = self.benchmark.space, self.benchmark.table.target(split)
        if method in self.counts:
            rows = self.rows[self.rows >= 0] if of_pool else np.arange(len(accuracy))
            scores = self.counts[method][rows]
        else:
            scores, scored = self._of_pool(method)
            there = scored & (self.rows >= 0)
            rows, scores = self.rows[there], scores[..., there]
        at = self.benchmark.indices[rows]
        inside = np.isfinite(accuracy[rows])
        if population == "connected":
            inside &= space.connected[at]
        elif population == "distinct":
            inside &= space.class_id[at] == at
        return Sample(scores[..., inside], accuracy[rows[inside]], space.class_id[at[inside]])

    def _of_pool(self, method: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of a proxy or an ensemble and which rows of the pool were scored, (pool,) each."""
        assert self.pool is not None
        if method not in COMBINED or method in self.pool.frame:
            return self.pool.frame[method].to_numpy(float), self.pool.scored[method]
        each = COMBINED[method]
        parts = {name: self._member(name) for name in each.members}
        scored = np.logical_and.reduce([inside for _, inside in parts.values()])
        scores = {name: np.where(scored, values, np.nan)[None] for name, (values, _) in parts.items()}
        if each.combine is None:
            return np.concatenate(list(scores.values())), scored
        return combined(scores, each.members, each.combine)[0], scored

    def _member(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        assert self.pool is not None
        if name in self.pool.frame:
            return self.pool.frame[name].to_numpy(float), self.pool.scored[name]
        there = self.rows >= 0
        return np.where(there, self.counts[name][self.rows], np.nan), there

    def _resampled(self, class_id: np.ndarray) -> np.ndarray:
        key = class_id.tobytes()
        if key not in self._weights:
            self._weights[key] = stats.resample_weights(class_id, RESAMPLES, self.seed)
        return self._weights[key]

    def _pairs(self, sample: Sample) -> tuple[float, float]:
        """Return the interval of a vote's concordance: samples written out, pairs of equal accuracy left out."""
        shares = []
        for weights in stats.resample_weights(sample.class_id, PAIR_RESAMPLES, self.seed):
            drawn = np.repeat(np.arange(len(weights)), weights)
            shares.append(concordance(sample.scores[:, drawn], sample.accuracy[drawn]).fraction)
        return stats.percentile_interval(np.array(shares))

    def alternatives(self, figure: Figure, split: str) -> dict[str, float]:
        """Return what the figure would be otherwise: {in words: value}, for what the data at hand can tell.

        Other populations, the other accuracy, both; and variants of the proxy, as other code bases compute it.
        """
        if figure.measure == "concordance":
            return {}
        found: dict[str, float] = {}
        splits = [name for name in SPLITS if name in self.benchmark.table.splits]
        for population in POPULATIONS if figure.population else ():
            for other in splits:
                if (population, other) != (figure.population, split):
                    words = [f"population {population}"] * (population != figure.population)
                    words += [SPLITS[other]] * (other != split)
                    found[", ".join(words)] = self._point(figure.method, population, other, figure.measure)
        base = figure.method.partition("@")[0]
        for name in () if self.pool is None else self.pool.frame.columns:
            if name != figure.method and name.partition("@")[0] == base:
                found[f"`{name}`"] = self._point(name, figure.population, split, figure.measure)
        if figure.method in self.counts and figure.measure == "tau_b":
            found["tau-a, ties not corrected for"] = self._point(figure.method, figure.population, split, "tau_a")
        reachable = f"{figure.method}_reachable"
        if reachable in self.counts:
            found[f"`{reachable}`"] = self._point(reachable, figure.population, split, figure.measure)
        return {words: value for words, value in found.items() if math.isfinite(value)}

    def smaller(self, figure: Figure, split: str) -> tuple[float, float]:
        """Return the middle 95 % of the figure over random parts of ours, of as many architectures as published."""
        return self._parts(figure.measure, self.sample(figure.method, figure.population, split), figure.n or 0)

    def _parts(self, measure: str, sample: Sample, size: int) -> tuple[float, float]:
        generator, values = np.random.default_rng(self.seed), []
        for _ in range(PARTS):
            part = generator.choice(len(sample.accuracy), size, replace=False)
            values.append(_statistic(measure, Sample(sample.scores[..., part], sample.accuracy[part], part)))
        return stats.percentile_interval(np.array(values))

    def _point(self, method: str, population: str, split: str, measure: str) -> float:
        return _statistic(measure, self.sample(method, population, split))


def _statistic(measure: str, sample: Sample) -> float:
    if measure == "concordance":
        return concordance(sample.scores, sample.accuracy).fraction
    of = {"rho": stats.spearman, "tau_b": stats.kendall_tau_b, "tau_a": stats.kendall_tau_a}
    return float(of[measure](sample.scores, sample.accuracy))
