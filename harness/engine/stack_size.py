"""How many architectures run together by default (`--stack auto`): what is known, and a short probe.

The probe scores stacks of the run's own networks, evenly spaced by FLOPs so that stacks of all sizes are alike, with
its proxies, sizes and inputs. It goes up a ladder of sizes while memory lasts, a size is faster than the one before,
and no more than `SHARE` of the run's own time is spent. Where that stops it early, what is usual
(`Setting.usual_stack`) is taken if it fits.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from harness.engine.devices import current, kind
from harness.engine.guard import expendable
from harness.engine.memory import meter
from harness.engine.processes import one_thread, work
from harness.engine.scorer import Chunk, Scorer, Setting, in_files

LADDER = {"cpu": (8, 32, 128, 512), "cuda": (1, 8, 32, 128, 512, 2048)}
"""Sizes that are tried, by kind of device."""
GAIN = 1.03
"""A larger stack has to be this many times as fast as a smaller one."""
SHARE = 0.05
"""The part of the run's time that the probe may take."""
MANY = 32
"""A stack of so many networks is timed once, a smaller one twice, on other networks; the very first only warms up."""


@dataclass(frozen=True)
class Found:
    """How many architectures run together, and why."""

    stack: int
    why: str
    """One line for people."""
    rates: dict[int, float] = field(default_factory=dict)
    """Stack -> networks a second of one process, of the sizes that were tried."""


def find(scorer: Scorer, networks: tuple[int, ...], seeds: int, workers: tuple[str, ...]) -> Found:
    """Return how many of these networks (indices in the space) to run together; nothing of the probe stays.

    `workers` has the device of each process of the run; the first device stands for all.
    """
    jobs = [(scorer.setting, networks, seeds, workers)]
    steps, known, _ = _plan(scorer, networks, seeds, workers)
    apart = kind(scorer.setting.device) == "cuda" and len(workers) > 1  # this process does not compute: no GPU memory
    if steps and (apart or in_files(scorer.setting)):
        (found,) = work(find_of, jobs, 1, expendable, large=scorer.setting.proxy_timeout, rescue=partial(_usual, known))
        return found
    try:
        return find_of(jobs[0], scorer)
    finally:
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _usual(known: int, job: tuple, note: tuple, killed: bool) -> tuple[list[Found], list]:
    """Return what is known where a user's own proxy ended the process of the probe."""
    return [Found(known, f"--stack auto: {known} together, as is usual; {note[0]} ended the trial of others")], []


def find_of(job: tuple[Setting, tuple[int, ...], int, tuple[str, ...]], scorer: Scorer | None = None) -> Found:
    """Do what `find` says in this process."""
    setting, networks, seeds, workers = job
    scorer = scorer or Scorer(setting)
    steps, known, share = _plan(scorer, networks, seeds, workers)
    if not steps:
        return Found(known, f"--stack auto: {known} together, as is usual; too few networks to try others")
    with one_thread(), current(setting.device):
        return _climb(_Trial(scorer, networks, workers), steps, known, share)


def _plan(scorer: Scorer, networks: Sequence[int], seeds: int, workers: Sequence[str]) -> tuple[list[int], int, float]:
    """Return the sizes to try, none where there are too few networks, the usual one, and how many networks may be
    tried."""
    share = SHARE * len(networks) * seeds / len(workers)  # of those of a worker
    steps, together = LADDER[kind(workers[0])], scorer.space.together
    top = min(together or steps[-1], len(networks))
    enough = scorer.names and 3 * min(steps[0], top) <= share
    return (
        [*(step for step in steps if step < top), top] if enough else [],
        scorer.setting.usual_stack(together)[0],
        share,
    )


def _climb(trial: _Trial, steps: list[int], known: int, share: float) -> Found:
    """Try sizes from the smallest up; return the smallest stack within 3 % of the highest throughput."""
    rates: dict[int, float] = {}
    trial.time(steps[0], 0.5)
    last = 0
    while True:
        step = min(next((each for each in steps if each > last), last), max(1, trial.limit))
        count = 1 if step >= MANY else 2
        if rates and (step < 1.5 * last or trial.spent + count * step / rates[last] > share / rates[last]):
            best = max(_fastest(rates), min(known, trial.limit))
            break
        seconds = sum(trial.time(step, (1 + each) / (1 + count)) for each in range(count))
        rates[step] = count * step / seconds
        if last and rates[step] < GAIN * rates[last]:
            best = _fastest(rates)
            break
        last = step
    stack = max(1, min(best, trial.limit))
    tried = ", ".join(f"{each}: {rate:.3g}" for each, rate in rates.items())
    return Found(
        stack,
        f"--stack auto: {stack} together (networks a second in one process: {tried}; memory for {trial.limit:,};"
        f" found in {trial.spent:.1f} s)",
        rates,
    )


def _fastest(rates: dict[int, float]) -> int:
    """Return the smallest size within 3 % of the highest throughput."""
    return min(step for step, rate in rates.items() if GAIN * rate >= max(rates.values()))


class _Trial:
    """Scores stacks of a run's networks; knows the seconds and the largest stack that memory allows."""

    def __init__(self, scorer: Scorer, networks: Sequence[int], workers: Sequence[str]) -> None:
        setting = scorer.setting
        flops = scorer.space.sizes(resolution=setting.resolution or 32, reachable_only=True, **setting.network)[1]
        self.scorer = scorer
        self.networks = np.array(sorted(networks, key=lambda index: (flops[index], index)))
        self.names = scorer.names
        self.meter = meter(workers)
        self.clock = time.process_time if kind(workers[0]) == "cpu" else time.perf_counter  # the one load moves least
        self.spent = 0.0
        self.limit = len(networks)
        self.plans = kind(workers[0]) == "cuda"
        """Whether the first stack of a size takes longer: cuDNN chooses algorithms for its shapes."""
        self.planned: set[int] = set()

    def time(self, stack: int, place: float) -> float:
        """Return the seconds of a stack; `place`, from 0 to 1, distinguishes stacks of the same size."""
        if self.plans and stack not in self.planned:
            self.planned.add(stack)
            self.time(stack, place)
        chosen = self.networks[((np.arange(stack) + place) * len(self.networks) / stack).astype(int)]
        self.meter.start()
        start = self.clock()
        self.scorer.score(Chunk(0, tuple(chosen.tolist()), self.names))
        seconds = self.clock() - start
        self.spent += seconds
        self.limit = min(len(self.networks), self.meter.fitting(stack))
        return seconds
