"""The populations: parts of a run's architectures over which statistics are computed.

Each holds architectures that have an accuracy. `distinct` is about the different networks. Where the whole space was
scored, or a sample of networks, it holds one string for each: the one that `class_id` names if it was evaluated, else
the first in run order, with its own score and accuracy, not the mean of the class, which would be less noisy than
others. Published values over the 9,445 distinct networks of NAS-Bench-201 take one string too, the one whose
unreachable edges are all `none`. A uniform sample of strings meets a network of many strings more often. There each
string counts 1 / (strings of the space that are its network), so that every network counts the same on average.
What has no such weights is computed over the networks met, one string each. Which proxies of a run are baselines is
said here too.

Intervals of a population's statistics: none, by the bootstrap, or analytic for large tables. With up to `LARGE`
architectures in a run, rho and its differences to the baseline come from a bootstrap over what was drawn. Above, a
resample is a pass over the table for each score and a thousand of them take hours, while the bootstrap has nothing left
to add: rho's analytic intervals agree with it up to the error of the resampling. tau-b, partial and within-size rho are
analytic whatever the size. Regret has no interval: none of those tried held the expected regret of a sample of that
size in 90 % of samples (docs/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import harness.stats as stats
from benchmarks.benchmark import space_of
from benchmarks.errors import UserError

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

Array = NDArray[np.float64]
Interval = tuple[float, float]
COUNTS = ("params", "flops", "layers", "params_reachable", "flops_reachable")
"""Among these the automatic choice takes the best, the first of equal ones, as what other proxies are compared with."""
BASELINES = (*COUNTS, "random")
"""The baselines of a run whose manifest does not mark them."""
POPULATIONS = {
    "all": "every architecture that was scored, disconnected ones and equivalent strings included",
    "connected": "architectures with a path from input to output",
    "distinct": "each distinct network once (strings that differ only in operations on no path from input to output"
    " are one network); in a sample of strings rho and tau-b weight each string by 1 / (strings of its network)",
}
"""Name -> what it holds."""
LARGE = 20_000
"""Architectures of a run above which intervals of rho are analytic."""
NOTHING = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Population:
    """The part of a run that a row of the table is about; all arrays over its architectures."""

    name: str
    accuracy: Array
    """(archs,) finite, percent"""
    unit: NDArray[np.int64]
    """(archs,) equal for architectures that were drawn together"""
    params: Array
    """(archs,)"""
    strata: Array
    """(archs,) the label of equal size, NaN for none"""
    scores: dict[str, Array]
    """proxy -> (seeds, archs); one row where all seeds are the same"""
    seeds: dict[str, int]
    """proxy -> number of seeds in the run"""
    seconds: dict[str, float]
    """proxy -> mean seconds for each scored network of the run; NaN where unknown"""
    seed_accuracy: Array
    """(archs, accuracy_seeds) percent"""
    shrink: float = 1.0
    """Sampling error relative to that of a sample with replacement; 0 where there is none."""
    weight: Array | None = None
    """(archs,) how many networks each stands for; None where each counts once"""
    first: NDArray[np.bool_] | None = None
    """(archs,) one of each network, where there are weights"""

    @cached_property
    def met(self) -> Population:
        """The networks met, each once; for statistics without weights."""
        return self if self.first is None else replace(self._at(self.first), weight=None, first=None)

    def _at(self, rows: NDArray) -> Population:
        parts = {name: getattr(self, name)[rows] for name in ("accuracy", "unit", "params", "strata", "seed_accuracy")}
        return replace(self, **parts, scores={proxy: scores[:, rows] for proxy, scores in self.scores.items()})


def rows_of(run: StoredRun, name: str) -> NDArray[np.intp]:
    """Return the places in the run of a population's architectures, ascending; of `distinct` one of each network."""
    rows = np.flatnonzero(np.isfinite(run.accuracy))
    if name == "connected":
        return rows[run.connected[rows]]
    if name == "distinct":
        named_first = rows[np.argsort(run.index[rows] != run.class_id[rows], kind="stable")]
        return np.sort(named_first[np.unique(run.class_id[named_first], return_index=True)[1]])
    return rows


def share_of_space(run: StoredRun) -> float:
    """Return which part of the space's strings or networks, whichever were drawn, have a score and an accuracy."""
    known = np.isfinite(run.accuracy)
    if run.manifest.get("unit") == "networks":
        return len(np.unique(run.class_id[known])) / run.manifest["space_networks"]
    size = run.manifest.get("space_size")
    return float(known.sum() / size) if size else 0.0


def population_of(run: StoredRun, name: str, share: float) -> Population:
    """Return a population of a run; `share` is the part of the space that was drawn, 1 for no sampling error."""
    rows = first = rows_of(run, name)
    by_string, weight = run.manifest.get("unit", "strings") == "strings", None
    if name == "distinct" and by_string and share < 1:
        rows = rows_of(run, "all")
        weight = 1 / _class_sizes(run, rows)
    seconds = {proxy: stats.seed_mean(np.ravel(run.seconds.get(proxy, np.nan))) for proxy in run.scores}
    weighted = weight is not None and (weight < 1).any()
    return Population(
        name,
        accuracy=run.accuracy[rows],
        unit=np.arange(len(rows)) if by_string else run.class_id[rows],
        params=run.params[rows],
        strata=stats.size_strata(run.params[rows], run.conv_count[rows]),
        scores={proxy: stats.different_seeds(scores[:, rows]) for proxy, scores in run.scores.items()},
        seeds={proxy: len(scores) for proxy, scores in run.scores.items()},
        seconds={proxy: float(mean) for proxy, mean in seconds.items()},
        seed_accuracy=run.seed_accuracy[rows],
        shrink=float(np.sqrt(max(0.0, 1 - share))),
        weight=weight if weighted else None,
        first=np.isin(rows, first) if weighted else None,
    )


def _class_sizes(run: StoredRun, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return how many strings of the space are the network of each row; of the run, where the space is not known."""
    try:
        space = space_of(run.manifest["settings"]["bench"])
        return space.class_sizes(run.index[rows])
    except (KeyError, IndexError, UserError):
        _, of_row, counts = np.unique(run.class_id[rows], return_inverse=True, return_counts=True)
        return counts[of_row]


def facts_of(run: StoredRun, proxy: str) -> dict[str, Any]:
    """Return what the manifest says of a proxy; empty where it says nothing."""
    facts = (run.manifest.get("proxies") or {}).get(proxy)
    return facts if isinstance(facts, dict) else {}


def baselines(run: StoredRun) -> tuple[str, ...]:
    """Return the proxies of a run that are baselines (counts and chance), in the run's order."""
    return tuple(name for name in run.scores if facts_of(run, name).get("baseline", name in BASELINES))


def candidates(run: StoredRun) -> list[str]:
    """Return the baselines among which the automatic choice takes the best, the preferred first."""
    known = baselines(run)
    return [name for name in COUNTS if name in known]


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
