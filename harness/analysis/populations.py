"""MISSING DOC"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.typing import NDArray

from harness import stats

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun


def membership(run: StoredRun, population: str) -> np.ndarray:
    """Return which architectures belong to a population of the summary, bool (archs,)."""
    known = np.isfinite(run.accuracy)
    if population == "connected":
        return known & np.asarray(run.connected, bool)
    if population == "distinct":
        rows = np.flatnonzero(known)
        named_first = rows[np.argsort(run.index[rows] != run.class_id[rows], kind="stable")]
        mask = np.zeros(len(known), bool)
        mask[named_first[np.unique(run.class_id[named_first], return_index=True)[1]]] = True
        return mask
    return known


Array = NDArray[np.float64]


Strata = dict[float, tuple[int, float]]


POPULATIONS = ("all", "connected", "distinct")


@dataclass(frozen=True)
class Population:
    """The part of a run that a row of the table is about; all arrays over its architectures."""

    name: str
    accuracy: Array  # (archs,) finite
    class_id: NDArray[np.int64]  # (archs,)
    params: Array  # (archs,)
    strata: NDArray  # (archs,)
    scores: dict[str, Array]  # (seeds, archs); one row where all seeds are the same
    seed_accuracy: Array  # (archs, accuracy_seeds)


def _rows(run: StoredRun, name: str) -> NDArray[np.intp]:
    """The places in the run of a population's architectures, ascending."""
    rows = np.flatnonzero(np.isfinite(run.accuracy))
    if name == "connected":
        rows = rows[run.connected[rows]]
    elif name == "distinct":
        named_first = rows[np.argsort(run.index[rows] != run.class_id[rows], kind="stable")]
        rows = np.sort(named_first[np.unique(run.class_id[named_first], return_index=True)[1]])
    return rows


def _population(run: StoredRun, name: str, rows: NDArray[np.intp]) -> Population:
    return Population(
        name,
        accuracy=run.accuracy[rows],
        class_id=run.class_id[rows],
        params=run.params[rows],
        strata=stats.size_strata(run.params[rows], run.conv_count[rows]),
        scores={proxy: stats.different_seeds(scores[:, rows]) for proxy, scores in run.scores.items()},
        seed_accuracy=run.seed_accuracy[rows],
    )
