"""The populations: parts of a run's architectures over which statistics are computed.

Each holds architectures that have an accuracy. `distinct` holds one per class of equivalent architectures: the member
that `class_id` names if it was evaluated, else the first in run order, with that string's own score and accuracy. It
is not the mean over the class, which would give large classes (small networks) less noisy accuracies than the others.
Published values over the 9,445 distinct networks of NAS-Bench-201 take one member too, the one whose unreachable edges
are all `none`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import harness.stats as stats

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

Array = NDArray[np.float64]

POPULATIONS = {
    "all": "every architecture that was scored, disconnected ones and equivalent strings included",
    "connected": "architectures with a path from input to output",
    "distinct": "one architecture for each distinct network: strings that differ only in operations on no path "
    "from input to output count once",
}
"""Name -> what it holds."""


@dataclass(frozen=True)
class Population:
    """The part of a run that a row of the table is about; all arrays over its architectures."""

    name: str
    accuracy: Array
    """(archs,) finite, percent"""
    class_id: NDArray[np.int64]
    """(archs,) equal for equivalent architectures"""
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


def rows_of(run: StoredRun, name: str) -> NDArray[np.intp]:
    """Return the places in the run of a population's architectures, ascending."""
    rows = np.flatnonzero(np.isfinite(run.accuracy))
    if name == "connected":
        return rows[run.connected[rows]]
    if name == "distinct":
        named_first = rows[np.argsort(run.index[rows] != run.class_id[rows], kind="stable")]
        return np.sort(named_first[np.unique(run.class_id[named_first], return_index=True)[1]])
    return rows


def population_of(run: StoredRun, name: str, rows: NDArray[np.intp]) -> Population:
    """Return the part of a run at `rows`, under the name of a population."""
    seconds = {proxy: stats.seed_mean(np.ravel(run.seconds.get(proxy, np.nan))) for proxy in run.scores}
    return Population(
        name,
        accuracy=run.accuracy[rows],
        class_id=run.class_id[rows],
        params=run.params[rows],
        strata=stats.size_strata(run.params[rows], run.conv_count[rows]),
        scores={proxy: stats.different_seeds(scores[:, rows]) for proxy, scores in run.scores.items()},
        seeds={proxy: len(scores) for proxy, scores in run.scores.items()},
        seconds={proxy: float(mean) for proxy, mean in seconds.items()},
        seed_accuracy=run.seed_accuracy[rows],
    )
