"""Which gains that published tables state are within noise, at the number of architectures that they are of.

A table says by its order that its best score is better than each other one. So every difference between the best score
and another of one source, benchmark, dataset, population and statistic is a stated gain. Its noise is the standard
deviation of a gain between two scores that are equally good:

    sampling   the paired error of the difference at that n, from kept scores of both (`harness.analysis.plan`), 0 for
               the whole space; where one has none, that of the scores that have against flops, root mean square
    draws      of weights and minibatch, of both (`harness.reproduce.draws`); a table of a mean of runs has less; where
               those of a score were not measured, the root mean square of those that were
    rounding   of the printed digits, 10^-digits / sqrt 12 each

`assumed` names what was not measured of the two. A gain is within noise below 1.96 of it. Where n is not stated,
nothing can be said. Signs are as published: absolute values are compared as such. A gain between scores that rank alike
here, as params and FLOPs of NAS-Bench-201 do, is beyond noise by definition: the source counts them otherwise.
"""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.analysis.plan import gap_of
from harness.analysis.populations import COUNTS, population_of, share_of_space
from harness.reproduce.correlations import INFLUENCES
from harness.reproduce.draws import draw_error, measured
from harness.reproduce.score_sets import COMBINED
from harness.store.stored_run import StoredRun

PATH = Path(__file__).with_name("published.csv")
WITHIN, BEYOND, UNKNOWN = "within noise", "beyond noise", "n not stated"
REACH = 1.96
SIZES = {("201", "all"): 15625, ("201", "connected"): 15284, ("201", "distinct"): 9445, ("101", "all"): 423624,
         ("macro", "all"): 6561, ("macro", "distinct"): 3969}  # fmt: skip
"""(benchmark, population) -> architectures of the whole space."""
BENCHES = ",".join(dict.fromkeys(bench for bench, _ in SIZES))
GROUP = ["source", "bench", "dataset", "population", "statistic", "n"]
COLUMNS = (*GROUP, "best", "value", "other", "other_value", "gain", "sampling", "draws", "rounding", "noise",
           "assumed", "verdict")  # fmt: skip


@dataclass(frozen=True)
class Printed:
    """A published value."""

    proxy: str
    value: float
    text: str
    """As it was printed; files leave out zeros at the end."""
    runs: int
    """Runs that it is the mean of."""


def published() -> dict[tuple[str, ...], list[Printed]]:
    """Return {source, bench, dataset, population, statistic, n: values}, without shares of pairs."""
    found: dict[tuple[str, ...], list[Printed]] = {}
    with PATH.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            runs = re.search(r"mean of (\d+) runs", row["note"])
            each = Printed(row["proxy"], float(row["value"]), row["value"], int(runs[1]) if runs else 1)
            if row["statistic"] in INFLUENCES:
                found.setdefault(tuple(row[name] for name in GROUP), []).append(each)
    return found


def audit(tasks: Mapping[str, Sequence[StoredRun]]) -> pd.DataFrame:
    """Return `COLUMNS`, a row for each stated gain; tasks: {"benchmark dataset": runs of kept scores}."""
    rows = []
    for key, values in published().items():
        about = dict(zip(GROUP, key, strict=True))
        best = max(values, key=lambda each: each.value)
        digits = max(len(each.text.partition(".")[2]) for each in values)
        noise = Noise(tasks.get(f"{about['bench']} {about['dataset']}", ()), about, digits)
        rows += [(*key, *noise.row(best, other)) for other in values if other is not best]
    return pd.DataFrame(rows, columns=list(COLUMNS))


class Noise:
    """The noise of gains of one published table."""

    def __init__(self, runs: Sequence[StoredRun], about: Mapping[str, str], digits: int) -> None:
        self.runs, self.about = runs, about
        self.rounding = 10.0**-digits / math.sqrt(6)
        self.n = int(about["n"]) if about["n"] else None
        self.size = SIZES[about["bench"], about["population"]]

    def row(self, best: Printed, other: Printed) -> tuple:
        """Return the part of a row of `audit` behind `GROUP`."""
        gain = best.value - other.value
        sampling, unknown = self._sampling(best.proxy, other.proxy)
        draws, unmeasured = zip(*map(self._draws, (best, other)), strict=True)
        noise = math.hypot(sampling, *draws, self.rounding)
        verdict = UNKNOWN if self.n is None else WITHIN if gain < REACH * noise else BEYOND
        assumed = ", ".join(["sampling"] * unknown + ["draws"] * any(unmeasured))
        parts = (gain, sampling, math.hypot(*draws), self.rounding, noise, assumed)
        return best.proxy, best.value, other.proxy, other.value, *parts, verdict

    def _draws(self, each: Printed) -> tuple[float, bool]:
        """Return the error of the draws of a published value, and whether it is that of other scores."""
        if each.proxy in COUNTS or self.n is None:
            return 0.0, False
        statistic = self.about["statistic"]
        members = COMBINED[each.proxy].members if each.proxy in COMBINED else (each.proxy,)
        error = draw_error(members, statistic, self.n, each.runs)
        return error, each.proxy in COMBINED or each.proxy not in measured(statistic)

    def _sampling(self, one: str, other: str) -> tuple[float, bool]:
        """Return the sampling error of a difference, and whether its deviation is that of other pairs."""
        if self.n is None or self.n >= self.size:
            return 0.0, False
        exact = self._deviation(one, other)
        if assumed := math.isnan(exact):
            names = {name for run in self.runs for name in run.scores} - {"flops"}
            known = [each for name in sorted(names) if not math.isnan(each := self._deviation(name, "flops"))]
            exact = math.sqrt(float(np.mean(np.square(known)))) if known else math.nan
        return exact / math.sqrt(self.n) * math.sqrt(1 - self.n / self.size), assumed

    def _deviation(self, one: str, other: str) -> float:
        """Return the standard deviation of one architecture's term in the difference of two scores, from the first run
        that has both; NaN without one."""
        for run in self.runs:
            if {one, other} <= run.scores.keys():
                part = population_of(run, "all", share_of_space(run))
                influence = INFLUENCES[self.about["statistic"]]
                return gap_of(part, 1.0, self.size, one, other, influence).deviation
        return math.nan
