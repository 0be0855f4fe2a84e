"""The populations: parts of a run's architectures over which statistics are computed.

Each holds architectures that have an accuracy. `distinct` is about the different networks. Where the whole space was
scored, or a sample of networks, it holds one string for each: the one that `class_id` names if it was evaluated, else
the first in run order, with its own score and accuracy, not the mean of the class, which would be less noisy than
others. Published values over the 9,445 distinct networks of NAS-Bench-201 take one string too, the one whose
unreachable edges are all `none`. A uniform sample of strings meets a network of many strings more often. There each
string counts 1 / (strings of the space that are its network), so that every network counts the same on average.
What has no such weights is computed over the networks met, one string each. Which proxies of a run are baselines is
said here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

    @property
    def drawn(self) -> dict[str, Any]:
        """What intervals have to know of how it was drawn: units, weights and `shrink`."""
        return {"units": self.unit, "weights": self.weight, "shrink": self.shrink}

    def _at(self, rows: NDArray) -> Population:
        parts = {name: getattr(self, name)[rows] for name in ("accuracy", "unit", "params", "strata", "seed_accuracy")}
        return replace(self, **parts, scores={proxy: scores[:, rows] for proxy, scores in self.scores.items()})


def rows_of(run: StoredRun, name: str) -> NDArray[np.intp]:
    """Return the places in the run of a population's architectures, ascending; of `distinct` one of each network."""
    return members(name, np.isfinite(run.accuracy), run.index, run.class_id, run.connected)


def members(name: str, known: NDArray[np.bool_], index: NDArray, class_id: NDArray, connected: NDArray) -> NDArray:
    """Return which of some architectures, (archs,) each, are a population; those that are not `known` are in none."""
    rows = np.flatnonzero(known)
    if name == "connected":
        return rows[connected[rows]]
    if name == "distinct":
        named_first = rows[np.argsort(index[rows] != class_id[rows], kind="stable")]
        return np.sort(named_first[np.unique(class_id[named_first], return_index=True)[1]])
    return rows


def is_weighted(name: str, by_string: bool, share: float) -> bool:
    """Return whether strings of a population count 1 / (strings of their network): of `distinct`, where a part `share`
    of the space's strings was drawn."""
    return name == "distinct" and by_string and share < 1


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
    if is_weighted(name, by_string, share):
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
    return _facts(run.manifest, proxy)


def _facts(manifest: Mapping[str, Any], proxy: str) -> dict[str, Any]:
    facts = (manifest.get("proxies") or {}).get(proxy)
    return facts if isinstance(facts, dict) else {}


def baselines(run: StoredRun) -> tuple[str, ...]:
    """Return the proxies of a run that are baselines (counts and chance), in the run's order."""
    return baselines_among(run.scores, run.manifest)


def baselines_among(names: Iterable[str], manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return those of some proxies of a run that are baselines, by its manifest."""
    return tuple(name for name in names if _facts(manifest, name).get("baseline", name in BASELINES))


def candidates(run: StoredRun) -> list[str]:
    """Return the baselines among which the automatic choice takes the best, the preferred first."""
    known = baselines(run)
    return [name for name in COUNTS if name in known]
