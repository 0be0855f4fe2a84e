"""The statistics of a run: one record each. Headings, CSV columns, tooltips and the table in docs come from them.

A new statistic is a new `Statistic` in `STATISTICS`. Formulas and tie rules: harness/stats.

Intervals of a population's statistics: none, by the bootstrap, or analytic for large tables. With up to `LARGE`
architectures in a run, rho and its differences to the baseline come from a bootstrap over what was drawn. Above, a
resample is a pass over the table for each score and a thousand of them take hours, while the bootstrap has nothing left
to add: rho's analytic intervals agree with it up to the error of the resampling. tau-b, partial and within-size rho are
analytic whatever the size. Regret has no interval: none of those tried held the expected regret of a sample of that
size in 90 % of samples (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import harness.stats as stats
from harness.analysis.populations import Array, Population

Interval = tuple[float, float]
LARGE = 20_000
"""Architectures of a run above which intervals of rho are analytic."""
NOTHING = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Statistic:
    """One number about one proxy on one population; NaN where it is undefined."""

    name: str
    """Column of summary.csv and of `Summary.table`."""
    heading: str
    """In the terminal and in markdown, where columns are narrow."""
    title: str
    """On the page."""
    meaning: str
    """What it is, in one clause: tooltips and docs."""
    of_score: Callable[[Array, Population], float] | None = None
    """The statistic of one score (archs,); its mean over seeds is reported."""
    of_proxy: Callable[[str, Population], float] | None = None
    """The statistic of all seeds of a proxy together; a record has this or `of_score`."""
    form: int | str = 3
    """Decimals, or "count" or "seconds"."""
    direction: str = "larger"
    """Which values are better: larger or smaller; empty where neither is."""
    shown: str = "page"
    """Table it is printed in: main, stricter (correlations under stricter conditions), or the page alone."""
    interval: Callable[[Array, Population], Interval] | None = None
    """Its analytic 95 % interval, of a score's seeds (seeds, archs); the columns NAME_low and NAME_high."""
    weighted: bool = False
    """Whether it knows the weights of a population; others are over the networks met."""
    fewest: int = 3
    """Architectures, all with a finite score, below which it is undefined."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in summary.csv."""
        return (self.name, f"{self.name}_low", f"{self.name}_high") if self.interval else (self.name,)

    @property
    def is_number(self) -> bool:
        """Whether it is a measured value, not a count or a time."""
        return isinstance(self.form, int)


def _finite(proxy: str, part: Population) -> int:
    return int(np.isfinite(part.scores[proxy]).all(axis=0).sum())


def _strata(score: Array, part: Population) -> float:
    return stats.strata_mean(stats.stratum_spearman(score, part.accuracy, part.strata, part.weight))


def _seed_spread(proxy: str, part: Population) -> float:
    values = [stats.spearman(score, part.accuracy) for score in part.scores[proxy]] if part.seeds[proxy] > 1 else []
    return stats.seed_spread(values, part.seeds[proxy])


def _of_mean_score(proxy: str, part: Population) -> float:
    with np.errstate(all="ignore"):
        return stats.spearman(part.scores[proxy].mean(axis=0), part.accuracy)


def _regret(k: int) -> Callable[[Array, Population], float]:
    return lambda score, part: stats.top_k_regret(score, part.accuracy, k)


def _in_top_tenth(measure: Callable[[Array, Array, int], float]) -> Callable[[Array, Population], float]:
    return lambda score, part: measure(score, part.accuracy, stats.share(len(part.accuracy), 10))


TIES = "over all orders of tied scores"
COUNT: dict[str, Any] = {"form": "count", "direction": "", "fewest": 0}

STATISTICS = (
    Statistic(
        "n", "n", "n", "architectures with a finite score",
        of_proxy=_finite, shown="main", **COUNT,
    ),
    Statistic(
        "failed", "failed", "failed", "architectures without a finite score: in no statistic, never picked",
        of_proxy=lambda proxy, part: len(part.accuracy) - _finite(proxy, part), shown="main", **COUNT,
    ),
    Statistic(
        "ties", "ties", "ties", "scores that share their value with another",
        of_score=lambda score, part: stats.tied(score), shown="main", **COUNT,
    ),
    Statistic(
        "tau_b", "tau-b", "τ-b",
        "Kendall's tau-b: (concordant - discordant pairs) / sqrt((pairs - ties in score)(pairs - ties in accuracy))",
        of_score=lambda score, part: stats.kendall_tau_b(score, part.accuracy, part.weight),
        interval=lambda scores, part: stats.tau_b_interval(scores, part.accuracy, **part.drawn),
        shown="main", weighted=True,
    ),
    Statistic(
        "tau_a", "tau-a", "τ-a",
        "Kendall's tau-a: (concordant - discordant pairs) / pairs; (tau_a + 1) / 2 is the share of pairs in the right "
        "order, a tie counting half",
        of_score=lambda score, part: stats.kendall_tau_a(score, part.accuracy),
    ),
    Statistic(
        "tau_weighted", "weighted tau", "weighted τ",
        "Vigna's weighted tau as SciPy's default computes it; the top counts most",
        of_score=lambda score, part: stats.weighted_tau(score, part.accuracy),
    ),
    Statistic(
        "rho", "rho", "ρ", "Spearman's rho: Pearson's correlation of mid-ranks",
        of_score=lambda score, part: stats.spearman(score, part.accuracy, part.weight),
        interval=lambda scores, part: stats.rho_interval(scores, part.accuracy, **part.drawn),
        shown="main", weighted=True,
    ),
    Statistic(
        "pearson", "Pearson", "Pearson", "Pearson's linear correlation; depends on the scale of the score",
        of_score=lambda score, part: stats.pearson(score, part.accuracy),
    ),
    Statistic(
        "rho_partial_params", "partial rho (params)", "partial ρ (params)",
        "rho with the rank of the parameter count partialled out",
        of_score=lambda score, part: stats.partial_spearman(score, part.accuracy, part.params, part.weight),
        interval=lambda scores, part: stats.partial_interval(scores, part.accuracy, part.params, **part.drawn),
        shown="stricter", weighted=True,
    ),
    Statistic(
        "rho_top10pct", "top 10 %", "ρ, top 10 %", "rho within the top 10 % by accuracy, with all that tie at the cut",
        of_score=lambda score, part: stats.top_spearman(score, part.accuracy, 10), shown="stricter", fewest=21,
    ),
    Statistic(
        "rho_strata", "within-size rho", "within-size ρ",
        "mean rho among architectures of equal size, weighted by their number",
        interval=lambda scores, part: stats.strata_interval(scores, part.accuracy, part.strata, **part.drawn),
        of_score=_strata, shown="stricter", weighted=True, fewest=10,
    ),
    Statistic(
        "rho_worst", "rho, worst case", "ρ, worst case",
        "the lower rho of two: all failed scores ranked last, or all ranked first",
        of_score=lambda score, part: stats.worst_case_spearman(score, part.accuracy)[0],
    ),
    Statistic(
        "rho_best", "rho, best case", "ρ, best case",
        "the higher rho of two: all failed scores ranked last, or all ranked first",
        of_score=lambda score, part: stats.worst_case_spearman(score, part.accuracy)[1],
    ),
    Statistic(
        "regret_1", "regret@1", "regret@1",
        f"best accuracy minus the expected accuracy of the top score, in points, {TIES}",
        of_score=_regret(1), form=2, direction="smaller", shown="main", fewest=1,
    ),
    Statistic(
        "regret_10", "@10", "regret@10",
        f"best accuracy minus the expected best among the 10 top scores, in points, {TIES}",
        of_score=_regret(10), form=2, direction="smaller", shown="main", fewest=1,
    ),
    Statistic(
        "regret_100", "@100", "regret@100",
        f"best accuracy minus the expected best among the 100 top scores, in points, {TIES}",
        of_score=_regret(100), form=2, direction="smaller", shown="main", fewest=1,
    ),
    Statistic(
        "regret_1pct", "regret@1 %", "regret@1 %",
        f"best accuracy minus the expected best among the top 1 % of the scores, in points, {TIES}",
        of_score=lambda score, part: _regret(stats.share(len(part.accuracy), 1))(score, part),
        form=2, direction="smaller", fewest=1,
    ),
    Statistic(
        "precision_10pct", "P@10 %", "P@10 %",
        "share of the top 10 % by score that is in the top 10 % by accuracy; 0.1 by chance",
        of_score=_in_top_tenth(stats.precision_at_k), fewest=1,
    ),
    Statistic(
        "best_rank_10", "best rank@10", "best rank@10",
        "expected rank by accuracy of the best of the 10 top scores; 1 is the best architecture",
        of_score=lambda score, part: stats.best_rank_at_k(score, part.accuracy, 10),
        form=1, direction="smaller", fewest=1,
    ),
    Statistic(
        "ndcg_10pct", "nDCG@10 %", "nDCG@10 %",
        "discounted gain of the top 10 % by score over that of the order by accuracy; gain 2^accuracy - 1",
        of_score=_in_top_tenth(stats.ndcg_at_k), fewest=1,
    ),
    Statistic(
        "seconds", "s/arch", "s/arch", "mean seconds for each scored network",
        of_proxy=lambda proxy, part: part.seconds[proxy], shown="main", form="seconds", direction="smaller", fewest=0,
    ),
    Statistic(
        "rho_seed_sd", "seed sd", "ρ, seed sd", "standard deviation of rho over the seeds of the scores",
        of_proxy=_seed_spread, shown="stricter", direction="smaller",
    ),
    Statistic(
        "rho_mean_score", "rho of mean", "ρ of mean score", "rho of the score averaged over seeds",
        of_proxy=_of_mean_score,
    ),
)  # fmt: skip
"""In the order of the columns of summary.csv."""

COLUMNS = ("population", "proxy", *(name for each in STATISTICS for name in each.columns), "fitted", "reference_set")
"""The columns of summary.csv: `STATISTICS`, then fitted: whether the score was tuned on accuracies; reference_set: how
many architectures an ensemble ranks together, NaN for a proxy."""


def shown_in(*tables: str) -> list[Statistic]:
    """Return the statistics of some tables in the order of printing: measured values before counts in each table."""
    return [
        each
        for table in tables
        for numbers in (True, False)
        for each in STATISTICS
        if each.shown == table and each.is_number is numbers
    ]


def statistics_of(proxy: str, part: Population) -> dict[str, float]:
    """Return {name: value} of a proxy's statistics, means over its seeds; no intervals."""
    values: dict[str, float] = {}
    for each in STATISTICS:
        here = part if each.weighted else part.met
        if each.of_proxy:
            value = each.of_proxy(proxy, here)
        else:
            assert each.of_score
            value = float(stats.seed_mean([each.of_score(score, here) for score in here.scores[proxy]]))
        values[each.name] = round(value) if each.form == "count" else value
    return values


def method(archs: int, sampled: bool, unit: str = "strings") -> str:
    """How intervals of rho are made in a run of so many architectures; `sampled`: whether there is sampling error."""
    if not sampled:
        return "none"
    return f"bootstrap over {unit}" if archs <= LARGE else f"analytic (delta method) over {unit}"


def sampling_error(part: Population, archs: int, sampled: bool, resamples: int, seed: int) -> SamplingError:
    """Return the intervals of a population of a run of `archs` architectures."""
    if not sampled:
        return SamplingError(part)
    return Bootstrap(part, resamples, seed) if archs <= LARGE else Analytic(part)


@dataclass(frozen=True)
class SamplingError:
    """The intervals of one population, (low, high) at 95 %, NaN where there is none; here none at all."""

    part: Population

    def interval(self, statistic: Statistic, proxy: str) -> Interval:
        """Return that of a statistic which has one."""
        return NOTHING

    def difference(self, proxy: str, baseline: str) -> tuple[float, float, float, float]:
        """rho minus the baseline's on the architectures both scored, its interval, and p of "no difference"."""
        return self._gap(proxy, baseline), *NOTHING, float("nan")

    def _gap(self, proxy: str, baseline: str) -> float:
        part = self.part
        return stats.rho_difference(part.scores[proxy], part.scores[baseline], part.accuracy, part.weight)


@dataclass(frozen=True)
class Analytic(SamplingError):
    """From one term per architecture."""

    def interval(self, statistic: Statistic, proxy: str) -> Interval:
        assert statistic.interval
        return statistic.interval(self.part.scores[proxy], self.part)

    def difference(self, proxy: str, baseline: str) -> tuple[float, float, float, float]:
        one, other = self.part.scores[proxy], self.part.scores[baseline]
        return self._gap(proxy, baseline), *stats.difference_interval(
            stats.spearman, stats.rho_influence, one, other, self.part.accuracy, **self.part.drawn
        )


@dataclass(frozen=True)
class Bootstrap(Analytic):
    """rho and its differences from the same resamples, so that they can be subtracted."""

    resamples: int
    seed: int

    @cached_property
    def _weights(self) -> NDArray[np.uint16]:
        return stats.resample_weights(self.part.unit, self.resamples, self.seed)

    @cached_property
    def _rhos(self) -> dict[str, Array]:
        """{proxy: rho in every resample, (seeds, resamples)}."""
        part = self.part
        together = np.concatenate(list(part.scores.values()))
        rows = stats.bootstrap_spearman(together, part.accuracy, self._weights, part.weight)
        ends = np.cumsum([len(scores) for scores in part.scores.values()])[:-1]
        return dict(zip(part.scores, np.split(rows, ends), strict=True))

    def interval(self, statistic: Statistic, proxy: str) -> Interval:
        if statistic.name != "rho":
            return super().interval(statistic, proxy)
        part = self.part
        values = [stats.spearman(score, part.accuracy, part.weight) for score in part.scores[proxy]]
        return self._interval(float(stats.seed_mean(values)), stats.seed_mean(self._rhos[proxy]), proxy)

    def difference(self, proxy: str, baseline: str) -> tuple[float, float, float, float]:
        part = self.part
        pair = stats.Paired(part.scores[proxy], part.scores[baseline], self._rhos[proxy], self._rhos[baseline])
        gap, samples = stats.paired_difference(pair, part.accuracy, self._weights, part.weight)
        if stats.same_order(pair.one, pair.other):
            return gap, *NOTHING, 1.0 if np.ptp(samples) == 0 else float("nan")
        ends = self._interval(gap, samples, proxy, baseline)
        p = stats.difference_p(gap, gap + part.shrink * (samples - gap)) if np.isfinite(ends).all() else float("nan")
        return gap, *ends, p

    def _interval(self, value: float, samples: Array, *proxies: str) -> Interval:
        """The middle of the resamples, drawn nearer to the value; none for too few units."""
        known = np.logical_and.reduce([np.isfinite(self.part.scores[proxy]).any(0) for proxy in proxies])
        if len(np.unique(self.part.unit[known])) < stats.FEWEST_UNITS:
            return NOTHING
        return stats.percentile_interval(value + self.part.shrink * (samples - value))
