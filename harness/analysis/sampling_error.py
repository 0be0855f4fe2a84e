"""Intervals of one population's statistics: none, by the bootstrap, or analytic for large tables.

With up to `LARGE` architectures in a run, rho and its differences to the baseline come from a bootstrap over what was
drawn. Above, a resample is a pass over the table for each score and a thousand of them take hours, while the bootstrap
has nothing left to add: rho's analytic intervals (`harness.stats.influence`) agree with it up to the error of the
resampling. tau-b, partial and within-size rho are analytic whatever the size. Regret has no interval: none of those
tried held the expected regret of a sample of that size in 90 % of samples (docs/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import harness.stats as stats

if TYPE_CHECKING:
    from harness.analysis.populations import Population

Array = NDArray[np.float64]
Interval = tuple[float, float]
LARGE = 20_000
"""Architectures of a run above which intervals of rho are analytic."""
NOTHING = (float("nan"), float("nan"))


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

    def rho(self, proxy: str) -> Interval:
        """Spearman's rho with the accuracies."""
        return NOTHING

    def tau_b(self, proxy: str) -> Interval:
        """Kendall's tau-b."""
        return NOTHING

    def rho_partial_params(self, proxy: str) -> Interval:
        """rho with the parameter count partialled out."""
        return NOTHING

    def rho_strata(self, proxy: str) -> Interval:
        """Mean rho among architectures of equal size."""
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

    def rho(self, proxy: str) -> Interval:
        return stats.rho_interval(self.part.scores[proxy], self.part.accuracy, **self._drawn)

    def tau_b(self, proxy: str) -> Interval:
        return stats.tau_b_interval(self.part.scores[proxy], self.part.accuracy, **self._drawn)

    def rho_partial_params(self, proxy: str) -> Interval:
        part = self.part
        return stats.partial_interval(part.scores[proxy], part.accuracy, part.params, **self._drawn)

    def rho_strata(self, proxy: str) -> Interval:
        part = self.part
        return stats.strata_interval(part.scores[proxy], part.accuracy, part.strata, **self._drawn)

    def difference(self, proxy: str, baseline: str) -> tuple[float, float, float, float]:
        one, other = self.part.scores[proxy], self.part.scores[baseline]
        return self._gap(proxy, baseline), *stats.rho_difference_interval(one, other, self.part.accuracy, **self._drawn)

    @property
    def _drawn(self) -> dict[str, Any]:
        return {"units": self.part.unit, "weights": self.part.weight, "shrink": self.part.shrink}


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

    def rho(self, proxy: str) -> Interval:
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
