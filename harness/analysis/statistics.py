"""The statistics of a run: one record each. Headings, CSV columns, tooltips and the table in docs come from them.

A new statistic is a new `Statistic` in `STATISTICS`. Formulas and tie rules: harness/stats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import harness.stats as stats
from harness.analysis.populations import Array, Population


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
    """Table it is printed in: main, stricter (rho under stricter conditions), or the page alone."""
    interval: bool = False
    """Whether it has one: the columns NAME_low and NAME_high, made by the method NAME of `SamplingError`."""
    fewest: int = 3
    """Architectures with a finite score below which it is undefined."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in summary.csv."""
        return (self.name, f"{self.name}_low", f"{self.name}_high") if self.interval else (self.name,)

    @property
    def prints_interval(self) -> bool:
        """Whether tables print its interval; that of regret is rough, so only the page and summary.csv have it."""
        return self.interval and self.direction == "larger"

    @property
    def is_number(self) -> bool:
        """Whether it is a measured value, not a count or a time."""
        return isinstance(self.form, int)


def _finite(proxy: str, part: Population) -> int:
    return int(np.isfinite(part.scores[proxy]).all(axis=0).sum())


def _strata(score: Array, part: Population) -> float:
    return stats.strata_mean(stats.stratum_spearman(score, part.accuracy, part.strata))


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


COUNT: dict[str, Any] = {"form": "count", "direction": "", "fewest": 0}
REGRET: dict[str, Any] = {"form": 2, "direction": "smaller", "fewest": 1}

STATISTICS = (
    Statistic(
        "n", "n", "n", "architectures with a finite score",
        of_proxy=_finite, shown="main", **COUNT,
    ),
    Statistic(
        "failed", "failed", "failed", "architectures without one: in no statistic, never picked",
        of_proxy=lambda proxy, part: len(part.accuracy) - _finite(proxy, part), shown="main", **COUNT,
    ),
    Statistic(
        "ties", "ties", "ties", "scores that share their value with another",
        of_score=lambda score, part: stats.tied(score), shown="main", **COUNT,
    ),
    Statistic(
        "tau_b", "tau-b", "τ-b", "Kendall's tau-b between score and accuracy",
        of_score=lambda score, part: stats.kendall_tau_b(score, part.accuracy), shown="main", interval=True,
    ),
    Statistic(
        "tau_a", "tau-a", "τ-a", "Kendall's tau-a",
        of_score=lambda score, part: stats.kendall_tau_a(score, part.accuracy),
    ),
    Statistic(
        "tau_weighted", "weighted tau", "τ weighted", "SciPy's weighted tau",
        of_score=lambda score, part: stats.weighted_tau(score, part.accuracy),
    ),
    Statistic(
        "rho", "rho", "ρ", "Spearman's rho between score and accuracy (Pearson of midranks)",
        of_score=lambda score, part: stats.spearman(score, part.accuracy), shown="main", interval=True,
    ),
    Statistic(
        "pearson", "Pearson", "Pearson", "Pearson's r between score and accuracy",
        of_score=lambda score, part: stats.pearson(score, part.accuracy),
    ),
    Statistic(
        "rho_partial_params", "given params", "ρ given params", "partial rho given the number of parameters",
        of_score=lambda score, part: stats.partial_spearman(score, part.accuracy, part.params), shown="stricter",
    ),
    Statistic(
        "rho_top10pct", "top 10 %", "ρ top 10 %", "rho among the truly best tenth",
        of_score=lambda score, part: stats.top_spearman(score, part.accuracy, 10), shown="stricter",
    ),
    Statistic(
        "rho_strata", "equal size", "ρ equal size", "mean rho within groups of equal size",
        of_score=_strata, shown="stricter", fewest=10,
    ),
    Statistic(
        "rho_worst", "rho worst", "ρ worst", "rho if all failures were ranked against the truth",
        of_score=lambda score, part: stats.worst_case_spearman(score, part.accuracy)[0],
    ),
    Statistic(
        "rho_best", "rho best", "ρ best", "rho if all failures were ranked with the truth",
        of_score=lambda score, part: stats.worst_case_spearman(score, part.accuracy)[1],
    ),
    Statistic(
        "regret_1", "regret@1", "regret@1", "points of accuracy lost by taking the top score (mean over ties)",
        of_score=_regret(1), shown="main", **REGRET,
    ),
    Statistic(
        "regret_10", "@10", "regret@10", "points lost by taking the best of the ten top scores",
        of_score=_regret(10), shown="main", interval=True, **REGRET,
    ),
    Statistic(
        "regret_100", "@100", "regret@100", "points lost by taking the best of the hundred top scores",
        of_score=_regret(100), shown="main", **REGRET,
    ),
    Statistic(
        "regret_1pct", "regret@1 %", "regret@1 %", "points lost by taking the best of the top 1 %",
        of_score=lambda score, part: _regret(stats.share(len(part.accuracy), 1))(score, part), **REGRET,
    ),
    Statistic(
        "precision_10pct", "P@10 %", "P@10 %",
        "share of the top tenth by score that is in the true top tenth; 0.1 by chance",
        of_score=_in_top_tenth(stats.precision_at_k), fewest=0,
    ),
    Statistic(
        "best_rank_10", "best rank@10", "best rank@10", "true rank of the best among the ten top scores; 1 is best",
        of_score=lambda score, part: stats.best_rank_at_k(score, part.accuracy, 10),
        form=1, direction="smaller", fewest=1,
    ),
    Statistic(
        "ndcg_10pct", "nDCG@10 %", "nDCG@10 %", "normalised discounted cumulative gain of the top tenth",
        of_score=_in_top_tenth(stats.ndcg_at_k), fewest=1,
    ),
    Statistic(
        "seconds", "s/arch", "s/arch", "seconds per scored network",
        of_proxy=lambda proxy, part: part.seconds[proxy], shown="main", form="seconds", direction="smaller", fewest=0,
    ),
    Statistic(
        "rho_seed_sd", "sd over seeds", "sd over seeds", "spread of rho over the proxy's seeds",
        of_proxy=_seed_spread, shown="stricter", direction="smaller",
    ),
    Statistic(
        "rho_mean_score", "rho of mean", "ρ mean score", "rho of the mean score over seeds",
        of_proxy=_of_mean_score,
    ),
)  # fmt: skip
"""In the order of the columns of summary.csv."""

COLUMNS = ("population", "proxy", *(name for each in STATISTICS for name in each.columns), "fitted", "cohort")
"""The columns of summary.csv: `STATISTICS`, then fitted: whether the score was tuned on accuracies; cohort: how many
architectures an ensemble ranks together, NaN for a proxy."""


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
    by_seed = [{each.name: each.of_score(score, part) for each in STATISTICS if each.of_score}
               for score in part.scores[proxy]]  # fmt: skip
    values: dict[str, float] = {}
    for each in STATISTICS:
        if each.of_proxy:
            value = each.of_proxy(proxy, part)
        else:
            value = float(stats.seed_mean([one[each.name] for one in by_seed]))
        values[each.name] = round(value) if each.form == "count" else value
    return values
