"""How many architectures and draws tell two scores apart, from scores of a sample or of the whole space.

Two scores are distinguished where their paired difference in rho is found different from 0 at the 5 % level, two-sided;
planned is for a power of 80 %. With d the difference, s the standard deviation of one architecture's term in it
(`harness.stats.rho_influence`; it has what the scores share taken out), N the size of the space and z = 1.96 + 0.84,
the error of n architectures drawn without replacement is s sqrt(1/n - 1/N), which has to be at most |d| / z:

    n = s^2 / ((d / z)^2 + s^2 / N)

That is for two columns of scores as they are. For the two methods, whatever the draw, the draws count too: `own`, what
weights do to each architecture alone, falls with architectures x draws, `shared`, what one minibatch does to all of
them, with draws alone (`harness.reproduce.draws` measures both; of the two scores the squares add):

    (s^2 - own^2) (1/n - 1/N) + own^2 / (n k) + shared^2 / k <= (d / z)^2

A draw is one initialisation with one minibatch, a seed of `nas-harness run`. Of all k the one with the fewest scores,
n k, is planned. d is known up to its own sampling error, so n has a range: from the ends of the interval of d, infinite
where that holds 0. Fewer than `SMALL` architectures are too few for this formula, which is then off by a fifth where a
rho is near 1: there the number is found by resampling the scores at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm

import harness.stats as stats
from benchmarks.errors import UserError
from harness.analysis.populations import Population, candidates, population_of, share_of_space
from harness.analysis.summary import best_count
from harness.stats.intervals import deviation_of

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

LEVEL, POWER = 0.05, 0.8
SMALL, SAMPLES = 150, 300
"""Architectures below which the number is found by resampling, and samples of each size."""
TIMES = (0.7, 0.85, 1.0, 1.15, 1.3)
"""Of the number by the formula, the sizes of the samples."""
MOST_DRAWS = 1000
COLUMNS = ("score", "other", "rho", "other_rho", "difference", "low", "high", "deviation", "kept_n", "archs",
           "archs_low", "archs_high", "draw_archs", "draws", "draws_measured", "space")  # fmt: skip
Drawn = Callable[[str], tuple[float, float] | None]
"""score -> (shared, own): standard deviations of rho over draws; None where they were not measured."""
Influence = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Gap:
    """What two scores differ by."""

    difference: float
    """Of their rho, on the architectures that both scored."""
    deviation: float
    """Of one architecture's term in it."""
    n: int
    """Architectures that it was computed from."""
    share: float
    """Which part of the space these are; 1 for no error."""
    space: float
    """Architectures of the space."""

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the difference as that of the space."""
        reach = norm.ppf(0.975) * self.deviation / math.sqrt(self.n) * math.sqrt(max(0.0, 1 - self.share))
        return self.difference - reach, self.difference + reach

    def archs(self, power: float = POWER, difference: float | None = None) -> float:
        """Return the architectures that tell the two columns of scores apart; infinite for no difference."""
        wanted = (self.difference if difference is None else difference) / reach_of(power)
        if not wanted:
            return math.inf
        return wholly(self.deviation**2, wanted**2 + self.deviation**2 / self.space)

    def range(self, power: float = POWER) -> tuple[float, float]:
        """Return the fewest and most architectures that the interval of the difference allows."""
        low, high = self.interval()
        most = math.inf if low <= 0 <= high else self.archs(power, min(abs(low), abs(high)))
        return self.archs(power, max(abs(low), abs(high))), most

    def archs_and_draws(self, shared: float, own: float, power: float = POWER) -> tuple[float, float]:
        """Return the architectures and draws that tell the two methods apart with the fewest scores; infinite where
        `MOST_DRAWS` do not."""
        wanted, own = (self.difference / reach_of(power)) ** 2, min(own, self.deviation)
        fixed = self.deviation**2 - own**2
        plans = []
        for draws in range(1, MOST_DRAWS + 1):
            left = wanted - shared**2 / draws + fixed / self.space
            archs = wholly(fixed + own**2 / draws, left) if left > 0 else math.inf
            if math.isfinite(archs) and archs <= self.space:
                plans.append((archs * draws, archs, draws))
        return min(plans)[1:] if plans else (math.inf, math.inf)


def reach_of(power: float) -> float:
    """Return how many standard errors a difference has to be to be found with that power."""
    return float(norm.ppf(1 - LEVEL / 2) + norm.ppf(power))


def wholly(over: float, under: float) -> float:
    """Return over / under rounded up, at least the fewest architectures that have an interval."""
    return max(float(math.ceil(over / under)), float(stats.FEWEST_UNITS)) if under > 0 else math.inf


def gap_of(
    part: Population, share: float, space: float, one: str, other: str, influence: Influence = stats.rho_influence
) -> Gap:
    """Return the gap of two scores of a population, means over their seeds; the deviation is that of the statistic
    whose `influence` is given."""
    x, y = part.scores[one], part.scores[other]
    terms = [influence(a, part.accuracy) - influence(b, part.accuracy) for a, b in stats.pairs_of_seeds(x, y)]
    known = np.asarray(np.isfinite(x).any(0) & np.isfinite(y).any(0))
    error, count = deviation_of(terms, part.unit, known)
    return Gap(stats.rho_difference(x, y, part.accuracy), error * math.sqrt(count), count, share, space)


def archs_needed(part: Population, one: str, other: str, gap: Gap, power: float = POWER) -> float:
    """Return the architectures that tell two scores apart: by the formula, for few of them by resampling."""
    here = replace(gap, space=float(gap.n)).archs(power)
    if gap.archs(power) >= SMALL or here > 0.7 * gap.n:
        return gap.archs(power)
    needed = resampled(part, one, other, gap.difference, here, power=power)
    return wholly(1, 1 / needed - 1 / gap.n + 1 / gap.space)


def resampled(
    part: Population, one: str, other: str, difference: float, near: float, samples: int = SAMPLES, seed: int = 0,
    power: float = POWER,
) -> float:  # fmt: skip
    """Return the architectures at which two scores are distinguished in a part `power` of samples drawn from the
    population without replacement, by a line through the probits over the root of their number, from sizes `near` it.
    """
    generator = np.random.default_rng(seed)
    known = np.isfinite(part.scores[one]).any(0) & np.isfinite(part.scores[other]).any(0)
    x, y, accuracy = part.scores[one][:, known], part.scores[other][:, known], part.accuracy[known]
    sizes = np.unique([min(max(stats.FEWEST_UNITS, round(near * times)), len(accuracy)) for times in TIMES])
    found = np.zeros(len(sizes))
    for at, n in enumerate(sizes):
        units, shrink = np.arange(n), math.sqrt(1 - n / len(accuracy))
        for _ in range(samples):
            rows = generator.choice(len(accuracy), n, replace=False)
            of = x[:, rows], y[:, rows], accuracy[rows], units
            low, high, p = stats.difference_interval(stats.spearman, stats.rho_influence, *of, shrink=shrink)
            found[at] += p < LEVEL and np.sign(low + high) == np.sign(difference)
    if len(sizes) < 2:
        return float(sizes[0])
    slope, level = np.polyfit(np.sqrt(sizes), norm.ppf((found + 0.5) / (samples + 1)), 1)
    return float(((norm.ppf(power) - level) / slope) ** 2) if slope > 0 else float(sizes[0])


def plan(
    run: StoredRun, pairs: Sequence[tuple[str, str]], drawn: Drawn = lambda score: None, power: float = POWER,
    wanted: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return `COLUMNS`, a row for each pair of scores of a run: their rho, difference with interval, the architectures
    that tell the columns apart with their range, and architectures and draws that tell the methods apart.

    wanted: plan for scores that are like these but differ by so much; then the difference has no interval.
    draws_measured: whether the draws of both were measured; otherwise the draws are missing. Counts have none.
    """
    share = share_of_space(run)
    part = population_of(run, "all", share)
    space = float(run.manifest["space_size"])
    rho = {name: float(stats.seed_mean([stats.spearman(row, part.accuracy) for row in part.scores[name]]))
           for name in dict.fromkeys(name for pair in pairs for name in pair)}  # fmt: skip
    rows = []
    for one, other in pairs:
        gap = gap_of(part, share, space, one, other)
        if wanted is not None:
            gap = replace(gap, difference=wanted, share=1.0)
        measured = [(0.0, 0.0) if name in free_of_draws(run) else drawn(name) for name in (one, other)]
        known = [each for each in measured if each is not None]
        archs, draws = math.nan, math.nan
        if len(known) == 2:
            shared, own = (math.hypot(*each) for each in zip(*known, strict=True))
            archs, draws = gap.archs_and_draws(shared, own, power)
        needed = gap.archs(power) if wanted is not None else archs_needed(part, one, other, gap, power)
        scale = needed / gap.archs(power) if math.isfinite(needed) else 1.0  # of the formula, where it was resampled
        ends = sorted(math.ceil(each * scale) if math.isfinite(each) else each for each in gap.range(power))
        rows.append((one, other, rho[one], rho[other], gap.difference, *gap.interval(), gap.deviation, gap.n, needed,
                     *ends, archs * scale, draws, len(known) == 2, space))  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def count_to_beat(run: StoredRun) -> str:
    """Return the count of a run with the best rho. UserError where it has none."""
    rho = [(name, float(stats.spearman(run.scores[name][0], run.accuracy))) for name in candidates(run)]
    best = best_count(run, pd.DataFrame(rho, columns=["proxy", "rho"]))
    if best is None:
        raise UserError("no count among the scores to compare with; expected one such as params")
    return best


def free_of_draws(run: StoredRun) -> set[str]:
    """Return the scores of a run that no draw changes: its counts."""
    about = run.manifest.get("proxies") or {}
    return {name for name, facts in about.items() if facts.get("static") and name != "random"}
