"""Intervals of one population's statistics: none, by the bootstrap, or analytic for large tables.

`sampling_error` chooses. With up to `LARGE` architectures in a run, rho and its differences to the baseline come from a
bootstrap over classes. Above, a resample is a pass over the table for each score and a thousand of them take hours,
while the bootstrap has nothing left to add: rho's analytic intervals (`harness.stats.influence`) agree with it up to
the error of the resampling. tau-b is analytic and regret@10 resampled, whatever the size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

import harness.stats as stats

if TYPE_CHECKING:
    from harness.analysis.populations import Population

Array = NDArray[np.float64]
Interval = tuple[float, float]
LARGE = 20_000
"""Architectures of a run above which intervals of rho are analytic."""
PICKS = 10
NOTHING = (float("nan"), float("nan"))


class SamplingError(Protocol):
    """The intervals of one population, (low, high) at 95 %, NaN where there is none."""

    def rho(self, proxy: str) -> Interval:
        """Spearman's rho with the accuracies."""

    def tau_b(self, proxy: str) -> Interval:
        """Kendall's tau-b."""

    def regret_10(self, proxy: str) -> Interval:
        """Points lost by the best of ten picks."""

    def difference(self, proxy: str, baseline: str) -> tuple[float, float, float, float]:
        """rho minus the baseline's on the architectures both scored, its interval, and p of "no difference"."""


def method(archs: int, sampled: bool) -> str:
    """How intervals of rho are made in a run of so many architectures; `sampled`: whether there is sampling error."""
    if not sampled:
        return "none"
    return "bootstrap over classes" if archs <= LARGE else "analytic (delta method), terms summed over classes"


def sampling_error(part: Population, archs: int, sampled: bool, resamples: int, seed: int) -> SamplingError:
    """Return the intervals of a population of a run of `archs` architectures."""
    if not sampled:
        return Unsampled(part)
    kind = Bootstrap if archs <= LARGE else Analytic
    return kind(part, resamples, seed)


@dataclass(frozen=True)
class Unsampled:
    """No sampling error: differences without an interval."""

    part: Population

    def rho(self, proxy: str) -> Interval:
        return NOTHING

    tau_b = regret_10 = rho

    def difference(self, proxy: str, baseline: str) -> tuple[float, float, float, float]:
        scores = self.part.scores
        gap = stats.rho_difference(scores[proxy], scores[baseline], self.part.accuracy)
        return gap, *NOTHING, float("nan")


@dataclass(frozen=True)
class Analytic:
    """From one term per architecture; regret by resampling the architectures near the top."""

    part: Population
    resamples: int
    seed: int

    def rho(self, proxy: str) -> Interval:
        return stats.rho_interval(self.part.scores[proxy], self.part.accuracy, self.part.class_id)

    def tau_b(self, proxy: str) -> Interval:
        return stats.tau_b_interval(self.part.scores[proxy], self.part.accuracy, self.part.class_id)

    @cached_property
    def _regrets(self) -> dict[str, Array]:
        """{proxy: regret in every resample, (seeds, resamples)}."""
        part = self.part
        together = np.concatenate(list(part.scores.values()))
        regrets = stats.bootstrap_regret(together, part.accuracy, part.class_id, PICKS, self.resamples, self.seed)
        return _by_proxy(part, regrets)

    def regret_10(self, proxy: str) -> Interval:
        return stats.percentile_interval(stats.seed_mean(self._regrets[proxy]))

    def difference(self, proxy: str, baseline: str) -> tuple[float, float, float, float]:
        one, other = self.part.scores[proxy], self.part.scores[baseline]
        gap = stats.rho_difference(one, other, self.part.accuracy)
        return gap, *stats.rho_difference_interval(one, other, self.part.accuracy, self.part.class_id)


@dataclass(frozen=True)
class Bootstrap:
    """From the same resamples for all statistics but tau-b, so that they can be subtracted."""

    part: Population
    resamples: int
    seed: int

    @cached_property
    def _weights(self) -> NDArray[np.uint16]:
        return stats.resample_weights(self.part.class_id, self.resamples, self.seed)

    @cached_property
    def _rhos(self) -> dict[str, Array]:
        """{proxy: rho in every resample, (seeds, resamples)}."""
        together = np.concatenate(list(self.part.scores.values()))
        return _by_proxy(self.part, stats.bootstrap_spearman(together, self.part.accuracy, self._weights))

    def rho(self, proxy: str) -> Interval:
        return stats.percentile_interval(stats.seed_mean(self._rhos[proxy]))

    def tau_b(self, proxy: str) -> Interval:
        return stats.tau_b_interval(self.part.scores[proxy], self.part.accuracy, self.part.class_id)

    def regret_10(self, proxy: str) -> Interval:
        part = self.part
        regrets = [stats.weighted_regret(score, part.accuracy, PICKS, self._weights) for score in part.scores[proxy]]
        return stats.percentile_interval(stats.seed_mean(regrets))

    def difference(self, proxy: str, baseline: str) -> tuple[float, float, float, float]:
        scores = self.part.scores
        pair = stats.Paired(scores[proxy], scores[baseline], self._rhos[proxy], self._rhos[baseline])
        gap, samples = stats.paired_difference(pair, self.part.accuracy, self._weights)
        return gap, *stats.percentile_interval(samples), stats.difference_p(gap, samples)


def _by_proxy(part: Population, rows: Array) -> dict[str, Array]:
    ends = np.cumsum([len(scores) for scores in part.scores.values()])[:-1]
    return dict(zip(part.scores, np.split(rows, ends), strict=True))
