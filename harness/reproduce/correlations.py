"""Rank correlations of scores with accuracies, for published values of one benchmark and dataset.

Scores are those of a set, with 95 % intervals over other samples of as many architectures (`harness.stats`), each proxy
over the architectures that it was run on. Counts (params, flops, ...) are made for every architecture of the table: no
sampling error then. Where the published value is of fewer, the interval is that of random parts of that size; where it
is of more (a table that holds a part of its benchmark), counts are of the set's architectures too.

Populations: `all` strings; `connected`; `distinct`, one string for each distinct network, the one that names its class.
In a uniform sample of strings those are a uniform sample of the distinct networks. `harness.analysis.populations`
estimates the same from all strings by weights.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

import harness.stats as stats
from benchmarks.benchmark import Benchmark
from harness.analysis.ensembles import combined, concordance
from harness.analysis.populations import POPULATIONS
from harness.proxies.registry import registry
from harness.reproduce.recipes import Published
from harness.reproduce.score_sets import COMBINED, ScoreSet
from harness.reproduce.verdict import Estimate
from harness.runs.assemble import counts_of

RESAMPLES = 1000
PARTS = 200
PAIR_RESAMPLES = 100
"""For the share of pairs in the right order, which costs the square of the architectures."""
SPLITS = {"test": "test accuracy", "valid": "validation accuracy"}


@dataclass(frozen=True)
class Sample:
    """Arrays that a statistic is computed from; (archs,) each, scores of an ensemble's vote (members, archs)."""

    scores: np.ndarray
    accuracy: np.ndarray
    class_id: np.ndarray

    def statistic(self, measure: str) -> float:
        """Return rho, tau_b, tau_a or concordance."""
        if measure == "concordance":
            return concordance(self.scores, self.accuracy).fraction
        of = {"rho": stats.spearman, "tau_b": stats.kendall_tau_b, "tau_a": stats.kendall_tau_a}
        return float(of[measure](self.scores, self.accuracy))

    def parts(self, measure: str, size: int, seed: int = 0) -> tuple[float, float]:
        """Return the middle 95 % of a statistic over random parts of `size` architectures."""
        generator, values = np.random.default_rng(seed), []
        for _ in range(PARTS):
            part = generator.choice(len(self.accuracy), size, replace=False)
            values.append(Sample(self.scores[..., part], self.accuracy[part], part).statistic(measure))
        return stats.percentile_interval(np.array(values))


class Judge:
    """Estimates for one benchmark, dataset and set of scores; each is computed once."""

    def __init__(self, benchmark: Benchmark, scores: ScoreSet | None, seed: int = 0) -> None:
        self.benchmark, self.set, self.seed = benchmark, scores, seed
        archs = [] if scores is None else scores.frame.index
        self.rows = pd.Index(benchmark.table.archs).get_indexer(archs)
        """Table row of each architecture of the set; -1 where it has no accuracy."""
        self._weights: dict[bytes, np.ndarray] = {}
        self._estimates: dict[tuple, Estimate] = {}

    @cached_property
    def counts(self) -> dict[str, np.ndarray]:
        """{count: (table rows,)}: proxies that need no network, without `random`."""
        static = [proxy for proxy in registry().values() if proxy.static and proxy.name != "random"]
        return counts_of(static, self.benchmark, self.benchmark.indices)

    def lacks(self, method: str) -> list[str]:
        """Return the proxies whose scores are missing for a method, or [] if it can be judged."""
        parts = COMBINED[method].members if method in COMBINED and method not in self.counts else (method,)
        known = self.counts.keys() | set(() if self.set is None else self.set.frame.columns)
        return [name for name in parts if name not in known]

    def estimate(self, published: Published, split: str) -> Estimate:
        """Return our value for a published one. UserError where the table has no such accuracy."""
        key = published.method, published.population, published.measure, published.n, split
        if key not in self._estimates:
            self._estimates[key] = self._estimate(*key)
        return self._estimates[key]

    def _estimate(self, method: str, population: str, measure: str, size: int | None, split: str) -> Estimate:
        sample = self.sample(method, population, split)
        if method in self.counts:
            n = len(sample.accuracy)
            if size is None or size == n:
                return Estimate(sample.statistic(measure), n=n, whole=True)
            if size < n:
                return Estimate(sample.statistic(measure), *sample.parts(measure, size, self.seed), n)
            sample = self.sample(method, population, split, of_set=True)
        n = int(np.isfinite(np.atleast_2d(sample.scores)).all(0).sum())
        return Estimate(sample.statistic(measure), *self._interval(measure, sample), n)

    def _interval(self, measure: str, sample: Sample) -> tuple[float, float]:
        if measure == "tau_b":
            return stats.tau_b_interval(sample.scores[None], sample.accuracy, sample.class_id)
        if measure == "rho":
            weights = self._resampled(sample.class_id)
            return stats.percentile_interval(stats.bootstrap_spearman(sample.scores, sample.accuracy, weights)[0])
        counts = stats.resample_weights(sample.class_id, PAIR_RESAMPLES, self.seed)
        samples = (np.repeat(np.arange(len(weights)), weights) for weights in counts)
        shares = [concordance(sample.scores[:, drawn], sample.accuracy[drawn]).fraction for drawn in samples]
        return stats.percentile_interval(np.array(shares))

    def sample(self, method: str, population: str, split: str, *, of_set: bool = False) -> Sample:
        """Return scores and accuracies of a population that the method was run on (counts: all, or the set's)."""
        space, accuracy = self.benchmark.space, self.benchmark.table.target(split)
        if method in self.counts:
            rows = self.rows[self.rows >= 0] if of_set else np.arange(len(accuracy))
            scores = self.counts[method][rows]
        else:
            scores, scored = self._scores(method)
            there = scored & (self.rows >= 0)
            rows, scores = self.rows[there], scores[..., there]
        at = self.benchmark.indices[rows]
        inside = np.isfinite(accuracy[rows])
        if population == "connected":
            inside &= space.connected[at]
        elif population == "distinct":
            inside &= space.class_id[at] == at
        return Sample(scores[..., inside], accuracy[rows[inside]], space.class_id[at[inside]])

    def _scores(self, method: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of a proxy or an ensemble and which rows of the set were scored, (set,) each."""
        assert self.set is not None
        if method in self.set.frame:
            return self.set.frame[method].to_numpy(float), self.set.scored[method]
        if method in self.counts:
            there = self.rows >= 0
            return np.where(there, self.counts[method][self.rows], np.nan), there
        each = COMBINED[method]
        parts = {name: self._scores(name) for name in each.members}
        scored = np.logical_and.reduce([inside for _, inside in parts.values()])
        scores = {name: np.where(scored, values, np.nan)[None] for name, (values, _) in parts.items()}
        if each.combine is None:
            return np.concatenate(list(scores.values())), scored
        return combined(scores, each.members, each.combine)[0], scored

    def _resampled(self, class_id: np.ndarray) -> np.ndarray:
        key = class_id.tobytes()
        if key not in self._weights:
            self._weights[key] = stats.resample_weights(class_id, RESAMPLES, self.seed)
        return self._weights[key]

    def alternatives(self, published: Published, split: str) -> dict[str, float]:
        """Return {description: our value} for other populations, the other accuracy, both; variants of the proxy."""
        method, population, measure = published.method, published.population, published.measure
        if measure == "concordance":
            return {}
        tried: dict[str, tuple[str, str, str, str]] = {}
        splits = [name for name in SPLITS if name in self.benchmark.table.splits]
        for other in POPULATIONS if population else ():
            for accuracy in splits:
                words = [f"population {other}"] * (other != population) + [SPLITS[accuracy]] * (accuracy != split)
                if words:
                    tried[", ".join(words)] = method, other, accuracy, measure
        for name in () if self.set is None else self.set.frame.columns:
            if name != method and name.partition("@")[0] == method.partition("@")[0]:
                tried[f"`{name}`"] = name, population, split, measure
        if method in self.counts and measure == "tau_b":
            tried["tau-a, ties not corrected for"] = method, population, split, "tau_a"
        if (reachable := f"{method}_reachable") in self.counts:
            tried[f"`{reachable}`"] = reachable, population, split, measure
        found = {words: self.sample(*choice[:3]).statistic(choice[3]) for words, choice in tried.items()}
        return {words: value for words, value in found.items() if math.isfinite(value)}
