"""Rank correlations of scores with accuracies, for published values of one benchmark and dataset, with their errors.

Scores are those of a set, each proxy over the architectures that it was run on. Counts (params, flops, ...) are made
for every architecture of the table. Populations are those of `harness.analysis.populations`. The standard error of ours
minus published has three parts: how far our sample can be from the space, analytically (`harness.stats`), none where
all of the population was scored; the same of the published sample, where it is of fewer architectures than the
population has; and the draws of weights and minibatch on either side (`harness.reproduce.draws`).

Where the scores under the authors' protocol are of fewer architectures than those under the default one, the value is
that of the default, over all that have it, plus the difference of the two protocols on the smaller sample; its error
is that of the paired difference, and the sample's own error goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

import harness.stats as stats
from benchmarks.benchmark import Benchmark
from benchmarks.nasbench201.space import KERNEL, OPERATIONS, POOL, Space201
from harness.analysis.ensembles import combined, concordance
from harness.analysis.populations import POPULATIONS, is_weighted, members
from harness.proxies.registry import registry
from harness.reproduce.draws import draw_error
from harness.reproduce.recipes import Published
from harness.reproduce.score_sets import COMBINED, ScoreSet
from harness.runs.assemble import counts_of
from harness.stats.intervals import deviation_of

SPLITS = {"test": "test accuracy", "valid": "validation accuracy"}
TAU_A = "tau-a, ties not corrected for"
ALL_LAYERS = "BatchNorm and pooling counted, 2 and 9 for each unit"
STATISTICS = {"rho": stats.spearman, "tau_b": stats.kendall_tau_b}
INFLUENCES = {"rho": stats.rho_influence, "tau_b": stats.tau_b_influence}


@dataclass(frozen=True)
class Sample:
    """Arrays that a statistic is computed from; (archs,) each, scores of an ensemble's vote (members, archs)."""

    scores: np.ndarray
    accuracy: np.ndarray
    weight: np.ndarray | None = None
    """How many networks each stands for; None where each counts once."""
    share: float = 1.0
    """Which part of the space was drawn; 1 where all of the population was scored."""
    size: int = 0
    """Architectures of the population in the whole space."""

    @property
    def n(self) -> int:
        """How many architectures have finite scores."""
        return int(np.isfinite(np.atleast_2d(self.scores)).all(0).sum())

    def statistic(self, measure: str) -> float:
        """Return rho, tau_b, tau_a or concordance."""
        if measure == "concordance":
            return concordance(self.scores, self.accuracy).fraction
        if measure == "tau_a":
            return float(stats.kendall_tau_a(self.scores, self.accuracy))
        return float(STATISTICS[measure](self.scores, self.accuracy, self.weight))

    def deviation(self, measure: str, other: Sample | None = None) -> float:
        """Return the standard error of a sample of one architecture: it falls with the root of their number. Of a vote,
        half that of tau-b of the mean rank. With `other` scores of the same architectures, of the difference."""
        if measure == "concordance":
            ranks = np.mean([stats.midranks(row) for row in self.scores], axis=0)
            return Sample(ranks, self.accuracy).deviation("tau_b") / 2
        terms = INFLUENCES[measure](self.scores, self.accuracy, self.weight)
        if other is not None:
            terms = terms - INFLUENCES[measure](other.scores, other.accuracy, other.weight)
        found, count = deviation_of([terms], np.arange(len(terms)), stats.both_finite(self.scores, self.accuracy))
        return found * math.sqrt(count)

    def error(self, measure: str, other: Sample | None = None) -> float:
        """Return the standard error of the statistic as that of the space, 0 where all was scored; with `other` scores
        of the same architectures, of the difference of the two."""
        if self.share >= 1:
            return 0.0
        return self.deviation(measure, other) / math.sqrt(self.n) * math.sqrt(1 - self.share)


@dataclass(frozen=True)
class Estimate:
    """Our value of a correlation beside a published one."""

    value: float
    error: float = 0.0
    """Standard error of our value: its sample, and its draw of weights and minibatch."""
    distance: float = 0.0
    """Standard error of ours minus published; NaN where unknown."""
    n: int = 0
    whole: bool = False
    """Whether both are over the same whole population."""
    differenced: int = 0
    """Architectures on which the protocols were compared, where the value is that of the default plus a difference."""


class Judge:
    """Estimates for one benchmark, dataset and set of scores; each is computed once."""

    def __init__(self, benchmark: Benchmark, scores: ScoreSet | None) -> None:
        self.benchmark, self.set = benchmark, scores
        archs = [] if scores is None else scores.frame.index
        self.rows = pd.Index(benchmark.table.archs).get_indexer(archs)
        """Table row of each architecture of the set; -1 where it has no accuracy."""
        self._estimates: dict[tuple, Estimate] = {}
        usual = None if scores is None else scores.usual
        self._usual = None if usual is None else Judge(benchmark, usual)

    @cached_property
    def counts(self) -> dict[str, np.ndarray]:
        """{count: (table rows,)}: proxies that need no network, without `random`."""
        static = [proxy for proxy in registry().values() if proxy.static and proxy.name != "random"]
        return counts_of(static, self.benchmark, self.benchmark.indices)

    def lacks(self, method: str) -> list[str]:
        """Return the proxies whose scores are missing for a method, or [] if it can be judged."""
        known = self.counts.keys() | set(() if self.set is None else self.set.frame.columns)
        return [name for name in self._parts(method) if name not in known]

    def estimate(self, published: Published, split: str, draws: int = 1) -> Estimate:
        """Return our value for a published one, whose table is of a mean of `draws`. UserError where the table has no
        such accuracy."""
        key = published.method, published.population, published.measure, published.n, split, draws
        if key not in self._estimates:
            self._estimates[key] = self._estimate(*key)
        return self._estimates[key]

    def _estimate(
        self, method: str, population: str, measure: str, size: int | None, split: str, draws: int
    ) -> Estimate:  # fmt: skip
        sample, usual, value, error = self._ours(method, population, split, measure)
        n = usual.n
        if not math.isfinite(value):
            return Estimate(value, n=n)
        theirs = sample.size if size is None else min(size, sample.size)
        drawn = 0.0, 0.0
        if method not in self.counts:
            drawn = draw_error(self._parts(method), measure, n), draw_error(self._parts(method), measure, theirs, draws)
        errors = [error, *drawn]
        if theirs < sample.size:
            errors.append(sample.deviation(measure) / math.sqrt(theirs) * math.sqrt(1 - theirs / sample.size))
        whole = usual.share >= 1 and size == sample.size
        differenced = 0 if usual is sample else sample.n
        return Estimate(value, math.hypot(*errors[:2]), math.hypot(*errors), n, whole, differenced)

    def _ours(self, method: str, population: str, split: str, measure: str) -> tuple[Sample, Sample, float, float]:
        """Return the scores under the authors' protocol, those that the value rests on, the value and the standard
        error of its samples."""
        sample = self.sample(method, population, split)
        larger = None if measure == "concordance" else self._larger(method, population, split)
        if larger is None:
            return sample, sample, sample.statistic(measure), sample.error(measure)
        usual, same = larger
        value = usual.statistic(measure) + sample.statistic(measure) - same.statistic(measure)
        return sample, usual, value, math.hypot(usual.error(measure), sample.error(measure, same))

    def _larger(self, method: str, population: str, split: str) -> tuple[Sample, Sample] | None:
        """Return the scores under the default protocol, all and those of the architectures scored under the authors',
        where they are the more; None otherwise."""
        if self._usual is None or self.set is None or not self.set.protocols.keys() & self._parts(method):
            return None
        inside = self._scores(method)[1]
        if self._usual.lacks(method) or (inside & ~self._usual._scores(method)[1]).any():
            return None
        all_, same = (self._usual.sample(method, population, split, among=among) for among in (None, inside))
        return (all_, same) if all_.n > same.n else None

    def split(self, wanted: str) -> str:
        """Return the accuracy that judges: the wanted one, or the other where the table has only that."""
        there = self.benchmark.table.splits
        return wanted if wanted in there else next((name for name in SPLITS if name in there), wanted)

    def _all_layers(self) -> np.ndarray | None:
        """Return FLOPs with two for each unit of BatchNorm behind a convolution, and as many for each unit of a pooling
        as its window has, (table rows,); None for spaces other than NAS-Bench-201."""
        if not isinstance(self.benchmark.space, Space201):
            return None
        chosen = self.benchmark.space.choices.of(self.benchmark.indices).chosen
        width, depth = (self.benchmark.network[name] for name in ("channels", "cells_per_stage"))
        side = self.benchmark.resolution or 32
        units = depth * sum(width * 2**stage * (side // 2**stage) ** 2 for stage in range(3))  # of one edge
        convolutions = sum((chosen == OPERATIONS.index(name)).sum(1) for name in KERNEL)
        return self.counts["flops"] + units * (2 * convolutions + 9 * (chosen == OPERATIONS.index(POOL)).sum(1))

    def sample(
        self, method: str, population: str, split: str, counted: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> Sample:  # fmt: skip
        """Return scores and accuracies of a population that the method was run on; `counted` are other counts, (table
        rows,), instead of the method's; `among` are the rows of the set, (set,) bool, to keep."""
        space, accuracy = self.benchmark.space, self.benchmark.table.target(split)
        if method in self.counts:
            rows, scores = np.arange(len(accuracy)), self.counts[method] if counted is None else counted
        else:
            scores, scored = self._scores(method)
            there = scored & (self.rows >= 0) & (True if among is None else among)
            rows, scores = self.rows[there], scores[..., there]
        at, known = self.benchmark.indices[rows], np.isfinite(accuracy[rows])
        share = min(1.0, known.sum() / space.full_size)
        weighted = is_weighted(population, True, share)
        inside = members("all" if weighted else population, known, at, space.class_id[at], space.connected[at])
        weight = 1 / space.class_sizes(at[inside]) if weighted else None
        size = space.full_size  # of a part of a benchmark no more is known
        if len(space) == size and population != "all":
            size = int(space.connected.sum()) if population == "connected" else len(np.unique(space.class_id))
        return Sample(scores[..., inside], accuracy[rows[inside]], weight, share, size)

    def _parts(self, method: str) -> tuple[str, ...]:
        """Return a proxy, or the members of an ensemble."""
        return COMBINED[method].members if method in COMBINED and method not in self.counts else (method,)

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
            tried[TAU_A] = method, population, split, "tau_a"
        if (reachable := f"{method}_reachable") in self.counts:
            tried[f"`{reachable}`"] = reachable, population, split, measure
        found = {words: self._ours(*choice)[2] for words, choice in tried.items()}
        if method == "flops" and (counted := self._all_layers()) is not None:
            sample = self.sample(method, population, split, counted)
            found[ALL_LAYERS] = sample.statistic(measure)
        return {words: value for words, value in found.items() if math.isfinite(value)}
